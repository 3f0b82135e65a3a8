"""The coordinate check: muP keeps the order of activations, SP does not.

What a setting can show is decided before anything is measured, by `missing`.
The readout starts at zero, so that hidden layers move from the second step on.
"""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.mup_transfer import Config
from experiments.mup_transfer.runs import (
  MISTAKES,
  arm,
  resolved,
  rule_name,
  times,
  transfer_of,
)
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant
from framework.mup import coordinates
from framework.systems.width import transfer

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT', 'claims', 'figures']

SOURCE = 'Yang et al. 2022: coordinate check'
TOLERANCE = 0.1  # of a slope, beyond finite width and scatter
_AXES = 'width', 'optimizer', 'rule', 'lr'


def missing(config: Config) -> str:
  """The condition that a coordinate check lacks in a setting, or nothing."""
  widths = config.axis('width')
  if len(widths) < 3:
    return f'needs three widths, there are {len(widths)}'
  if min(widths) < 16 or coordinates.allowance(widths) > 0.2:
    return f'needs wider networks, or more widths, than {widths}'
  if min(config.dense, config.steps) < 2:
    return 'needs the records after one and two steps'
  if not config.zero_readout:
    return 'needs a readout that starts at zero: else the start hides steps'
  return ''


def checked_rates(config: Config) -> list[tuple[str, float]]:
  """The rate that is looked at, for each optimizer: of a grid, the middle."""
  made = []
  for optimizer in config.axis('optimizer'):
    own = resolved(dataclasses.replace(config, optimizer=optimizer))
    rates = sorted(own.axis('lr'))
    made.append((optimizer, rates[len(rates) // 2]))
  return made


def check_of(
  config: Config, ds: 'Dataset', rule: int, optimizer: str, rate: float
) -> coordinates.Check:
  """Sizes of activations at t = 1, ..., dense + 1 of one rule and rate."""
  part = ds.sel(time=slice(0, config.dense))
  where = {'rule': rule, 'optimizer': optimizer, 'lr': rate}
  axes = 'width', 'seed'
  found = [lanes.over(part, n, axes, **where) for n in ('size', 'change')]
  return coordinates.Check(config.axis('width'), _modules(config), *found)


def _modules(config: Config) -> tuple[str, ...]:
  return transfer.modules(transfer_of(resolved(config)))


def steepest(check: coordinates.Check) -> float:
  """Beyond what is allowed for; NaN too where there was no run to look at.

  Nothing has changed before the first step, and then every module does.
  """
  early = np.any(check.change[:, :, 0] > 1e-3 * check.size[:, :, 0])
  still = np.all(check.size == check.size[:, :, :1])
  moved = check.change.mean(1) > 0
  some = np.any(moved.any(0) & ~moved.all(0))  # at some widths alone
  bad = early or still or some or not np.isfinite(check.size).all()
  if bad or coordinates.unseen(check):
    return math.nan
  return coordinates.steepest(check)


def claims(config: Config, ds: 'Dataset') -> list[Claim]:
  """For each optimizer: muP is flat, SP grows, each mistake is found."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    for optimizer, rate in checked_rates(own):
      for claim in _of(own, part, optimizer, rate):
        made.append(claim._replace(id=claim.id + text))
  return made


def _of(config: Config, ds: 'Dataset', optimizer: str, rate: float):
  widths, reason = config.axis('width'), missing(config)

  def made(judge, id, statement, bound, sample, derivation, **how) -> Claim:
    texts = f'{optimizer}.{id}', statement, SOURCE
    if reason:
      how.pop('strict', None)
      return untestable(*texts, reason, **how)
    return judge(*texts, bound, sample(), derivation=derivation, **how)

  def worst(rule: int) -> float:
    return steepest(check_of(config, ds, rule, optimizer, rate))

  def output() -> float:
    check = check_of(config, ds, 0, optimizer, rate)
    place = check.modules.index('')
    if not np.isfinite(check.size[..., place]).all():
      return math.nan  # a width that diverged has no place on a line
    return float(coordinates.slopes(check).size[1, place])

  if 1 in config.axis('rule'):
    yield made(
      at_most,
      'mup.flat',
      'muP: sizes of all activations and of their changes are of the same '
      f'order at widths {widths[0]} to {widths[-1]}: steepest slope beyond '
      'what finite width and scatter account for',
      TOLERANCE,
      lambda: worst(1),
      '0 in the limit; a size is its limit times 1 + c n^-1/2, |c| <= '
      f'{coordinates.CORRECTION:g}, and two standard errors are let pass',
      kind='theorem',
      headline=True,
    )
  if 0 in config.axis('rule'):
    yield made(
      at_least,
      'sp.output',
      'SP: the output grows with the width: slope at t = 2',
      0.5 - TOLERANCE,
      output,
      'a sum over n neurons: n where rows of the batch agree, n^1/2 where they '
      "do not, less the check's own tolerance",
      kind='theorem',
      headline=True,
    )
  for rule in MISTAKES:
    if rule not in config.axis('rule') or (rule, optimizer) == (5, 'sgd'):
      continue
    yield made(
      at_least,
      rule_name(rule).replace(' ', '_'),
      f'control: {rule_name(rule)} is found: steepest slope beyond what finite '
      'width and scatter account for',
      TOLERANCE,
      lambda rule=rule: worst(rule),
      'does not pass; predicted are 1/2 and more',
      kind='theorem',
      strict=True,
    )


def figures(config: Config, ds: 'Dataset') -> Figures:
  """Sizes of activations over widths after two steps, a row an optimizer."""
  from framework.evidence import figures as plotting

  if not config.dense or len(config.axis('width')) < 2:
    return {}
  _, config, ds = next(lanes.apart(config, ds, _AXES))
  checked = checked_rates(config)
  rules = config.axis('rule')
  fig, axes = plotting.figure(
    'double', height=1 + 1.7 * len(checked), nrows=len(checked),
    ncols=len(rules), sharex=True, sharey='row', squeeze=False,
  )  # fmt: skip
  last = min(2, config.dense)
  for row, (optimizer, rate) in zip(axes, checked, strict=True):
    for ax, rule in zip(row, rules, strict=True):
      if rule == 5 and optimizer == 'sgd':
        ax.set_axis_off()  # a mistake of Adam
        continue
      check = check_of(config, ds, rule, optimizer, rate)
      _panel(ax, check, last, rule_name(rule))
    name = {'sgd': 'SGD', 'adam': 'Adam'}[optimizer]
    row[0].set_ylabel(f'{name}: mean $|x|$ at $t = {last + 1}$')
  for ax in axes[-1]:
    ax.set_xlabel('width $n$')
  fig.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc='outside lower center',
    ncols=6,
  )
  rates = ', '.join(f'{rate:g} ({optimizer})' for optimizer, rate in checked)
  caption = (
    f'Coordinate check, learning rate {rates}: the size of every activation '
    f'after {last} steps, t = {last + 1}. Flat under muP; not flat under SP '
    'and under each mistake. Swapped fans cancel in the output of a ReLU '
    'network without biases and show in between.'
  )
  return {'coordinates': (fig, caption)}


def _panel(ax: Any, check: coordinates.Check, last: int, name: str) -> None:
  for i, module in enumerate(check.modules):
    if not module:
      continue  # the same as the readout
    size = check.size[:, :, last, i]
    style = {'ms': 3, 'color': f'C{i % 8}', 'label': module}
    ax.plot(check.widths, size.mean(1), 'o-', **style)
  out = coordinates.slopes(check).size[last, check.modules.index('')]
  ax.set(yscale='log')
  ax.set_title(f'{name}\noutput: $n^{{{out:.2f}}}$', fontsize=8)
  ax.set_xscale('log', base=2)
  ax.margins(x=0.06)  # points at the ends are whole


VARIANT = Variant(arm, times, claims, figures)
