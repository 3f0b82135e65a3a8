"""Losses of a margin for which attention has an SVM in the limit.

    logistic     ln(1 + e^−u)
    exponential  e^−u
    linear       −u

The theorems ask for a loss that is strictly decreasing and differentiable with
a bounded, Lipschitz derivative on every bounded interval. Hinge and squared
loss are not.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ['Loss', 'exponential', 'linear', 'logistic', 'loss_of']


class Loss(NamedTuple):
  """A decreasing function of the margin u = Y f(X) and its derivative."""

  value: Callable[[Float[Array, '*n']], Float[Array, '*n']]
  slope: Callable[[Float[Array, '*n']], Float[Array, '*n']]


logistic = Loss(lambda u: jnp.logaddexp(0, -u), lambda u: -jax.nn.sigmoid(-u))
exponential = Loss(lambda u: jnp.exp(-u), lambda u: -jnp.exp(-u))
linear = Loss(lambda u: -u, lambda u: -jnp.ones_like(u))


def loss_of(value: Callable[[Array], Array]) -> Loss:
  """A loss of your own, with the derivative that JAX finds.

  Args:
    value: An elementwise function of margins.

  Returns:
    A `Loss`.

  >>> print(loss_of(lambda u: -jnp.tanh(u)).slope(jnp.zeros(2)))
  [-1. -1.]
  """
  return Loss(value, jax.grad(lambda u: jnp.sum(value(u))))
