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

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.systems.attention_svm.prompt.svm import joint_svm, prompt_svm

__all__ = ['SETUPS', 'Prompted', 'Setup', 'problem', 'problem_of']


class Setup(NamedTuple):
  """What tells one set-up from another."""

  joint: bool = False  # whether v is trained
  normalised: bool = True  # steps of length η; else plain, of 10 η
  loss: str = 'logistic'
  axis: int = 1  # of p(0) that `p0` is put on


SETUPS = {
  'single_global': Setup(),
  'single_local': Setup(),
  'multi': Setup(axis=0),
  'multi_gd': Setup(normalised=False, axis=0),
  'joint_tight': Setup(joint=True),
  'joint_loose': Setup(joint=True),
  'loss_linear': Setup(loss='linear'),
  'loss_logistic': Setup(),
}


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


_SINGLE = ((-0.1, 1.0), (1.0, 0.0), (0.0, 0.0))
_SCORES = {'single_global': (1.0, 0.9, 0.9), 'single_local': (1.0, 0.9, 0.0)}


def problem(
  key: Key[Array, ''],
  setup: str,
  C: Float[ArrayLike, ''] = 1.0,
  dtype: Any = jnp.float32,
) -> Prompted:
  """The problem of a set-up; only `multi` is random.

  Args:
    key: A key.
    setup: A key of `SETUPS`.
    C: The larger score of the set-ups `loss_...`; others ignore it.
    dtype: Of all numbers.

  Returns:
    A `Prompted` problem.

  Raises:
    ValueError: If there is no such set-up.

  >>> made = problem(jax.random.key(0), 'single_global')
  >>> [round(float(x), 3) for x in (*made.law, made.half_square)]
  [-0.099, 0.99, 0.495]
  """
  if setup not in SETUPS:
    raise ValueError(f'setup is {setup!r}, expected one of {", ".join(SETUPS)}')
  if setup.startswith('single'):
    keys = jnp.asarray([_SINGLE], dtype)
    return problem_of(keys, jnp.asarray([_SCORES[setup]], dtype), rival=1)
  if setup.startswith('multi'):
    return _multi(key, dtype)
  if setup.startswith('joint'):
    third = 1.0 if setup == 'joint_tight' else 1.5
    last = ((1.0, 1.0), (1.0, -1.0), (0.5, third))
    X = jnp.asarray([((0.0, 0.0), x) for x in last], dtype)
    return _joint(X, jnp.asarray((1.0, -1.0, 1.0), dtype))
  keys = jnp.asarray(
    [((1.0, 1.0), (0.0, 0.0)), ((1.0, -1.0), (0.0, 0.0))], dtype
  )
  gamma = jnp.asarray([(0.0, 0.0), (1.0, 0.0)], dtype)
  return problem_of(keys, gamma.at[0, 0].set(C))


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


def _multi(key: Key[Array, ''], dtype: Any) -> Prompted:
  """Good tokens near (0.8, 0), the others near (−0.9, 1) and (−½, −0.4)."""
  n, T = 3, 7
  middle = [(0.8, -0.1)] + 3 * [(-0.9, 0.95)] + 3 * [(-0.5, -0.4)]
  spread = jax.random.normal(key, (n, T, 2), dtype)
  keys = jnp.asarray([middle], dtype) + 0.15 * spread
  gamma = jnp.where(jnp.arange(T) == 0, 1, 0.5).astype(dtype)
  return problem_of(keys, jnp.broadcast_to(gamma[None], (n, T)))


def _joint(X: Float[Array, 'n T 2'], Y: Float[Array, ' n']) -> Prompted:
  """Keys are the tokens; the optimal token is the last."""
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
