"""Laws against counting, coins and runs."""

import functools
import math
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.clusters import xor
from framework.systems.clusters.xor import data as xor_data
from framework.systems.clusters.xor import laws, theory
from framework.systems.clusters.xor.facts import Facts
from tests import toy

PHI = statistics.NormalDist().cdf


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
  law = float(laws.minority_support(counts, rho)[0])
  assert abs((D < 0).mean() - law) < 0.012
  assert abs((D < 0).mean() - float(laws.minority_support(counts)[0])) > 0.05


def test_the_variance_of_a_pull_is_a_sum_over_pairs_of_points():
  """Var D = Σ_i s_i²/4 + Σ_{i≠k} s_i s_k |ρ|/2π, with signs by label alone."""
  counts = np.array([[7.0, 2.0], [5.0, 3.0], [9.0, 0.0], [9.0, 0.0]])
  rho = 0.4
  for pair in (0, 1):
    clean, flipped = counts[2 * pair : 2 * pair + 2].T
    # Opposite clusters have the cosine −ρ and D counts them with a −.
    s = np.repeat([1.0, -1.0], [int(clean.sum()), int(flipped.sum())])
    variance = len(s) / 4
    for i in range(len(s)):
      for k in range(len(s)):
        variance += (i != k) * s[i] * s[k] * rho / (2 * math.pi)
    net = clean - flipped
    want = PHI(-(abs(net[0] - net[1]) + 1) / 2 / math.sqrt(variance))
    found = laws.minority_support(counts, rho)[pair]
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=0)


def test_time_to_fit_scales_as_it_says():
  one = laws.time_to_fit(200, 4e4, 1e-12, 1e-12)
  assert laws.time_to_fit(200, 16e4, 1e-12, 1e-12) == pytest.approx(one / 2)
  assert laws.time_to_fit(200, 4e4, 1e-13, 1e-12) == pytest.approx(10 * one)


def test_the_time_to_fit_of_the_last_of_n():
  """The largest of n normal numbers, over a drift, in the median."""
  n, p, alpha, omega = 50, 1e5, 2e-3, 1e-3
  rng = np.random.default_rng(0)
  start = omega * np.sqrt(p / 2) * rng.standard_normal((4000, n))
  steps = start.max(1) / (alpha * p / (4 * n))
  law = laws.time_to_fit(n, p, alpha, omega)
  np.testing.assert_allclose(np.median(steps), law, rtol=0.02, atol=0)
  for t in (0.8 * law, law, 1.3 * law):
    chance = laws.fit_chance(t, n, law)
    assert abs((steps < t).mean() - chance) < 4 * 0.5 / 4000**0.5


def test_first_step_in_closed_form():
  assert laws.linear_slope(0.5) == 2.25
  assert laws.crosstalk(50, 3.0) == pytest.approx(0.9)
  assert laws.misses_of_one_step(50, 3.0) == pytest.approx(PHI(-1 / 0.9))
  assert laws.misses_of_one_step(50, 0.0) == 0
  # ln(1 + 4/2)/(2·10) + q²(1/9 + 1/5): ‖μ‖ = 2, p = 32; q with n = 4:
  # ω√16/((α/32)√(4·32 + 4·16/2)) = 4ω/((α/32)√160)
  q = 4 * 0.01 / (0.5 / 32 * math.sqrt(4 * 32 + 4 * 16 / 2))
  want = math.sqrt(math.log(1 + 16 / 64) / 20 + q**2 * (4 / 36 + 1 / 5))
  found = laws.slope_spread(4, 5, 10, 32.0, 2.0, 0.5, 0.01)
  assert found == pytest.approx(want)
  low, high = laws.aligned_growth(0.2)
  assert (low, high) == pytest.approx((0.8 / 0.6 / 2, 0.8 / 0.6))
  assert laws.majority(100, 0.45) == pytest.approx(PHI(1.0))
  # 5·0.1·√8 + (0.2·3/2·4)(16 + 9 + 4·9/2 + 3·4·4)
  found = laws.largest_output(3.0, 4, 16.0, 3.0, 0.2, 0.1)
  assert found == pytest.approx(0.5 * 8**0.5 + 0.075 * 91)


@pytest.fixture(scope='module')
def runs():
  """leak -> observations of 24 runs, small and in the regime of the laws."""
  structure = xor.Structure(n=100, n_test=200, m=200, dtype=jnp.float64)
  net = xor.system(structure)

  @jax.jit
  def run(seeds, hp):
    def one(seed):
      key = jax.random.key(seed)
      return rollout(net, key, hp, jnp.arange(21))[1]

    return jax.lax.map(one, seeds)

  @functools.cache
  def seen(leak):
    hp = xor.Hp(p=4e4, signal=2.0, leak=leak, alpha=1e-7, omega=1e-10)
    found = run(np.arange(24), toy.typed(hp, jnp.float64))
    return jax.tree.map(np.asarray, found)

  return seen


@pytest.mark.parametrize('leak', [0.0, 0.4, 1.0])
def test_the_first_step_is_linear_with_the_slope_of_the_law(runs, leak):
  slope = runs(leak)['linear_slope'][:, 1] / laws.linear_slope(leak)
  norm = 2.0 * (4e4 / 100) ** 0.5
  spread = laws.slope_spread(100, 200, 200, 4e4, norm, 1e-7, 1e-10)
  assert abs(slope.mean() - 1) < 4 * spread / 24**0.5
  assert slope.std() < 1.5 * spread
  assert leak or slope.std() > 0.5 * spread


def test_outputs_stay_below_their_bound(runs):
  norm = 2.0 * (4e4 / 100) ** 0.5
  for t in (1, 10, 20):
    bound = laws.largest_output(t, 100, 4e4, norm, 1e-7, 1e-10)
    worst = runs(0.0)['output'][:, t].max()
    assert bound / 20 < worst < bound


def test_aligned_neurons_grow_as_they_should(runs):
  unit = theory.growth(1e-7, 2.0 * (4e4 / 100) ** 0.5, 0.05, 200)
  rise = runs(0.0)['aligned'][:, [10, 20], 1, 0]
  rate = (rise[:, 1] - rise[:, 0]).mean() / 10 / unit
  low, high = laws.aligned_growth(0.05)
  assert 0.85 * low < rate < 1.15 * high


def test_chances_of_members_and_of_support_follow_the_sizes():
  found = [laws.lemma_members(n, 300, 0.05, 0.1) for n in (100, 400, 1600)]
  assert found[0] < 0.1 and 0.3 < found[1] < 0.9 and found[2] > 0.8
  assert laws.lemma_members(400, 300, 0.12, 0.1) < 0.1  # n(1/8 − η) < √n
  cosine = 0.06
  drawn = laws.unsupported(100, 0.05, cosine)
  assert drawn > 3 * laws.unsupported(100, 0.05, cosine, stratified=True)
  assert laws.unsupported(100, 0.05, cosine, level=0.2) > drawn
  assert laws.unsupported(100, 0.2, cosine) > drawn


def test_members_are_those_of_the_probe():
  """The chance of members against sets of gates that are fair coins."""
  n, m, eta, kappa = 400, 300, 0.05, 0.1

  @jax.vmap
  def both(key):
    one, two = jax.random.split(key)
    labels = xor_data.labels(one, n, eta)
    gates = jax.random.bernoulli(two, 0.5, (n, m))
    a = jnp.where(jnp.arange(m) < m // 2, 1.0, -1.0)
    facts = Facts(labels, labels, a, gates, jnp.zeros(1))
    sets = xor.probes.aligned(facts, kappa)
    return sets.J1.any() & sets.J2.any()

  seen = np.mean(jax.jit(both)(jax.random.split(jax.random.key(0), 300)))
  # Five standard errors of 300 coins and of the 400 of the law.
  assert abs(seen - laws.lemma_members(n, m, eta, kappa)) < 5 * 0.5 * 0.076


def test_dealt_clusters_without_flips_all_have_one_support():
  counts = np.array([[25.0, 0.0]] * 4)
  share = float(laws.minority_support(counts, 0.06)[0])
  for level, chance in ((share - 0.01, 0), (share + 0.01, 1)):
    assert laws.unsupported(100, 0.0, 0.06, level, stratified=True) == chance


@pytest.mark.parametrize('start, reaches', [(0.49, True), (0.51, False)])
def test_the_time_to_fit_wants_small_outputs(start, reaches):
  omega = start / 5 / math.sqrt(4e4 / 2)
  found = laws.fit_out_of_reach(200, 4e4, 2.5, 1e-3, omega, 0.0)
  assert (found == '') == reaches


@pytest.mark.parametrize(
  'law, inside, outside, word',
  [
    (
      laws.weights_differ,
      (14, 200, 4e4, 35.36, 1e-12, 1e-15),
      (14, 200, 4e4, 35.36, 1e-4, 1e-15),
      'sigmoid weights',
    ),
    (
      laws.one_step_out_of_reach,
      (200, 4e4, 1e-12, 1e-15, 0.0),
      (200, 4e4, 1e-15, 1e-15, 0.0),
      'one step does not fit',
    ),
    (
      laws.one_step_out_of_reach,
      (200, 4e4, 1e-12, 1e-15, 0.0),
      (200, 4e4, 1e-12, 1e-15, 0.5),
      'leak',
    ),
    (
      laws.fit_out_of_reach,
      (200, 4e4, 2.5, 1e-16, 1e-15, 0.0),
      (200, 4e4, 3.5, 1e-16, 1e-15, 0.0),
      'not orthogonal',
    ),
    (
      laws.fit_out_of_reach,
      (200, 4e4, 2.5, 1e-16, 1e-15, 0.0),
      (200, 4e4, 2.5, 1e-3, 1e-2, 0.0),
      'outputs begin',
    ),
    (
      laws.growth_out_of_reach,
      (200, 4e4, 1e-12, 1e-15, 0.0, 0.05),
      (200, 4e4, 1e-12, 1e-15, 0.0, 0.2),
      'A3',
    ),
    (
      laws.growth_out_of_reach,
      (200, 4e4, 1e-12, 1e-15, 0.0, 0.05),
      (200, 4e4, 1e-15, 1e-15, 0.0, 0.05),
      'the start counts',
    ),
  ],
)
def test_where_laws_do_not_reach(law, inside, outside, word):
  assert law(*inside) == ''
  assert word in law(*outside) and '\n' not in law(*outside)
