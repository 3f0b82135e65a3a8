"""Inductive bias: how much a problem asks of whoever is to generalise.

    I(ε) = −ln P(test loss <= ε | a random hypothesis fits the training set)

Hypotheses that are draws of a Gaussian process with kernel k have, given the
training set, test outputs N(μ, Σ), μ = K_t K⁻¹ y, Σ = K_tt − K_t K⁻¹ K_tᵀ: the
test loss ‖output − y_t‖²/n_t is a sum of w_j (z_j + b_j)² in the eigenbasis of
Σ, whose tail is in `quadratic`. Networks are hypotheses as well: those that fit
the training set, from random starts, have losses to which the same family is
fitted by two moments. That is an extrapolation of a fitted tail.

*Deviation*: the authors sample losses and fit a scaled non-central χ²; here the
Gaussian case is computed without a sample.

References:
  Boopathy, Liu, Fiete, "Towards Exact Computation of Inductive Bias", 2024.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from framework.maths import linalg
from framework.systems.spectrum.inductive_bias.quadratic import lugannani_rice

__all__ = [
  'Losses',
  'bias',
  'bias_of_losses',
  'bias_of_moments',
  'loss_distribution',
  'posterior',
  'rbf',
]


class Losses(NamedTuple):
  """The test loss as shift + Σ w_j (z_j + b_j)²."""

  w: Float[Array, ' n']
  m: Float[Array, ' n']  # w_j b_j²
  shift: Float[Array, '']  # of directions without variance


def rbf(
  x: Float[Array, 'n d'],
  y: Float[Array, 'm d'],
  length: Float[ArrayLike, ''] = 1.0,
) -> Float[Array, 'n m']:
  """The kernel exp(−‖x − x'‖²/(2l²)).

  >>> print(rbf(jnp.zeros((1, 2)), jnp.zeros((1, 2))))
  [[1.]]
  """
  squares = jnp.sum(x**2, 1)[:, None] + jnp.sum(y**2, 1)[None] - 2 * x @ y.T
  return jnp.exp(-jnp.maximum(squares, 0) / (2 * jnp.asarray(length) ** 2))


def posterior(
  train: Float[Array, 'n n'],
  cross: Float[Array, 't n'],
  test: Float[Array, 't t'],
  y: Float[Array, ' n'],
  jitter: Float[ArrayLike, ''] = 1e-6,
  used: Bool[Array, ' n'] | None = None,
) -> tuple[Float[Array, ' t'], Float[Array, 't t']]:
  """Mean and covariance of the test outputs of what fits the training set.

  Args:
    train: K on the training inputs.
    cross: K between test and training inputs.
    test: K on the test inputs.
    y: Training labels.
    jitter: Added to the diagonal of `train` alone.
    used: Which examples there are; all of them when None.

  Returns:
    (μ, Σ).
  """
  n = y.size
  if used is not None:
    keep = used.astype(y.dtype)
    # An example that is not there is one of its own, with label 0.
    train = train * keep[:, None] * keep[None] + jnp.diag(1 - keep)
    cross, y = cross * keep[None], y * keep
  gram = train + jnp.asarray(jitter, y.dtype) * jnp.eye(n, dtype=y.dtype)
  solved = linalg.solve_spd(
    gram, jnp.concatenate([cross.T, y[:, None]], axis=1)
  )
  return cross @ solved[:, -1], test - cross @ solved[:, :-1]


def loss_distribution(
  mean: Float[Array, ' t'],
  covariance: Float[Array, 't t'],
  y: Float[Array, ' t'],
) -> Losses:
  """The distribution of the mean squared test error.

  Args:
    mean: μ.
    covariance: Σ.
    y: Test labels.

  Returns:
    `Losses`; directions of less than 1e-15 of the largest variance are shift.
  """
  values, vectors = linalg.eigh((covariance + covariance.T) / 2)
  off = (vectors.T @ (mean - y)) ** 2 / y.size
  w = values / y.size
  alive = w > 1e-15 * jnp.max(w)
  return Losses(
    jnp.where(alive, w, 0),
    jnp.where(alive, off, 0),
    jnp.sum(jnp.where(alive, 0, off)),
  )


def bias(losses: Losses, eps: Float[ArrayLike, '']) -> Float[Array, '']:
  """I(ε) in nats: −ln P(loss <= ε).

  Args:
    losses: As of `loss_distribution`.
    eps: ε.

  Returns:
    Nats; infinite where ε is below what no hypothesis can do.

  >>> ten = Losses(jnp.ones(10) / 10, jnp.zeros(10), jnp.array(0.0))
  >>> print(f'{bias(ten, 0.1):.1f}')
  8.7
  """
  rest = jnp.asarray(eps, losses.w.dtype) - losses.shift
  safe = jnp.where(rest > 0, rest, 1)
  lower, _ = lugannani_rice(losses.w, losses.m, safe)
  return jnp.where(rest > 0, -lower, jnp.inf)


def bias_of_losses(
  seen: Float[Array, ' hypotheses'], eps: Float[ArrayLike, '']
) -> Float[Array, '']:
  """I(ε) in nats from losses of hypotheses that fit: two moments of a tail.

  Args:
    seen: Test losses, of at least two hypotheses.
    eps: ε.

  Returns:
    Nats: an extrapolation wherever no loss that was seen is below ε.
  """
  return bias_of_moments(jnp.mean(seen), jnp.var(seen, ddof=1), eps)


def bias_of_moments(
  mean: Float[ArrayLike, ''],
  variance: Float[ArrayLike, ''],
  eps: Float[ArrayLike, ''],
) -> Float[Array, '']:
  """I(ε) in nats of a scaled χ² loss of that mean and variance.

      −ln P(ν/2, εν/(2 mean)),  ν = 2 mean²/variance

  with P the lower regularised incomplete gamma function.

  Args:
    mean: Of the loss, > 0.
    variance: Of the loss, > 0.
    eps: ε.

  Returns:
    Nats.

  >>> print(f'{bias_of_moments(1.0, 0.2, 0.1):.1f}')  # the mean of ten squares
  8.7
  """
  mean, variance = jnp.asarray(mean), jnp.asarray(variance)
  nu = 2 * mean**2 / variance
  return -_log_gamma_tail(nu / 2, jnp.asarray(eps) * nu / (2 * mean))


def _log_gamma_tail(a: Array, x: Array) -> Array:
  """Ln of the lower regularised incomplete gamma function, deep down too.

  P(a, x) = x^a e^−x Σ_j x^j / Γ(a+j+1)
  """
  j = jnp.arange(400, dtype=x.dtype)
  terms = j * jnp.log(x) - jax.scipy.special.gammaln(a + j + 1)
  series = a * jnp.log(x) - x + jax.nn.logsumexp(terms)
  direct = jnp.log(jax.scipy.special.gammainc(a, x))
  return jnp.where(x < a + 20, series, direct)
