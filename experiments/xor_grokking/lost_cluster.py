"""Which of the four clusters is lost, how often, and what prevents it."""

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.setting import arm, mu_norm, resolved, times
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  equals,
  within,
)
from framework.evidence.lanes import lanes, select
from framework.launch import Variant
from framework.systems.clusters.xor import theory

__all__ = ['VARIANT', 'fates']

LOST = 0.5  # accuracy below which a cluster counts as lost
PULL = 'derived: a cluster that pulls no neuron of its sign is never learnt'


def fates(ds: Dataset) -> dict[str, np.ndarray]:
  """What became of each cluster in each lane, (lanes, 4).

  Args:
    ds: Results of lanes of one width.

  Returns:
    {lost: accuracy below ½ at the end, support: share of neurons pulled to it
    at t = 0, lesser: whether it has fewer clean less flipped points than its
    opposite, accuracy: (lanes,)}.
  """
  counts = lanes(ds, 'counts')
  net = counts[..., 0] - counts[..., 1]
  last = ds.isel(time=-1)
  return {
    'lost': lanes(last, 'cluster_accuracy') < LOST,
    'support': lanes(ds, 'support'),
    'lesser': net < net[:, [1, 0, 3, 2]],
    'accuracy': lanes(last, 'test_accuracy'),
    'counts': counts,
  }


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Which cluster is lost, how often, and what prevents it."""
  made = []
  widths = config.sweep.get('m', (config.m,))
  for m in widths:
    own = f'm{m}.' if len(widths) > 1 else ''
    drawn = fates(select(ds, m=m, stratified=0.0))
    lost, support = drawn['lost'], drawn['support']
    s = resolved(config, m=int(m))
    cosine = mu_norm(s) ** 2 / (s.p + mu_norm(s) ** 2)
    counts = jnp.asarray(drawn['counts'])
    share = np.asarray(theory.minority_support(counts, cosine))
    # The lesser of each pair, whichever neurons there happen to be.
    lesser = np.where(drawn['lesser'], support, 0).reshape(-1, 2, 2).sum(-1)
    unequal = drawn['lesser'].reshape(-1, 2, 2).any(-1)
    one = lost.sum(1) == 1
    made += [
      at_least(
        f'{own}lesser',
        'a lost cluster is the lesser of its pair (clean less flipped points)',
        PULL,
        0.98,
        drawn['lesser'][lost],
        derivation='share of lost clusters; 1 was measured',
      ),
      within(
        f'{own}plateau',
        'test accuracy of seeds with one lost cluster: the 0.75 plateau',
        'derived: three of four clusters',
        0.70,
        0.80,
        drawn['accuracy'][one],
        derivation='¾, 200 test points, edges of the other clusters',
      ),
      at_least(
        f'{own}unsupported',
        'clusters with less than 5 % of the neurons of their sign are lost: '
        'share',
        PULL,
        0.5,
        lost[support < 0.05],
        derivation='0.7 to 1 was measured',
      ),
      at_most(
        f'{own}supported',
        'clusters with more than 25 % are not: share lost',
        PULL,
        0.01,
        lost[support > 0.25],
        derivation='0 to 0.002 was measured',
      ),
      equals(
        f'{own}support',
        'support of the lesser cluster: mean less that of Φ(−(|δ| + 1)/2σ_D)',
        'derived: gates at t = 0 are fair coins of correlation 2ρ/π',
        0.0,
        (lesser - share)[unequal],
        atol=0.02,
        derivation='a tenth of the mean: sizes of the pairs make tails fatter',
      ),
    ]
    if 1.0 in config.sweep.get('stratified', ()):
      dealt = fates(select(ds, m=m, stratified=1.0))
      chance = lost.any(1).mean()
      made.append(
        at_most(
          f'{own}stratified',
          'control: with n/4 points in every cluster, seeds that lose one over '
          'those that do when clusters are drawn',
          'derived: the imbalance δ is what loses clusters',
          0.5,
          dealt['lost'].any(1) / chance,
          derivation='0.29, 0.26, 0.22 was measured at m = 32, 128, 512',
        )
      )
  if len(widths) > 1:
    chances = [
      fates(select(ds, m=m, stratified=0.0))['lost'].any(1) for m in widths
    ]
    made.append(
      at_least(
        'width',
        f'narrow nets lose more: share of seeds that lose a cluster at m = '
        f'{widths[0]} less that at m = {widths[-1]}',
        PULL,
        0.0,
        chances[0].astype(float) - chances[-1],
        derivation='the sign; 0.225 and 0.125 were measured',
      )
    )
  return made


def figures(config: Config, ds: Dataset) -> dict[str, tuple]:
  """How accuracies pile up at 0.75, and what decides about a cluster."""
  from framework.evidence import figures as plotting

  widths = [int(m) for m in config.sweep.get('m', (config.m,))]
  colors = plotting.palette(range(len(widths)))
  dealt = [s for s in config.sweep.get('stratified', (0.0,)) if s > 0.5]
  fig, (left, right) = plotting.figure('double', height=2.9, ncols=2)
  edges = np.linspace(0.4, 1.0, 31)
  left.set(yscale='log', xlabel=f'clean test accuracy at $t={config.steps}$')
  left.set_ylabel('share of seeds')
  left.set_title('A plateau at ¾ where cluster sizes are left to chance')
  for stratified, color, label in (
    (0.0, 'C1', 'clusters drawn'),
    (1.0, 'C0', '$n/4$ points in each'),
  ):
    if stratified and not dealt:
      continue
    last = select(ds, m=widths[-1], stratified=stratified).isel(time=-1)
    values = lanes(last, 'test_accuracy')
    share = np.histogram(values, edges)[0] / len(values)
    left.stairs(share, edges, color=color, fill=True, alpha=0.25, linewidth=0)
    left.stairs(share, edges, color=color, label=f'{label}, $m={widths[-1]}$')
  left.set_ylim(1e-3, 2)
  plotting.legend(left)
  right.set(xlabel='neurons pulled to a cluster at $t=0$, share')
  right.set_ylabel('share of clusters lost')
  right.set_title('Without neurons of its own a cluster is lost')
  bins = np.array([0, 0.02, 0.05, 0.08, 0.11, 0.14, 0.18, 0.23, 0.3, 0.4, 0.5])
  for m, color in zip(widths, colors, strict=True):
    found = fates(select(ds, m=m, stratified=0.0))
    lost, support = found['lost'].ravel(), found['support'].ravel()
    place = np.digitize(support, bins) - 1
    some = [b for b in range(len(bins) - 1) if (place == b).sum() >= 3]
    inside = [fits.mean_stderr(lost[place == b].astype(float)) for b in some]
    right.errorbar(
      [support[place == b].mean() for b in some],
      [x.mean for x in inside],
      [x.stderr for x in inside],
      fmt='o-',
      color=color,
      ms=4,
      capsize=2,
      label=f'$m={m}$',
    )
  right.set(ylim=(-0.03, 1.05), xlim=(-0.02, 0.47))
  plotting.legend(right)
  return {
    'lost_cluster': (
      fig,
      'Left: final accuracies of all seeds. Right: chance that a cluster is '
      'lost against the share of neurons of its sign with D_ν(0) > 0, with '
      'standard errors; the same curve at every width.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
