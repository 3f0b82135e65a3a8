"""Margin problems of a prompt p with fixed keys, alone and with its head v.

    f(X) = vᵀXᵀ softmax(K p),    keys k_t = rows of K = X Wᵀ

    p-SVM:  min ‖p‖  s.t.  pᵀ(k_iα − k_it) ≥ 1   for all t ≠ α_i
    v-SVM:  min ‖v‖  s.t.  Y_i vᵀx_iα ≥ 1

Trained together, v tends to its own problem. So does p if every selected token
supports v; otherwise the margins of the inputs that do not are relaxed to 0.

References:
  Tarzanagh, Li, Zhang, Oymak, "Max-Margin Token Selection in Attention
  Mechanism", arXiv:2306.13596.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from framework.maths.margin import (
  Constraints,
  Solution,
  constraints,
  neighbours,
  svm,
)
from framework.systems.attention_svm.rows import margin_rows

__all__ = ['JointSolution', 'joint_svm', 'prompt_svm', 'value_rows']


def prompt_svm(
  keys: Float[Array, 'n T d'],
  tokens: Int[Array, ' n'],
  mask: Bool[Array, 'n T'] | None = None,
  bound: Float[Array, ' n'] | float = 1.0,
  norm: str = 'frobenius',
) -> Solution:
  """The shortest prompt that prefers the selected tokens by the margin.

  Args:
    keys: Keys of the tokens.
    tokens: Selected tokens.
    mask: Which tokens exist.
    bound: The margin of each input; 0 relaxes it.
    norm: A norm as in `svm`.

  Returns:
    The solution; its W is the prompt as a column.

  >>> keys = jnp.array([[[1.0, 0.0], [0.0, 0.0]]])
  >>> print(prompt_svm(keys, jnp.array([0])).W.T.round(4))
  [[1. 0.]]
  """
  constant = jnp.ones((len(keys), 1), keys.dtype)
  rows = margin_rows(keys, constant, tokens, mask, bound)
  return svm(rows, norm, queries=1)


def value_rows(
  X: Float[Array, 'n T d'],
  Y: Float[Array, ' n'],
  tokens: Int[Array, ' n'],
  mask: Bool[Array, 'n T'] | None = None,
) -> Constraints:
  """Y_i vᵀx_iα ≥ 1 for a column v.

  Args:
    X: Tokens.
    Y: Labels ±1.
    tokens: Selected tokens α_i.
    mask: Which tokens exist.

  Returns:
    n rows.
  """
  chosen = jnp.take_along_axis(X, tokens[:, None, None], 1)[:, 0]
  there = True
  if mask is not None:
    there = jnp.take_along_axis(mask, tokens[:, None], 1)[:, 0]
  ones = jnp.ones((len(X), 1), X.dtype)
  return constraints(Y[:, None] * chosen, ones, present=there)


class JointSolution(NamedTuple):
  """Head and prompt, each as a column."""

  v: Solution
  p: Solution  # margin 1 for all inputs
  relaxed: Solution  # margin 0 for inputs that do not support v
  support: Bool[Array, ' n']  # inputs whose selected token supports v


def joint_svm(
  X: Float[Array, 'n T d'],
  keys: Float[Array, 'n T k'],
  Y: Float[Array, ' n'],
  tokens: Int[Array, ' n'],
  mask: Bool[Array, 'n T'] | None = None,
) -> JointSolution:
  """Where head and prompt tend when they are trained together.

  Args:
    X: Tokens.
    keys: Their keys.
    Y: Labels ±1.
    tokens: Selected tokens.
    mask: Which tokens exist.

  Returns:
    The head, the prompt, the relaxed prompt and the support of the head. Where
    all inputs support the head both prompts are the same.

  >>> X = jnp.array([[[1.0, 0.0], [0.0, 0.0]], [[-3.0, 0.0], [0.0, 0.0]]])
  >>> both = joint_svm(X, jnp.abs(X), jnp.array([1.0, -1.0]), jnp.zeros(2, int))
  >>> print(both.v.W.T.round(4), both.support)
  [[1. 0.]] [ True False]
  """
  rows = value_rows(X, Y, tokens, mask)
  v = svm(rows, queries=1)
  support = neighbours(v.W, rows)
  return JointSolution(
    v,
    prompt_svm(keys, tokens, mask),
    prompt_svm(keys, tokens, mask, support.astype(X.dtype)),
    support,
  )
