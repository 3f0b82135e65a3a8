"""Points drawn in R^p, and gradient descent on the first layer itself.

The same points and the same W(0) are had in the Gram form, which is cheaper
once p exceeds n: one run, two ways to write it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key, UInt

from framework.systems.clusters.xor import data as xor_data
from framework.systems.clusters.xor import net as xor_net
from framework.systems.clusters.xor.facts import Facts, View, facts_of
from framework.systems.clusters.xor.gram import Gram, gram_of

__all__ = ['Explicit', 'explicit_problem', 'gram_problem']


class Explicit(NamedTuple):
  """A run in R^p: what is fixed over time."""

  facts: Facts
  x: Float[Array, 'n p']
  x_test: Float[Array, 'test p']
  start: UInt[Array, '...']  # words of the key of W(0), which is as large as x

  @property
  def S(self) -> Float[Array, 'n 2']:
    """X along μ_1/‖μ‖ and μ_2/‖μ‖."""
    return self.x[:, :2]

  def params(self, omega: Float[ArrayLike, '']) -> dict[str, Array]:
    """W(0)."""
    key = jax.random.wrap_key_data(self.start)
    p, m = self.x.shape[1], len(self.facts.a)
    return {'W': xor_net.first_layer(key, p, m, omega, self.x.dtype)}

  def value_and_grad(
    self, params: dict[str, Array], leak: Float[ArrayLike, '']
  ) -> tuple[Float[Array, ''], dict[str, Array]]:
    """The loss and its gradient in W, by differentiating the flax module.

    Args:
      params: {'W'}.
      leak: λ of the activation.

    Returns:
      (L, {'W': ∇L}).
    """
    facts = self.facts
    net = xor_net.TwoLayerNet(len(facts.a), dtype=self.x.dtype)

    def loss(params):
      tree = {'params': params, 'frozen': {'a': facts.a}}
      f = jnp.asarray(net.apply(tree, self.x, leak))
      return jnp.mean(jax.nn.softplus(-facts.train.y * f))

    return jax.value_and_grad(loss)(params)

  def view(self, params: dict[str, Array]) -> View:
    """The view of the probes, from W."""
    W = params['W']
    return View(Z=self.x @ W, T=self.x_test @ W, P=W[:2], N=jnp.sum(W**2, 0))


def explicit_problem(
  key: Key[Array, ''],
  n: int,
  n_test: int,
  m: int,
  p: int,
  mu_norm: Float[ArrayLike, ''],
  eta: Float[ArrayLike, ''],
  omega: Float[ArrayLike, ''],
  stratified: Float[ArrayLike, ''] = 0.0,
  dtype: DTypeLike = jnp.float32,
) -> Explicit:
  """Draws a run in R^p.

  Args:
    key: Key of the draw.
    n: Training points.
    n_test: Test points, with clean labels.
    m: Neurons.
    p: Dimension, >= 2.
    mu_norm: ‖μ‖.
    eta: Probability η of a flipped training label.
    omega: Standard deviation ω of W(0).
    stratified: 1 deals out n/4 points a cluster, as in `data.labels`.
    dtype: Type of all numbers.

  Returns:
    An `Explicit`.

  Raises:
    ValueError: As in `data.xor_cluster`.

  >>> import jax
  >>> found = explicit_problem(jax.random.key(0), 8, 4, 6, 30, 9.0, 0.05, 1.0)
  >>> found.x.shape, found.params(1.0)['W'].shape
  ((8, 30), (30, 6))
  """
  keys = jax.random.split(key, 4)
  train = xor_data.xor_cluster(keys[0], n, p, mu_norm, eta, stratified, dtype)
  test = xor_data.xor_cluster(keys[1], n_test, p, mu_norm, 0.0, 0.0, dtype)
  a = xor_net.second_layer(keys[2], m, dtype)
  W0 = xor_net.first_layer(keys[3], p, m, omega, dtype)
  facts = facts_of(train, test, a, train.x @ W0)
  return Explicit(facts, train.x, test.x, jax.random.key_data(keys[3]))


def gram_problem(
  key: Key[Array, ''],
  n: int,
  n_test: int,
  m: int,
  p: int,
  mu_norm: Float[ArrayLike, ''],
  eta: Float[ArrayLike, ''],
  omega: Float[ArrayLike, ''],
  stratified: Float[ArrayLike, ''] = 0.0,
  dtype: DTypeLike = jnp.float32,
) -> Gram:
  """Draws the run of `explicit_problem` in its Gram form.

  Args:
    key: Key of the draw.
    n: Training points.
    n_test: Test points, with clean labels.
    m: Neurons.
    p: Dimension, >= 2.
    mu_norm: ‖μ‖.
    eta: Probability η of a flipped training label.
    omega: Standard deviation ω of W(0).
    stratified: 1 deals out n/4 points a cluster, as in `data.labels`.
    dtype: Type of all numbers.

  Returns:
    A `Gram`.

  Raises:
    ValueError: As in `data.xor_cluster`.
  """
  drawn = explicit_problem(
    key, n, n_test, m, p, mu_norm, eta, omega, stratified, dtype
  )
  return gram_of(
    xor_data.XorData(drawn.x, drawn.facts.train),
    xor_data.XorData(drawn.x_test, drawn.facts.test),
    drawn.params(omega)['W'],
    drawn.facts.a,
  )
