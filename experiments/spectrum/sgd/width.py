"""The compute-optimal width of a model that sees every sample once."""

import numpy as np
from xarray import Dataset

from configs.spectrum import Sgd
from experiments.spectrum.sgd import runs
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, equals, untestable
from framework.launch import Figures, Variant

_AXES = ('width',)
_SOURCE = 'derived: N^−(β−1) of what is missing balances T^−(β−1)/α of the bias'


def times(config: Sgd) -> np.ndarray:
  """Powers of two, so that budgets of N·T are met by every width."""
  most = int(np.log2(config.steps))
  return np.array([0, *(2**j for j in range(most + 1))], np.int32)


def budgets(config: Sgd) -> list[int]:
  """Budgets C = N·T for which every width has a record, and 8 steps."""
  widths = config.axis('width')
  low, high = 8 * max(widths), min(widths) * config.steps
  found = []
  while low <= high:
    found.append(low)
    low *= 2
  return found


def _best(
  config: Sgd, ds: Dataset, budget: int
) -> tuple[float, float, np.ndarray]:
  """(log2 of the best width, excess risk there, excess of each width)."""
  t = ds['time'].values
  whole, row = lanes.prepared(config, ds, _AXES), []
  for width in sorted(config.axis('width')):
    where = t == budget // width
    row.append(lanes.lanes(whole, 'excess', width=width)[:, where].mean())
  x = np.log2(sorted(config.axis('width')))
  with np.errstate(invalid='ignore', divide='ignore'):
    y = np.log(row)
  if not np.isfinite(y).all():
    return np.nan, np.nan, np.array(row)
  j = int(np.clip(np.argmin(y), 1, len(y) - 2))
  # The parabola through the lowest and its neighbours.
  a, b, c = np.polyfit(x[j - 1 : j + 2] - x[j], y[j - 1 : j + 2], 2)
  move = np.clip(-b / (2 * a), -1, 1) if a > 0 else np.nan
  height = np.exp((a * move + b) * move + c)
  return float(x[j] + move), float(height), np.exp(y)


def _fitted(config: Sgd) -> bool:
  widths = config.axis('width')
  powers = all(w & (w - 1) == 0 for w in widths)
  return len(widths) >= 5 and powers and max(widths) <= config.modes


def claims(config: Sgd, ds: Dataset) -> list[Claim]:
  """Claims on how the best width grows with the budget."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    law = 1 / (1 + own.alpha)
    texts = (
      f'exponent{text}',
      'the best width grows with the budget C = N·T as C^(1/(1+α))',
      _SOURCE,
    )
    words = {'kind': 'theorem', 'headline': True}
    some = budgets(own)
    why = ''
    if not _fitted(own) or not own.tail:
      why = 'needs five widths, powers of two, in an infinite spectrum'
    elif len(some) < 5:
      why = f'{len(some)} budgets are met by all widths, five are needed'
    if why:
      made.append(untestable(*texts, why, **words))
      continue
    best = np.array([_best(own, part, c)[0] for c in some])
    slope = fits.line(np.log2(some), best).slope
    known = slope if np.isfinite(best).all() else np.nan
    made.append(
      equals(
        *texts,
        law,
        known,
        atol=0.06,
        derivation='a parabola through three widths is off by a tenth of a '
        'doubling at either end of the budgets, and noise adds as much',
        **words,
      )
    )
  return made


def figures(config: Sgd, ds: Dataset) -> Figures:
  """Risk over width at each budget, and the best one."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  some = budgets(own)
  with plotting.style():
    fig, ax = plotting.figure('single')
    ax.set(xscale='log', yscale='log', xlabel='modes of the model $N$')
    ax.set_ylabel('excess risk after $T = C/N$ steps')
    best = []
    for c, color in zip(some, plotting.palette(some), strict=True):
      place, height, row = _best(own, part, c)
      best.append((2**place, height))
      name = f'C = {c:g}' if c in (some[0], some[-1]) else None
      ax.plot(sorted(own.axis('width')), row, '.-', color=color, label=name)
    x, y = np.array(best).T
    plotting.law(ax, x, y).set_label('best width')
    plotting.legend(ax)
  return {
    'width': (
      fig,
      f'Excess risk over the width, budgets N·T from {some[0]} to {some[-1]}. '
      'Dashed: the minima.',
    )
  }


VARIANT = Variant(runs.arm, times, claims, figures)
