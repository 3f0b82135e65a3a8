"""Which of the four clusters is lost, how often, and what prevents it."""

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking import onset_runs
from experiments.xor_grokking.setting import (
  Setting,
  arm,
  asked,
  mu_norm,
  resolved,
  settings,
  times,
)
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, at_most, equals, within
from framework.evidence.known import known
from framework.evidence.lanes import lanes, select
from framework.launch import Figures, Variant
from framework.systems.clusters.xor import laws

__all__ = ['VARIANT', 'fates']

LOST = 0.5  # accuracy below which a cluster counts as lost
PULL = 'derived: a cluster that pulls no neuron of its sign is never learnt'
OURS = 'our earlier runs: 400 seeds at each of m = 32, 128, 512'
_LEAST_LOST = 10  # runs that lose a cluster, to say something of them


def fates(ds: Dataset) -> dict[str, np.ndarray]:
  """What became of each cluster in each lane, (lanes, 4).

  Args:
    ds: Results of lanes of one width.

  Returns:
    {lost: accuracy below ½ at the end (1, 0, or NaN where not known), support:
    share of neurons pulled to it at t = 0, lesser: whether it has fewer clean
    less flipped points than its opposite, accuracy: (lanes,)}.
  """
  counts = lanes(ds, 'counts')
  net = counts[..., 0] - counts[..., 1]
  last = ds.isel(time=-1)
  return {
    'lost': known(np.less, lanes(last, 'cluster_accuracy'), LOST),
    'support': lanes(ds, 'support'),
    'lesser': known(np.less, net, net[:, [1, 0, 3, 2]]),
    'accuracy': lanes(last, 'test_accuracy'),
    'counts': counts,
  }


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Each width by itself, then the widths together."""
  made = []
  for here in settings(config, ds, but=('m', 'stratified')):
    widths = config.axis('m')
    for m in widths:
      own = f'{here.prefix}m{m}.' if len(widths) > 1 else here.prefix
      made += _width(config, Setting(own, *_at(here, m)[1:]))
    made.append(_narrow(config, here))
  return made


def _at(here: Setting, m: int) -> Setting:
  return Setting(here.prefix, resolved(here.config, m=m), select(here.ds, m=m))


def _drawn(config: Config, ds: Dataset) -> Dataset:
  """The runs whose clusters were drawn; where there are none, the others."""
  return select(ds, stratified=min(config.axis('stratified')))


def _cosine(c: Config) -> float:
  square = mu_norm(c) ** 2
  return square / (c.p + square)


def _few(config: Config, c: Config) -> str:
  """Why too few runs will lose a cluster; '' if enough will."""
  if 0.0 not in config.axis('stratified'):
    return 'stratified: no cluster has few points'
  if c.leak:
    return f'leak = {c.leak:g}: the law is of ReLU'
  if (start := laws.time_to_fit(c.n, c.p, c.alpha, c.omega)) > 0.1:
    return f'the start counts: 4n(ω/α)z_n/√(2p) = {start:.2g}'
  if c.steps < 15:
    return f'needs 15 steps, there are {c.steps}'
  chance = laws.unsupported(c.n, c.eta, _cosine(c))
  if chance * c.seeds < _LEAST_LOST:
    return (
      f'{chance * c.seeds:.2g} of {c.seeds} seeds will have a cluster with '
      f'less than 5 % of the neurons, {_LEAST_LOST} are needed'
    )
  return ''


def _mean(values: np.ndarray) -> float:
  return float(values.mean()) if values.size else np.nan


def _among(values: np.ndarray, which: np.ndarray) -> np.ndarray:
  """Values where a condition holds; NaN if it is not known somewhere."""
  return np.array([np.nan]) if np.isnan(which).any() else values[which == 1]


def _width(config: Config, here: Setting) -> list[Claim]:
  own, c, ds = here
  drawn = fates(_drawn(config, ds))
  lost, support, lesser = (drawn[k] for k in ('lost', 'support', 'lesser'))
  few = _few(config, c)
  elsewhere = few or onset_runs.unmet(
    c, 30, n=100, m=c.m, stratified=c.stratified
  )
  # The lesser of each pair, whichever neurons there happen to be.
  pairs = np.where(lesser == 1, support, 0).reshape(-1, 2, 2).sum(-1)
  unequal = lesser.reshape(-1, 2, 2).sum(-1)

  def less_than_law():
    share = laws.minority_support(drawn['counts'], _cosine(c))
    return _among(pairs - share, unequal)

  made = [
    asked(
      few,
      at_least,
      f'{own}lesser',
      'a lost cluster is the lesser of its pair (clean less flipped points)',
      PULL,
      0.95,
      lambda: _among(lesser, lost),
      derivation='all of them; one in twenty for clusters whose gates are '
      'unusual',
      kind='theorem',
      headline=True,
    ),
    asked(
      few,
      within,
      f'{own}plateau',
      'test accuracy of seeds with one lost cluster: the 0.75 plateau',
      'derived: three of four clusters',
      0.70,
      0.80,
      lambda: _among(drawn['accuracy'], known(np.equal, lost.sum(1), 1)),
      derivation='¾, 200 test points, edges of the other clusters',
      kind='theorem',
    ),
    asked(
      few,
      at_most,
      f'{own}pull',
      'lost clusters had fewer neurons of their sign at t = 0: mean share, '
      'less that of clusters that are learnt',
      PULL,
      0.0,
      lambda: _mean(_among(support, lost)) - _mean(_among(support, 1 - lost)),
      strict=True,
      derivation='the sign',
      kind='theorem',
    ),
    asked(
      elsewhere,
      at_least,
      f'{own}unsupported',
      'clusters with less than 5 % of the neurons of their sign are lost: '
      'share',
      OURS,
      0.5,
      lambda: _among(lost, known(np.less, support, 0.05)),
      derivation='0.7 to 1 was measured',
      kind='regression',
    ),
    asked(
      elsewhere,
      at_most,
      f'{own}supported',
      'clusters with more than 25 % are not: share lost',
      OURS,
      0.01,
      lambda: _among(lost, known(np.greater, support, 0.25)),
      derivation='0 to 0.002 was measured',
      kind='regression',
    ),
    asked(
      _few_points(config, c),
      equals,
      f'{own}support',
      'support of the lesser cluster: mean less that of Φ(−(|δ| + 1)/2σ_D)',
      'derived: gates at t = 0 are fair coins of correlation 2ρ/π',
      0.0,
      less_than_law,
      atol=0.02,
      derivation='a tenth of the mean: sizes of the pairs make tails fatter',
      kind='theorem',
    ),
  ]
  if 1.0 in config.axis('stratified'):
    made += _stratified(config, here, lost, (few, elsewhere))
  return made


def _few_points(config: Config, c: Config) -> str:
  """Why the law of the support does not speak of a setting; '' if it does."""
  if 0.0 not in config.axis('stratified'):
    return 'stratified: pairs are equal but for flips'
  if c.n < 50:
    return f'n = {c.n}: counts of points are no Gaussians'
  if c.seeds * c.m < 2000:
    return f'{c.seeds} seeds of {c.m} neurons, 2000 neurons are needed'
  return ''


def _stratified(
  config: Config, here: Setting, lost: np.ndarray, reasons: tuple[str, str]
) -> list[Claim]:
  c, (few, elsewhere) = here.config, reasons
  drawn, dealt = (
    laws.unsupported(c.n, c.eta, _cosine(c), stratified=x)
    for x in (False, True)
  )
  scatter = np.sqrt((drawn * (1 - drawn) + dealt * (1 - dealt)) / c.seeds)
  if not few and drawn - dealt < 3 * scatter:
    few = (
      f'{c.seeds} seeds do not tell a share {dealt:.2g} of runs with a cluster '
      f'without neurons from {drawn:.2g} where clusters are drawn'
    )

  def shares():
    dealt = fates(select(here.ds, stratified=1.0))['lost']
    return float(dealt.max(1).mean()), float(lost.max(1).mean())

  text = (
    'control: with n/4 points in every cluster fewer seeds lose one: share of '
    'seeds'
  )
  return [
    asked(
      few,
      at_most,
      f'{here.prefix}dealt',
      f'{text}, less that where clusters are drawn',
      'derived: the imbalance δ is what loses clusters',
      0.0,
      lambda: shares()[0] - shares()[1],
      strict=True,
      derivation='the sign',
      kind='theorem',
    ),
    asked(
      elsewhere,
      at_most,
      f'{here.prefix}stratified',
      f'{text}, over that where clusters are drawn',
      OURS,
      0.5,
      lambda: shares()[0] / (shares()[1] or np.nan),
      derivation='0.29, 0.26, 0.22 was measured at m = 32, 128, 512',
      kind='regression',
    ),
  ]


def _narrow(config: Config, here: Setting) -> Claim:
  widths = config.axis('m')
  few, many = min(widths), max(widths)
  reason = ''
  if many < 8 * few or many < 128 or few > 64:
    reason = 'needs an axis m from at most 64 to at least 128, a factor of 8'
  for m in (few, many):
    reason = reason or _few(config, _at(here, m).config)
  if not reason and config.seeds < 200:
    reason = f'needs 200 seeds, there are {config.seeds}'

  def more():
    one, two = (
      fates(_drawn(config, _at(here, m).ds))['lost'] for m in (few, many)
    )
    return one.max(1) - two.max(1)

  return asked(
    reason,
    at_least,
    f'{here.prefix}width',
    f'narrow nets lose more: share of seeds that lose a cluster at m = {few} '
    f'less that at m = {many}',
    PULL,
    0.0,
    more,
    strict=True,
    derivation='the sign',
    kind='theorem',
  )


def figures(config: Config, ds: Dataset) -> Figures:
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
