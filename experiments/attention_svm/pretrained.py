"""Heads of a trained language model against the SVM of what they attend to."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.attention_svm import Pretrained
from framework.data import attention
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.evidence.lanes import select
from framework.launch import Arm, Figures, Variant, hp_of, structure_of
from framework.system import logspaced
from framework.systems.attention_svm import pretrained

__all__ = ['VARIANT']

PAPER = 'Tarzanagh et al. 2023'
MEASURED = 'no theorem: six layers, trained on something else'
LAYERS = 6


def arm(config: Pretrained) -> Arm:
  """Training each head, from where it is, on what it attends to."""
  structure = structure_of(
    pretrained.Structure,
    config,
    heads=attention.HEADS,
    dtype=np.dtype(config.precision),
  )
  weights: Any = attention.load()[:5]
  return Arm(
    pretrained.system(structure),
    hp_of(pretrained.Hp, config, head_index=np.int32),
    data=pretrained.Data(*weights),
    attributes=pretrained.ATTRIBUTES,
  )


def times(config: Pretrained) -> np.ndarray:
  """Evenly in ln t."""
  return logspaced(config.steps, config.records)


def at(
  config: Pretrained, ds: Dataset, name: str, null: float, time: int
) -> np.ndarray:
  """An observation, (heads, seeds)."""
  part = select(ds, null=null).isel(time=time)[name]
  if 'head_index' not in part.dims:
    part = part.expand_dims('head_index')
  return part.transpose('head_index', 'seed').values


def claims(config: Pretrained, ds: Dataset) -> list[Claim]:
  """Of any head, from theory; of trained ones, measured."""
  nulls = config.axis('null')
  d, T = 384, 48
  made: list[Claim] = []
  for null in nulls:
    who = 'random' if null else 'trained'
    feasible = at(config, ds, 'feasible', null, -1)
    made.append(
      at_least(
        f'{who}.feasible',
        f'{who} heads: some W selects what the head does, since d = {d} is at '
        f'least the number of queries, {config.queries}, and T − 1 = {T - 1}: '
        'share of problems',
        f'{PAPER}: almost all data of d ≥ max(n, T − 1)',
        1.0,
        feasible,
        each=True,
        derivation='exact',
      )
    )
    if config.steps >= 2000:
      made += [
        at_least(
          f'{who}.alignment',
          f'{who} heads, trained on from where they are on their own choices: '
          f'cosine to the SVM at t = {config.steps} at least 0.99: share of '
          'problems',
          f'{PAPER}: scores of all tokens but one are equal, so everywhere '
          '⟨∇L, W_svm⟩ < 0',
          0.95,
          at(config, ds, 'alignment', null, -1) >= 0.99,
          derivation='1 − cos = O(1/‖W‖²); a head that starts long lets go of '
          'its start late, and a query that strays may stay off: one problem '
          'in some hundreds',
        ),
        at_least(
          f'{who}.margin',
          f'{who} heads: margin over the greatest at t = {config.steps}, mean',
          f'{PAPER}, as above',
          0.95,
          at(config, ds, 'margin_ratio', null, -1),
          derivation='a margin is missed by O(1)/‖W‖',
        ),
      ]
  if 0.0 in nulls:
    made += _trained(config, ds)
  if {0.0, 1.0} <= set(nulls):
    made += _against_random(config, ds)
  return made


def _trained(config: Pretrained, ds: Dataset) -> list[Claim]:
  """Is a trained head what one layer would end as? It is not expected to be."""
  share = at(config, ds, 'share', 0.0, 0)
  ratio = at(config, ds, 'margin_ratio', 0.0, 0)
  cosine = at(config, ds, 'alignment', 0.0, 0)
  if len(share) < 24:
    reason = f'{len(share)} heads, needs 24'
    return [untestable('model', 'trained heads', MEASURED, reason)]
  return [
    at_most(
      'model.unsaturated',
      'heads of the model are far from choosing one token: attention on the '
      'token attended to most, mean',
      MEASURED,
      0.5,
      share,
      derivation='1 at saturation, where the theory of one layer applies',
    ),
    at_most(
      'model.margin',
      'and far from the greatest margin at their norm: margin ratio, mean',
      MEASURED,
      0.2,
      ratio,
      derivation='1 for a max-margin head; the margin is the least of '
      f'{config.queries} × 47',
    ),
    at_most(
      'model.alignment',
      'and their direction is not that of the SVM: cosine, mean',
      MEASURED,
      0.6,
      cosine,
      derivation='1 for a max-margin head',
    ),
  ]


def _against_random(config: Pretrained, ds: Dataset) -> list[Claim]:
  """Closer than weights of the same rank and norm drawn at random?"""
  made = []
  for name, words, bound in (
    ('alignment', 'cosine to the SVM', 0.05),
    ('margin_ratio', 'margin ratio', 0.01),
  ):
    trained, random = (
      at(config, ds, name, null, 0).mean(1) for null in (0.0, 1.0)
    )
    if len(trained) < 24:
      continue
    made.append(
      at_least(
        f'model.{name}.random',
        'yet nearer to it than random weights of the same rank, norm and text '
        f'are to theirs: mean gain of {words} over heads',
        MEASURED,
        bound,
        trained - random,
        derivation='above chance by several standard errors of 72 heads',
      )
    )
  return made


def figures(config: Pretrained, ds: Dataset) -> Figures:
  """By layer, against random heads; and what training on does."""
  made = {'pretrained_training': _training(config, ds)}
  heads = config.axis('head_index')
  if len(heads) >= LAYERS:
    made = {'pretrained_heads': _layers(config, ds, np.asarray(heads))} | made
  return made


def _layers(config: Pretrained, ds: Dataset, heads: np.ndarray) -> tuple:
  from framework.evidence import figures as plotting

  fig, axes = plotting.figure('double', height=2.7, ncols=3)
  layer = heads // attention.HEADS
  nulls = config.axis('null')
  rng = np.random.default_rng(0)
  for ax, (name, title) in zip(
    axes,
    (
      ('share', 'attention on the first choice'),
      ('margin_ratio', 'margin over the greatest'),
      ('alignment', r'$\cos(W, W_{svm})$'),
    ),
    strict=True,
  ):
    for null, color, label in ((1.0, '0.6', 'random'), (0.0, 'C0', 'MiniLM')):
      if null not in nulls:
        continue
      found = at(config, ds, name, null, 0).mean(1)
      x = layer + rng.uniform(-0.12, 0.12, len(layer))
      x = x + (0.2 if null else -0.2)
      ax.plot(x, found, 'o', ms=3, mew=0, alpha=0.7, color=color, label=label)
      for one in np.unique(layer):
        middle = np.median(found[layer == one])
        here = one + (0.2 if null else -0.2) + np.array([-0.18, 0.18])
        ax.plot(here, [middle, middle], color=color, lw=2)
    ax.set(xlabel='layer', title=title, xticks=np.unique(layer))
    ax.set_ylim(bottom=0)
    ax.set_xlim(layer.min() - 0.55, layer.max() + 0.55)
  fig.legend(
    *axes[0].get_legend_handles_labels(), loc='outside lower center', ncols=2
  )
  return fig, (
    f'Each head of the model (blue; mean of {ds.sizes["seed"]} texts of 48 '
    f'tokens, {config.queries} queries each; bars: medians) and random weights '
    'of the same rank and norm on the same text (grey). 1 would be a head as '
    'one layer trained for ever would be.'
  )


def _training(config: Pretrained, ds: Dataset) -> tuple:
  from framework.evidence import figures as plotting

  t = ds['time'].values
  fig, axes = plotting.figure('double', height=2.6, ncols=2)
  nulls = config.axis('null')
  for ax, name, title in (
    (axes[0], 'margin_ratio', '1 − margin over the greatest'),
    (axes[1], 'alignment', r'$1 - \cos(W, W_{svm})$'),
  ):
    ax.set(xscale='log', yscale='log', xlabel='steps $t + 1$', title=title)
    for null, color, label in ((1.0, '0.5', 'random'), (0.0, 'C0', 'MiniLM')):
      if null not in nulls:
        continue
      part = select(ds, null=null)[name]
      rest = [d for d in part.dims if d != 'time']
      found = part.transpose(*rest, 'time').values.reshape(-1, len(t))
      plotting.lanes(ax, t + 1, 1 - found, label, color, band=(0.1, 0.9))
      if not null:
        middle = np.median(1 - found[:, -1])
        power = -1.0 if name == 'margin_ratio' else -2.0
        late = t >= min(100, t[-1])
        line = middle * ((t[late] + 1) / (t[-1] + 1)) ** power
        mark = plotting.law(ax, t[late] + 1, line)
        mark.set_label(rf'$\propto t^{{{power:g}}}$')
    plotting.legend(ax)
  return fig, (
    'Each head trained on, from where it is, to attend to what it attends to '
    'most: median and the middle 80 % of heads and texts. At the left edge the '
    'model itself; dashed, the rates of an O(1) distance to a growing '
    'solution.'
  )


VARIANT = Variant(arm, times, claims, figures)
