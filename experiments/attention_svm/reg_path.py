"""The regularisation path: direction against radius, in both norms."""

import numpy as np
from xarray import Dataset

from configs.attention_svm import Path
from experiments.attention_svm.layer.arm import LOSSES
from experiments.attention_svm.reading import PAPER
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)
from framework.evidence.lanes import select
from framework.launch import Arm, Figures, Variant, hp_of, structure_of
from framework.system import logspaced
from framework.systems.attention_svm import reg_path as dynamics

__all__ = ['VARIANT']

NAMES = {'frobenius': r'$\|W\|_F \leq R$', 'nuclear': '$(K, Q)$: nuclear'}


def arm(config: Path) -> Arm:
  """Projected descent within a ball."""
  structure = structure_of(
    dynamics.Structure,
    config,
    loss=LOSSES[config.loss],
    dtype=np.dtype(config.precision),
  )
  return Arm(
    dynamics.system(structure),
    hp_of(dynamics.Hp, config),
    attributes=dynamics.ATTRIBUTES,
  )


def times(config: Path) -> np.ndarray:
  """Evenly in ln t."""
  return logspaced(config.steps, config.records)


def _radii(config: Path) -> np.ndarray:
  return np.asarray(config.axis('radius'), float)


def ends(config: Path, ds: Dataset, name: str, ball: str, along: float):
  """An observation at the last step, (seeds, radii)."""
  last = select(ds.isel(time=-1), ball=ball, along=along)[name]
  if 'radius' not in last.dims:
    last = last.expand_dims('radius')
  return last.transpose('seed', 'radius').values


def claims(config: Path, ds: Dataset) -> list[Claim]:
  """RP → W^mm, at which rate, and that its points are stationary."""
  made: list[Claim] = []
  radii = _radii(config)
  starts = config.axis('along')
  if 1.0 not in starts:
    return [
      untestable(
        'path',
        'the regularisation path turns to W^mm',
        PAPER,
        f'starts are {starts}: none along W^mm',
      )
    ]
  for ball in config.axis('ball'):
    error = ends(config, ds, 'error', ball, 1.0)
    made += _limits(ball, radii, error) + _rate(ball, radii, error)
    still = ends(config, ds, 'stationarity', ball, 1.0)
    upto = radii <= 100
    if upto.any():
      made.append(
        at_most(
          f'{ball}.stationary',
          f'{ball} ball, R ≤ 100: the points found are stationary, '
          '1 − ⟨−∇L, W⟩/(‖∇L‖°‖W‖)',
          'first-order optimality on a ball',
          1e-3,
          still[:, upto],
          each=True,
          derivation='0 at a stationary point, 0.25 to 0.5 at the start',
        )
      )
    if 0.0 in starts:
      made += _starts(config, ds, ball, radii)
  return made


def _limits(ball: str, radii: np.ndarray, error: np.ndarray) -> list[Claim]:
  """A18 in the Frobenius ball; the distance shrinks in both."""
  source = f'{PAPER}: regularisation paths'
  made = []
  bounds = {
    'frobenius': {100.0: 2e-3, 300.0: 3e-4},
    'nuclear': {100.0: 1.5e-2, 300.0: 2e-3},
  }[ball]
  for radius, bound in bounds.items():
    if radius in radii:
      made.append(
        at_most(
          f'{ball}.R{radius:g}',
          f'{ball} ball: 1 − cos(W_R, W^mm) at R = {radius:g}, every seed',
          source,
          bound,
          error[:, radii == radius],
          each=True,
          derivation='a margin is missed by ln(1/ε)/R, so 1 − cos = O(R⁻²); '
          'about twice the worst of other seeds',
        )
      )
  return made


def _rate(ball: str, radii: np.ndarray, error: np.ndarray) -> list[Claim]:
  window = (radii >= 30) & (radii <= 300)
  if window.sum() < 3:
    return []
  slopes = fits.power_law(radii[window], error[:, window]).slope
  return [
    within(
      f'{ball}.rate',
      f'{ball} ball: 1 − cos falls as R⁻²: exponent over 30 ≤ R ≤ 300',
      'derived: W_R = R W^mm/‖W^mm‖ + O(1)',
      -2.3,
      -1.7,
      slopes,
      derivation='−2 and a correction of relative order 1/R at the small end',
    )
  ]


def _starts(config: Path, ds: Dataset, ball: str, radii) -> list[Claim]:
  """Is what descent from zero finds the same point?"""
  source = 'L is not convex: the path is a global minimum, descent local'
  one, zero = (ends(config, ds, 'loss', ball, a) for a in (1.0, 0.0))
  big = (radii >= 30) & (radii <= 100)
  if not big.any():
    return []
  return [
    at_most(
      f'{ball}.start',
      f'{ball} ball, 30 ≤ R ≤ 100: from W^mm the loss ends no higher than '
      'from 0: the largest excess',
      source,
      1e-6,
      (one - zero)[:, big].max(),
      derivation='rounding and unfinished descent',
    ),
    at_least(
      f'{ball}.local',
      f'{ball} ball, R = {radii[big][-1]:g}: from 0 the same point is found '
      '(loss within 1e-6): share of seeds',
      source,
      0.5,
      (zero - one)[:, big][:, -1] < 1e-6,
      derivation='most seeds; others end at tokens that are locally optimal',
    ),
  ]


def figures(config: Path, ds: Dataset) -> Figures:
  """1 − cos over R, from both starts, and the law R⁻²."""
  from framework.evidence import figures as plotting

  radii, balls = _radii(config), config.axis('ball')
  fig, axes = plotting.figure(
    'double', height=2.9, ncols=len(balls), sharey=True, squeeze=False
  )
  for ax, ball in zip(axes[0], balls, strict=True):
    ax.set(xscale='log', yscale='log', xlabel='radius $R$')
    ax.set_title(NAMES[ball])
    for along, color, label in (
      (1.0, 'C0', 'along $W^{mm}$'),
      (0.0, 'C1', '0'),
    ):
      if along not in config.sweep.get('along', (config.along,)):
        continue
      error = np.maximum(ends(config, ds, 'error', ball, along), 1e-16)
      ax.plot(radii, error.T, 'o', ms=2.5, color=color, alpha=0.35, mew=0)
      ax.plot(radii, np.median(error, 0), color=color, label=f'start: {label}')
    error = np.median(ends(config, ds, 'error', ball, 1.0), 0)
    middle = len(radii) // 2
    law = error[middle] * (radii / radii[middle]) ** -2.0
    plotting.law(ax, radii, law, r'$\propto R^{-2}$')
    plotting.legend(ax)
  axes[0, 0].set_ylabel(r'$1 - \cos(W_R, W^{mm})$')
  seeds = ds.sizes['seed']
  return {
    'path': (
      fig,
      f'Direction of the best W of norm R, {seeds} seeds as points and their '
      'median, after '
      f'{config.steps} projected steps. Descent from 0 (orange) may end at '
      'other tokens, or, where R is large, not have arrived.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
