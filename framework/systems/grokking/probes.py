"""Probes of numerical stability, from inside a training run.

*Naive loss minimisation* (NLM): the step goes along the weights themselves,
which scales outputs and predicts nothing new. *Softmax collapse*, the other
half of the story, is a property of the loss: `losses.collapsed`.

References:
  Prieto, Barsbey, Mediano, Birdal, "Grokking at the Edge of Numerical
  Stability", ICLR 2025.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

__all__ = [
  'absorbed_updates',
  'euler_products',
  'fourier_sparsity',
  'logit_gaps',
  'zero_fraction',
]


def zero_fraction(tree: PyTree) -> Float[Array, '']:
  """Fraction of entries, over all tensors, that are exactly zero.

  >>> print(zero_fraction({'a': jnp.array([0.0, 1e-30])}))
  0.5
  """
  leaves = jax.tree.leaves(tree)
  zeros = jnp.sum(jnp.stack([jnp.sum(x == 0) for x in leaves]))
  return zeros.astype(leaves[0].dtype) / sum(x.size for x in leaves)


def absorbed_updates(params: PyTree, updates: PyTree) -> Float[Array, '']:
  """Fraction of entries with w + u == w in floating point.

  >>> print(absorbed_updates(jnp.ones(2), jnp.array([1e-30, 0.5])))
  0.5
  """
  return zero_fraction(jax.tree.map(lambda w, u: (w + u) - w, params, updates))


def euler_products(params: PyTree, grads: PyTree) -> Float[Array, ' tensors']:
  """<w_l, ∂L/∂w_l> of each tensor.

  For a ReLU network without biases all are the same number, that of the logits,
  Σ_i <z_i, ∂L/∂z_i>: the output is homogeneous of degree one in each layer.

  >>> print(euler_products({'a': jnp.ones(2)}, {'a': jnp.array([1.0, 2.0])}))
  [3.]
  """
  pairs = zip(*map(jax.tree.leaves, (params, grads)), strict=True)
  return jnp.stack([jnp.sum(w * g) for w, g in pairs])


def logit_gaps(
  logits: Float[Array, 'rows classes'],
  labels: Int[Array, ' rows'],
  quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
) -> tuple[Float[Array, ' quantiles'], Float[Array, '']]:
  """How far the correct logit is ahead of the best other one.

      gap_i = z_{i,y_i} − max_{k ≠ y_i} z_{i,k}

  Args:
    logits: One row a sample.
    labels: The correct classes.
    quantiles: Of the gaps.

  Returns:
    (their quantiles, the least of them: the margin, negative while a row is
    misclassified).

  >>> z = jnp.array([[3.0, 1.0], [1.0, 2.0]])
  >>> gaps, margin = logit_gaps(z, jnp.array([0, 0]), (0.0, 1.0))
  >>> print(gaps, margin)
  [-1.  2.] -1.0
  """
  classes = jax.lax.broadcasted_iota(labels.dtype, logits.shape, 1)
  correct = classes == labels[:, None]
  own = jnp.sum(jnp.where(correct, logits, 0), -1)
  gaps = jnp.sort(own - jnp.max(jnp.where(correct, -jnp.inf, logits), -1))
  # Of a sorted array: `jnp.quantile` would interpolate in another dtype.
  index = [round(q * (len(gaps) - 1)) for q in quantiles]
  return gaps[np.array(index)], gaps[0]


def fourier_sparsity(table: Float[Array, 'p width']) -> Float[Array, '']:
  """How few frequencies an embedding of Z_p uses: 1 one, 0 all alike.

      P_f = ‖Σ_x e^{−2πi f x/p} E_x‖²,  f = 1 ... ⌊p/2⌋,
      1 − H(P/Σ P)/ln ⌊p/2⌋,  H the entropy

  Args:
    table: Row x belongs to the number x.

  Returns:
    The sparsity, in [0, 1].

  >>> x = 2 * np.pi * 3 * jnp.arange(11) / 11
  >>> print(fourier_sparsity(jnp.stack([jnp.cos(x), jnp.sin(x)], 1)).round(3))
  1.0
  """
  p = table.shape[0]
  top = max(p // 2, 2)
  angle = 2 * np.pi * np.outer(np.arange(1, top + 1), np.arange(p)) / p
  # As a product with a matrix: p is small, and it is the same on every device.
  real, imaginary = (
    jnp.asarray(f(angle), table.dtype) @ table for f in (np.cos, np.sin)
  )
  power = jnp.sum(real**2 + imaginary**2, 1)
  share = power / jnp.sum(power)
  there = share > 0
  terms = jnp.where(there, share * jnp.log(jnp.where(there, share, 1)), 0)
  return 1 + jnp.sum(terms) / np.log(top)
