"""Training a prompt p, alone or together with the head v.

    L(p, v) = (1/n) Σ_i ℓ(Y_i vᵀX_iᵀ s_i),   s_i = softmax(K_i p)

p turns to the solution of its margin problem: that of the optimal tokens, or of
other tokens that are locally optimal. Trained together, v turns to its own
v^mm, and p to the problem in which the inputs that do not support v^mm have
margin ≥ 0 instead of ≥ 1.

The gradients are exact at every horizon: the top token is eliminated as in
`gradient`, and the slopes ℓ'(m_i), which vanish exponentially as v grows, are
kept relative to the largest.

*Deviation*: the published code divides by ‖∇L‖ + ε, which ends its runs where
‖∇L‖ falls below ε; here ε is 0 unless asked for.

References:
  Tarzanagh, Li, Zhang, Oymak, "Max-Margin Token Selection in Attention
  Mechanism", arXiv:2306.13596.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Key

from framework.probes import cosine
from framework.system import System
from framework.systems.attention_svm import gradient as horizon
from framework.systems.attention_svm.prompt.setups import (
  Prompted,
  Setup,
  single_global,
)
from framework.systems.attention_svm.rules import Scaled, each_normalised

__all__ = [
  'ATTRIBUTES',
  'Gradient',
  'Hp',
  'State',
  'Structure',
  'gradient',
  'system',
]

ATTRIBUTES = {
  'p': {'long_name': 'prompt', 'units': '1'},
  'v': {'long_name': 'head', 'units': '1'},
  'cos_law': {'long_name': 'cosine of p to its solution', 'units': '1'},
  'cos_rival': {'long_name': 'cosine of p to the other one', 'units': '1'},
  'cos_v': {'long_name': 'cosine of v to v^mm', 'units': '1'},
  'angle': {'long_name': 'of p from its solution', 'units': 'degree'},
  'norm': {'long_name': '‖p‖', 'units': '1'},
  'share_min': {'long_name': 'largest softmax, least of all', 'units': '1'},
  'optimal': {'long_name': 'inputs on their best token', 'units': '1'},
  'half_square': {'long_name': '½‖p‖² of the solution', 'units': '1'},
}


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  eta: Float[ArrayLike, ''] = 0.1  # length of a step; plain descent: 10 η
  p0: Float[ArrayLike, ''] = 0.0  # p(0) along an axis
  C: Float[ArrayLike, ''] = 1.0  # the larger score of `loss_...`
  epsilon: Float[ArrayLike, ''] = 0.0  # ε of g/(‖g‖ + ε)


class State(NamedTuple):
  """The prompt and the head."""

  p: Float[Array, ' 2']
  v: Float[Array, ' 2']  # (−1, 0) and fixed where v is not trained


class Gradient(NamedTuple):
  """exp(scale_p) p and exp(scale_v) v are the gradients."""

  p: Float[Array, ' 2']
  v: Float[Array, ' 2']
  scale_p: Float[Array, '']
  scale_v: Float[Array, '']
  attention: Float[Array, 'n T']
  margin: Float[Array, ' n']


@dataclasses.dataclass(frozen=True)
class Structure:
  """The problem with how it is trained, and the precision."""

  setup: Setup = single_global
  dtype: Any = jnp.float64


def gradient(state: State, given: Prompted, setup: Setup) -> Gradient:
  """∇_p L and ∇_v L.

  Args:
    state: Where.
    given: The problem.
    setup: Which loss, and whether v is trained.

  Returns:
    A `Gradient`, scaled so that nothing underflows.
  """
  gamma = given.gamma
  if setup.joint:
    gamma = given.Y[:, None] * (given.X @ state.v)
  j = horizon.jacobian(given.keys @ state.p, gamma)
  steep = setup.log_slope(j.margin)
  most = jnp.max(steep)
  weight = -jnp.exp(steep - most) / len(gamma)
  mixed = jnp.einsum('nt,ntd->nd', j.attention, given.X)
  return Gradient(
    jnp.einsum('n,nt,ntd->d', weight, j.q, given.keys),
    jnp.einsum('n,nd->d', weight * given.Y, mixed),
    j.scale + most,
    most,
    j.attention,
    j.margin,
  )


def system(structure: Structure) -> System:
  """Descent on p, and on v in the joint set-ups, each by its own norm.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`. Observations: p, v; cos_law, cos_rival and cos_v, the
    cosines to the solutions in the problem (0 where there is none); angle of p
    from the law, in degrees; norm ‖p‖; share_min, the least attention on a
    selected token; optimal, the share of inputs that select their best token;
    half_square ½‖p‖² of the solution.
  """
  s, setup = structure, structure.setup

  def sample(key: Key[Array, ''], hp: Hp) -> Prompted:
    return setup.draw(key, jnp.asarray(hp.C, s.dtype), s.dtype)

  def init(key: Key[Array, ''], given: Prompted, hp: Hp) -> State:
    del key, given
    along = (jnp.arange(2) == setup.axis).astype(s.dtype)
    v = jnp.array([-1.0, 0.0], s.dtype)
    return State(jnp.asarray(hp.p0, s.dtype) * along, v)

  def step(key, state: State, given: Prompted, hp: Hp) -> State:
    del key
    g = gradient(state, given, setup)
    eta = jnp.asarray(hp.eta, s.dtype)
    if not setup.normalised:
      move = 10 * eta * jnp.exp(g.scale_p) * g.p
      return state._replace(p=state.p - move)
    epsilon = jnp.asarray(hp.epsilon, s.dtype)

    def unit(tree, scale):
      return each_normalised(Scaled(tree, scale), epsilon)

    p = state.p - eta * unit(g.p, g.scale_p)
    if not setup.joint:
      return state._replace(p=p)
    return State(p, state.v - eta * unit(g.v, g.scale_v))

  def observe(state: State, given: Prompted, hp: Hp) -> dict[str, Array]:
    del hp
    g = gradient(state, given, setup)
    chosen = jnp.argmax(g.attention, -1)
    turned = _angle(state.p) - _angle(given.law)
    return {
      'p': state.p,
      'v': state.v,
      'cos_law': cosine(state.p, given.law),
      'cos_rival': cosine(state.p, given.rival),
      'cos_v': cosine(state.v, given.v),
      'angle': (turned + 180) % 360 - 180,
      'norm': jnp.sqrt(jnp.sum(state.p**2)),
      'share_min': jnp.min(jnp.max(g.attention, -1)),
      'optimal': jnp.mean(chosen == given.optimal, dtype=s.dtype),
      'half_square': jnp.asarray(given.half_square, s.dtype),
    }

  return System(sample, init, step, observe)


def _angle(a: Float[Array, ' 2']) -> Float[Array, '']:
  """In degrees from the first axis."""
  return jnp.rad2deg(jnp.arctan2(a[1], a[0]))
