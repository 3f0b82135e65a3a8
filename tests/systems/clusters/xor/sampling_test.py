"""The law of the data, and that the p-free sampler has the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from framework.system import rollout
from framework.systems.clusters import xor as dynamics
from framework.systems.clusters.xor import bartlett, data
from tests import toy

labels = jax.jit(data.labels, static_argnums=1)


def test_clusters_labels_and_flips():
  found = jax.device_get(labels(jax.random.key(0), 40_000, 0.1))
  share = np.bincount(found.cluster, minlength=4) / 40_000
  np.testing.assert_allclose(share, 0.25, atol=0.01, rtol=0)
  np.testing.assert_array_equal(
    found.clean, np.where(np.asarray(found.cluster) < 2, 1, -1)
  )
  assert abs(float(np.mean(found.y != found.clean)) - 0.1) < 0.006


def test_flips_are_nested_in_eta():
  few, many = jax.device_get(
    [labels(jax.random.key(1), 500, eta) for eta in (0.05, 0.2)]
  )
  flipped = few.y != few.clean
  assert flipped.any() and (many.y != many.clean)[flipped].all()


def test_dealt_clusters_are_of_one_size():
  found = labels(jax.random.key(0), 100, 0.1, 1.0)
  assert np.bincount(found.cluster).tolist() == [25] * 4


def test_points_have_the_means_of_their_clusters():
  draw = jax.jit(data.xor_cluster, static_argnums=(1, 2))
  x, found = draw(jax.random.key(0), 20_000, 5, 3.0, 0.0)
  means = 3.0 * data.DIRECTION
  for cluster in range(4):
    here = np.asarray(x)[np.asarray(found.cluster) == cluster]
    expected = np.concatenate([means[cluster], np.zeros(3)])
    np.testing.assert_allclose(here.mean(0), expected, atol=0.07, rtol=0)
    np.testing.assert_allclose(here.std(0), 1, atol=0.05, rtol=0)


@pytest.mark.parametrize(
  'n, p, norm, eta, message',
  [
    (4, 1, 1.0, 0.0, 'p is 1, expected an integer >= 2'),
    (0, 5, 1.0, 0.0, 'n is 0, expected an integer >= 1'),
    (4, 5, -1.0, 0.0, 'mu_norm is -1.0, expected >= 0'),
    (4, 5, 1.0, 0.5, 'eta is 0.5, expected 0 <= eta < 1/2'),
  ],
)
def test_refusals(n, p, norm, eta, message):
  with pytest.raises(ValueError, match=message):
    data.xor_cluster(jax.random.key(0), n, p, norm, eta)


@pytest.mark.parametrize('df', [0.7, 3.5, 1.3e10 + 0.5])
def test_chi_of_real_degrees_of_freedom(df):
  x = bartlett.chi(jax.random.key(0), jnp.full(20_000, df, jnp.float64))
  assert (
    scipy.stats.kstest(np.asarray(x), scipy.stats.chi(df).cdf).pvalue > 0.01
  )


def test_the_factor_is_wishart():
  """Against Gram matrices of Gaussian vectors: means and variances."""
  keys = jax.random.split(jax.random.key(0), 4000)
  draw = jax.vmap(lambda k: bartlett.bartlett_factor(k, 4, 9.0, 'f8'))
  L = np.asarray(jax.jit(draw)(keys))
  G = np.random.default_rng(0).standard_normal((4000, 4, 9))
  ours, true = (A @ A.transpose(0, 2, 1) for A in (L, G))
  same_law(ours.reshape(4000, -1), true.reshape(4000, -1))


def same_law(one, two):
  """Means and spreads of each column agree within five standard errors."""
  for f in (lambda v: v, lambda v: (v - v.mean(0)) ** 2):
    a, b = f(one), f(two)
    error = np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
    assert (np.abs(a.mean(0) - b.mean(0)) <= 5 * error + 1e-12).all()


def sampled(draw, first, seeds=600):
  """Symmetric functions of neurons and points: these are exchangeable."""
  n, p = 6, 14  # small, so that a wrong degree of freedom would show
  structure = dynamics.Structure(
    n=n,
    n_test=3,
    m=4,
    draw=draw,
    p=None if draw is dynamics.bartlett_problem else p,
  )
  gd = dynamics.system(structure)
  hp = toy.typed(
    dynamics.Hp(p=float(p), signal=1.5, alpha=0.5, omega=0.2, eta=0.2),
    jnp.float32,
  )

  def observe(state, problem, hp):
    seen, y = dynamics.view(state, problem), problem.facts.train.y
    return {
      'squares': jnp.stack(
        [jnp.mean(v**2) for v in (seen.Z, seen.T, seen.P, seen.N**0.5)]
      ),
      'fourth': jnp.stack([jnp.mean(v**4) for v in (seen.Z, seen.T)]),
      'linear': problem.facts.linear[:1] / p,
      'mixed': jnp.mean(seen.Z * y[:, None])[None],
      'pair': jnp.mean(seen.T[0] * seen.T[1])[None],
    }

  def run(seed):
    key = jax.random.key(seed)
    times = jnp.array([0, 1, 6])
    return rollout(gd._replace(observe=observe), key, hp, times)[1]

  found = jax.jit(lambda seeds: jax.lax.map(run, seeds))(
    np.arange(first, first + seeds)
  )
  return {k: np.asarray(v).reshape(seeds, -1) for k, v in found.items()}


def test_three_samplers_have_one_law():
  explicit = sampled(dynamics.explicit_problem, 0)
  gram = sampled(dynamics.gram_problem, 1000)
  free = sampled(dynamics.bartlett_problem, 2000)
  for name in explicit:
    for other in (gram, free):
      same_law(explicit[name], other[name])
