"""Weight decay slows one pass, unless noise dominates."""

import itertools

import numpy as np
from xarray import Dataset

from configs.spectrum import Sgd
from experiments.spectrum.sgd import runs
from framework.evidence import lanes
from framework.evidence.claims import Claim, untestable, within
from framework.launch import Figures, Variant

_AXES = ('noise', 'eta', 'decay')
_BIAS, _NOISE = (
  0.1,
  0.01,
)  # shares of the bias where decay hurts, where it helps


def claims(config: Sgd, ds: Dataset) -> list[Claim]:
  """Claims on the risk with weight decay over the risk without."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    pairs = itertools.product(own.axis('noise'), own.axis('eta'))
    for noise, eta in pairs:
      for decay in own.axis('decay'):
        if decay:
          made.append(_claim(text, own, part, noise, eta, decay))
  return made


def _claim(
  text: str, config: Sgd, ds: Dataset, noise: float, eta: float, decay: float
) -> Claim:
  t = ds['time'].values
  end = t[-1:]
  free = runs.law(config, end, noise=noise, eta=eta, decay=0.0)[0]
  bias = runs.law(config, end, noise=0.0, eta=eta, decay=0.0)[0]
  law = runs.law(config, end, noise=noise, eta=eta, decay=decay)[0] / free
  share = bias / free
  name = f'noise={noise}.eta={eta}.decay={decay}{text}'
  words = {'kind': 'theorem', 'headline': True}
  if 0.0 not in config.axis('decay'):
    why = 'needs a run without weight decay beside'
    return untestable(f'slows.{name}', 'decay slows', runs.PAPER, why, **words)
  whole = lanes.prepared(config, ds, _AXES)
  with_it, without = (
    lanes.lanes(whole, 'excess', noise=noise, eta=eta, decay=d)[:, -1]
    for d in (decay, 0.0)
  )
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio = with_it / without
  exact = 'the recursion for the ratio, to a thousandth'
  if share >= _BIAS:
    return within(
      f'slows.{name}',
      'weight decay slows one-pass training down',
      runs.PAPER,
      max(1.0, 0.999 * law),
      max(1.001 * law, 1.001),
      ratio,
      derivation=f'{exact}; the bias is {share:.2g} of the risk',
      kind='paper',
      headline=True,
    )
  if share <= _NOISE:
    return within(
      f'helps.{name}',
      'where noise dominates weight decay helps: the paper is too general',
      'derived: decay bounds the variance that noise keeps up',
      min(0.999 * law, 0.99),
      min(1.001 * law, 1.0),
      ratio,
      derivation=f'{exact}; the bias is {share:.2g} of the risk',
      **words,
    )
  why = (
    f'the bias is {share:.2g} of the risk, neither above {_BIAS} nor below '
    f'{_NOISE}: how much decay there is decides'
  )
  return untestable(
    f'slows.{name}', 'weight decay slows one pass', runs.PAPER, why
  )


def figures(config: Sgd, ds: Dataset) -> Figures:
  """Excess risk over steps, with and without decay."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  whole, t = lanes.prepared(own, part, _AXES), ds['time'].values
  pairs = list(itertools.product(own.axis('noise'), own.axis('eta')))
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(pairs), sharey=True, squeeze=False
    )
    colors = plotting.palette(range(len(own.axis('decay'))))
    for ax, (noise, eta) in zip(axes[0], pairs, strict=True):
      ax.set(xscale='log', yscale='log', xlabel='steps')
      ax.set_title(f'σ² = {noise:g}, ηΣλ = {eta:g}')
      for decay, color in zip(own.axis('decay'), colors, strict=True):
        seen = lanes.lanes(whole, 'excess', noise=noise, eta=eta, decay=decay)
        ax.plot(t[1:], seen[0, 1:], color=color, label=f'decay {decay:g}')
    axes[0][0].set_ylabel('excess risk')
    plotting.legend(axes[0][0])
  return {
    'decay': (
      fig,
      'Exact excess risk of one pass with weight decay: it slows training '
      'where there is bias to remove, and helps where noise is all there is.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
