"""One hidden layer: quadrature against another rule, and finite networks."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from framework.evidence import fits
from framework.systems.infinite_width.limits import finite, mean_field
from framework.systems.infinite_width.limits import linear as linear_limit

T, LR, SIGMA1, SIGMA_V = 5, 0.3, 0.7, 1.1
X = np.array([[-1.2], [-0.3], [0.5], [1.4]])
Y = np.array([[0.4], [-1.0], [0.8], [0.3]])
PROBE = np.linspace(-2, 2, 5)[:, None]
JNP = {
  'tanh': jnp.tanh,
  'erf': jax.scipy.special.erf,
  'gelu': lambda u: jax.nn.gelu(u, approximate=False),
}
# φ and φ' in numpy.
NUMPY = {
  'tanh': (np.tanh, lambda u: 1 / np.cosh(u) ** 2),
  'erf': (
    scipy.special.erf,
    lambda u: 2 / np.sqrt(np.pi) * np.exp(-(u**2)),
  ),
  'gelu': (
    lambda u: u * scipy.special.ndtr(u),
    lambda u: (
      scipy.special.ndtr(u) + u * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    ),
  ),
}


def trapezoid(phi, slope):
  """The same limit by the trapezoid rule: exponentially good for analytic φ."""
  z = np.arange(-9, 9.001, 0.1)
  w = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * 0.1
  u, v = (a.ravel() for a in np.meshgrid(SIGMA1 * z, SIGMA_V * z))
  weight = np.outer(w, w).ravel()
  out = []
  for _ in range(T + 1):
    out.append((weight * v) @ phi(np.outer(u, PROBE)))
    h = np.outer(u, X)
    chi = ((weight * v) @ phi(h) - Y[:, 0]) / len(X)
    change = v * (slope(h) @ (chi * X[:, 0]))
    u, v = u - LR * change, v - LR * phi(h) @ chi
  return np.array(out)


def trajectory(state, phi, x=X, y=Y, probe=PROBE):
  x, y, probe = map(jnp.asarray, (x, y, probe))

  def one(state, _):
    f = mean_field.apply(state, probe, phi)
    return mean_field.step(state, x, y, LR, phi), f

  return jax.lax.scan(one, state, None, T + 1)[1]


@pytest.mark.parametrize('name', NUMPY)
def test_quadrature_is_another_quadrature(name):
  run = jax.jit(lambda state: trajectory(state, JNP[name]))
  want = trapezoid(*NUMPY[name])
  error = [
    np.abs(
      run(mean_field.quadrature(1, 1, nodes, SIGMA1, SIGMA_V))[..., 0] - want
    ).max()
    for nodes in (20, 120)
  ]
  assert error[1] <= 1e-7
  # It converges: twenty nodes are not enough, or nothing is shown.
  assert error[0] > 10 * error[1]


def test_three_dimensions_and_a_linear_activation_are_exact():
  rng = np.random.default_rng(0)
  x, y, probe = (rng.standard_normal(s) for s in ((4, 2), (4, 1), (5, 2)))
  state = mean_field.quadrature(2, 1, 20, SIGMA1, SIGMA_V)
  got = jax.jit(lambda s: trajectory(s, lambda u: u, x, y, probe))(state)
  net = linear_limit.init(2, 1, SIGMA1, SIGMA_V)

  def loss(net):
    return finite.squared_loss(linear_limit.apply(net, x, 1.0, 0.0), y)

  @jax.jit
  def step(net):
    after = jax.tree.map(lambda p, g: p - LR * g, net, jax.grad(loss)(net))
    return linear_limit.apply(net, probe, 1.0, 0.0), after

  for f in got:
    want, net = step(net)
    np.testing.assert_allclose(f, want, atol=1e-12, rtol=1e-7)


def test_particles_are_a_network():
  """To rounding, with the same weights: W^1 = U, W^2 = Vᵀ/n."""
  n = 50
  state = mean_field.particles(jax.random.key(0), 1, 1, n)
  w = np.asarray(state.U), np.asarray(state.V).T / n

  @jax.jit
  def step(w):
    after = finite.step(w, X, Y, LR, jnp.tanh)
    return finite.apply(w, PROBE, jnp.tanh), after

  for f in jax.jit(lambda state: trajectory(state, jnp.tanh))(state):
    want, w = step(w)
    np.testing.assert_allclose(f, want, atol=1e-13, rtol=1e-7)


def test_networks_come_to_it_as_the_root_of_the_width():
  """Slope −1/2 in [−0.58, −0.44]; 200 seeds leave ± 0.016 of it open."""
  want = trajectory(mean_field.quadrature(1, 1), jnp.tanh)
  keys = jax.random.split(jax.random.key(1), 200)
  widths = (64, 256, 1024, 4096)
  error = []
  for n in widths:

    def run(key, n=n):
      return trajectory(mean_field.particles(key, 1, 1, n), jnp.tanh)

    f = jax.jit(lambda keys, run=run: jax.lax.map(run, keys))(keys)
    error.append(np.sqrt(np.mean((f - want[None]) ** 2, (0, 2, 3))))
  for t in (0, 1, T):
    rms = np.array(error)[:, t]
    slope = float(fits.power_law(np.array(widths, float), rms).slope)
    assert -0.58 <= slope <= -0.44, (t, slope)


def test_steps_are_compiled_once():
  step = jax.jit(
    chex.assert_max_traces(mean_field.step, n=1),
    static_argnums=4,
    donate_argnums=0,
  )
  state = mean_field.quadrature(1, 1, 20)
  for t in range(3):
    state = step(state, X, Y, 0.1 * t, jnp.tanh)
  assert np.isfinite(state.U).all()


@pytest.mark.parametrize(
  'make, line',
  [
    (lambda: mean_field.quadrature(2, 2), r'd \+ k is 4, expected at most 3'),
    (lambda: mean_field.quadrature(0, 1), 'd is 0, expected'),
    (lambda: mean_field.quadrature(1, 1, 999), 'nodes is 999, expected 1 to'),
    (lambda: mean_field.particles(jax.random.key(0), 1, 1, 0), 'n is 0'),
  ],
)
def test_bad_input_is_one_line(make, line):
  with pytest.raises(ValueError, match=line):
    make()
