"""Losses of a margin for which attention has an SVM in the limit.

The theorems ask for a loss that is strictly decreasing and differentiable with
a bounded, Lipschitz derivative on every bounded interval: hinge and squared
loss are not, and are refused by name.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ['LOSSES', 'Loss', 'loss_named']


class Loss(NamedTuple):
  """A decreasing function of the margin u = Y f(X) and its derivative."""

  value: Callable[[Float[Array, '*n']], Float[Array, '*n']]
  slope: Callable[[Float[Array, '*n']], Float[Array, '*n']]


LOSSES = {
  'logistic': Loss(
    lambda u: jnp.logaddexp(0, -u), lambda u: -jax.nn.sigmoid(-u)
  ),
  'exponential': Loss(lambda u: jnp.exp(-u), lambda u: -jnp.exp(-u)),
  'linear': Loss(lambda u: -u, lambda u: -jnp.ones_like(u)),
}


def loss_named(name: str) -> Loss:
  """A loss by name.

  Args:
    name: 'logistic' ln(1 + e^−u), 'exponential' e^−u, or 'linear' −u.

  Returns:
    Its value and derivative.

  Raises:
    ValueError: For any other, with the condition that it breaks.

  >>> import jax.numpy as jnp
  >>> loss = loss_named('logistic')
  >>> print(loss.value(jnp.zeros(1)).round(3), loss.slope(jnp.zeros(1)))
  [0.693] [-0.5]
  """
  if name not in LOSSES:
    raise ValueError(
      f'loss is {name!r}, expected one of {", ".join(LOSSES)}: it must be '
      'strictly decreasing with a bounded, Lipschitz derivative on every '
      'bounded interval'
    )
  return LOSSES[name]
