"""Closed forms against automatic differentiation; starts, room, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths import gaussian
from framework.systems.infinite_width import pi
from framework.systems.infinite_width.pi import gradient, net, rows, sgd

ACTIVATIONS = 'relu', 'erf', 'sin', 'exp', 'identity', 'gelu'


def near(one, other, atol=1e-12):
  np.testing.assert_allclose(one, other, rtol=0, atol=atol)


@pytest.mark.parametrize('name', ACTIVATIONS)
def test_backward_is_the_derivative_of_forward(name):
  """Of a layer of rows that are not normalised, in closed form."""
  phi, key = gaussian.transform(name), jax.random.key(0)
  A, B, g = (jax.random.normal(k, (3, 2)) for k in jax.random.split(key, 3))
  layer = (rows.of(A, B, jnp.array([1.0, -0.5, 0.3])),)

  @jax.jit
  def both(g):
    y, pull = rows.evaluate(phi, layer, g)
    dy = jnp.cos(y)
    _, auto = jax.vjp(lambda g: rows.evaluate(phi, layer, g)[0], g)
    return pull(dy), auto(dy)[0]

  mine, theirs = both(g)
  near(mine, theirs)


def test_rows_of_a_gradient_descend_the_loss():
  """A small step lowers the loss by η times the square of the norms."""
  phi, alphas = gaussian.transform('relu'), net.Multipliers(1.5, 0.7, 0.5, 0.5)
  key = jax.random.key(1)
  x = jax.random.normal(key, (4, 3))
  start = net.gaussian()(key, 3, 2, 4, 2, x.dtype)
  state = sgd.begin(start, 4, 4)

  @jax.jit
  def change(lr):
    def loss(f):
      return jnp.mean(jnp.sum((f - 1) ** 2, 1))

    grads = gradient.gradient(phi, state.net, x, loss, alphas)
    square = sum(n**2 for n in jax.tree.leaves(gradient.norms(phi, grads)))
    after = sgd.update(phi, state, grads, sgd.Rates(lr))
    f, moved = (net.apply(phi, n, x, alphas) for n in (state.net, after.net))
    return (loss(f) - loss(moved)) / lr, square

  found, want = change(1e-6)
  np.testing.assert_allclose(found, want, rtol=1e-4, atol=0)


def test_without_room_a_run_is_not_finite():
  start = net.gaussian()(jax.random.key(0), 2, 2, 2, 1, jnp.float32)
  state = sgd.begin(start, 2, 2)
  x = jnp.ones((2, 2), jnp.float32)
  relu = gaussian.transform('relu')

  @jax.jit
  def step(state):
    return sgd.step(relu, state, x, lambda f: jnp.sum(f**2), sgd.Rates())

  state = step(state)
  assert np.isfinite(state.net.first).all()
  assert np.isnan(step(state).net.first).all()
  bigger = sgd.grow(state, batch=2)
  assert [r.c.size for r in bigger.net.layers[0]] == [2, 2, 2]


def test_one_line_for_what_cannot_be_built():
  with pytest.raises(ValueError, match='only rules linear in past gradients'):
    pi.limit(rule=lambda hp: None)
  with pytest.raises(ValueError, match='normalised is True, expected False'):
    pi.limit(phi=gaussian.transform('erf'), normalised=True)
  with pytest.raises(ValueError, match='expected one of relu'):
    gaussian.transform('tanh')
  with pytest.raises(ValueError, match='width is 3, expected at least'):
    pi.pinet(3, rank=4)
  with pytest.raises(ValueError, match='expected ntk or nngp'):
    pi.kernel('gp')


def test_an_activation_of_ones_own_needs_its_v():
  erf = gaussian.transform('erf')
  mine = gaussian.own('mine', erf.V)
  args = jnp.array(0.5), jnp.array(0.4), jnp.array(0.3)
  near(mine.V_dot(*args), erf.V_dot(*args))
  with pytest.raises(ValueError, match='activation mine has no phi'):
    mine.phi(jnp.zeros(2))


@pytest.mark.parametrize('which', ['ntk', 'nngp'])
def test_a_kernel_is_ridge_regression_on_centred_labels(which):
  """f(x) = K(x, X) (K + δ K̄ I)⁻¹ (1{y = c} − ½), with numpy."""
  rng = np.random.default_rng(0)
  X, x, y = rng.normal(size=(6, 4)), rng.normal(size=(3, 4)), np.arange(6) % 2
  learner = pi.kernel(which)(pi.Sizes(2, 1, 6, jnp.float64))
  hp = pi.Hp(ridge=0.3)

  @jax.jit
  def says(X, y, x):
    state = learner.init(jax.random.key(0), {'x': X, 'y': y}, hp)
    K = learner.gram(state, jnp.concatenate([X, x]), hp)
    return K, learner.apply(state, x, hp)

  K, found = jax.device_get(says(X, y, x))
  gram = K[:6, :6] + 0.3 * np.mean(np.diag(K[:6, :6])) * np.eye(6)
  want = K[6:, :6] @ np.linalg.solve(gram, np.eye(2)[y] - 0.5)
  # On the diagonal an arc cosine rounds at the root of the precision.
  near(found, want, 1e-9)
