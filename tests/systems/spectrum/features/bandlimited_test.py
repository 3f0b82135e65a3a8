"""Bounded random features against a reference on stored draws."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.spectrum import features

GOLDEN = np.load(
  pathlib.Path(__file__).parents[3] / 'golden' / 'spectrum' / 'band.npz'
)


relative_error = jax.jit(features.relative_error)


@jax.jit
def error_of(x, y, a, b):
  phi = features.bump(x[:, None] * a[None] - b[None])
  return features.relative_error(phi @ phi.T / a.size, y, 1e-6)


def error(row, width):
  _, f, index = GOLDEN['rows'][row]
  a, b = GOLDEN[f'W_{int(index)}'][:, :width].astype(float)
  x = np.linspace(-1, 1, 800)
  return error_of(x, np.sin(2 * np.pi * f * x), a, b)


@pytest.mark.parametrize(
  'row', [2, *(pytest.param(r, marks=pytest.mark.slow) for r in (0, 3, 4, 6))]
)
def test_errors_are_those_of_the_reference(row):
  for i, width in enumerate(GOLDEN['Ns'][:2]):
    np.testing.assert_allclose(
      error(row, width), GOLDEN['err'][row, i], rtol=1e-8, atol=0
    )


def test_the_floor_is_the_limit_of_wide_layers():
  x = np.linspace(-1, 1, 60)
  y = np.sin(2 * np.pi * x)
  limit = jax.jit(features.floor)(x, y, 3.0, 1e-3)
  draw = jax.jit(features.random_features, static_argnums=3)
  phi = np.asarray(draw(jax.random.key(0), x, 3.0, 20_000))
  wide = relative_error(phi @ phi.T / 20_000, y, 1e-3)
  np.testing.assert_allclose(wide, limit, rtol=0.03, atol=0)


def test_a_layer_grows_feature_by_feature():
  system = features.bandlimited(features.Structure(points=30, batch=4))
  hp = jax.tree.map(jnp.asarray, features.Hp(ridge=1e-2))
  run = jax.jit(rollout, static_argnums=0)
  state, seen = run(system, jax.random.key(0), hp, jnp.array([3]))
  assert state.count == 12
  y = np.sin(2 * np.pi * np.linspace(-1, 1, 30))
  np.testing.assert_allclose(
    seen['error'][0],
    relative_error(np.asarray(state.kernel) / 12, y, 1e-2),
    rtol=1e-12,
    atol=0,
  )
