"""A real picture from a part of its pixels, beside the nuclear norm."""

import numpy as np
from xarray import Dataset

from configs.robust_recovery import Picture as Config
from experiments.robust_recovery.images import judging, runs
from experiments.robust_recovery.images.data import load
from framework.evidence.claims import Claim, at_least
from framework.evidence.gates import Gate, gate
from framework.launch import Figures, Variant

_METHODS = ('subgradient', 'least_squares')


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the picture."""
  can, made = picture(config), []
  methods = [m for m in _METHODS if m in config.axis('method')]
  for method in methods:
    made += [
      better(config, ds, method, can, headline=method == methods[0]),
      below_oracle(config, ds, method, can),
    ]
    if 'nuclear' in config.axis('method'):
      made.append(beside(config, ds, method, 'nuclear', can))
  return made


def picture(config: Config) -> Gate:
  """Whether there is a picture to be found, and enough is known of it."""
  data = load(config)
  known, (n1, n2) = data.y.size, data.shape
  k = config.k
  return gate(
    (
      data.M is not None,
      'the matrix is not known: there is nothing to compare with',
    ),
    (
      known * (1 - config.outliers) ** 2 >= 2 * k * (n1 + n2 - k),
      f'fewer pixels are known than twice the numbers of k = {k} columns',
    ),
    (config.steps >= 100, f'T = {config.steps} is too short'),
    (config.level < 0.9 * (1 - config.outliers), 'the quantile is of outliers'),
  )


def better(
  config: Config,
  ds: Dataset,
  method: str,
  can: Gate,
  headline: bool,
  margin: float = 3.0,
) -> Claim:
  """The picture that was found against the one that was known."""
  data = load(config)
  before = best = 0.0
  if data.M is not None:
    before = runs.psnr(runs.mse(data, judging.damaged(data)))
    left = _beyond(data.M, config.k) / data.M.size
    best = runs.psnr(max(left, 1e-12)) - before
  lost = config.observed < 0.9 or config.outliers > 0.02
  found = (
    judging.quality(config, ds, method) if data.M is not None else np.zeros(1)
  )
  return gate(
    can,
    (lost, 'hardly anything is missing or wrong'),
    # A fit of the known pixels has up to twice the error of the best one.
    (
      best >= margin + 3,
      f'no matrix of rank k = {config.k} is {margin + 3:g} dB better',
    ),
  ).claim(
    at_least,
    f'{method}.better',
    f'the picture found is {margin:g} dB better than what was known of it, '
    'holes filled by the mean',
    'Candès, Recht 2009',
    margin,
    samples=found - before,
    each=True,
    derivation='half of the squared error',
    kind='paper',
    headline=headline,
  )


def _beyond(M: np.ndarray, k: int) -> float:
  """Squared error of the best approximation of rank k."""
  return float(np.sum(np.linalg.svd(M, compute_uv=False)[k:] ** 2))


def below_oracle(config: Config, ds: Dataset, method: str, can: Gate) -> Claim:
  """No matrix of rank k is nearer than the best one."""
  data, ratio = load(config), np.zeros(1)
  if data.M is not None:
    left = max(_beyond(data.M, config.k), 1e-12)
    ratio = np.array(
      [
        np.sum((found.matrix - data.M) ** 2) / left
        for found in runs.recovered(config, ds, method)
      ]
    )
  return can.claim(
    at_least,
    f'{method}.oracle',
    'its error is above that of the best approximation of rank k: ratio',
    'Eckart, Young 1936',
    1.0,
    samples=ratio,
    each=True,
    derivation='exact',
    kind='theorem',
  )


def beside(
  config: Config, ds: Dataset, method: str, convex: str, can: Gate
) -> Claim:
  """Factors against a convex program, on the same pixels."""
  difference = np.zeros(1)
  if load(config).M is not None:
    one, other = (judging.quality(config, ds, m) for m in (method, convex))
    difference = one - other
  return can.claim(
    at_least,
    f'{method}.beside_{convex}',
    f'descent on factors is at most 2 dB behind {judging.NAMES[convex]}, '
    'which solves for the whole matrix',
    'Chi, Lu, Chen 2019: no worse where both recover',
    -2.0,
    samples=difference,
    each=True,
    derivation='k is not tuned to the picture; the convex program has no k',
    kind='paper',
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """The picture before and after."""
  judging.take_home(config, ds)
  if load(config).M is None:
    return {}
  return {'completion': judging.pictures(config, ds)}


VARIANT = Variant(runs.arm, runs.times, claims, figures)
