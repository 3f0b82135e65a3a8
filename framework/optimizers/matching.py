"""Steps of a given length: comparisons at the same effective learning rate."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from framework.maths.norms import norm, ratio

__all__ = ['MatchState', 'match_norm', 'normalize_by_global_norm']


class MatchState(NamedTuple):
  """The states of the two rules."""

  rule: Any
  reference: Any


def match_norm(
  rule: optax.GradientTransformation, reference: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
  """The direction of one rule with the step length of another.

      u = u_rule ‖u_reference‖/‖u_rule‖,   ‖·‖ over all tensors together

  Both see the same gradients and parameters. So what a rule gains beyond a
  larger learning rate is what it gains here.

  Args:
    rule: Gives the direction.
    reference: Gives the length of every step.

  Returns:
    A transformation.

  >>> rule = match_norm(optax.sgd(5.0), optax.sgd(0.1))
  >>> print(rule.update(jnp.ones(2), rule.init(jnp.ones(2)), jnp.ones(2))[0])
  [-0.1 -0.1]
  """
  one = optax.with_extra_args_support(rule)
  two = optax.with_extra_args_support(reference)

  def init(params: PyTree) -> MatchState:
    return MatchState(one.init(params), two.init(params))

  def update(updates, state: Any, params=None, **extra):
    first, rule_state = one.update(updates, state.rule, params, **extra)
    second, kept = two.update(updates, state.reference, params, **extra)
    scale = ratio(norm(second), norm(first))
    first = jax.tree.map(lambda u: u * scale.astype(u.dtype), first)
    return first, MatchState(rule_state, kept)

  return optax.GradientTransformationExtraArgs(init, update)


def normalize_by_global_norm() -> optax.GradientTransformation:
  """Divides the gradient by its norm over all tensors.

      g ← g/‖g‖,   0 where g = 0

  Returns:
    A transformation without state: with plain descent after it, every step is
    as long as the learning rate.

  >>> rule = normalize_by_global_norm()
  >>> print(rule.update(jnp.array([3.0, 4.0]), rule.init(jnp.ones(2)))[0])
  [0.6 0.8]
  """

  def update(updates: PyTree, state: Any, params: PyTree = None):
    del params
    size = norm(updates)
    scale = ratio(jnp.ones_like(size), size)
    return jax.tree.map(lambda g: g * scale.astype(g.dtype), updates), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
