"""What must not generalise does not: no signal, labels at random, no kink."""

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.onset import learnable, linear
from experiments.xor_grokking.setting import (
  GENERALISED,
  PAPER,
  Setting,
  arm,
  asked,
  settings,
  times,
)
from framework.evidence.claims import Claim, at_least, at_most
from framework.evidence.lanes import at, lanes, select
from framework.launch import Figures, Variant
from framework.systems.clusters.xor import laws

__all__ = ['VARIANT']

_AT_RANDOM = 0.65  # accuracy of a majority of labels that are worth nothing


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Each setting as the control that it is, or as what must generalise."""
  made = []
  for here in settings(config, ds):
    c = here.config
    if c.leak == 1:
      made.append(linear(here))
    elif c.leak:
      continue
    elif c.signal == 0:
      made += _chance(here, 'signal', 'without signal', 0.5, 0)
    elif laws.majority(c.n, c.eta) < _AT_RANDOM:
      best = laws.majority(c.n, c.eta)
      text = f'with labels at random, η = {c.eta:g}'
      made += _chance(here, 'labels', text, best, 0.5 / np.sqrt(c.seeds))
    else:
      made.append(_groks(here))
  return made


def _chance(
  here: Setting, name: str, text: str, best: float, spread: float
) -> list[Claim]:
  own, c, ds = here
  coins = 2 / np.sqrt(c.n_test * c.seeds)
  misses = laws.misses_of_one_step(c.n, c.signal)
  return [
    at_most(
      f'{own}control.{name}',
      f'{text}: test accuracy at T is no better than chance',
      'derived: labels say nothing of the points, or hardly anything',
      best + spread + coins,
      at(ds, 'test_accuracy', c.steps),
      derivation=f'{best:.3g} at best; four standard errors of n_test coins a '
      'seed, and where labels are at random two of four clusters a seed that '
      'are right or wrong as wholes',
      kind='theorem',
    ),
    asked(
      laws.one_step_out_of_reach(c.n, c.p, c.alpha, c.omega, c.leak),
      at_least,
      f'{own}control.{name}.fit',
      f'{text}: all training labels are fitted none the less, by T',
      f'{PAPER}: overfitting; derived: near-orthogonal points can be given any '
      'labels',
      1 - misses - 2 * np.sqrt(misses / c.seeds) - 1 / c.m,
      lambda: at(ds, 'train_accuracy', c.steps),
      derivation=f'misses {misses:.2g} at t = 1, four standard errors, 1/m',
      kind='theorem',
    ),
  ]


def _groks(here: Setting) -> Claim:
  own, c, ds = here
  return asked(
    learnable(c),
    at_least,
    f'{own}generalises',
    'and with signal, labels and ReLU it generalises: test accuracy at T',
    f'{PAPER}, Figure 1 (left)',
    GENERALISED,
    lambda: at(ds, 'test_accuracy', c.steps),
    derivation='nearer to four of four clusters than to three',
    kind='paper',
    headline=True,
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """Test accuracy of the controls next to that of what they control."""
  from framework.evidence import figures as plotting

  t = ds['time'].values + 1
  random = max(config.sweep.get('eta', (config.eta,)))
  usual = min(config.sweep.get('eta', (config.eta,)))
  strong = max(config.sweep.get('signal', (config.signal,)))
  fig, ax = plotting.figure('single', height=2.9)
  ax.set(xscale='log', xlabel='gradient steps $t + 1$', ylim=(0.35, 1.05))
  ax.set_ylabel('clean test accuracy')
  ax.set_title('What must not generalise does not')
  for label, color, where in (
    ('signal, labels, ReLU', 'C1', dict(signal=strong, leak=0.0, eta=usual)),
    ('no signal', 'C0', dict(signal=0.0, leak=0.0, eta=usual)),
    (rf'$\eta={random:g}$', 'C2', dict(signal=strong, leak=0.0, eta=random)),
    ('linear network', 'C3', dict(signal=strong, leak=1.0, eta=usual)),
  ):
    rows = lanes(select(ds, **where), 'test_accuracy')
    plotting.lanes(ax, t, rows, label, color, band=(0.1, 0.9))
  plotting.legend(ax)
  return {
    'controls': (
      fig,
      'Median and the middle 80 % of seeds. Chance is ½.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
