"""A table of your own: which form extrapolates to its largest runs."""

import numpy as np
from xarray import Dataset

from configs.scaling_law import Fit
from experiments.scaling_law import data, fits
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_most, fact
from framework.launch import Figures, Variant

_SOURCE = 'your table'


def claims(config: Fit, ds: Dataset) -> list[Claim]:
  """The form of the least error beyond the split, and its parameters."""
  made = []
  names = [*fits.forms_of(config)]
  medians = {name: fits.found(ds, name, 'median').mean() for name in names}
  known = {k: v for k, v in medians.items() if np.isfinite(v)}
  best = min(known, key=known.__getitem__) if known else names[0]
  points, given = data.grid_of(config), data.read(str(config.runs))[2]
  # What was read, not what was recorded, says whether records are of it.
  loss = lanes.lanes(ds.isel(time=-1), 'loss')
  own = np.abs(loss / given[points.near] - 1).max(1)
  made.append(
    at_most(
      'extrapolates',
      f'a form is within a tenth beyond the split ({best})',
      _SOURCE,
      1.0,
      np.concatenate([medians[best] / 0.1 * np.ones(1), own / 1e-9]),
      each=True,
      derivation='median relative error over 0.1; records are of this table',
      kind='regression',
      headline=True,
    )
  )
  for name in names:
    text = fits.FORMS[name].formula
    made.append(
      fact(
        f'{name}.median',
        f'{text}: median relative error beyond the split',
        _SOURCE,
        medians[name],
      )
    )
    for parameter in fits.FORMS[name].names:
      error = fits.found(ds, name, f'{parameter}_error').mean()
      made.append(
        fact(
          f'{name}.{parameter}',
          f'{text}: {parameter}, standard error {error:.2g}',
          _SOURCE,
          fits.found(ds, name, parameter).mean(),
        )
      )
  return made


def figures(config: Fit, ds: Dataset) -> Figures:
  """Predicted over given losses, near and beyond."""
  from framework.evidence import figures as plotting

  points, given = data.grid_of(config), data.read(str(config.runs))[2]
  names = [*fits.forms_of(config)]
  with plotting.style():
    fig, ax = plotting.figure('single')
    c = points.n * points.d
    ax.set(xscale='log', xlabel='compute $N D$', ylabel='predicted over given')
    for name, color in zip(
      names, plotting.palette(range(len(names))), strict=True
    ):
      form = fits.FORMS[name]
      values = {p: fits.found(ds, name, p).mean() for p in form.names}
      made = np.asarray(form.model(values, points.n, points.d)) / given
      ax.plot(c, made, '.', color=color, label=form.name)
    ax.axvline(config.split, color='grey', lw=0.8, label='fitted up to here')
    plotting.law(ax, np.sort(c), np.ones(c.size), 'as given')
    plotting.legend(ax)
  return {
    'table': (
      fig,
      'Losses that each form predicts over those that were given; runs on the '
      'right of the line were not fitted.',
    )
  }


VARIANT = Variant(fits.arm, fits.times, claims, figures)
