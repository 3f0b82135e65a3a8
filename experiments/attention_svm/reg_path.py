"""The regularisation path: direction against radius, in both norms."""

import numpy as np
from xarray import Dataset

from configs.attention_svm import Path
from experiments.attention_svm import gates
from experiments.attention_svm.gates import gated
from experiments.attention_svm.layer.arm import LOSSES
from experiments.attention_svm.reading import PAPER
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, at_most, within
from framework.evidence.known import known
from framework.evidence.lanes import over, prepared
from framework.launch import Arm, Figures, Variant, hp_of, structure_of
from framework.system import logspaced
from framework.systems.attention_svm import reg_path as dynamics

__all__ = ['VARIANT']

SEEN = 'our 10 other instances'
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
  """Increasing."""
  return np.sort(np.asarray(config.axis('radius'), float))


def ends(
  config: Path, ds: Dataset, name: str, ball: str, along: float
) -> np.ndarray:
  """An observation at the last step, (lanes, radii)."""
  last = prepared(config, ds.isel(time=-1), ('radius',)).sortby('radius')
  found = over(last, name, ('radius',), ball=ball, along=along)
  return found.reshape(len(found), -1).T


def _few(config: Path) -> str:
  """From W^mm, of which there is one, and far enough to be anywhere."""
  need = max(*config.axis('n'), max(config.axis('T')) - 1)
  if min(config.axis('d')) < need:
    return f'needs d ≥ max(n, T − 1) = {need}'
  if 1.0 not in config.axis('along'):
    return 'needs a start along W^mm'
  path, most = min(config.axis('eta')) * config.steps, 10 * _window(config)[-1]
  return '' if path >= most else f'needs η t = {most:g}, this is {path:g}'


def _window(config: Path) -> np.ndarray:
  """Radii at which the law can be seen: not too small, not too far to go."""
  radii = _radii(config)
  some = radii[(radii >= 30) & (radii <= 300)]
  return some if len(some) else radii[:1]


def claims(config: Path, ds: Dataset) -> list[Claim]:
  """RP → W^mm, at which rate, and that its points are stationary."""
  made: list[Claim] = []
  for ball in config.axis('ball'):
    made += _law(config, ds, ball) + _limits(config, ds, ball)
    if 0.0 in config.axis('along'):
      made += _starts(config, ds, ball)
  return made


def _law(config: Path, ds: Dataset, ball: str) -> list[Claim]:
  radii, some, reason = _radii(config), _window(config), _few(config)
  if len(some) < 3 or some[-1] < 3 * some[0]:
    wide = 'needs three radii from R to 3 R or more, in 30 ≤ R ≤ 300'
  else:
    wide = ''

  def at(name, which):
    return ends(config, ds, name, ball, 1.0)[:, np.isin(radii, which)]

  def rates():
    return fits.power_law(some, at('error', some)).slope

  small = radii[radii <= 100]
  return [
    gated(
      reason or wide,
      within,
      f'{ball}.rate',
      f'{ball} ball: 1 − cos(W_R, W^mm) falls as R⁻²: exponent over '
      f'{some[0]:g} ≤ R ≤ {some[-1]:g}',
      'derived: W_R = R W^mm/‖W^mm‖ + O(1)',
      (-2.3, -1.7),
      rates,
      derivation='−2 and a correction of relative order 1/R at the small end',
      kind='theorem',
      headline=True,
    ),
    gated(
      reason or wide,
      at_least,
      f'{ball}.turns',
      f'{ball} ball: W_R is nearer to W^mm at R = {some[-1]:g} than at '
      f'R = {some[0]:g}: share of seeds',
      f'{PAPER}: regularisation paths turn to W^mm',
      1.0,
      lambda: known(
        np.less, at('error', some[-1])[:, 0], at('error', some[0])[:, 0]
      ),
      each=True,
      derivation='exact in the limit; by R⁻² it is a factor of 9 at least',
      headline=True,
    ),
    gated(
      reason or ('' if len(small) else 'needs R ≤ 100'),
      at_most,
      f'{ball}.stationary',
      f'{ball} ball, R ≤ 100: the points found are stationary, '
      '1 − ⟨−∇L, W⟩/(‖∇L‖°‖W‖)',
      'first-order optimality on a ball',
      1e-3,
      lambda: at('stationarity', small),
      each=True,
      derivation='0 at a stationary point, 0.25 to 0.5 at the start',
      kind='theorem',
    ),
  ]


def _limits(config: Path, ds: Dataset, ball: str) -> list[Claim]:
  """Errors as we measured them."""
  radii = _radii(config)
  bounds = {
    'frobenius': {100.0: 2e-3, 300.0: 3e-4},
    'nuclear': {100.0: 1.5e-2, 300.0: 2e-3},
  }[ball]
  return [
    gated(
      gates.as_measured(config),
      at_most,
      f'{ball}.R{radius:g}',
      f'{ball} ball: 1 − cos(W_R, W^mm) at R = {radius:g}, every seed',
      SEEN,
      bound,
      lambda radius=radius: ends(config, ds, 'error', ball, 1.0)[
        :, radii == radius
      ],
      each=True,
      derivation='about twice the worst there',
      kind='regression',
    )
    for radius, bound in bounds.items()
    if radius in radii
  ]


def _starts(config: Path, ds: Dataset, ball: str) -> list[Claim]:
  """Is what descent from zero finds the same point?"""
  radii = _radii(config)
  big = (radii >= 30) & (radii <= 100)
  reason = gates.as_measured(config)
  reason = reason or ('' if big.any() else 'needs R from 30 to 100')

  def excess():
    """Of the loss from 0 over that from W^mm."""
    one, zero = (ends(config, ds, 'loss', ball, a) for a in (1.0, 0.0))
    return (zero - one)[:, big]

  return [
    gated(
      reason,
      at_most,
      f'{ball}.start',
      f'{ball} ball, 30 ≤ R ≤ 100: from W^mm the loss ends no higher than '
      'from 0: the largest excess',
      SEEN,
      1e-6,
      lambda: (-excess()).max(),
      derivation='rounding and unfinished descent; L is not convex, so descent '
      'from anywhere may end higher',
      kind='regression',
    ),
    gated(
      reason,
      at_least,
      f'{ball}.local',
      f'{ball} ball, largest such R: from 0 the same point is found (loss '
      'within 1e-6): share of seeds',
      SEEN,
      0.5,
      lambda: known(np.less, excess()[:, -1], 1e-6),
      derivation='most seeds there; others end at tokens that are locally '
      'optimal',
      kind='regression',
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
      if along not in config.axis('along'):
        continue
      error = np.maximum(ends(config, ds, 'error', ball, along), 1e-16)
      ax.plot(radii, error.T, 'o', ms=2.5, color=color, alpha=0.35, mew=0)
      ax.plot(radii, np.median(error, 0), color=color, label=f'start: {label}')
    if 1.0 in config.axis('along'):
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
