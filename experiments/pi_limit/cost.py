"""Cost of the π-limit over time, depth and rank.

Every sample appends a row to each layer and every step reads all rows, so that
T steps of a batch take L·r·T²B multiply-adds a sample. What is computed grows
by doubling, so that the exponent is 2 up to the steps of a staircase.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from configs.pi_limit import Train
from experiments.pi_limit.runs import arm, times
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, untestable, within
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT', 'small']

_SOURCE = 'Yang, Santacroce, Hu 2022: rows grow with samples; counted here'


def small(config: Train) -> str:
  """The condition that the exponent lacks in a setting, or nothing."""
  if config.model != 'limit':
    return f'needs model=limit, it is {config.model}'
  rows = config.steps * config.batch
  if rows < 8192:
    return f'needs 8192 rows, 8 blocks: there are {rows}'
  if config.records < 20:
    return f'needs 20 records, there are {config.records}'
  if rows < 40 * max(config.axis('rank')):
    return 'needs 40 r rows: below, those of the start count'
  return ''


def _axis(config: Train) -> str:
  return 'rank' if 'rank' in config.sweep else 'depth'


def claims(config: Train, ds: 'Dataset') -> list[Claim]:
  """Exponents of the cost in time, depth and rank."""
  made = []
  how: dict[str, Any] = {'kind': 'theorem', 'headline': True}
  for text, own, part in lanes.apart(config, ds, ()):
    what = (
      f'time{text}',
      'multiply-adds so far over steps, last decade: exponent',
      _SOURCE,
    )
    reason = small(own)
    if reason:
      made.append(untestable(*what, reason, **how))
      continue
    t = part['time'].values.astype(float)
    work = lanes.lanes(part, 'work')
    slopes = fits.power_law(t, work, fits.last_decade(t)).slope
    made.append(
      within(
        *what,
        1.75,
        2.25,
        slopes,
        each=True,
        derivation='2, and 0.25 for the staircase of doubling',
        **how,
      )
    )
  axis = _axis(config)
  values = np.asarray(config.axis(axis), float)
  what = (
    axis,
    f'multiply-adds at the end over {axis}: exponent',
    _SOURCE,
  )
  reason = small(config)
  if not reason and len(values) < 3:
    reason = f'needs three values of {axis}, there are {len(values)}'
  if reason:
    return [*made, untestable(*what, reason, kind='theorem')]
  work = lanes.over(ds.isel(time=-1), 'work', (axis,)).reshape(len(values), -1)
  slope = fits.power_law(values, work.mean(1)).slope
  # A layer below the readout has r outputs for k of the readout's.
  low, high = (0.8, 1.6) if axis == 'depth' else (0.8, 1.1)
  return [
    *made,
    within(
      *what,
      low,
      high,
      slope,
      derivation='1; a readout has k outputs in place of r, so that the first '
      'layer costs less than another',
      kind='theorem',
    ),
  ]


def figures(config: Train, ds: 'Dataset') -> Figures:
  """Cost and accuracy over steps, a line a setting."""
  from framework.evidence import figures as plotting

  axis = _axis(config)
  values = list(config.axis(axis))
  fig, axes = plotting.figure('double', height=2.8, ncols=2)
  left, right = axes
  t = ds['time'].values.astype(float)
  letter = {'rank': 'r', 'depth': 'L'}[axis]
  top = np.full(len(t), np.nan)
  for value, color in zip(values, plotting.palette(values), strict=True):
    label, where = f'${letter} = {value}$', {axis: value}
    top = lanes.lanes(ds, 'work', **where)
    plotting.lanes(left, t[1:], top[:, 1:], label, color)
    accuracy = lanes.lanes(ds, 'test_accuracy', **where)
    plotting.lanes(right, t, accuracy, label, color)
  left.set(
    xscale='log', yscale='log', xlabel='steps $t$',
    ylabel='multiply-adds, a sample',
  )  # fmt: skip
  late = t[t >= t[-1] / 10]
  end = np.nanmax(top[:, -1]) if np.isfinite(top[:, -1]).any() else 1.0
  plotting.law(left, late, 2 * end * (late / t[-1]) ** 2, '$t^2$')
  right.set(xlabel='steps $t$', ylabel='test accuracy')
  plotting.legend(right)
  return {
    axis: (
      fig,
      f'What a π-limit costs, and learns, over steps at each {axis}: XOR '
      f'clusters in R^{config.d}, batches of {config.batch}.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
