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
    for optimizer, rate in checked_rates(config):
      name = f'coordinates_{optimizer}'
      made[name] = _coordinates(config, dataset, optimizer, rate)
  if len(axis(config, 'lr')) > 2:
    for optimizer in axis(config, 'optimizer'):
      made[f'transfer_{optimizer}'] = _transfer(config, dataset, optimizer)
  return made


def _coordinates(config: Any, ds: Any, optimizer: str, rate: float) -> tuple:
  """Sizes of activations over widths at the last of the first records."""
  from framework import plotting

  rules = [
    r for r in axis(config, 'rule') if not (r == 5 and optimizer == 'sgd')
  ]
  fig, axes = plotting.figure(
    'double', height=2.8, ncols=len(rules), sharey=True, squeeze=False
  )
  for ax, rule in zip(axes[0], rules, strict=True):
    check = measure.coordinates(
      config, ds, structure_of(config), rule=rule, optimizer=optimizer, lr=rate
    )
    last = min(2, check.size.shape[2] - 1)
    slopes = coord_check.slopes(check).size
    for i, module in enumerate(check.modules):
      if not module:
        continue  # the same as the readout
      size = check.size[:, :, last, i]
      colour = f'C{i % 8}'
      ax.plot(check.widths, size.mean(1), 'o-', ms=3, color=colour,
              label=module)  # fmt: skip
    out = slopes[last, check.modules.index('')]
    ax.set(yscale='log', xlabel='width $n$')
    ax.set_xscale('log', base=2)
    ax.margins(x=0.06)  # points at the ends are whole
    ax.set_title(f'{rule_name(rule)}\noutput: $n^{{{out:.2f}}}$', fontsize=8)
  axes[0, 0].set_ylabel(f'mean $|x|$ at $t = {last}$')
  fig.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc='outside lower center',
    ncols=6,
  )
  return fig, (
    f'Coordinate check, {optimizer}, learning rate {rate:g}: the size of every '
    'activation after two steps. Flat under muP; not flat under SP and under '
    'each mistake. Swapped fans cancel in the output of a ReLU network without '
    'biases and show in between.'
  )


def _transfer(config: Any, ds: Any, optimizer: str) -> tuple:
  """Loss against learning rate at every width, SP beside muP."""
  from framework import plotting

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
  from framework import plotting

  rows = measure.exponents(config, ds)
  fig, axes = plotting.figure('double', height=3.0, ncols=2)
  kinds = ('feature', 'kernel', 'trivial')
  for ax, title, pick in (
    (axes[0], r'features, $h^L(T) - h^L(0)$',
     lambda e: (-e.found.moves[-1], e.moves[-1])),
    (axes[1], r'function, $f(T) - f(0)$',
     lambda e: (-e.found.change, e.change)),
  ):  # fmt: skip
    for kind, marker, colour in zip(
      kinds, 'o^s', ('C1', 'C0', 'C2'), strict=True
    ):
      pairs = [pick(e) for e in rows if e.found.kind == kind]
      pairs = np.asarray(pairs, float).reshape(-1, 2)
      ax.plot(*pairs.T, marker, ms=5, alpha=0.7, color=colour, label=kind)
    ends = np.array([-1.6, 0.2])
    ax.set(xlim=ends, xlabel='predicted power of $n$', title=title)
    plotting.law(ax, ends, ends, '')
  axes[0].set_ylabel('measured power of $n$')
  plotting.legend(axes[0])
  return fig, (
    'Every stable parametrisation of the lattice: what its features (left) and '
    'its function (right) change by in training, as a power of the width; '
    'dashed: measured = predicted.'
  )
