"""Repeated sampling: how many problems are solved by at least one of k tries.

Of n tries at a problem c were right. The share of k-subsets with a right one,

    pass@k = 1 − C(n−c, k)/C(n, k) = 1 − Π_{j < min(c,k)} (1 − max(c,k)/(n−j)),

is an unbiased estimate of 1 − (1−p)^k; the plug-in 1 − (1 − c/n)^k is not. If
p ~ Beta(a, b) over problems, coverage is 1 − B(a, b+k)/B(a, b), and
1 − coverage ~ Γ(a+b)/Γ(b) k^−a: the density of p near 0 makes the power law.

*Deviation*: the usual form with ln Γ loses up to four digits at n = 10⁶; the
product loses none.

References:
  Brown et al., "Large Language Monkeys: Scaling Inference Compute with Repeated
  Sampling", 2024.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

__all__ = ['beta_coverage', 'majority_limit', 'pass_at_k', 'plug_in']


def pass_at_k(
  n: Int[ArrayLike, ''], c: Int[ArrayLike, ''], k: Int[ArrayLike, '']
) -> Float[Array, '']:
  """The unbiased estimate of the chance that one of k tries is right.

  Args:
    n: Tries that were made.
    c: How many of them were right, 0 <= c <= n.
    k: Tries to estimate for, 1 <= k <= n.

  Returns:
    In [0, 1].

  >>> print(f'{pass_at_k(4, 1, 2):.3f}')
  0.500
  """
  n, c, k = (jnp.asarray(x, jnp.int32) for x in (n, c, k))
  dtype = jnp.result_type(float)
  few, many = jnp.minimum(c, k), jnp.maximum(c, k)

  def add(j, total):
    share = many.astype(dtype) / jnp.maximum(n - j, 1).astype(dtype)
    # More right tries than can be left out: the last factor is zero.
    return total + jnp.log1p(-jnp.minimum(share, 1))

  total = jax.lax.fori_loop(0, few, add, jnp.zeros((), dtype))
  return 0 - jnp.expm1(total)  # not −0 where none was right


def plug_in(
  n: Int[ArrayLike, ''], c: Int[ArrayLike, ''], k: Int[ArrayLike, '']
) -> Float[Array, '']:
  """The biased estimate 1 − (1 − c/n)^k: too low where p is small.

  >>> print(f'{plug_in(4, 1, 2):.4f}')
  0.4375
  """
  dtype = jnp.result_type(float)
  n, c, k = (jnp.asarray(x, dtype) for x in (n, c, k))
  share = jnp.minimum(c / n, 1)
  return jnp.where(share < 1, -jnp.expm1(k * jnp.log1p(-share)), 1.0)


def beta_coverage(
  a: Float[ArrayLike, ''], b: Float[ArrayLike, ''], k: Float[ArrayLike, '']
) -> Float[Array, '']:
  """ln(1 − coverage) of k tries, where p ~ Beta(a, b) over problems.

      ln B(a, b+k) − ln B(a, b)

  Args:
    a: Shape a > 0: how the density falls to p = 0.
    b: Shape b > 0.
    k: Tries.

  Returns:
    The logarithm, negative.

  >>> print(f'{-jnp.expm1(beta_coverage(0.4, 1.2, 1.0)):.3f}')
  0.250
  """
  given = (jnp.asarray(x, jnp.result_type(float)) for x in (a, b, k))
  a, b, k = jnp.broadcast_arrays(*given)
  return _rise(b, a) - _rise(b + k, a)


def _rise(x: Array, a: Array) -> Array:
  """The rise ln Γ(x+a) − ln Γ(x), by Stirling far up: nothing cancels."""
  far = 12
  j = jnp.arange(far, dtype=x.dtype)[(None,) * x.ndim]
  shape = (..., None)
  near = jnp.sum(jnp.log1p(a[shape] / (x[shape] + j)), axis=-1)
  z, y = x + far, x + far + a
  main = a * jnp.log(z) + (y - 0.5) * jnp.log1p(a / z) - a

  def series(u):
    return (
      1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * u**2)) / u**2) / u**2
    ) / u

  return main + series(y) - series(z) - near


def majority_limit(P: Float[ArrayLike, 'problems answers']) -> Float[Array, '']:
  """The accuracy of a majority vote with infinitely many votes.

  The share of problems whose right answer, the first column, is the most
  likely one; a tie counts as its share.

  Args:
    P: Probability of each answer to each problem.

  Returns:
    In [0, 1].

  >>> print(majority_limit(jnp.array([[0.4, 0.3, 0.3], [0.2, 0.4, 0.4]])))
  0.5
  """
  P = jnp.asarray(P)
  most = jnp.max(P, axis=1, keepdims=True)
  tied = jnp.sum(most == P, axis=1)
  return jnp.mean(jnp.where(P[:, 0] == most[:, 0], 1 / tied, 0))
