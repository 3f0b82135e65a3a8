"""Gradient descent on the first layer without ever leaving Rⁿ.

The gradient of L(W) = (1/n) Σ_i ln(1 + exp(−y_i f(x_i; W))) is a combination of
training points, so W(t) = W(0) + XᵀB(t) for all t, and with K = XXᵀ

    Z = Z(0) + K B                        pre-activations of the training points
    B⁺_ij = B_ij + (α/n) g_i y_i a_j φ'(Z_ij),   g_i = σ(−y_i f_i)

is the same trajectory as descent in R^p. One step is one n × n × m product,
2n²m flops instead of 4npm, and whatever is linear in W can be read off B:

    test points   T = X' W(0) + (X'Xᵀ) B      directions  P = uᵀW(0) + (X u)ᵀB
    norms         ‖w_j‖² = ‖w_j(0)‖² + ⟨B_j, Z_j(0) + Z_j⟩
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from framework.systems.clusters.xor.data import Labels, XorData
from framework.systems.clusters.xor.net import outputs

__all__ = [
  'Facts',
  'Gram',
  'OffSpan',
  'View',
  'facts_of',
  'gram_of',
  'value_and_grad',
  'view',
]


class Facts(NamedTuple):
  """What every form of the problem knows."""

  train: Labels
  test: Labels
  a: Float[Array, ' m']
  gates: Bool[Array, 'n m']  # Z(0) > 0
  linear: Float[Array, ' test']  # ⟨Σ_i y_i x_i, x⟩ of the test points


class Gram(NamedTuple):
  """What is fixed over time in the Gram form."""

  facts: Facts
  K: Float[Array, 'n n']  # XXᵀ
  Z0: Float[Array, 'n m']  # X W(0)
  C: Float[Array, 'test n']  # X'Xᵀ
  T0: Float[Array, 'test m']  # X'W(0)
  S: Float[Array, 'n 2']  # X along μ_1/‖μ‖, μ_2/‖μ‖
  P0: Float[Array, '2 m']  # W(0) along them
  N0: Float[Array, ' m']  # ‖w_j(0)‖²


class View(NamedTuple):
  """What the probes look at, the same in every form."""

  Z: Float[Array, 'n m']  # pre-activations of training points
  T: Float[Array, 'test m']  # of test points
  P: Float[Array, '2 m']  # ⟨w_j, μ_k⟩/‖μ‖
  N: Float[Array, ' m']  # ‖w_j‖²


class OffSpan(NamedTuple):
  """What parts orthogonal to the training points add at t = 0, for good."""

  T0: Float[Array, 'test m']
  N0: Float[Array, ' m']


def facts_of(
  train: XorData,
  test: XorData,
  a: Float[Array, ' m'],
  Z0: Float[Array, 'n m'],
) -> Facts:
  """The facts of points in any common orthonormal basis."""
  linear = test.x @ (train.x.T @ train.labels.y)
  return Facts(train.labels, test.labels, a, Z0 > 0, linear)


def gram_of(
  train: XorData,
  test: XorData,
  W0: Float[Array, 'd m'],
  a: Float[Array, ' m'],
  off_span: OffSpan | None = None,
) -> Gram:
  """The Gram form of points in R^d, coordinates 0 and 1 along μ_1 and μ_2.

  Args:
    train: Training points.
    test: Test points.
    W0: First layer at t = 0.
    a: Second layer.
    off_span: What coordinates beyond these d add, if there are any.

  Returns:
    A `Gram`.
  """
  Z0, T0 = train.x @ W0, test.x @ W0
  N0 = jnp.sum(W0**2, 0)
  if off_span is not None:
    T0, N0 = T0 + off_span.T0, N0 + off_span.N0
  return Gram(
    facts_of(train, test, a, Z0),
    K=train.x @ train.x.T,
    Z0=Z0,
    C=test.x @ train.x.T,
    T0=T0,
    S=train.x[:, :2],
    P0=W0[:2],
    N0=N0,
  )


def value_and_grad(
  params: dict[str, Array], problem: Gram, leak: Float[ArrayLike, '']
) -> tuple[Float[Array, ''], dict[str, Array]]:
  """The loss, and its gradient in W written as XᵀG with G of the shape of B.

      G_ij = −(1/n) g_i y_i a_j φ'(Z_ij)

  A rule that is linear in gradients (plain, momentum, averaged) does to B with
  G what it does to W with ∇L.

  Args:
    params: {'B'}.
    problem: What is fixed over time.
    leak: λ of the activation.

  Returns:
    (L, {'B': G}).
  """
  facts = problem.facts
  y, a = facts.train.y, facts.a
  Z = problem.Z0 + problem.K @ params['B']
  margins = y * outputs(Z, a, leak)
  c = -jax.nn.sigmoid(-margins) * y / len(y)
  leaky = jnp.asarray(leak, c.dtype) * c
  G = jnp.where(Z > 0, c[:, None], leaky[:, None]) * a[None, :]
  return jnp.mean(jax.nn.softplus(-margins)), {'B': G}


def view(params: dict[str, Array], problem: Gram) -> View:
  """What the probes look at, from B."""
  B = params['B']
  Z = problem.Z0 + problem.K @ B
  return View(
    Z=Z,
    T=problem.T0 + problem.C @ B,
    P=problem.P0 + problem.S.T @ B,
    N=problem.N0 + jnp.sum(B * (problem.Z0 + Z), 0),
  )
