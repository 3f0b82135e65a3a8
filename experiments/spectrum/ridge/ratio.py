"""Train over test risk at the best ridge, and when interpolation is best."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from xarray import Dataset

from configs.spectrum import Tuning
from experiments.spectrum.reading import last
from experiments.spectrum.ridge.tuning import PAPER, arm, times
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant
from framework.maths.double import in_double
from framework.systems import spectrum as s

_AXES = ('n', 'k', 'noise', 'alpha', 'beta', 'relative_noise')


_compiled = jax.jit(jax.vmap(s.optimal_ratio, (None, 0, None)))


@in_double
def _laws(alpha: float, betas: ArrayLike, noise: float) -> np.ndarray:
  """The closed form at several β."""
  return np.asarray(_compiled(alpha, jnp.asarray(betas, float), noise))


@functools.cache
def _law(alpha: float, beta: float, noise: float) -> float:
  return float(_laws(alpha, [beta], noise)[0])


def claims(config: Tuning, ds: Dataset) -> list[Claim]:
  """Claims on all power laws, and on what a truncated spectrum would give."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    found = _points(own, part)
    made += (
      _truncated(text, own, found)
      if not own.tail
      else _exact(text.replace('.tail=True', ''), own, found)
    )
  return made


def _points(config: Tuning, ds: Dataset) -> dict[tuple, float]:
  """The ratio found at each (n, k, noise, alpha, beta, relative noise)."""
  seen = lanes.over(last(ds), 'ratio', _AXES)
  seen = seen.reshape(*seen.shape[: len(_AXES)], -1).mean(-1)
  points = itertools.product(*map(config.axis, _AXES))
  return dict(zip(points, seen.ravel(), strict=True))


def _covered(config: Tuning, point: tuple) -> bool:
  """Whether the closed form says anything there."""
  n, k, noise, alpha, beta, _ = point
  asymptotic = n >= 200 and k == 0 and noise == 0 and config.steps >= 40
  return asymptotic and beta < 2 * alpha + 1


_UNCOVERED = (
  'the closed form needs n >= 200, the kernel itself (k = 0), noise relative '
  'to the bias alone, β < 2α + 1 and 40 sections'
)


def _exact(text: str, config: Tuning, found: dict[tuple, float]) -> list[Claim]:
  made = []
  for name, statement, none in (
    ('ratio', 'E_train/E_test at the best ridge is r² of the closed form', 0),
    ('interpolation', 'where r = 0 the best fit interpolates noisy labels', 1),
  ):
    off = [
      abs(value - _law(*point[3:])) * point[0] / 2
      for point, value in found.items()
      if _covered(config, point) and (_law(*point[3:]) == 0) == none
    ]
    texts = (
      f'{name}{text}',
      statement,
      f'{PAPER}: the optimal ratio of train and test risk on power laws',
    )
    words = {'kind': 'theorem', 'headline': not none}
    if not off:
      made.append(untestable(*texts, _UNCOVERED, **words))
      continue
    made.append(
      at_most(
        *texts,
        1.0,
        off,
        each=True,
        derivation='error times n/2: sums are integrals up to 1/n, twice for '
        'a quotient',
        **words,
      )
    )
  return made


def _truncated(
  text: str, config: Tuning, found: dict[tuple, float]
) -> list[Claim]:
  """The control: what is cut off is most of a target with β near 1."""
  texts = (
    f'control{text}',
    'control: without what lies beyond the kept modes, r is off by a third',
    'derived: M^(1−β) of the power lies beyond M modes, much for β near 1',
  )
  off = [
    abs(np.sqrt(value / _law(*point[3:])) - 1)
    for point, value in found.items()
    if _covered(config, point)
    and point[5] == 0
    and _law(*point[3:]) > 0.05
    and config.modes ** (1 - point[4]) > 0.1
  ]
  if not off:
    why = 'no power law has r² > 0.05, no noise, and M^(1−β) > 0.1'
    return [untestable(*texts, why, kind='theorem')]
  return [
    at_least(
      *texts,
      1 / 3,
      off,
      derivation='relative error of r, the mean over power laws',
      kind='theorem',
    )
  ]


def figures(config: Tuning, ds: Dataset) -> Figures:
  """The ratio over β at each noise: closed form and exact risks."""
  from framework.evidence import figures as plotting

  tail = True in config.axis('tail')
  whole = lanes.select(lanes.prepared(config, last(ds), _AXES), tail=tail)
  n = max(config.axis('n'))
  noises = config.axis('relative_noise')
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(noises), sharey=True, squeeze=False
    )
    colors = plotting.palette(range(len(config.axis('alpha'))))
    for ax, noise in zip(axes[0], noises, strict=True):
      ax.set(title=f'noise over bias {noise:g}', xlabel='target exponent β')
      for alpha, color in zip(config.axis('alpha'), colors, strict=True):
        values = [
          lanes.lanes(
            whole, 'ratio', n=n, alpha=alpha, beta=beta, relative_noise=noise
          ).mean()
          for beta in config.axis('beta')
        ]  # fmt: skip
        ax.plot(
          config.axis('beta'), values, 'o', color=color, label=f'α = {alpha:g}'
        )
        fine = np.linspace(1.02, 2.0, 60)
        plotting.law(ax, fine, _laws(alpha, fine, noise))
      ax.set_ylim(-0.03, None)
    axes[0][0].lines[-1].set_label('closed form')
    axes[0][0].set_ylabel('train over test risk, best ridge')
    plotting.legend(axes[0][0])
  return {
    'ratio': (
      fig,
      f'E_train/E_test at the best ridge, kernel ridge regression, n = {n}. '
      'Dashed: closed form; where it is zero the best ridge is none, and '
      'fitting every noisy label is best.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
