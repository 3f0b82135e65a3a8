"""Corrupted data of one's own: the matrix, and which measurements are wrong."""

import numpy as np
from xarray import Dataset

from configs.robust_recovery import Picture as Config
from experiments.robust_recovery.images import completion, judging, runs
from experiments.robust_recovery.images.data import load
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most
from framework.evidence.gates import Gate, gate
from framework.launch import Figures, Variant

_METHOD = 'subgradient'


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on what was found; without a picture, on how it fits the data."""
  methods = config.axis('method')
  if _METHOD not in methods:
    return completion.claims(config, ds)
  can = completion.picture(config)
  made = [
    _fits(config, ds),
    completion.better(config, ds, _METHOD, can, headline=True),
    *_errors(config, ds, can),
  ]
  if 'least_squares' in methods:
    made.append(_ahead(config, ds, can))
  if 'convex' in methods:
    made.append(completion.beside(config, ds, _METHOD, 'convex', can))
  return made


def _fits(config: Config, ds: Dataset) -> Claim:
  """The middle residual at the end, over that of the zero matrix."""
  data = load(config)
  zero = float(np.median(np.abs(data.y)))
  found = [
    np.median(np.abs(x.residuals)) for x in runs.recovered(config, ds, _METHOD)
  ]
  (n1, n2), k = data.shape, config.k
  return gate(
    (zero > 0, 'half of the measurements are zero'),
    (config.steps >= 100, f'T = {config.steps} is too short'),
    (
      data.y.size >= 2 * k * (n1 + n2 - k),
      f'fewer measurements than twice the numbers of k = {k} columns',
    ),
  ).claim(
    at_most,
    'fits',
    'half of the measurements are explained: their median residual over '
    'their median',
    'a matrix of low rank, and errors in less than half of the measurements',
    0.5,
    samples=np.array(found) / max(zero, 1e-300),
    each=True,
    derivation='half of what nothing explains',
    kind='paper',
    headline=True,
  )


def _errors(config: Config, ds: Dataset, can: Gate) -> list[Claim]:
  """Which measurements are wrong: found, and not too many."""
  data = load(config)
  hits, share = np.zeros(1), np.zeros(1)
  if data.spoilt is not None:
    # Black that is black already is no error.
    off = np.abs(data.y - data.M[data.rows, data.columns])
    wrong = data.spoilt & (off > 0.3)
    flags = [
      (judging.flagged(x), np.isfinite(x.residuals).all())
      for x in runs.recovered(config, ds, _METHOD)
    ]
    hits = np.array(
      [f[wrong].mean() if ok and wrong.any() else np.nan for f, ok in flags]
    )
    share = np.array(
      [
        (f & data.spoilt).sum() / max(f.sum(), 1) / max(config.outliers, 1e-9)
        if ok
        else np.nan
        for f, ok in flags
      ]
    )
  some = gate(can, (config.outliers >= 0.02, 'hardly a measurement is wrong'))
  return [
    some.claim(
      at_least,
      'finds',
      'of the pixels that are off by 0.3 or more, those flagged as outliers',
      'derived: residuals of an ℓ1 fit are the errors',
      0.8,
      samples=hits,
      each=True,
      derivation='five deviations of the middle of the residuals',
      kind='theorem',
    ),
    gate(
      some, (config.outliers <= 0.3, 'so many are wrong that a guess is good')
    ).claim(
      at_least,
      'lift',
      'a pixel that is flagged is an outlier twice as often as any pixel is',
      'derived: residuals of an ℓ1 fit are the errors, and what has not rank k',
      2.0,
      samples=share,
      each=True,
      derivation='a direction; edges of a picture are no low rank',
      kind='theorem',
    ),
  ]


def _ahead(config: Config, ds: Dataset, can: Gate) -> Claim:
  difference = np.zeros(1)
  if load(config).M is not None:
    one, other = (
      judging.quality(config, ds, m) for m in (_METHOD, 'least_squares')
    )
    difference = one - other
  return gate(
    can, (config.outliers >= 0.1, 'too few errors to tell the two apart')
  ).claim(
    at_least,
    'ahead',
    'the absolute loss is ahead of least squares on the same factors, in dB',
    'Ma, Fattahi 2022',
    1.0,
    samples=difference,
    each=True,
    derivation='a fifth of the squared error',
    kind='paper',
    headline=True,
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """The picture before and after, and the residuals."""
  from framework.evidence import figures as plotting

  judging.take_home(config, ds)
  data, made = load(config), {}
  if data.M is not None:
    made['own_data'] = judging.pictures(config, ds)
  fig, ax = plotting.figure(height=2.8)
  part = lanes.prepared(config, ds, ('method',))
  for i, method in enumerate(config.axis('method')):
    here = lanes.select(part, method=[method])
    misfit = lanes.lanes(here, 'misfit')
    plotting.lanes(
      ax, ds['time'].values, misfit, judging.NAMES[method], f'C{i}'
    )
  ax.set(yscale='log', xlabel='steps $t$', ylabel='mean $|e|/\\|M\\|$')
  plotting.legend(ax)
  found = runs.recovered(config, ds, config.axis('method')[0])[0]
  flags = judging.flagged(found)
  made['misfit'] = (
    fig,
    f'Mean absolute residual of {data.y.size} measurements. In the end '
    f'{flags.sum()} of them look like outliers.',
  )
  return made


VARIANT = Variant(runs.arm, runs.times, claims, figures)
