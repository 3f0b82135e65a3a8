"""Unlabelled data first: what is left to learn falls as 1/m."""

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.spectrum import Pretraining
from experiments.spectrum.reading import inside
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, at_least, equals, untestable
from framework.launch import Figures, Variant, hp_of, structure_of
from framework.run.job import Arm
from framework.systems.spectrum import pretraining

_PAPER = 'Ge et al. 2023: C_Φ/m + C_Ψ/n'


def arm(config: Pretraining) -> Arm:
  """PCA of unlabelled data as they arrive."""
  structure = structure_of(
    pretraining.Structure, config, dtype=jnp.dtype(config.precision)
  )
  return Arm(
    pretraining.factor(structure),
    hp_of(pretraining.Hp, config),
    attributes=pretraining.ATTRIBUTES,
  )


def times(config: Pretraining) -> np.ndarray:
  """A tenth of all steps, evenly in the logarithm up to all."""
  first = max(1, config.steps // 10)
  return np.unique(np.rint(np.geomspace(first, config.steps, 5))).astype(
    np.int32
  )


def claims(config: Pretraining, ds: Dataset) -> list[Claim]:
  """Claims on the oracle, on 1/m, and on what pretraining is worth."""
  made = []
  for text, own, part in lanes.apart(config, ds, ()):
    made += _claims(text, own, part)
  return made


def _claims(text: str, config: Pretraining, ds: Dataset) -> list[Claim]:
  m = ds['time'].values * config.batch
  oracle = lanes.lanes(ds, 'oracle')[:, -1]
  seen = lanes.lanes(ds, 'pretrained')
  c = config
  exact = pretraining.oracle_risk(c.r, c.n, c.signal, c.noise, c.label_noise)
  seeds = len(oracle)
  made = []
  words = {'kind': 'theorem'}
  texts = (
    f'oracle{text}',
    'known the subspace, the mean risk is v + (v + τ²) r/(n−r−1)',
    'derived: least squares in r dimensions',
  )
  if seeds < 20:
    why = f'{seeds} seeds, expected 20'
    return [untestable(*texts, why, headline=True, **words)]
  made.append(
    inside(
      *texts,
      [oracle.mean()],
      [oracle.std(ddof=1) / seeds**0.5],
      [exact],
      seeds,
      headline=True,
    )
  )
  texts = (
    f'rate{text}',
    'what PCA adds to the risk of the oracle falls as 1/m',
    _PAPER,
  )
  strong = config.signal >= 2 * config.noise and m[0] >= config.d
  if not strong or m[-1] < 5 * m[0]:
    why = 'needs m from d on, over a factor of five, and signal >= 2 noise'
    made.append(untestable(*texts, why, headline=True))
  else:
    # Draw by draw: what the oracle has of luck, PCA has.
    excess = (seen - lanes.lanes(ds, 'oracle')).mean(0)
    slope = fits.power_law(m, excess).slope
    known = (
      slope if np.isfinite(excess).all() and (excess > 0).all() else np.nan
    )
    made.append(
      equals(
        *texts,
        -1.0,
        known,
        atol=0.2,
        derivation='the next order is d/m of it, at most 1 at the beginning '
        'and a tenth at the end: half of that over the window, and the scatter',
        headline=True,
      )
    )
  gain = lanes.lanes(ds, 'supervised')[:, -1] - seen[:, -1]
  off = lanes.lanes(ds, 'uninformative')[:, -1]
  made += [
    at_least(
      f'gain{text}',
      'few labels after pretraining beat the least-norm fit of all coordinates',
      _PAPER,
      0.0,
      gain,
      strict=True,
      derivation='difference of the risks, mean over draws',
    ),
    at_least(
      f'control{text}',
      'control: a label off the subspace gains nothing by pretraining',
      f'{_PAPER}: the informative condition',
      0.9 * config.noise**2,
      off,
      derivation='the power of that direction, of which chance finds little',
    ),
  ]
  return made


def figures(config: Pretraining, ds: Dataset) -> Figures:
  """Risk over the number of unlabelled inputs."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, ()))
  m = part['time'].values * own.batch
  oracle = lanes.lanes(part, 'oracle')
  excess = (lanes.lanes(part, 'pretrained') - oracle).mean(0)
  c = own
  exact = pretraining.oracle_risk(c.r, c.n, c.signal, c.noise, c.label_noise)
  with plotting.style():
    fig, (left, right) = plotting.figure('double', ncols=2)
    left.set(xscale='log', yscale='log', xlabel='unlabelled inputs $m$')
    left.set_ylabel('risk')
    for name, label in (
      ('supervised', 'no pretraining'),
      ('pretrained', 'PCA, then labels'),
      ('uninformative', 'label off the subspace'),
    ):
      mean = lanes.lanes(part, name).mean(0)
      left.plot(m, mean, 'o-', ms=3, label=label)
    plotting.law(left, m, np.full(m.size, exact), 'oracle')
    plotting.legend(left)
    right.set(xscale='log', yscale='log', xlabel='unlabelled inputs $m$')
    right.set_ylabel('risk above the oracle')
    right.plot(m, excess, 'o-', ms=3)
    plotting.law(right, m, excess[-1] * m[-1] / m, '1/m')
  return {
    'pretraining': (
      fig,
      f'Factor model, d = {own.d}, {own.n} labels: means over {own.seeds} '
      'draws. PCA on unlabelled data finds the subspace; what it still lacks '
      'falls as 1/m. A label off the subspace is not helped.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
