"""Loss against learning rate over widths: the best rate stays under muP.

What a setting can show is decided before anything is measured, by `missing`. A
best rate at an end of the grid may lie beyond it, and a drift may hide there:
then the claim that it stays fails, with that reason.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.mup_transfer import Config
from experiments.mup_transfer.runs import arm, rule_name, times
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant
from framework.systems import width as width_lib

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT', 'claims', 'figures']

FIGURE = 'Yang et al. 2022: Figure 1'
LATE = 3 / 4  # of the steps: the loss is the mean of the records after that
_AXES = 'width', 'optimizer', 'rule', 'lr'
_SP_OCTAVES = {'sgd': 2 / 4, 'adam': 3 / 4}  # of the rate, a doubling of width


def losses(
  config: Config, ds: 'Dataset', rule: int, optimizer: str
) -> np.ndarray:
  """The loss over the last quarter of the steps.

  With a constant rate the last iterate fluctuates by more than a wider network
  gains; the mean over records of the same rows does so much less.

  Args:
    config: The config.
    ds: Its results.
    rule: The rule.
    optimizer: The optimizer.

  Returns:
    (seed, width, lr); NaN where a run diverged.
  """
  late = ds.sel(time=slice(LATE * config.steps, None))
  axes = 'seed', 'width', 'lr'
  return lanes.over(late, 'loss', axes, rule=rule, optimizer=optimizer).mean(-1)


def octaves(places: np.ndarray, rates: tuple[float, ...]) -> float:
  """The factor between least and largest best rate, in factors of two.

  >>> octaves(np.array([2, 1, 1]), (0.25, 0.5, 1.0))
  1.0
  """
  if np.any(places < 0):
    return math.nan
  best = np.log2(np.asarray(rates, float)[places])
  return round(float(np.ptp(best)), 9)


def missing(config: Config) -> str:
  """The condition that transfer lacks in a setting, or nothing."""
  widths, rates = config.axis('width'), config.axis('lr')
  if len(widths) < 3:
    return f'needs three widths, there are {len(widths)}'
  if widths[-1] < 4 * widths[0] or list(widths) != sorted(widths):
    return 'needs ascending widths that grow by a factor of 4 at least'
  if len(rates) < 4:
    return f'needs four rates, there are {len(rates)}'
  if max(np.diff(np.log2(np.asarray(rates, float)))) > 1 + 1e-6:
    return 'needs rates that are apart by factors of two at most'
  if config.steps < 50:
    return (
      f'needs fifty steps, so that rates are told apart, not {config.steps}'
    )
  return ''


def claims(config: Config, ds: 'Dataset') -> list[Claim]:
  """The best rate stays under muP, moves under SP; wider is better."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    for optimizer in own.axis('optimizer'):
      for rule, of in ((0, _of_sp), (1, _of_mup)):
        if rule in own.axis('rule'):
          loss = losses(own, part, rule, optimizer)
          made += [
            c._replace(id=f'{optimizer}.{c.id}{text}')
            for c in of(own, loss, optimizer)
          ]
  return made


def _of_mup(config: Config, loss: np.ndarray, optimizer: str):
  del optimizer
  rates, widths = config.axis('lr'), config.axis('width')
  reason = missing(config)
  places = width_lib.best(loss.mean(0))
  at_end = np.isin(places, (0, len(rates) - 1))
  what = (
    'mup.drift',
    'muP: the best learning rate is the same at every width: factors of two '
    'between the least and the largest',
    FIGURE,
  )
  how: dict[str, Any] = {'kind': 'paper', 'headline': True}
  if reason:
    yield untestable(*what, reason, **how)
  else:
    moved = octaves(places, rates)
    claim = at_most(
      *what,
      1,
      math.nan if at_end.any() and moved <= 1 else moved,
      derivation='a factor of two: neighbours on a flat minimum',
      **how,
    )
    if at_end.any() and moved <= 1:
      at = ', '.join(str(n) for n, end in zip(widths, at_end, strict=True)
                     if end)  # fmt: skip
      claim = claim._replace(
        reason='the best rate may lie beyond the grid, at an end of which it '
        f'is at width {at}'
      )
    yield claim
  best = np.take_along_axis(loss, places[None, :, None], -1)[..., 0]
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio, whole = best[:, 1:] / best[:, :-1], best[:, -1] / best[:, 0]
  source = 'Yang et al. 2022: wider is better throughout training'
  worse = (
    'mup.wider',
    'muP: at its best rate no width is worse than the one before it: largest '
    'of the ratios of late loss',
    source,
  )
  widest = (
    'mup.widest',
    f'muP: width {widths[-1]} is better than {widths[0]} at the rate that is '
    'best for each: ratio of late loss',
    source,
  )
  if reason:
    yield untestable(*worse, reason)
    yield untestable(*widest, reason)
    return
  # A seed has the same batches at every width, so that ratios are of pairs.
  yield at_most(
    *worse,
    1.02,
    ratio[:, int(np.argmax(ratio.mean(0)))],
    derivation='monotone, up to 2 %, by which late losses of one width differ '
    'between neighbouring rates and batches',
  )
  yield at_most(
    *widest,
    1.0,
    whole,
    strict=True,
    derivation='monotone; no tolerance',
  )


def _of_sp(config: Config, loss: np.ndarray, optimizer: str):
  """Where the first layer does not outweigh those that grow, SP's rate moves.

  With SGD the curvature that limits the rate is the tangent kernel, a sum over
  layers of |input of the layer|²: about d + n in a perceptron of two hidden
  layers (inputs of deviation 1, half of the ReLUs on). No more than that is
  predicted, and it does not look at what was measured.
  """
  rates, widths = config.axis('lr'), config.axis('width')
  places = width_lib.best(loss.mean(0))
  reason = missing(config)
  steps = _SP_OCTAVES[optimizer] * math.log2(widths[-1] / widths[0])
  derivation = (
    'measured with the reference package over widths 64 to 1024, a doubling, '
    'in whole factors of two; layers that grow move by a factor of two a '
    'doubling, the first, whose inputs do not grow, by none, and the best rate '
    'of all in between'
  )
  if optimizer == 'sgd' and config.task != 'text':
    d = 784 if config.task == 'mnist' else 64
    curvature = math.log2((d + widths[-1]) / (d + widths[0]))
    if curvature < steps:
      steps = curvature
      derivation = (
        f'log2 of d + n, which limits the rate, gains {curvature:.1f} from '
        f'width {widths[0]} to {widths[-1]} with d = {d} inputs; in whole ones'
      )
  bound = math.floor(steps)
  if bound < 1:
    reason = reason or (
      f'needs wider networks: {steps:.1f} factors of two are predicted'
    )
  fell = (
    'sp.falls',
    f'SP: the best learning rate is smaller at width {widths[-1]} than at '
    f'{widths[0]}: factors of two',
    FIGURE,
  )
  far = (
    'sp.drift',
    'SP: how far the best learning rate moves with the width: factors of two '
    'between the least and the largest',
    'our measurement with the reference package',
  )
  if reason:
    yield untestable(*fell, reason)
    yield untestable(*far, reason, kind='regression')
    return
  fall = math.nan
  if np.all(places >= 0):
    first, last = np.asarray(rates, float)[places[[0, -1]]]
    fall = math.log2(first / last)
  yield at_least(
    *fell,
    0.0,
    fall,
    strict=True,
    derivation='direction alone, as in the figure',
  )
  yield at_least(
    *far, bound, octaves(places, rates), derivation=derivation,
    kind='regression',
  )  # fmt: skip


def figures(config: Config, ds: 'Dataset') -> Figures:
  """Loss against learning rate at every width, SP beside muP."""
  if len(config.axis('lr')) < 3:
    return {}
  _, config, ds = next(lanes.apart(config, ds, _AXES))
  return {
    f'transfer_{optimizer}': _figure(config, ds, optimizer)
    for optimizer in config.axis('optimizer')
  }


def _figure(config: Config, ds: 'Dataset', optimizer: str) -> tuple:
  from framework.evidence import figures as plotting

  rules = [r for r in (0, 1) if r in config.axis('rule')] or [
    config.axis('rule')[0]
  ]
  rates, widths = config.axis('lr'), config.axis('width')
  colours = plotting.palette(list(map(float, widths)))
  fig, axes = plotting.figure(
    'double', height=2.8, ncols=len(rules), sharey=True, squeeze=False
  )
  every = [losses(config, ds, r, optimizer) for r in rules]
  # The start is of the same order for all rules.
  start = float(
    lanes.select(ds, optimizer=optimizer).isel(time=0)['loss'].mean()
  )
  for ax, rule, loss in zip(axes[0], rules, every, strict=True):
    for j, (width, colour) in enumerate(zip(widths, colours, strict=True)):
      mean = loss[:, j].mean(0)
      mean = np.where(mean <= 1.5 * start, mean, np.nan)
      ax.plot(rates, mean, color=colour, label=f'$n = {width}$')
      if np.isfinite(mean).any():
        best = int(np.nanargmin(mean))
        ax.plot(rates[best], mean[best], 'o', ms=5, color=colour)
    ax.set(xscale='log', xlabel='learning rate', title=rule_name(rule))
    ax.set_xscale('log', base=2)
  first = int(LATE * config.steps)
  axes[0, 0].set_ylabel(f'loss, mean of $t = {first}$ to ${config.steps}$')
  _plain_log(axes[0, 0])
  fig.legend(
    *axes[0, -1].get_legend_handles_labels(),
    loc='outside lower center',
    ncols=len(widths),
  )
  return fig, (
    f'Loss against learning rate, {optimizer}, mean over seeds; a dot: the '
    'best rate of a width. Under muP the best rate stays and wider is better; '
    'under SP it moves. Losses far above the start are left out.'
  )


def _plain_log(ax: Any) -> None:
  """A log axis of numbers of about one order, as numbers."""
  from matplotlib import ticker

  ax.set_yscale('log')
  low, high = ax.get_ylim()
  few = ticker.MaxNLocator(6) if high < 3 * low else None
  ax.yaxis.set_major_locator(few or ticker.LogLocator(subs=(1, 1.5, 2, 3, 5)))
  ax.yaxis.set_major_formatter(ticker.StrMethodFormatter('{x:g}'))
  ax.yaxis.set_minor_locator(ticker.NullLocator())


VARIANT = Variant(arm, times, claims, figures)
