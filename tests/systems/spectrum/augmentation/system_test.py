"""Spectral-contrastive training, at its minimum and on its way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.spectrum import augmentation as aug


def test_the_minimum_spans_the_top_eigenspace():
  """Φ(a) = Σ λ^½-scaled projections: the loss is −Σ λ² there, nowhere less."""
  p = np.asarray(aug.views(3, 0.4, 0.1))
  V, k = aug.parities(3, 1), 4
  lam = np.asarray(aug.eigenvalues(3, 0.4, 0.1))[:k]
  total = p.mean(0)
  # The adjoint of the smoothing, of the eigenfunctions.
  phi = (p.T @ V) / total[:, None] / 8**0.5
  loss = aug.spectral_contrastive_loss(jnp.asarray(phi), jnp.asarray(p))
  np.testing.assert_allclose(loss, -np.sum(lam**2), rtol=1e-12, atol=0)
  assert aug.subspace_angle(p @ phi, V) < 1e-7
  other = phi + 0.01 * np.random.default_rng(0).normal(size=phi.shape)
  assert (
    aug.spectral_contrastive_loss(jnp.asarray(other), jnp.asarray(p)) > loss
  )


def test_the_loss_is_that_of_pairs_of_views():
  p = np.asarray(aug.views(2, 0.4, 0.1))
  phi = np.random.default_rng(1).normal(size=(9, 2))
  gram = phi @ phi.T
  positive = np.mean([r @ gram @ r for r in p])
  total = p.mean(0)
  negative = total @ gram**2 @ total
  np.testing.assert_allclose(
    aug.spectral_contrastive_loss(jnp.asarray(phi), jnp.asarray(p)),
    -2 * positive + negative,
    rtol=1e-12,
    atol=0,
  )


@pytest.mark.slow
def test_a_trained_encoder_finds_it():
  train = aug.system(aug.Structure(d=5, k=6))
  hp = jax.tree.map(jnp.float32, aug.Hp(mask=0.3))
  run = jax.jit(
    lambda hp: rollout(train, jax.random.key(0), hp, jnp.array([2000]))
  )
  assert run(hp)[1]['angle'][0] < 0.1
