"""⊥Grad against stored vectors of the reference, and where rounding rules."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.optimizers import perp_grad, project

GOLDEN = np.load(
  pathlib.Path(__file__).parents[1] / 'golden' / 'grok_orthograd.npz'
)
TOLERANCE = {'f32': 2e-6, 'f64': 1e-14}
BASES = {
  'sgd': lambda: optax.sgd(0.1),
  'sgdm': lambda: optax.sgd(0.1, momentum=0.8),
  'adamw': lambda: optax.adamw(0.01, weight_decay=0.0),
  'adamw_wd': lambda: optax.adamw(0.01, weight_decay=0.5),
}


def stored(name):
  return [GOLDEN[f'{name}_{i}'] for i in range(3)]


@pytest.mark.parametrize('kind', ['f32', 'f64'])
def test_the_projection_is_that_of_the_reference(kind):
  for w, g, wanted in zip(
    *(stored(f'{kind}_{name}') for name in ('w0', 'g0', 'proj')), strict=True
  ):
    found = project(g, w)
    assert found.dtype == w.dtype
    error = np.max(np.abs(found - wanted)) / np.max(np.abs(wanted))
    assert error <= TOLERANCE[kind]


@pytest.mark.parametrize('kind', ['f32', 'f64'])
@pytest.mark.parametrize('base', BASES)
def test_five_steps_with_each_base_are_those_of_the_reference(kind, base):
  w = stored(f'{kind}_w0')
  rule = optax.chain(perp_grad(), BASES[base]())
  state = jax.jit(rule.init)(w)

  @jax.jit
  def step(g, state, w):
    updates, state = rule.update(g, state, w)
    return optax.apply_updates(w, updates), state

  for t in range(5):
    w, state = step(stored(f'{kind}_g{t}'), state, w)
    for a, b in zip(w, stored(f'{kind}_{base}_w{t + 1}'), strict=True):
      error = np.max(np.abs(a - b)) / np.max(np.abs(b))
      assert error <= TOLERANCE[kind], (t, base)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.float64])
def test_it_is_orthogonal_and_keeps_the_norm(dtype):
  tolerance = {jnp.float32: 1e-6, jnp.float64: 1e-14}[dtype]
  for seed in range(5):
    g, w = np.random.default_rng(seed).standard_normal((2, 50, 30))
    g, w = g.astype(dtype), w.astype(dtype)
    found = np.asarray(project(g, w), np.float64)
    size = np.linalg.norm(found)
    w = np.asarray(w, np.float64)
    assert abs(np.vdot(found, w)) <= tolerance * size * np.linalg.norm(w)
    assert abs(size / np.linalg.norm(np.asarray(g, np.float64)) - 1) < tolerance
    plain = np.asarray(project(g, w.astype(dtype), rescale=False))
    np.testing.assert_allclose(
      plain / np.linalg.norm(plain),
      found / size,
      atol=10 * tolerance,
      rtol=1e-7,
    )
    assert np.linalg.norm(plain) < size


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.float64])
def test_norms_grow_by_pythagoras_under_plain_descent(dtype):
  tolerance = {jnp.float32: 1e-6, jnp.float64: 1e-14}[dtype]
  rule = optax.chain(perp_grad(), optax.sgd(0.3))
  g, w = np.random.default_rng(1).standard_normal((2, 400)).astype(dtype)

  @jax.jit
  def step(g, w):
    return optax.apply_updates(w, rule.update(g, rule.init(w), w)[0])

  square = [np.sum(np.float64(x) ** 2) for x in (w, g, step(g, w))]
  growth = square[2] - square[0] - 0.3**2 * square[1]
  assert abs(growth) <= tolerance * square[0]


def test_zero_weights_leave_the_gradient_as_it_is():
  g = GOLDEN['zero_w_g']
  found = project(g, np.zeros_like(g))
  np.testing.assert_array_equal(found, GOLDEN['zero_w_proj'])
  np.testing.assert_array_equal(project(0 * g, g), 0 * g)


def test_a_parallel_gradient_of_four_entries_gives_zeros():
  found = project(jnp.array(GOLDEN['par_g']), jnp.array(GOLDEN['par_w']))
  np.testing.assert_array_equal(found, GOLDEN['par_proj'])


@pytest.mark.parametrize('size', [10, 100, 1_000, 10_000, 1_000_000])
def test_the_near_parallel_trap(size):
  """Without the guard, rounding noise comes out at the norm of g."""
  noise = []
  for seed in range(8):  # in some draws everything happens to cancel exactly
    w = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    g = np.float32(3.3) * w
    assert not np.any(project(g, w))
    loose = project(g, w, guard=0.0, passes=1)
    noise.append(np.linalg.norm(loose) / np.linalg.norm(g))
  if size >= 1_000:
    assert max(noise) > 0.99


def test_a_small_orthogonal_part_is_found_by_the_second_pass():
  """One pass is off by several per cent in cosine where it is 1e-6 of g."""
  w, v = np.random.default_rng(0).standard_normal((2, 10_000))
  v -= w * (v @ w) / (w @ w)
  w32 = jnp.asarray(w, jnp.float32)
  g32 = jnp.asarray(3.3 * w + 1e-5 * v, jnp.float32)
  # What is orthogonal in the numbers that float32 can hold.
  w, g = np.asarray(w32, np.float64), np.asarray(g32, np.float64)
  truth = g - w * (w @ g) / (w @ w)

  def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

  twice = np.asarray(project(g32, w32), np.float64)
  assert abs(cosine(twice, w)) < 1e-6
  assert cosine(twice, truth) > 0.99


def test_entries_whose_squares_underflow_count():
  g = jnp.array([1e-25, 1e-25], jnp.float32)
  found = project(g, jnp.array([1.0, 0.0], jnp.float32))
  np.testing.assert_allclose(found, [0, 2**0.5 * 1e-25], rtol=1e-6, atol=0)


def test_masks_and_chains():
  w = {'a': jnp.array([1.0, 0.0]), 'b': jnp.array([1.0, 0.0])}
  rule = perp_grad(mask={'a': True, 'b': False})
  found, _ = rule.update(w, rule.init(w), w)
  np.testing.assert_array_equal(found['a'], [0, 0])
  np.testing.assert_array_equal(found['b'], [1, 0])
  with pytest.raises(ValueError, match='params'):
    rule.update(w, rule.init(w))
