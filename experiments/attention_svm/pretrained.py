"""Heads of a trained language model against the SVM of what they attend to."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.attention_svm import Pretrained
from experiments.attention_svm import gates
from experiments.attention_svm.gates import gated
from experiments.attention_svm.reading import PAPER
from framework.data import attention
from framework.evidence.claims import Claim, at_least, at_most
from framework.evidence.known import known
from framework.evidence.lanes import over, select
from framework.launch import Arm, Figures, Variant, hp_of, structure_of
from framework.system import logspaced
from framework.systems.attention_svm import pretrained

__all__ = ['VARIANT']

MEASURED = (
  'our other passages; no theorem: six layers, trained on something else'
)
LAYERS = 6
WIDTH, TOKENS = 384, 48  # of the model; of a passage
PATH = 600.0  # η t: the norm that a head grows by


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
  """An observation of one record, (heads, other lanes)."""
  found = over(ds.isel(time=time), name, ('head_index',), null=null)
  return found.reshape(len(found), -1)


def as_given(
  config: Pretrained, ds: Dataset, name: str, null: float
) -> np.ndarray:
  """An observation of the heads as they are; NaN unless the run is done."""
  last = at(config, ds, name, null, -1)
  return at(config, ds, name, null, 0) + 0 * last


def claims(config: Pretrained, ds: Dataset) -> list[Claim]:
  """Of any head, from theory; of trained ones, measured."""
  made: list[Claim] = []
  for null in config.axis('null'):
    made += _any_head(config, ds, null)
  if 0.0 in config.axis('null'):
    made += _trained(config, ds)
  if {0.0, 1.0} <= set(config.axis('null')):
    made += _against_random(config, ds)
  return made


def _any_head(config: Pretrained, ds: Dataset, null: float) -> list[Claim]:
  """Trained on from where it is, on what it attends to."""
  who = 'random' if null else 'trained'
  path = min(config.axis('eta')) * config.steps
  far = '' if path >= PATH else f'needs η t = {PATH:g}, this is {path:g}'
  source = (
    f'{PAPER}: scores of all tokens but one are equal, so everywhere '
    '⟨∇L, W_svm⟩ < 0'
  )
  return [
    gated(
      '',
      at_least,
      f'{who}.feasible',
      f'{who} heads: some W selects what the head does, since d = {WIDTH} is '
      f'at least the number of queries, {max(config.axis("queries"))}, and '
      f'T − 1 = {TOKENS - 1}: share of problems',
      f'{PAPER}: almost all data of d ≥ max(n, T − 1)',
      1.0,
      lambda: at(config, ds, 'feasible', null, -1),
      each=True,
      derivation='exact',
      headline=True,
    ),
    gated(
      far,
      at_least,
      f'{who}.alignment',
      f'{who} heads, trained on from where they are on their own choices: '
      'cosine to the SVM at the end at least 0.99: share of problems',
      source,
      0.95,
      lambda: known(
        np.greater_equal, at(config, ds, 'alignment', null, -1), 0.99
      ),
      derivation='1 − cos = O(1/‖W‖²); a head that starts long lets go of its '
      'start late, and a query that strays may stay off: one problem in some '
      'hundreds',
      kind='theorem',
      headline=True,
    ),
    gated(
      far,
      at_least,
      f'{who}.margin',
      f'{who} heads: margin over the greatest at the end, mean',
      source,
      0.95,
      lambda: at(config, ds, 'margin_ratio', null, -1),
      derivation='a margin is missed by O(1)/‖W‖',
      kind='theorem',
    ),
  ]


def _heads_enough(config: Pretrained) -> str:
  count = len(config.axis('head_index'))
  return '' if count >= 24 else f'needs 24 heads, there are {count}'


def _trained(config: Pretrained, ds: Dataset) -> list[Claim]:
  """Is a trained head what one layer would end as? It is not expected to be."""
  return [
    gated(
      _heads_enough(config) or gates.as_measured(config, 'head_index', 'eta'),
      at_most,
      f'model.{id}',
      text,
      MEASURED,
      bound,
      lambda name=name: as_given(config, ds, name, 0.0),
      derivation=derivation,
      kind='regression',
    )
    for id, name, text, bound, derivation in (
      (
        'unsaturated',
        'share',
        'heads of the model are far from choosing one token: attention on the '
        'token attended to most, mean',
        0.5,
        '1 at saturation, where the theory of one layer applies; 0.44 there',
      ),
      (
        'margin',
        'margin_ratio',
        'and far from the greatest margin at their norm: margin ratio, mean',
        0.2,
        '1 for a max-margin head; 0.04 there',
      ),
      (
        'alignment',
        'alignment',
        'and their direction is not that of the SVM: cosine, mean',
        0.6,
        '1 for a max-margin head; 0.35 there',
      ),
    )
  ]


def _against_random(config: Pretrained, ds: Dataset) -> list[Claim]:
  """Closer than weights of the same rank and norm drawn at random?"""

  def gain(name):
    trained, random = (
      as_given(config, ds, name, null).mean(1) for null in (0.0, 1.0)
    )
    return trained - random

  return [
    gated(
      _heads_enough(config) or gates.as_measured(config, 'head_index', 'eta'),
      at_least,
      f'model.{name}.random',
      'yet nearer to it than random weights of the same rank, norm and text '
      f'are to theirs: mean gain of {words} over heads',
      MEASURED,
      bound,
      lambda name=name: gain(name),
      derivation='above chance by several standard errors of 72 heads',
      kind='regression',
    )
    for name, words, bound in (
      ('alignment', 'cosine to the SVM', 0.05),
      ('margin_ratio', 'margin ratio', 0.01),
    )
  ]


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
