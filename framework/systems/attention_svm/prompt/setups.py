"""Small problems of prompt attention, whose solutions can be drawn in a plane.

    f(X) = vᵀXᵀ softmax(K p),   K the keys of the tokens, in R²

single   one input, three tokens; two of them separate from the others, with
         scores such that one alone (global) or both (local) attract
multi    three inputs of seven tokens, one good token each
joint    three inputs of two tokens, v trained as well; all selected tokens
         support v^mm (tight), or the third does not (loose)
loss     two inputs; the good token of the first scores C times that of the
         other, under a linear or a logistic loss

References:
  Tarzanagh, Li, Zhang, Oymak, "Max-Margin Token Selection in Attention
  Mechanism", arXiv:2306.13596.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.maths import draws
from framework.systems.attention_svm.prompt.svm import joint_svm, prompt_svm

__all__ = [
  'Prompted',
  'Setup',
  'joint_loose',
  'joint_tight',
  'log_slope_linear',
  'log_slope_logistic',
  'loss_linear',
  'loss_logistic',
  'multi',
  'multi_gd',
  'problem_of',
  'single_global',
  'single_local',
]


class Prompted(NamedTuple):
  """A problem of prompt attention, and where training should take it."""

  keys: Float[Array, 'n T 2']
  X: Float[Array, 'n T 2']  # what v reads; zeros where scores are given
  Y: Float[Array, ' n']
  gamma: Float[Array, 'n T']  # scores, where v is not trained
  optimal: Int[Array, ' n']
  law: Float[Array, ' 2']  # the prompt that p should turn to
  rival: Float[Array, ' 2']  # another one that it might; 0 if there is none
  v: Float[Array, ' 2']  # that v should turn to; 0 where v is fixed
  half_square: Float[Array, ''] | float = 0.0  # ½‖law‖²


def log_slope_logistic(u: Float[Array, '*n']) -> Float[Array, '*n']:
  """Ln |ℓ'(u)| of ℓ(u) = ln(1 + e^−u): −ln(1 + e^u)."""
  return -jax.nn.softplus(u)


def log_slope_linear(u: Float[Array, '*n']) -> Float[Array, '*n']:
  """Ln |ℓ'(u)| of ℓ(u) = −u: 0."""
  return jnp.zeros_like(u)


class Setup(NamedTuple):
  """A problem, and how it is trained.

  `draw` is a function of (key, C, dtype); C is the larger score where there is
  a choice of it, and the key matters where something is random.
  """

  draw: Callable[..., Prompted]
  joint: bool = False  # whether v is trained
  normalised: bool = True  # steps of length η; else plain, of 10 η
  log_slope: Callable[[Array], Array] = log_slope_logistic  # ln |ℓ'(margin)|
  axis: int = 1  # of p(0) that `p0` is put on


_SINGLE = ((-0.1, 1.0), (1.0, 0.0), (0.0, 0.0))


def problem_of(
  keys: Float[Array, 'n T 2'],
  gamma: Float[Array, 'n T'],
  rival: int | None = None,
) -> Prompted:
  """Prompt attention with given scores.

  Args:
    keys: Keys of the tokens.
    gamma: Their scores.
    rival: A token whose selection is the other local optimum.

  Returns:
    A `Prompted` problem.
  """
  optimal = jnp.argmax(gamma, -1)
  law = prompt_svm(keys, optimal).W[:, 0]
  other = jnp.zeros_like(law)
  if rival is not None:
    other = prompt_svm(keys, jnp.full(len(keys), rival)).W[:, 0]
  ones = jnp.ones(len(keys), keys.dtype)
  return Prompted(
    keys,
    jnp.zeros_like(keys),
    ones,
    gamma,
    optimal,
    law,
    other,
    jnp.zeros_like(law),
    jnp.sum(law**2) / 2,
  )


def _multi(
  key: Key[Array, ''], C: Float[ArrayLike, ''], dtype: Any
) -> Prompted:
  """Good tokens near (0.8, 0), the others near (−0.9, 1) and (−½, −0.4)."""
  del C
  n, T = 3, 7
  middle = [(0.8, -0.1)] + 3 * [(-0.9, 0.95)] + 3 * [(-0.5, -0.4)]
  spread = draws.normal(key, (n, T, 2), dtype)
  keys = jnp.asarray([middle], dtype) + 0.15 * spread
  gamma = jnp.where(jnp.arange(T) == 0, 1, 0.5).astype(dtype)
  return problem_of(keys, jnp.broadcast_to(gamma[None], (n, T)))


def _single(*scores: float) -> Callable[..., Prompted]:
  """One input of three tokens, of these scores."""

  def draw(key, C, dtype):
    del key, C
    keys = jnp.asarray([_SINGLE], dtype)
    return problem_of(keys, jnp.asarray([scores], dtype), rival=1)

  return draw


def _joint(third: float) -> Callable[..., Prompted]:
  """Keys are the tokens, the optimal one is the last; at (½, third) the third.

  Two inputs are at (1, ±1), with labels ±1.
  """

  def draw(key, C, dtype):
    del key, C
    last = ((1.0, 1.0), (1.0, -1.0), (0.5, third))
    X = jnp.asarray([((0.0, 0.0), x) for x in last], dtype)
    Y = jnp.asarray((1.0, -1.0, 1.0), dtype)
    tokens = jnp.ones(len(X), int)
    both = joint_svm(X, X, Y, tokens)
    law = both.relaxed.W[:, 0]
    return Prompted(
      X,
      X,
      Y,
      jnp.zeros(X.shape[:2], X.dtype),
      tokens,
      law,
      both.p.W[:, 0],
      both.v.W[:, 0],
      jnp.sum(law**2) / 2,
    )

  return draw


def _two_inputs(key, C, dtype) -> Prompted:
  """The good token of the first scores C times that of the second."""
  del key
  keys = jnp.asarray(
    [((1.0, 1.0), (0.0, 0.0)), ((1.0, -1.0), (0.0, 0.0))], dtype
  )
  gamma = jnp.asarray([(0.0, 0.0), (1.0, 0.0)], dtype)
  return problem_of(keys, gamma.at[0, 0].set(C))


single_global = Setup(_single(1.0, 0.9, 0.9))
single_local = Setup(_single(1.0, 0.9, 0.0))
multi = Setup(_multi, axis=0)
multi_gd = Setup(_multi, normalised=False, axis=0)
joint_tight = Setup(_joint(1.0), joint=True)
joint_loose = Setup(_joint(1.5), joint=True)
loss_linear = Setup(_two_inputs, log_slope=log_slope_linear)
loss_logistic = Setup(_two_inputs)
