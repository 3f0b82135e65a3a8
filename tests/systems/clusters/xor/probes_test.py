"""Probes and laws against what they are defined to be, by plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.clusters.xor import data as xor_data
from framework.systems.clusters.xor import probes, theory
from framework.systems.clusters.xor.facts import facts_of

N, M = 90, 40


@pytest.fixture
def facts():
  key_points, key_a, key_w = jax.random.split(jax.random.key(0), 3)
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
def test_aligned_sets(facts, strict):
  d, c, n = by_hand(facts)
  D, kappa = d[0] - d[1], 0.4
  free = np.maximum(d[0], d[1]) < min(c[0], c[1]) - 2 * (n[0] + n[1]) - N**0.5
  free = free | (not strict)
  up = np.asarray(facts.a) > 0
  found = probes.aligned(facts, kappa, strict)
  level = N ** (0.5 - kappa)
  J1 = up & free & (D - level > 0)
  np.testing.assert_array_equal(found.J1, J1)
  J2 = ~up & free & (np.abs(D) - level > 0)
  np.testing.assert_array_equal(found.J2, J2)
  assert strict or (J1.any() and J2.any())


def test_support(facts):
  d, _, _ = by_hand(facts)
  up = np.asarray(facts.a) > 0
  found = np.asarray(probes.support(facts))
  np.testing.assert_allclose(found[0], (d[0] > d[1])[up].mean(), rtol=1e-6)
  np.testing.assert_allclose(found[3], (d[3] > d[2])[~up].mean(), rtol=1e-6)


def test_accuracy_within_clusters(facts):
  f = jnp.sin(jnp.arange(N) * 1.7)
  clean, cluster = facts.train.clean, np.asarray(facts.train.cluster)
  right = np.asarray(f * clean > 0)
  expected = [right[cluster == k].mean() for k in range(4)]
  found = probes.by_cluster(f, facts.train)
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_linear_fit_of_tiny_numbers():
  x = np.linspace(-1, 2, 50)
  noise = 0.1 * np.cos(9 * x)
  y = 3 * x + noise
  slope, r = probes.linear_fit(
    jnp.asarray(1e-30 * y, jnp.float32), jnp.asarray(1e-28 * x, jnp.float32)
  )
  np.testing.assert_allclose(slope, np.polyfit(x, y, 1)[0] / 100, rtol=1e-5)
  np.testing.assert_allclose(r, np.corrcoef(x, y)[0, 1], rtol=1e-5)
  assert probes.linear_fit(jnp.zeros(3), jnp.arange(3.0)) == (0, 0)


def test_weight_ratio():
  f, y = jnp.array([2.0, -1.0, 0.3]), jnp.array([1.0, 1.0, -1.0])
  g = 1 / (1 + np.exp(np.array([2.0, -1.0, -0.3])))
  found = probes.weight_ratio(f, y)
  np.testing.assert_allclose(found, g.max() / g.min(), rtol=1e-6)


def test_decision_region():
  P = jnp.array([[1.0, -2.0, 0.5], [0.5, 1.0, -1.0]])
  a = jnp.array([1.0, -1.0, 1.0])
  u, v = jnp.array([-1.0, 0.5]), jnp.array([0.0, 1.0, 2.0])
  found = np.asarray(probes.decision_region(u, v, P, a, 0.1))
  for j, i in np.ndindex(3, 2):
    z = np.asarray(u[i] * P[0] + v[j] * P[1])
    expected = np.where(z > 0, z, 0.1 * z) @ np.asarray(a)
    np.testing.assert_allclose(found[j, i], expected, rtol=1e-5)


def test_support_law_against_coins():
  """Correlated fair coins, as the gates at t = 0 are."""
  rng = np.random.default_rng(0)
  counts = np.array([[30.0, 2.0], [22.0, 1.0], [25.0, 0.0], [25.0, 5.0]])
  rho, draws = 0.06, 40_000
  common = rng.standard_normal((draws, 1))
  D = np.zeros(draws)
  for sign, (clean, flipped) in ((1, counts[0]), (-1, counts[1])):
    size = int(clean + flipped)
    own = rng.standard_normal((draws, size))
    z = sign * rho**0.5 * common + (1 - rho) ** 0.5 * own
    labels = np.repeat([1, -1], [int(clean), int(flipped)])
    D += sign * ((z > 0) @ labels)
  law = float(theory.minority_support(counts, rho)[0])
  assert abs((D < 0).mean() - law) < 0.012
  assert abs((D < 0).mean() - float(theory.minority_support(counts)[0])) > 0.05


def test_the_published_experiment_breaks_three_assumptions():
  found = theory.assumptions(200, 4e4, 1000, 35.355, 0.05, 1e-12, 1e-15)
  assert [a.holds for a in found] == [False, False, True, True, False, True]
  by_name = {a.name: a for a in found}
  assert abs(by_name['A1'].right - 2983) < 2
  assert abs(by_name['A2'].right - 5e7) < 1e4
  assert abs(by_name['A5'].right / 2.5e-4 - 1) < 0.02


def test_time_to_fit_scales_as_it_says():
  one = theory.time_to_fit(200, 4e4, 1e-12, 1e-12)
  assert theory.time_to_fit(200, 16e4, 1e-12, 1e-12) == pytest.approx(one / 2)
  assert theory.time_to_fit(200, 4e4, 1e-13, 1e-12) == pytest.approx(10 * one)
