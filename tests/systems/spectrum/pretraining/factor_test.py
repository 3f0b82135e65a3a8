"""Risks of pretraining against a reference on stored draws and many."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.spectrum import pretraining as pre

GOLDEN = np.load(
  pathlib.Path(__file__).parents[3] / 'golden' / 'spectrum' / 'pretrain.npz'
)


def stored(case='fb'):
  g = {x: GOLDEN[f'{case}_{x}'] for x in ('U', 'w', 'X', 'y', 'Xu', 'ms')}
  signal, noise = float(GOLDEN[f'{case}_sig']), float(GOLDEN[f'{case}_noise'])
  model = pre.Model(signal * g['U'], g['w'], jnp.asarray(noise))
  return g, model, pre.Data(jnp.asarray(g['X']), jnp.asarray(g['y']))


def test_one_draw():
  g, model, data = stored()
  np.testing.assert_allclose(
    pre.risk(model, pre.least_norm(data)),
    GOLDEN['fb_risk_minnorm'],
    rtol=1e-10,
    atol=0,
  )
  np.testing.assert_allclose(
    pre.risk(model, pre.in_subspace(data, g['U'])),
    GOLDEN['fb_risk_oracle'],
    rtol=1e-10,
    atol=0,
  )
  X = g['Xu'].astype(float)
  for m, wanted, joint in zip(
    g['ms'], GOLDEN['fb_risk_pca'], GOLDEN['fb_risk_joint'], strict=True
  ):
    P = pre.principal(X[:m].T @ X[:m], 2)
    np.testing.assert_allclose(
      pre.risk(model, pre.in_subspace(data, P)), wanted, rtol=1e-9, atol=0
    )
    both = np.concatenate([X[:m], g['X']])
    P = pre.principal(both.T @ both, 2)
    np.testing.assert_allclose(
      pre.risk(model, pre.in_subspace(data, P)), joint, rtol=1e-9, atol=0
    )


def test_the_oracle_in_closed_form():
  got = pre.oracle_risk(
    3, 40, *(float(GOLDEN[f'fa_{x}']) for x in ('sig', 'noise', 'tau'))
  )
  np.testing.assert_allclose(
    got, GOLDEN['fa_oracle_closed'], rtol=1e-12, atol=0
  )


@pytest.mark.slow
def test_means_over_draws_are_those_of_the_reference():
  """(least norm, PCA at m = 100, 300, 1000), by keys of our own."""
  system = pre.factor(pre.Structure(batch=100))
  hp = jax.tree.map(jnp.asarray, pre.Hp())
  run = jax.jit(
    jax.vmap(lambda k: rollout(system, k, hp, jnp.array([1, 3, 10]))[1])
  )
  seen = run(jax.random.split(jax.random.key(0), 400))
  pca = np.asarray(seen['pretrained'])
  error = pca.std(0) / 20
  wanted = GOLDEN['fa_mean']
  near = [np.min(np.abs(wanted - x)) for x in pca.mean(0)]
  assert np.all(np.array(near) < 5 * error + 5 * GOLDEN['fa_se'].max())
  oracle = np.asarray(seen['oracle'])[:, 0]
  assert abs(oracle.mean() - GOLDEN['fa_oracle_closed']) < 5 * oracle.std() / 20


def test_em_finds_the_mean_and_labels_its_sign():
  system = pre.mixture(pre.MixtureStructure(d=10, m=2000, n=5))
  hp = pre.MixtureHp(jnp.asarray(2.0))
  seen = jax.jit(lambda k: rollout(system, k, hp, jnp.array([0, 40]))[1])(
    jax.random.key(0)
  )
  np.testing.assert_allclose(seen['bayes'], 0.02275, rtol=1e-3, atol=0)
  assert seen['pretrained'][1] < 0.03 < seen['supervised'][1]


@pytest.mark.parametrize(
  'sizes, message',
  [
    (dict(d=3, r=3, n=2), 'r is 3, expected r < d = 3'),
    (dict(d=9, r=3, n=4), r'n is 4, expected r \+ 1 = 4 < n'),
    (dict(d=9, r=3, n=10), 'n <= d = 9'),
  ],
)
def test_what_cannot_be_fitted_is_refused(sizes, message):
  with pytest.raises(ValueError, match=message):
    pre.Structure(**sizes)
