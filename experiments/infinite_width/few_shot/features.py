"""Gaussian classes: the limit turns its features to where classes differ."""

from typing import TYPE_CHECKING

import numpy as np

from configs.infinite_width import FewShot, width_of
from experiments.infinite_width.few_shot import drawing, laws
from experiments.infinite_width.few_shot.setting import arm, times
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT', 'claims']

PAPER = laws.PAPER


def claims(config: FewShot, ds: 'Dataset') -> list[Claim]:
  """Limit against kernels, its features, widths against the limit."""
  return [
    claim._replace(id=claim.id + text)
    for text, own, part in lanes.apart(config, ds, ('model',))
    for claim in _of(own, part)
  ]


def _of(config: FewShot, ds: 'Dataset') -> list[Claim]:
  made = laws.above_kernels(
    config,
    ds,
    0.15,
    f'{PAPER}: kernel limits learn no features',
    '25 points between the limit and its best kernel were measured with the '
    'published implementation on such tasks, 15 asked for',
  )
  if 'limit' in config.axis('model'):
    made += _turned(config, ds)
  made += laws.controls(config, ds) + laws.at_the_limit(config, ds)
  widths = laws.finite(config)
  if 'limit' in config.axis('model') and len(widths) >= 3:
    made.append(_narrow(config, ds, widths))
  return made


def _turned(config: FewShot, ds: 'Dataset') -> list[Claim]:
  share = lanes.lanes(ds, 'signal_share', model='limit')
  fixed = config.rank / config.d
  what = (
    "features of the limit turn to the classes' subspace: share of their "
    f'square in it, over {config.rank}/{config.d} at the start'
  )
  first = 'features', f'{what}, in every seed', f'{PAPER}: r = 0'
  second = 'features.share', what, 'measured here'
  if reason := laws.untrained(config):
    return [
      untestable(*first, reason),
      untestable(*second, reason, kind='regression'),
    ]
  end = share[:, -1] / fixed
  return [
    at_least(
      *first,
      1.0,
      end,
      each=True,
      strict=True,
      derivation='1 if features did not move: Θ(1) is more',
    ),
    at_least(
      *second,
      2.0,
      end,
      derivation='5.5 was measured at 250 steps',
      kind='regression',
    ),
  ]


def _narrow(config: FewShot, ds: 'Dataset', widths: list[str]) -> Claim:
  what = (
    'widths.slope',
    'what a narrow network learns differs the less the wider it is: slope of '
    'the rms gap of signal shares on the width, log-log',
    f'{PAPER}: the limit of µP',
  )
  if config.seeds < 3 or laws.untrained(config):
    reason = laws.untrained(config) or f'needs 3 seeds, not {config.seeds}'
    return untestable(*what, reason, kind='theorem')
  share = laws.last(config, ds, 'signal_share')
  gap = [np.mean((share[m] - share['limit']) ** 2) ** 0.5 for m in widths]
  sizes = np.array([width_of(m) for m in widths], np.float64)
  fit = fits.power_law(sizes, np.array(gap))
  return at_most(
    *what,
    -0.3,
    float(fit.slope) if fit.n == len(widths) else np.nan,
    derivation='fluctuations of one network fall as n^-½, a bias as 1/n; few '
    'seeds',
    kind='theorem',
  )


def figures(config: FewShot, ds: 'Dataset') -> Figures:
  """The accuracies, and where the features point."""
  from framework.evidence import figures as plotting

  fig, ax = plotting.figure('single', height=2.9)
  ax.set(
    xlabel='outer steps $t$',
    ylabel=r'$\|W_1 B\|_F^2/\|W_1\|_F^2$',
    ylim=(0, 1.02),
  )
  ax.set_title('Features turn to the shared subspace')
  drawing.over_time(config, ds, ax, 'signal_share')
  plotting.legend(ax)
  return {
    **drawing.accuracy(config, ds),
    'features': (
      fig,
      'Share of the squared first layer in the subspace in which classes '
      f'differ; {config.rank}/{config.d} where nothing is learnt, as in every '
      'kernel.',
    ),
  }


VARIANT = Variant(arm, times, claims, figures)
