"""One pass falls where epochs on few samples rise."""

import jax
import numpy as np
from xarray import Dataset

from configs.spectrum import Sgd
from experiments.spectrum.reading import inside
from experiments.spectrum.sgd import runs
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant
from framework.maths.double import in_double
from framework.systems import spectrum as s

_AXES = ('data', 'noise', 'rows')
_RISES, _STAYS = 1.3, 1.15  # expected rise that must show, that must not


_risk = jax.jit(lambda *args: s.krr_risk(*args).test)


@in_double
def early_stopped(config: Sgd, noise: float, rows: int, step: float) -> float:
  """The excess risk of epochs, roughly: that of the ridge δ = n/(ηt).

  Gradient descent for t steps of size η fits what ridge regression with
  δ = n/(ηt) fits: directions of the data with eigenvalue above δ.
  """
  law = s.power_law(config.alpha, config.beta, config.modes, tail=False)
  ridge = rows * s.trace(law) / (config.eta * step) if step < np.inf else 0.0
  return float(_risk(law, noise, float(rows), ridge)) - noise


def claims(config: Sgd, ds: Dataset) -> list[Claim]:
  """Claims on one pass, and on epochs where they should rise and where not."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    made += _claims(text, own, part)
  return made


def _claims(text: str, config: Sgd, ds: Dataset) -> list[Claim]:
  whole, t = lanes.prepared(config, ds, _AXES), ds['time'].values
  early, end = config.steps / 8, config.steps
  at = np.unique([int(np.argmin(np.abs(t - x))) for x in (early, end)])
  made = []
  for noise in config.axis('noise'):
    law = runs.law(config, t, noise=noise)
    name = f'.noise={noise}'
    if 'fresh' in config.axis('data'):
      x = lanes.lanes(whole, 'excess', data='fresh', noise=noise)[:, at]
      made.append(
        inside(
          f'one_pass{name}{text}',
          'one pass falls as its recursion does: '
          f'to {law[at[-1]]:.3g} from {law[at[0]]:.3g}',
          runs.PAPER,
          x.mean(0),
          x.std(0, ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.nan * x[0],
          law[at],
          len(x),
        )
      )
    for rows in config.axis('rows'):
      seen = np.full((1, t.size), np.nan)
      here = 'repeated' in config.axis('data')
      if here:
        seen = lanes.lanes(
          whole, 'excess', data='repeated', noise=noise, rows=rows
        )
      mean = seen.mean(0)
      made.append(
        _epochs(f'{name}.rows={rows}{text}', config, noise, rows, here, (
          mean[at[0]], mean[at[-1]], law[at[-1]]
        ))
      )  # fmt: skip
  return made


def _epochs(
  name: str, config: Sgd, noise: float, rows: int, here: bool, seen: tuple
) -> Claim:
  before, after, one_pass = seen
  rise = early_stopped(config, noise, rows, config.steps) / early_stopped(
    config, noise, rows, config.steps / 8
  )
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio = np.divide(after, before)
  rises = (
    f'rises{name}',
    f'{config.steps / rows:.3g} epochs on {rows} samples end above where an '
    'eighth of them did, half above one pass, and below interpolation',
    runs.PAPER,
  )
  if not here or rows > config.modes:
    why = 'needs samples that are repeated, no more of them than modes'
    return untestable(*rises, why, headline=True)
  if rise >= _RISES:
    limit = early_stopped(config, noise, rows, np.inf)
    with np.errstate(divide='ignore', invalid='ignore'):
      parts = np.stack(
        [ratio, after / (1.5 * one_pass), np.divide(1.15 * limit, after)]
      )
    return at_least(
      *rises,
      1.0,
      parts,
      each=True,
      strict=True,
      derivation='three ratios; early stopping as a ridge n/(ηt) foresees a '
      f'rise by {rise:.2f} and a limit of {limit:.3g}, to 15 %',
      headline=True,
    )
  if rise <= _STAYS:
    return at_most(
      f'control{name}',
      'control: with little noise or few epochs repeated samples are as good: '
      'the risk must not rise',
      'derived: early stopping as a ridge n/(ηt)',
      1.25,
      ratio,
      derivation=f'last over an eighth; {rise:.2f} is foreseen, and a quarter '
      'is the scatter of a few runs',
      kind='theorem',
    )
  why = f'a rise by {rise:.2f} is foreseen: neither clear nor none'
  return untestable(*rises, why)


def figures(config: Sgd, ds: Dataset) -> Figures:
  """One pass and epochs, with much and with little noise."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  whole, t = lanes.prepared(own, part, _AXES), ds['time'].values
  late = t >= max(10, own.steps // 400)
  noises, rows = own.axis('noise'), own.axis('rows')
  with plotting.style():
    fig, axes = plotting.figure('double', ncols=len(noises), squeeze=False)
    colors = plotting.palette(range(len(rows)))
    for ax, noise in zip(axes[0], noises, strict=True):
      ax.set(
        xscale='log', yscale='log', xlabel='steps',
        title=f'noise σ² = {noise:g}',
      )  # fmt: skip
      if 'fresh' in own.axis('data'):
        x = lanes.lanes(
          whole, 'excess', data='fresh', noise=noise, rows=rows[0]
        )
        plotting.lanes(
          ax, t[late], x[:, late], 'one pass', 'grey', band=(0.25, 0.75)
        )
      if 'repeated' in own.axis('data'):
        for n, color in zip(rows, colors, strict=True):
          x = lanes.lanes(whole, 'excess', data='repeated', noise=noise, rows=n)
          plotting.lanes(
            ax, t[late], x[:, late], f'{n} samples', color, band=(0.25, 0.75)
          )
      curve = runs.law(own, t, noise=noise)
      first = 'expectation' if noise == noises[0] else ''
      plotting.law(ax, t[late], curve[late], first)
    axes[0][0].set_ylabel('excess risk')
    plotting.legend(axes[0][0])
  return {
    'epochs': (
      fig,
      'Excess risk of SGD on fresh samples and on few that are repeated: '
      'median and quartiles of runs. Dashed: exact expectation of one pass. '
      'With noise, epochs overfit; with little noise repeated samples do as '
      'well until they are fitted.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
