"""The head vᵀx − λ‖x‖²: attention ends at a projection on the simplex."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from xarray import Dataset

from configs.attention_svm import Layer
from experiments.attention_svm.layer.arm import hp_of, structure_of, times
from framework import config as config_lib
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.evidence.lanes import select
from framework.launch import Arm, Figures, Variant
from framework.systems import attention_svm as svm

__all__ = ['VARIANT']

DERIVED = 'derived: γᵀs − λ‖s‖² over the simplex; head of Tarzanagh et al. 2023'
ATTRIBUTES = {
  'deviation': {'long_name': 'max |s − s*|', 'units': '1'},
  'attention': {'long_name': 'softmax', 'units': '1'},
  'predicted': {'long_name': 'projection of γ/2λ', 'units': '1'},
}
KEPT = 2e-3  # of attention: what a token that is dropped has lost by t = 1e5
_BETWEEN = 4e-3  # a predicted share below it decides nothing


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


def _ends(ds: Dataset, name: str, **where: Any) -> np.ndarray:
  """(λ, seeds, ...) at the last step."""
  last = select(ds.isel(time=-1), **where)[name]
  if 'strength' not in last.dims:
    last = last.expand_dims('strength')
  own = [d for d in last.dims if str(d).startswith(f'{name}_')]
  more = [d for d in last.dims if d not in (*own, 'strength', 'seed')]
  last = last.isel({d: 0 for d in more})
  return last.transpose('strength', 'seed', *own).values


def strengths(config: Layer) -> np.ndarray:
  """Values of λ."""
  return np.asarray(config.axis('strength'), float)


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """A22: attention, support, and that the support grows with λ."""
  if config.steps < 100_000:
    reason = f'needs 100000 steps, there are {config.steps}'
    return [untestable('projection', 'attention is s*', DERIVED, reason)]
  lam = strengths(config)
  share, best = _ends(ds, 'attention'), _ends(ds, 'predicted')
  kept, wanted = share > KEPT, best > 0
  clear = (best > _BETWEEN) | ~wanted
  sizes = wanted.sum((-1, -2)).mean(1)
  off = _ends(ds, 'deviation')
  made = [
    at_least(
      'attention',
      f'at t = {config.steps} attention is the projection of γ/2λ on the '
      'simplex, max |s − s*| ≤ 2e-3: share of runs',
      DERIVED,
      0.85,
      off <= 2e-3,
      derivation='attention on dropped tokens falls as 1/t; a share that s* '
      'has near 0 grows as slowly as it is small (ṡ ∝ s), so a run in ten is '
      'late',
    ),
    at_most(
      'attention.every',
      'and no run is far from it: max |s − s*|',
      DERIVED,
      0.03,
      off,
      each=True,
      derivation='twice the worst of other seeds',
    ),
    at_least(
      'support',
      f'tokens with more than {KEPT:g} of attention are the support of s* '
      f'(those predicted to have less than {_BETWEEN:g} left out): share of '
      'tokens',
      DERIVED,
      0.99,
      (kept == wanted)[clear],
      derivation='exact in the limit; late as above',
    ),
  ]
  if len(lam) > 1:
    order = np.argsort(lam)
    found = kept.sum((-1, -2))[order]
    made += [
      at_least(
        'support.grows',
        'the number of tokens kept does not fall as λ grows: least change '
        'between neighbouring λ over all seeds',
        DERIVED,
        0.0,
        np.diff(found, axis=0).min(),
        derivation='exact; also of the prediction, mean sizes '
        + ', '.join(f'{x:.3g}' for x in sizes[order]),
      ),
      at_least(
        'control.range',
        'control: the grid of λ goes from one token kept an input to nearly '
        'all: largest over least mean number',
        DERIVED,
        3.0,
        float(found.mean(1).max() / found.mean(1).min()),
        derivation='five tokens an input',
      ),
    ]
  return made


def figures(config: Layer, ds: Dataset) -> Figures:
  """Measured against predicted attention; kept tokens over λ; the approach."""
  from framework.evidence import figures as plotting

  lam = strengths(config)
  share, best = _ends(ds, 'attention'), _ends(ds, 'predicted')
  fig, axes = plotting.figure('double', height=2.7, ncols=3)
  ax = axes[0]
  ax.plot(best.ravel(), share.ravel(), 'o', ms=2.5, mew=0, alpha=0.5)
  plotting.law(ax, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
  ax.set(xlabel=r'projection $s^*$', ylabel='attention $s$')
  ax.set_title(f'at $t = {config.steps}$')
  ax = axes[1]
  order = np.argsort(lam)
  count = (share > KEPT).sum(-1).mean(-1)[order]
  law = (best > 0).sum(-1).mean(-1)[order]
  ax.set(xscale='log', xlabel=r'$\lambda$', ylabel='tokens kept, of an input')
  ax.set_xlim(lam.min() / 1.2, lam.max() * 1.2)
  ax.plot(lam[order], count.mean(1), 'o', label='attention')
  plotting.law(ax, lam[order], law.mean(1)).set_label('support of $s^*$')
  plotting.legend(ax)
  ax.set_title(f'mean over {ds.sizes["seed"]} seeds')
  ax = axes[2]
  t = ds['time'].values
  ax.set(xscale='log', yscale='log', xlabel='gradient steps $t$')
  ax.set_title(r'$\max |s - s^*|$')
  colours = plotting.palette(lam[order].tolist())
  for value, colour in zip(lam[order], colours, strict=True):
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
