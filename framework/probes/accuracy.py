"""How many rows are classified as they are labelled."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = ['accuracy']


def accuracy(
  logits: Float[Array, 'rows classes'], labels: Int[Array, ' rows']
) -> Float[Array, '']:
  """Fraction of rows whose largest logit is that of the label.

  Args:
    logits: One row a sample. Of equal logits the first is the largest.
    labels: The classes.

  Returns:
    The fraction, in the dtype of the logits.

  >>> print(accuracy(jnp.eye(2), jnp.array([0, 0])))
  0.5
  """
  hit = jnp.argmax(logits, -1) == labels
  return jnp.mean(hit.astype(logits.dtype))
