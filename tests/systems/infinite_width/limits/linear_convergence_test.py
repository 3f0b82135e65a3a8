"""Finite networks of one hidden layer tend to their limits as n^-1/2."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.evidence import fits
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.limits import finite, mean_field
from framework.systems.infinite_width.limits import linear as linear_limit
from tests.compiling import counted

ACTIVATIONS = {
  'tanh': jnp.tanh,
  'erf': jax.scipy.special.erf,
  'gelu': lambda u: jax.nn.gelu(u, approximate=False),
}
D, K, STEPS = 6, 3, 8
WIDTHS = tuple(2**p for p in range(5, 13))  # 32 ... 4096
SEEDS = 100


def _sgd(params, x, y):
  def loss(p):
    return -jnp.mean(
      jnp.take_along_axis(
        jax.nn.log_softmax(linear_limit.apply(p, x)), y[:, None], 1
      )
    )

  return jax.grad(loss)(params)


def _maml(order):
  def grads(params, x, y):
    tasks = maml.Tasks(x[None, :4], y[None, :4], x[None, 4:], y[None, 4:])
    return jax.grad(maml.outer_loss)(params, tasks, 0.5, order=order)

  return grads


@pytest.fixture(scope='module')
def networks():
  """Of all widths and seeds: in its span, any has the shapes of the limit."""
  keys = jax.random.split(jax.random.key(2), SEEDS)

  def drawn(n):
    one = lambda key: linear_limit.finite(key, D, K, n, in_span=True)  # noqa: E731
    return jax.jit(jax.vmap(one))(keys)

  nets = [drawn(n) for n in WIDTHS]
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)


@pytest.mark.parametrize(
  'gradient', [_sgd, _maml(1), _maml(2)], ids=['sgd', 'fomaml', 'maml2']
)
def test_the_error_falls_as_the_root_of_the_width(gradient, networks):
  """After 1 and 8 steps; 100 seeds leave ± 0.01 of the slope open."""
  x = jax.random.normal(jax.random.key(0), (8, D))
  y = jnp.arange(8) % K
  probe = jax.random.normal(jax.random.key(1), (5, D))

  def run(params):
    def one(params, _):
      g = gradient(params, x, y)
      params = jax.tree.map(lambda p, g: p - 0.3 * g, params, g)
      return params, linear_limit.apply(params, probe)

    return jax.lax.scan(one, params, None, STEPS)[1]

  got = jax.jit(jax.vmap(jax.vmap(run)))(networks)
  want = jax.jit(run)(linear_limit.init(D, K))
  assert np.abs(want[-1] - want[0]).max() > 0.1
  error = np.sqrt(np.mean((got - want[None, None]) ** 2, (1, 3, 4)))
  assert_slopes(WIDTHS, error, {1: 0, STEPS: STEPS - 1}, -0.56, -0.44)


def assert_slopes(widths, error, times, low, high):
  """Of errors (widths, times) at times t, each in its column."""
  for t, column in times.items():
    n = np.array(widths, float)
    slope = float(fits.power_law(n, error[:, column]).slope)
    assert low <= slope <= high, (t, slope)


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_steps_of_a_network_are_compiled_once_and_donated(dtype):
  """Whatever η, in a scan, and for lanes over η and seeds."""
  x = jax.random.normal(jax.random.key(0), (4, D), dtype)
  y = jnp.ones((4, K), dtype)

  def step(weights, lr):
    return finite.step(weights, x, y, lr, jnp.tanh)

  def start(key):
    return finite.init(key, 30, D, K, depth=2, dtype=jnp.dtype(dtype))

  rates = np.array([0.1, 0.2, 0.3], dtype)
  keys = jax.random.split(jax.random.key(1), 2)
  donated = jax.jit(step, donate_argnums=0)
  before, weights = (), start(keys[0])
  for lr in rates:
    before = weights
    with counted() as count:
      weights = donated(before, lr)
    assert count.compiled == (lr == rates[0])
    for W, was in zip(weights, before, strict=True):
      assert was.is_deleted() and W.dtype == dtype

  def scanned(key, most):
    def one(weights, lr):
      return step(weights, lr), None

    return jax.lax.scan(one, start(key), most * rates)[0]

  over_rates = jax.vmap(scanned, (None, 0))
  lanes = jax.jit(jax.vmap(over_rates, (0, None)))
  found = lanes(keys, np.array([0.5, 1.0], dtype))
  near = 1e-12 if dtype == 'float64' else 1e-5
  for W, want in zip(found, weights, strict=True):
    np.testing.assert_allclose(W[0, 1], want, rtol=0, atol=near)


@pytest.mark.slow
@pytest.mark.parametrize('name', ACTIVATIONS)
def test_any_activation_tends_to_its_quadrature(name):
  """Widths 128 to 32768 over five steps; 40 seeds leave ± 0.02 open."""
  phi, widths = ACTIVATIONS[name], tuple(2**p for p in range(7, 16))
  x, y = jnp.array([[-1.2], [-0.3], [0.5], [1.4]]), jnp.array([[0.4, -1, 1, 0]])
  probe = jnp.linspace(-2, 2, 5)[:, None]

  def run(state):
    def one(state, _):
      f = mean_field.apply(state, probe, phi)
      return mean_field.step(state, x, y.T, 0.3, phi), f

    return jax.lax.scan(one, state, None, 6)[1]

  want = jax.jit(run)(mean_field.quadrature(1, 1))
  keys = jax.random.split(jax.random.key(1), 40)
  error = []
  for n in widths:
    one = lambda key, n=n: run(mean_field.particles(key, 1, 1, n))  # noqa: E731
    f = jax.jit(lambda keys, one=one: jax.lax.map(one, keys))(keys)
    error.append(np.sqrt(np.mean((f - want[None]) ** 2, (0, 2, 3))))
  # The mean of the widest is the limit, to five of its own standard errors.
  stderr = np.std(f, 0, ddof=1) / len(keys) ** 0.5
  assert np.all(np.abs(np.mean(f, 0) - want) <= 5 * stderr + 1e-12)
  assert stderr.max() < 2e-3
  times = {t: t for t in range(6)}
  assert_slopes(widths, np.array(error), times, -0.58, -0.44)
