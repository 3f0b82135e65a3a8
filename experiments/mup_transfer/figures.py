"""Figures: coordinates, loss against learning rate, exponents."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.mup_transfer import measure
from experiments.mup_transfer.claims import checked_rates
from experiments.mup_transfer.measure import axis, rule_name
from experiments.mup_transfer.structures import structure_of
from framework.mup import coord_check

__all__ = ['figures']


def figures(config: Any, dataset: Any, claims: list) -> Mapping[str, tuple]:
  """The figures of a config's variant.

  Args:
    config: The config.
    dataset: Its results.
    claims: Its claims (figures show the data, not the verdicts).

  Returns:
    {name: (figure, caption)}.
  """
  del claims
  if config.task == 'regression':
    return {'dichotomy': _dichotomy(config, dataset)}
  made = {}
  if config.dense and len(axis(config, 'width')) > 1:
    made['coordinates'] = _coordinates(config, dataset)
  if len(axis(config, 'lr')) > 2:
    for optimizer in axis(config, 'optimizer'):
      made[f'transfer_{optimizer}'] = _transfer(config, dataset, optimizer)
  return made


def _coordinates(config: Any, ds: Any) -> tuple:
  """Sizes of activations over widths after two steps, a row an optimizer."""
  from framework.evidence import figures as plotting

  checked = checked_rates(config)
  rules = axis(config, 'rule')
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
      check = measure.coordinates(
        config, ds, structure_of(config), rule=rule, optimizer=optimizer,
        lr=rate,
      )  # fmt: skip
      for i, module in enumerate(check.modules):
        if not module:
          continue  # the same as the readout
        size = check.size[:, :, last, i]
        ax.plot(check.widths, size.mean(1), 'o-', ms=3, color=f'C{i % 8}',
                label=module)  # fmt: skip
      slopes = coord_check.slopes(check).size
      out = slopes[last, check.modules.index('')]
      ax.set(yscale='log')
      ax.set_xscale('log', base=2)
      ax.margins(x=0.06)  # points at the ends are whole
      ax.set_title(f'{rule_name(rule)}\noutput: $n^{{{out:.2f}}}$', fontsize=8)
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
  return fig, (
    f'Coordinate check, learning rate {rates}: the size of every activation '
    f'after {last} steps, t = {last + 1}. Flat under muP; not flat under SP '
    'and under each mistake. Swapped fans cancel in the output of a ReLU '
    'network without biases and show in between.'
  )


def _transfer(config: Any, ds: Any, optimizer: str) -> tuple:
  """Loss against learning rate at every width, SP beside muP."""
  from framework.evidence import figures as plotting

  rules = [r for r in (0, 1) if r in axis(config, 'rule')]
  rates, widths = axis(config, 'lr'), axis(config, 'width')
  colours = plotting.palette(list(map(float, widths)))
  fig, axes = plotting.figure(
    'double', height=2.8, ncols=len(rules), sharey=True, squeeze=False
  )
  every = [measure.losses(config, ds, r, optimizer) for r in rules]
  start = measure.first_loss(config, ds, optimizer)
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
  first = int(measure.LATE * config.steps)
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


def _dichotomy(config: Any, ds: Any) -> tuple:
  """Measured exponents against those of the classifier."""
  from framework.evidence import figures as plotting

  rows = measure.exponents(config, ds)
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
  return fig, (
    'Every stable parametrisation of the lattice: what the features of all '
    'layers (left) and the function (middle) change by in training, and what a '
    'step on one layer alone moves the function by at the start (right; those '
    'at power 0 are the layers in the kernel), as powers of the width; dashed: '
    'measured = predicted.'
  )
