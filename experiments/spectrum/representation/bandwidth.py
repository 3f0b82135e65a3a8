"""Bounded weights: a floor that no width lowers, a box that is too wide."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.spectrum import Bandwidth
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant, hp_of
from framework.maths.double import in_double
from framework.run.job import Arm
from framework.systems.spectrum import features

_PAPER = 'Li et al. 2023, "How Powerful are Shallow Neural Networks with ..."'
_AXES = ('bandwidth', 'frequency', 'ridge')
_BATCH = 50
_KNOWN = 0.1  # floors above it are met at moderate width


def arm(config: Bandwidth) -> Arm:
  """A layer that grows by fifty features a step."""
  structure = features.Structure(
    points=config.points, batch=_BATCH, dtype=jnp.dtype(config.precision)
  )
  return Arm(
    features.bandlimited(structure),
    hp_of(features.Hp, config),
    attributes=features.ATTRIBUTES,
  )


def times(config: Bandwidth) -> np.ndarray:
  """Widths 50, 200, 800, ..., and the last."""
  most = int(np.log(config.steps) / np.log(4) + 1e-9)
  return np.unique([*(4**j for j in range(most + 1)), config.steps]).astype(
    np.int32
  )


@in_double
@functools.cache
def _floors(points: int, values: tuple[tuple[float, float, float], ...]):
  x = jnp.linspace(-1, 1, points)

  def one(row):
    bandwidth, frequency, ridge = row
    y = jnp.sin(2 * jnp.pi * frequency * x)
    return features.floor(x, y, bandwidth, ridge)

  return np.asarray(jax.jit(lambda v: jax.lax.map(one, v))(jnp.array(values)))


def floors(config: Bandwidth) -> dict[tuple[float, float, float], float]:
  """The error of infinitely many features, at each setting."""
  values = tuple(
    (b, f, r)
    for b in config.axis('bandwidth')
    for f in config.axis('frequency')
    for r in config.axis('ridge')
  )
  found = _floors(config.points, values)
  return dict(zip(values, found.tolist(), strict=True))


def claims(config: Bandwidth, ds: Dataset) -> list[Claim]:
  """Claims on floors, and on the best box."""
  whole = lanes.prepared(config, ds, _AXES)
  exact = floors(config)
  seen = {
    key: lanes.lanes(
      whole, 'error', bandwidth=key[0], frequency=key[1], ridge=key[2]
    ).mean(0)
    for key in exact
  }
  high = [key for key, value in exact.items() if value > _KNOWN]
  made = []
  texts = (
    'floor',
    'below its band a target is missed at least as much as the floor says at '
    'any width, and no more at a large one',
    f'{_PAPER}; the floor by quadrature',
  )
  width = _BATCH * config.steps
  if not high or width < 800:
    why = f'no floor above {_KNOWN}, or a width of {width} below 800'
    made.append(untestable(*texts, why, kind='theorem', headline=True))
  else:
    widths = _BATCH * ds['time'].values[[0, -1]]
    scatter = 3 / np.sqrt(widths * config.seeds)
    off = np.array([seen[key][[0, -1]] / exact[key] - 1 for key in high])
    # Few features miss more, by convexity; none of them less.
    off = np.stack([np.maximum(-off[:, 0], 0), np.abs(off[:, 1])], axis=1)
    made.append(
      at_most(
        *texts,
        1.0,
        off / (0.02 + scatter),
        each=True,
        derivation='relative error over 0.02 + 3 (features · seeds)^−½, as '
        'means over features scatter: below at the narrowest layer (the least '
        'of error and ridge is convex in the kernel, whose mean is that of '
        'infinitely many: Jensen), on both sides at the widest',
        kind='theorem',
        headline=True,
      )
    )
  made += [
    _flat(exact, seen),
    _cost(config, exact, seen),
    _best(config, exact, seen),
  ]
  return made


def _flat(exact: dict, seen: dict) -> Claim:
  """Far below its band nothing is gained by width."""
  texts = (
    'flat',
    'where the floor is nine tenths, width gains nothing',
    f'{_PAPER}: no width makes up for a bounded box',
  )
  with np.errstate(divide='ignore', invalid='ignore'):
    ratios = [
      seen[key][0] / seen[key][-1]
      for key, value in exact.items()
      if value > 0.9
    ]
  if not ratios:
    return untestable(*texts, 'no floor above 0.9')
  return at_most(
    *texts,
    1.05,
    ratios,
    each=True,
    derivation='error of the narrowest layer over that of the widest; a tenth '
    'is all that could be gained',
  )


def _cost(config: Bandwidth, exact: dict, seen: dict) -> Claim:
  """Of two boxes that both hold the band the wider needs more features."""
  texts = (
    'wide',
    'a box that is too wide costs width: at 50 features four times the box '
    'doubles the error',
    _PAPER,
  )
  ratios = []
  for (b, f, r), value in exact.items():
    wide = (4 * b, f, r)
    if value < 0.05 and wide in seen and b >= 2 * np.pi * f:
      with np.errstate(divide='ignore', invalid='ignore'):
        # Of a run that went on to its end.
        ended = 0 * (seen[wide][-1] + seen[b, f, r][-1])
        ratios.append(seen[wide][0] / seen[b, f, r][0] + ended)
  if not ratios or min(times(config)) > 1:
    why = 'needs boxes λ >= 2πf and 4λ, and a record at 50 features'
    return untestable(*texts, why)
  return at_least(
    *texts, 2.0, ratios, each=True, derivation='ratio of the mean errors'
  )


def _best(config: Bandwidth, exact: dict, seen: dict) -> Claim:
  """The best box at a moderate width grows with the frequency."""
  texts = (
    'best',
    'the box of the least error grows with the frequency of the target',
    _PAPER,
  )
  fs, boxes = sorted(config.axis('frequency')), sorted(config.axis('bandwidth'))
  ridge = config.axis('ridge')[0]
  if len(fs) < 2 or len(boxes) < 4:
    return untestable(*texts, 'needs two frequencies and four boxes')
  which = 1 if len(times(config)) > 1 else 0
  best = []
  for f in fs:
    row = np.array([seen[b, f, ridge][which] for b in boxes])
    best.append(boxes[int(row.argmin())] if np.isfinite(row).all() else np.nan)
  return at_least(
    *texts,
    1.0,
    np.array(best[1:]) / np.array(best[:-1]),
    each=True,
    strict=True,
    derivation='ratio of the best boxes of neighbouring frequencies',
  )


def figures(config: Bandwidth, ds: Dataset) -> Figures:
  """Error over the box, at each width and in the limit."""
  from framework.evidence import figures as plotting

  whole = lanes.prepared(config, ds, _AXES)
  t, ridge = ds['time'].values, config.axis('ridge')[0]
  boxes, fs = sorted(config.axis('bandwidth')), config.axis('frequency')
  exact = floors(config)
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(fs), sharey=True, squeeze=False
    )
    for ax, f in zip(axes[0], fs, strict=True):
      ax.set(xscale='log', yscale='log', xlabel='box $λ$', title=f'f = {f:g}')
      ax.set_ylim(0.4 * min(exact.values()), 2)
      for j, color in enumerate(plotting.palette(t.tolist())):
        row = [
          lanes.lanes(whole, 'error', bandwidth=b, frequency=f, ridge=ridge)
          .mean(0)[j]
          for b in boxes
        ]  # fmt: skip
        label = f'{_BATCH * t[j]} features'
        ax.plot(boxes, row, 'o-', ms=3, color=color, label=label)
      line = np.array([exact[b, f, ridge] for b in boxes])
      plotting.law(ax, np.array(boxes), line, 'floor')
    axes[0][0].set_ylabel('relative error')
    plotting.legend(axes[0][0])
  return {
    'bandwidth': (
      fig,
      'Error of random features with weights in [−λ, λ] on sin(2πfx), ridge '
      f'{ridge:g}. Dashed: infinitely many. A box that is too small has a '
      'floor that no width lowers; one that is too large costs width.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
