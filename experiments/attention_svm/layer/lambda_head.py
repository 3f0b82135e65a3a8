"""The head vᵀx − λ‖x‖²: attention ends at a projection on the simplex."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from xarray import Dataset

from configs.attention_svm import Layer
from experiments.attention_svm import gates
from experiments.attention_svm.gates import gated
from experiments.attention_svm.layer.arm import hp_of, structure_of, times
from framework import config as config_lib
from framework.evidence.claims import Claim, at_least, at_most
from framework.evidence.known import known
from framework.evidence.lanes import over, own_dims, prepared, select
from framework.launch import Arm, Figures, Variant
from framework.systems import attention_svm as svm

__all__ = ['VARIANT']

DERIVED = 'derived: γᵀs − λ‖s‖² over the simplex; head of Tarzanagh et al. 2023'
ATTRIBUTES = {
  'deviation': {'long_name': 'max |s − s*|', 'units': '1'},
  'attention': {'long_name': 'softmax', 'units': '1'},
  'predicted': {'long_name': 'projection of γ/2λ', 'units': '1'},
}
KEPT = 2e-3  # of attention: what a token that is dropped has lost at the end
_BETWEEN = 4e-3  # a predicted share below it decides nothing
LONG = 1e5  # η t/n: dropped tokens have n/(η t δ) left, δ their gap in score


def arm(config: Layer) -> Arm:
  """One layer on orthonormal tokens, and the projection beside it."""
  if config.head != 'lambda' or config.data != 'orthonormal':
    wanted = 'lambda and orthonormal for variant=lambda_head'
    found = f'{config.head}, {config.data}'
    raise config_lib.ConfigError(
      [config_lib.Problem('config.head, config.data', found, wanted)]
    )
  system = svm.system(structure_of(config))

  def observe(state: Any, problem: Any, hp: Any) -> dict[str, Array]:
    data = problem.data
    a = svm.logits_of(state.params, data)
    share = jax.nn.softmax(a, -1)
    best = svm.heads.penalised_attention(data.gamma, hp.strength, data.mask)
    return system.observe(state, problem, hp) | {
      'attention': share,
      'predicted': best,
      'deviation': jnp.max(jnp.abs(share - best)),
    }

  return Arm(
    system._replace(observe=observe),
    hp_of(config),
    attributes=svm.ATTRIBUTES | ATTRIBUTES,
  )


def _ends(config: Layer, ds: Dataset, name: str) -> np.ndarray:
  """(λ, other lanes, ...) at the last step, in the order of λ."""
  last = prepared(config, ds.isel(time=-1), ('strength',)).sortby('strength')
  values = over(last, name, ('strength', 'seed'))
  own = [last.sizes[dim] for dim in own_dims(last[name])]
  return values.reshape(len(values), -1, *own)


def strengths(config: Layer) -> np.ndarray:
  """Values of λ, increasing."""
  return np.sort(np.asarray(config.axis('strength'), float))


def _few(config: Layer) -> str:
  """Plain descent, long enough, with steps that do not jump over s*."""
  if config.axis('rule') != ('constant',) or {'no'} != set(
    config.axis('normalise')
  ):
    return 'needs plain steps of constant length'
  eta, lam = config.axis('eta'), strengths(config)
  sizes = gates.sizes(config)
  path = min(eta) * config.steps / max(n for n, _, _ in sizes)
  if path < LONG:
    return f'needs η t/n = {LONG:g}, this is {path:g}'
  # Of s near s*: η 2λ |ℓ'| s(1 − s)/n below 2, |ℓ'| ≤ 1 and s(1 − s) ≤ ¼.
  jump = max(eta) * lam[-1] / min(n for n, _, _ in sizes)
  return '' if jump <= 4 else f'needs η λ/n ≤ 4, this is {jump:.2g}'


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """Attention, its support, and that the support grows with λ."""
  lam, reason = strengths(config), _few(config)

  def shares():
    return _ends(config, ds, 'attention'), _ends(config, ds, 'predicted')

  def close():
    share, best = shares()
    return known(np.less_equal, np.abs(share - best), KEPT)

  def supported():
    share, best = shares()
    same = known(lambda s, b: (s > KEPT) == (b > 0), share, best)
    undecided = (best > 0) & (best <= _BETWEEN)
    return same[~undecided]

  def kept():
    """Tokens kept, (λ, seeds)."""
    return known(np.greater, _ends(config, ds, 'attention'), KEPT).sum((-1, -2))

  made = [
    gated(
      reason,
      at_least,
      'attention',
      'attention is the projection of γ/2λ on the simplex, |s − s*| ≤ '
      f'{KEPT:g}: share of tokens',
      DERIVED,
      0.97,
      close,
      derivation='attention on a dropped token is n/(η t δ), δ how far its '
      'score is from counting; a share that s* has near 0 grows as slowly as '
      'it is small: a token in a hundred is late',
      kind='theorem',
      headline=True,
    ),
    gated(
      gates.as_measured(config),
      at_most,
      'attention.every',
      'and no run is far from it: max |s − s*|',
      'our 10 other seeds',
      0.03,
      lambda: _ends(config, ds, 'deviation'),
      each=True,
      derivation='twice the worst there',
      kind='regression',
    ),
    gated(
      reason,
      at_least,
      'support',
      f'tokens with more than {KEPT:g} of attention are the support of s* '
      f'(those predicted to have less than {_BETWEEN:g} left out): share of '
      'tokens',
      DERIVED,
      0.98,
      supported,
      derivation='exact in the limit; late as above',
      kind='theorem',
    ),
  ]
  if len(lam) < 2:
    return made
  wide = lam[0] <= 0.05 and lam[-1] >= 3
  return [
    *made,
    gated(
      reason,
      at_least,
      'support.grows',
      'the mean number of tokens kept does not fall as λ grows: least change '
      'between neighbouring λ',
      DERIVED,
      -0.1,
      lambda: np.diff(kept().mean(1)).min(),
      derivation='the support of Π(γ/2λ) grows with λ; a token in ten runs may '
      'be late',
      kind='theorem',
    ),
    gated(
      reason or ('' if wide else 'needs λ from 0.05 to 3'),
      at_least,
      'support.range',
      'over the grid of λ it goes from one token an input to nearly all: '
      'largest over least mean number',
      DERIVED,
      0.6 * min(T for _, T, _ in gates.sizes(config)),
      lambda: kept().mean(1).max() / kept().mean(1).min(),
      derivation='from 1 to T: most of the way',
      kind='theorem',
    ),
  ]


def figures(config: Layer, ds: Dataset) -> Figures:
  """Measured against predicted attention; kept tokens over λ; the approach."""
  from framework.evidence import figures as plotting

  lam = strengths(config)
  share, best = (_ends(config, ds, x) for x in ('attention', 'predicted'))
  fig, axes = plotting.figure('double', height=2.7, ncols=3)
  ax = axes[0]
  ax.plot(best.ravel(), share.ravel(), 'o', ms=2.5, mew=0, alpha=0.5)
  plotting.law(ax, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
  ax.set(xlabel=r'projection $s^*$', ylabel='attention $s$')
  ax.set_title(f'at $t = {config.steps}$')
  ax = axes[1]
  count = (share > KEPT).sum(-1).mean(-1)
  law = (best > 0).sum(-1).mean(-1)
  ax.set(xscale='log', xlabel=r'$\lambda$', ylabel='tokens kept, of an input')
  ax.set_xlim(lam.min() / 1.2, lam.max() * 1.2)
  ax.plot(lam, count.mean(1), 'o', label='attention')
  plotting.law(ax, lam, law.mean(1)).set_label('support of $s^*$')
  plotting.legend(ax)
  ax.set_title(f'mean over {ds.sizes["seed"]} seeds')
  ax = axes[2]
  t = ds['time'].values
  ax.set(xscale='log', yscale='log', xlabel='gradient steps $t$')
  ax.set_title(r'$\max |s - s^*|$')
  colours = plotting.palette(lam.tolist())
  for value, colour in zip(lam, colours, strict=True):
    part = select(ds, strength=value)['deviation']
    more = [d for d in part.dims if d not in ('seed', 'time')]
    found = part.isel({d: 0 for d in more}).transpose('seed', 'time').values
    middle = np.median(found, 0)[t > 0]
    ax.plot(
      t[t > 0],
      np.maximum(middle, 1e-17),
      color=colour,
      label=f'{value:g}',
    )
  fig.legend(
    *ax.get_legend_handles_labels(),
    loc='outside lower center',
    ncols=8,
    title=r'$\lambda$',
  )
  return {
    'lambda_head': (
      fig,
      'The head vᵀx − λ‖x‖² on orthonormal tokens. Left: every token of every '
      'input, seed and λ. Middle: the larger λ, the more tokens share. Right: '
      'the median over seeds; where all tokens are kept the approach is '
      'exponential, else as 1/t.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
