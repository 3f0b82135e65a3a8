"""Which tensors move, and from which step on a transformation acts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree

__all__ = ['FromStepState', 'freeze', 'from_step']


def freeze(
  frozen: PyTree | Callable[[PyTree], PyTree],
) -> optax.GradientTransformation:
  """Sets the updates of some tensors to zero; put it last.

  Args:
    frozen: Tree of booleans like the parameters (or a prefix of it, or a
      function that makes one): which stay as they are.

  Returns:
    A transformation. After a rule with weight decay it stops that, too.

  >>> rule = optax.chain(optax.sgd(1.0), freeze({'a': True, 'b': False}))
  >>> w = {'a': jnp.ones(1), 'b': jnp.ones(1)}
  >>> updates, _ = rule.update(w, rule.init(w), w)
  >>> print(updates['a'], updates['b'])
  [0.] [-1.]
  """
  return optax.masked(optax.set_to_zero(), frozen)


class FromStepState(NamedTuple):
  """How many updates there were, and the state of what acts."""

  count: Int[Array, '']
  inner: Any


def from_step(
  inner: optax.GradientTransformation, first: int | Int[Array, '']
) -> optax.GradientTransformationExtraArgs:
  """A transformation that acts from some step on: an intervention.

  Before, updates pass unchanged, while `inner` sees them and keeps its state up
  to date, so that switching it on is no restart.

  Args:
    inner: What acts.
    first: The first update (counted from 0) that it acts on; may be traced.

  Returns:
    A transformation.

  >>> rule = from_step(optax.set_to_zero(), 1)
  >>> state = rule.init(jnp.ones(1))
  >>> before, state = rule.update(jnp.ones(1), state)
  >>> print(before, rule.update(jnp.ones(1), state)[0])
  [1.] [0.]
  """
  inner = optax.with_extra_args_support(inner)

  def init(params: PyTree) -> FromStepState:
    return FromStepState(jnp.int32(0), inner.init(params))

  def update(updates, state: Any, params=None, **extra):
    changed, kept = inner.update(updates, state.inner, params, **extra)
    on = state.count >= first
    updates = jax.tree.map(lambda a, b: jnp.where(on, b, a), updates, changed)
    return updates, FromStepState(state.count + 1, kept)

  return optax.GradientTransformationExtraArgs(init, update)
