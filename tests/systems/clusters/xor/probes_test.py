"""Probes against what they are defined to be, by plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.clusters.xor import data as xor_data
from framework.systems.clusters.xor import probes
from framework.systems.clusters.xor.facts import Facts, facts_of

N, M = 90, 40


@pytest.fixture(scope='module')
def facts():
  return jax.jit(draw)(jax.random.key(0))


def draw(key):
  key_points, key_a, key_w = jax.random.split(key, 3)
  data = xor_data.xor_cluster(key_points, N, 30, 4.0, 0.1)
  a = jnp.where(jax.random.uniform(key_a, (M,)) < 0.5, -1.0, 1.0) / M**0.5
  Z = data.x @ jax.random.normal(key_w, (30, M))
  return facts_of(data, data, a, Z)


def by_hand(facts):
  """(d_νj, c_ν, n_ν) by counting."""
  d, c, n = np.zeros((4, M)), np.zeros(4), np.zeros(4)
  train = jax.tree.map(np.asarray, facts.train)
  gates = np.asarray(facts.gates)
  for i in range(N):
    clean = train.y[i] == train.clean[i]
    d[train.cluster[i]] += gates[i] * (1 if clean else -1)
    c[train.cluster[i]] += clean
    n[train.cluster[i]] += not clean
  return d, c, n


def test_counts_and_excess(facts):
  d, c, n = by_hand(facts)
  np.testing.assert_array_equal(probes.excess(facts.gates, facts.train), d)
  np.testing.assert_array_equal(probes.counts(facts.train), np.stack([c, n], 1))


@pytest.mark.parametrize('strict', [True, False])
@pytest.mark.parametrize('kappa', [0.4, 0.1, 0.34])
def test_aligned_sets(facts, strict, kappa):
  d, c, n = by_hand(facts)
  D = d[0] - d[1]
  free = np.maximum(d[0], d[1]) < min(c[0], c[1]) - 2 * (n[0] + n[1]) - N**0.5
  free = free | (not strict)
  up = np.asarray(facts.a) > 0
  found = probes.aligned(facts, kappa, strict)
  level = N ** (0.5 - kappa)
  np.testing.assert_array_equal(found.J1, up & free & (level < D))
  np.testing.assert_array_equal(found.J2, ~up & free & (np.abs(D) > level))
  assert strict or (found.J1.any() and found.J2.any())


def with_pulls(pairs, flipped=1):
  """Facts of 400 points, 100 a cluster, whose neurons have given (d_1, d_2).

  Of clusters 0 and 1 some points are flipped; neurons are active on as many
  clean points of the two as they are pulled by.
  """
  cluster = np.repeat(np.arange(4), 100)
  clean = np.where(cluster < 2, 1.0, -1.0)
  y = clean.copy()
  y[:flipped] *= -1
  y[100 : 100 + flipped] *= -1
  gates = np.zeros((400, len(pairs)), bool)
  for j, (one, two) in enumerate(pairs):
    gates[flipped : flipped + one, j] = True
    gates[100 + flipped : 100 + flipped + two, j] = True
  labels = xor_data.Labels(cluster, clean, y)
  a = np.tile([1.0, -1.0], len(pairs))[: len(pairs)]
  return Facts(labels, labels, a, gates, np.zeros(400))


def test_members_of_lemma_4_7_at_the_edges():
  """D > n^(½−κ) = 9.999 and max d < 99 − 2·2 − 20 = 75, both strict."""
  kappa = 0.5 - np.log(9.999) / np.log(400)
  ups = [(74, 64), (75, 60), (60, 51), (60, 50), (50, 74)]
  facts = with_pulls([pair for pair in ups for _ in range(2)])
  found = probes.aligned(facts, kappa)
  J1, J2 = np.asarray(found.J1)[::2], np.asarray(found.J2)[1::2]
  # In turn: just inside; no room; pulls too little; just enough; the other way.
  assert J1.tolist() == [True, False, False, True, False]
  assert J2.tolist() == [True, False, False, True, True]
  # Two flipped points in each: max d < 98 − 2·4 − 20 = 70.
  assert not np.asarray(probes.aligned(with_pulls([(74, 64)], 2), kappa).J1)[0]
  assert np.asarray(probes.aligned(with_pulls([(69, 58)], 2), kappa).J1)[0]
  assert not np.asarray(probes.aligned(with_pulls([(70, 58)], 2), kappa).J1)[0]


def test_support(facts):
  d, _, _ = by_hand(facts)
  up = np.asarray(facts.a) > 0
  found = np.asarray(probes.support(facts))
  np.testing.assert_allclose(
    found[0], (d[0] > d[1])[up].mean(), rtol=1e-6, atol=0
  )
  np.testing.assert_allclose(
    found[3], (d[3] > d[2])[~up].mean(), rtol=1e-6, atol=0
  )


def test_accuracy_within_clusters(facts):
  f = np.sin(np.arange(N) * 1.7)
  clean, cluster = facts.train.clean, np.asarray(facts.train.cluster)
  right = np.asarray(f * clean > 0)
  expected = [right[cluster == k].mean() for k in range(4)]
  found = probes.by_cluster(f, facts.train)
  np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0)


def test_linear_fit_of_tiny_numbers():
  x = np.linspace(-1, 2, 50)
  noise = 0.1 * np.cos(9 * x)
  y = 3 * x + noise
  slope, r = probes.linear_fit(
    (1e-30 * y).astype(np.float32), (1e-28 * x).astype(np.float32)
  )
  np.testing.assert_allclose(
    slope, np.polyfit(x, y, 1)[0] / 100, rtol=1e-5, atol=0
  )
  np.testing.assert_allclose(r, np.corrcoef(x, y)[0, 1], rtol=1e-5, atol=0)
  assert probes.linear_fit(np.zeros(3), np.arange(3.0)) == (0, 0)


def test_weight_ratio():
  f, y = jnp.array([2.0, -1.0, 0.3]), jnp.array([1.0, 1.0, -1.0])
  g = 1 / (1 + np.exp(np.array([2.0, -1.0, -0.3])))
  found = probes.weight_ratio(f, y)
  np.testing.assert_allclose(found, g.max() / g.min(), rtol=1e-6, atol=0)


def test_decision_region():
  P = np.array([[1.0, -2.0, 0.5], [0.5, 1.0, -1.0]])
  a = np.array([1.0, -1.0, 1.0])
  u, v = np.array([-1.0, 0.5]), np.array([0.0, 1.0, 2.0])
  found = np.asarray(probes.decision_region(u, v, P, a, 0.1))
  for j, i in np.ndindex(3, 2):
    z = u[i] * P[0] + v[j] * P[1]
    expected = np.where(z > 0, z, 0.1 * z) @ a
    np.testing.assert_allclose(found[j, i], expected, rtol=1e-5, atol=0)
