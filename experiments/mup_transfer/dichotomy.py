"""The dynamical dichotomy: exponents of the classifier against slopes.

What a setting can show is decided before anything is measured, by `missing`.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from configs.mup_transfer import Config
from experiments.mup_transfer.runs import arm, times
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant
from framework.mup import abc, coordinates, lattice

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT', 'claims', 'exponents']

SOURCE = 'Yang, Hu 2021'
TOLERANCE = 0.15  # of a power; those of the lattice are apart by 1/4
_AXES = 'width', 'case'


class Exponents(NamedTuple):
  """Of one parametrisation: predicted and measured powers of n."""

  name: str
  found: abc.Classification
  start: float  # of f(0)
  change: float  # of f(T) - f(0)
  moves: np.ndarray  # of h^l(T) - h^l(0)
  kernel: np.ndarray  # of what a step on each layer moves f by at the start
  diverged: bool  # whether a run of it did


def classified(config: Config) -> list[tuple[int, str, abc.Classification]]:
  """The cases of a run: number, name and what theory says of it."""
  everything = list(lattice.cases(config.optimizer).items())
  found = []
  for case in config.axis('case'):
    name, p = everything[int(case)]
    found.append((case, name, abc.classify(p, config.optimizer)))
  return found


def exponents(config: Config, ds: 'Dataset') -> list[Exponents]:
  """Slopes over widths of root mean squares over seeds, case by case.

  Args:
    config: The config.
    ds: Its results.

  Returns:
    One `Exponents` a case: -inf where something is zero at every width, NaN
    where it is not finite, or zero, at some, or a run has not ended there.
  """
  widths = config.axis('width')
  made = []
  for case, name, found in classified(config):
    part = lanes.select(ds, case=case)
    ended = np.isfinite(part['change'].isel(time=-1))

    def slope(observed: str, time: int, part=part, ended=ended) -> np.ndarray:
      there = part.isel(time=time).where(ended)
      values = lanes.over(there, observed, ('width', 'seed'))
      if observed != 'kernel':
        values = values**2
      mean = np.moveaxis(values.mean(1), 0, -1)
      power = 1 if observed == 'kernel' else 0.5
      fit = fits.power_law(np.asarray(widths, float), mean**power)
      slope = np.where(fit.n == len(widths), fit.slope, np.nan)
      return np.where(np.all(mean == 0, -1), -np.inf, slope)

    made.append(
      Exponents(
        name,
        found,
        float(slope('output', 0)),
        float(slope('change', -1)),
        slope('moves', -1),
        slope('kernel', 0),
        bool(np.isfinite(part['diverged_at']).any()),
      )
    )
  return made


def missing(config: Config) -> str:
  """The condition that exponents lack in a setting, or nothing.

  A correction of n^-1/2, relative, and the scatter of a root mean square over
  seeds must leave less than the tolerance of a slope; and what is of the next
  order at the start must not have grown by T.
  """
  widths, sgd = config.axis('width'), config.optimizer == 'sgd'
  seeds, time = (32, 1.0) if sgd else (8, 0.1)
  if len(widths) < 3:
    return f'needs three widths, there are {len(widths)}'
  if coordinates.allowance(widths) > 0.1:
    return f'needs wider networks, or more widths, than {widths}'
  if config.seeds < seeds:
    return f'needs {seeds} seeds, there are {config.seeds}'
  if config.lr is None or config.steps * config.lr > time:
    return f'needs T η <= {time:g}'
  if config.precision != 'float64':
    return 'needs float64: of changes that fall float32 leaves rounding'
  return ''


def claims(config: Config, ds: 'Dataset') -> list[Claim]:
  """Every power of every stable case; the unstable grow; features or kernel."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    made += [c._replace(id=c.id + text) for c in _of(own, part)]
  return made


def _of(config: Config, ds: 'Dataset') -> list[Claim]:
  reason = missing(config)
  kinds = [found.kind for _, _, found in classified(config)]
  gap = (
    'dichotomy',
    'every feature-learning parametrisation moves its features by a higher '
    'power of n than every one in the kernel regime: least gap',
    f'{SOURCE}: Dynamical Dichotomy',
  )
  rows = [] if reason else exponents(config, ds)
  made = [c for e in rows if e.found.stable for c in _powers(e)]
  unstable = [_grows(e) for e in rows if not e.found.stable]
  if unstable:
    made.append(
      at_least(
        'unstable',
        'of parametrisations called unstable something grows with the width: '
        'share',
        f'{SOURCE}: Theorem 3.3',
        1.0,
        unstable,
        derivation='slope above 0.05, or a run that diverged',
        kind='theorem',
      )
    )
  if not reason and not {'feature', 'kernel'} <= set(kinds):
    reason = 'needs a case that learns features and one that is a kernel'
  if reason:
    return [*made, untestable(*gap, reason, kind='theorem', headline=True)]
  last = {
    kind: [e.moves[-1] for e in rows if e.found.kind == kind]
    for kind in ('feature', 'kernel')
  }
  with np.errstate(invalid='ignore'):  # nothing moved anywhere
    least = float(np.min(last['feature']) - np.max(last['kernel']))
  return [
    *made,
    at_least(
      *gap,
      0.0,
      least,
      strict=True,
      derivation='r = 0 against r > 0',
      kind='theorem',
      headline=True,
    ),
  ]


def _slug(name: str) -> str:
  return name.replace(',', '').replace(' ', '_')


def _powers(e: Exponents) -> list[Claim]:
  """Start and change of the function, features and kernel of a stable one."""
  found = e.found
  made = []
  for part, what, where, measured, predicted in (
    ('start', 'f(0)', 'Theorem 3.3', e.start, (found.start,)),
    ('change', 'f(T) - f(0)', 'Theorem 3.3', e.change, (found.change,)),
    ('moves', 'h(T) - h(0), by layer,', 'Theorem 3.4, r', e.moves, found.moves),
    ('kernel', 'what a step on one layer moves f(0) by, by layer,',
     'derived, the layers in the kernel', e.kernel, found.shares),
  ):  # fmt: skip
    powers = -np.asarray(predicted, float)
    same = powers == np.atleast_1d(measured)  # -inf: both are zero
    with np.errstate(invalid='ignore'):
      off = np.where(same, 0, np.abs(measured - powers))
    made.append(
      at_most(
        f'{_slug(e.name)}.{part}',
        f'{found.kind}: {what} ~ {_orders(powers)}: '
        f'{"largest " if powers.size > 1 else ""}|measured - predicted|',
        f'{SOURCE}: {where}',
        TOLERANCE,
        float(np.max(off)),
        derivation='next order at these widths, n^-1/2 relative, and the '
        'scatter of the seeds',
        kind='theorem',
      )
    )
  return made


def _orders(powers: np.ndarray) -> str:
  """Powers of n in words.

  >>> _orders(np.array([-1.5, 0, -np.inf]))
  'n^-1.5, n^0, 0'
  """
  return ', '.join('0' if p == -np.inf else f'n^{p + 0.0:g}' for p in powers)


def _grows(e: Exponents) -> float:
  """1 if something does or a run diverged, 0 if nothing, NaN if unknown."""
  slopes = np.array([e.start, e.change, *e.moves])
  if e.diverged or np.any(slopes > 0.05):
    return 1.0
  return math.nan if np.isnan(slopes).any() else 0.0


def figures(config: Config, ds: 'Dataset') -> Figures:
  """Measured exponents against those of the classifier."""
  from framework.evidence import figures as plotting

  _, config, ds = next(lanes.apart(config, ds, _AXES))
  rows = exponents(config, ds)
  fig, axes = plotting.figure('double', height=2.8, ncols=3, sharey=True)
  kinds = ('feature', 'kernel', 'trivial')
  for ax, title, pick in (
    (axes[0], 'features, $h^l(T) - h^l(0)$',
     lambda e: (e.found.moves, e.moves)),
    (axes[1], 'function, $f(T) - f(0)$',
     lambda e: ((e.found.change,), (e.change,))),
    (axes[2], 'a step on one layer, $t = 0$',
     lambda e: (e.found.shares, e.kernel)),
  ):  # fmt: skip
    for kind, marker, colour in zip(
      kinds, 'o^s', ('C1', 'C0', 'C2'), strict=True
    ):
      pairs = [np.asarray(pick(e), float) for e in rows if e.found.kind == kind]
      predicted, measured = np.concatenate([np.zeros((2, 0)), *pairs], 1)
      ax.plot(-predicted, measured, marker, ms=5, alpha=0.7, color=colour,
              label=kind)  # fmt: skip
    ends = np.array([-1.6, 0.2])
    ax.set(xlim=ends, xlabel='predicted power of $n$', title=title)
    plotting.law(ax, ends, ends, '')
  axes[0].set_ylabel('measured power of $n$')
  plotting.legend(axes[0])
  caption = (
    'Every stable parametrisation of the lattice: what the features of all '
    'layers (left) and the function (middle) change by in training, and what a '
    'step on one layer alone moves the function by at the start (right; those '
    'at power 0 are the layers in the kernel), as powers of the width; dashed: '
    'measured = predicted.'
  )
  return {'dichotomy': (fig, caption)}


VARIANT = Variant(arm, times, claims, figures)
