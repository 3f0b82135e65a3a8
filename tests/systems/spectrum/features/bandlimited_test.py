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


def error(row, width):
  _, f, index = GOLDEN['rows'][row]
  a, b = GOLDEN[f'W_{int(index)}'][:, :width].astype(float)
  x = np.linspace(-1, 1, 800)
  phi = features.bump(jnp.asarray(x[:, None] * a[None] - b[None]))
  y = jnp.asarray(np.sin(2 * np.pi * f * x))
  return features.relative_error(phi @ phi.T / width, y, 1e-6)


@pytest.mark.parametrize(
  'row', [2, *(pytest.param(r, marks=pytest.mark.slow) for r in (0, 3, 4, 6))]
)
def test_errors_are_those_of_the_reference(row):
  for i, width in enumerate(GOLDEN['Ns'][:2]):
    np.testing.assert_allclose(
      error(row, width), GOLDEN['err'][row, i], rtol=1e-8, atol=0
    )


def test_the_floor_is_the_limit_of_wide_layers():
  x = jnp.linspace(-1, 1, 60)
  y = jnp.sin(2 * jnp.pi * x)
  limit = features.floor(x, y, 3.0, 1e-3)
  phi = features.random_features(jax.random.key(0), x, 3.0, 20_000)
  wide = features.relative_error(phi @ phi.T / 20_000, y, 1e-3)
  np.testing.assert_allclose(wide, limit, rtol=0.03, atol=0)


def test_a_layer_grows_feature_by_feature():
  system = features.bandlimited(features.Structure(points=30, batch=4))
  hp = jax.tree.map(jnp.asarray, features.Hp(ridge=1e-2))
  state, seen = rollout(system, jax.random.key(0), hp, jnp.array([3]))
  assert state.count == 12
  y = jnp.sin(2 * jnp.pi * jnp.linspace(-1, 1, 30))
  np.testing.assert_allclose(
    seen['error'][0],
    features.relative_error(state.kernel / 12, y, 1e-2),
    rtol=1e-12,
    atol=0,
  )
