"""Regressions on drawn data: their algebra, and their mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.spectrum import rf_risk, ridge


@pytest.mark.parametrize('k', [0, 5])
def test_a_fit_is_ridge_regression(k):
  """Against plain numpy; rows and features beyond n and k do nothing."""
  hp = ridge.Hp(n=6, k=k, ridge=0.05, noise=0.2)
  small = ridge.Structure(n_max=8, k_max=7, modes=12)
  key = jax.random.key(3)

  @jax.jit
  def fitted(hp):
    spectrum = small.of(hp)
    sizes = 8 * 12, 8, 7 * 12
    drawn = [
      jax.random.normal(k, (size,))
      for k, size in zip(jax.random.split(key, 3), sizes, strict=True)
    ]
    return spectrum, ridge.fit(key, spectrum, hp, small), drawn

  spectrum, (test, train), (inputs, noise, features) = jax.device_get(
    fitted(hp)
  )
  lam, v2 = spectrum.lam, spectrum.v2
  psi, xi = inputs.reshape(8, 12)[:6], noise[:6]
  y = psi @ np.sqrt(v2) + np.sqrt(0.2) * xi
  x = psi * np.sqrt(lam)
  g = features.reshape(7, 12)[:5]
  middle = g.T @ g / 5 if k else np.eye(12)
  kernel = x @ middle @ x.T
  dual = np.linalg.solve(kernel + 0.05 * np.eye(6), y)
  beta = np.sqrt(lam) * (middle @ x.T @ dual)
  wanted = np.sum((np.sqrt(v2) - beta) ** 2) + 0.2
  np.testing.assert_allclose(test, wanted, rtol=1e-11, atol=0)
  np.testing.assert_allclose(
    train, np.mean((kernel @ dual - y) ** 2), rtol=1e-11, atol=0
  )


@pytest.mark.slow
def test_theory_is_within_the_errors_of_a_simulation():
  """The cells of the paper's script: n = 256, k = 128, δ = 0.1, and others."""
  structure = ridge.Structure(n_max=256, k_max=256, modes=2000)
  system = ridge.sampled(structure)
  run = jax.jit(
    lambda hp: rollout(system, jax.random.key(0), hp, jnp.array([20]))[1]
  )
  for n, k, delta, noise in [
    (256, 128, 0.1, 0.0),
    (128, 0, 0.01, 0.1),
    (128, 128, 0.1, 0.1),
  ]:
    hp = ridge.Hp(n=n, k=k, ridge=delta, noise=noise)
    seen = run(jax.tree.map(jnp.asarray, hp))
    theory = rf_risk(structure.of(hp), noise, n, k or np.inf, delta)
    for name in ('test', 'train'):
      off = seen[name][0] - getattr(theory, name)
      assert abs(off) < 4 * seen[f'{name}_var'][0] ** 0.5, (n, k, name)
