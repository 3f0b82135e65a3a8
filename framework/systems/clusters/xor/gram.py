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
from jaxtyping import Array, ArrayLike, Float

from framework.systems.clusters.xor.data import XorData
from framework.systems.clusters.xor.facts import Facts, View, facts_of
from framework.systems.clusters.xor.net import outputs

__all__ = ['Gram', 'OffSpan', 'gram_of']


class Gram(NamedTuple):
  """A run in the span of its training points: what is fixed over time."""

  facts: Facts
  K: Float[Array, 'n n']  # XXᵀ
  Z0: Float[Array, 'n m']  # X W(0)
  C: Float[Array, 'test n']  # X'Xᵀ
  T0: Float[Array, 'test m']  # X'W(0)
  S: Float[Array, 'n 2']  # X along μ_1/‖μ‖, μ_2/‖μ‖
  P0: Float[Array, '2 m']  # W(0) along them
  N0: Float[Array, ' m']  # ‖w_j(0)‖²

  def params(self, omega: Float[ArrayLike, '']) -> dict[str, Array]:
    """B(0) = 0; ω is in Z0 already."""
    del omega
    return {'B': jnp.zeros_like(self.Z0)}

  def value_and_grad(
    self, params: dict[str, Array], leak: Float[ArrayLike, '']
  ) -> tuple[Float[Array, ''], dict[str, Array]]:
    """The loss, and its gradient in W written as XᵀG with G of the shape of B.

        G_ij = −(1/n) g_i y_i a_j φ'(Z_ij)

    A rule that is linear in gradients (plain, momentum, averaged) does to B
    with G what it does to W with ∇L.

    Args:
      params: {'B'}.
      leak: λ of the activation.

    Returns:
      (L, {'B': G}).
    """
    y, a = self.facts.train.y, self.facts.a
    Z = self.Z0 + self.K @ params['B']
    margins = y * outputs(Z, a, leak)
    c = -jax.nn.sigmoid(-margins) * y / len(y)
    leaky = jnp.asarray(leak, c.dtype) * c
    G = jnp.where(Z > 0, c[:, None], leaky[:, None]) * a[None, :]
    return jnp.mean(jax.nn.softplus(-margins)), {'B': G}

  def view(self, params: dict[str, Array]) -> View:
    """The view of the probes, from B."""
    B = params['B']
    Z = self.Z0 + self.K @ B
    return View(
      Z=Z,
      T=self.T0 + self.C @ B,
      P=self.P0 + self.S.T @ B,
      N=self.N0 + jnp.sum(B * (self.Z0 + Z), 0),
    )


class OffSpan(NamedTuple):
  """Parts orthogonal to the training points: they add to t = 0, for good."""

  T0: Float[Array, 'test m']
  N0: Float[Array, ' m']


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
