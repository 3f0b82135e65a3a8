"""Every rate against a direct simulation, with a tolerance that is derived."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import theory

TOY = pathlib.Path(__file__).parents[3] / 'golden' / 'ms_toy_scalar.npz'


def descend_diagonal(x, sigma, eta, steps):
  """X⁺ = X − η(XXᵀ − M)X for diagonal X and M; squared errors."""
  x, sigma = np.array(x), np.array(sigma)
  errors = [np.sum((x**2 - sigma) ** 2)]
  for _ in range(steps):
    x = x - eta * (x**2 - sigma) * x
    errors.append(np.sum((x**2 - sigma) ** 2))
  return np.array(errors)


def descend_full(n, sigma, k, eta, steps, seed=0):
  """Population descent on XXᵀ, entries and bases random; squared errors."""
  rng = np.random.default_rng(seed)
  U, _ = np.linalg.qr(rng.normal(size=(n, len(sigma))))
  M = (U * sigma) @ U.T
  X = 0.3 * rng.normal(size=(n, k)) / n**0.5
  errors = []
  for _ in range(steps + 1):
    E = X @ X.T - M
    errors.append(np.sum(E**2))
    X = X - eta * E @ X
  return np.array(errors)


def test_linear_rate_of_exact_rank():
  sigma, eta = np.array([1.0, 0.5]), 0.2
  errors = descend_full(12, sigma, 2, eta, 220)
  slope = np.log(errors[200] / errors[150]) / 50
  # The next mode, 2σ_r, is (1 − 2ησ_r)^2t: 1e-7 of it by t = 150.
  np.testing.assert_allclose(
    slope, theory.linear_rate(eta, sigma[-1]), rtol=1e-6, atol=0
  )


def test_time_to_error_inverts_the_rate():
  rate = float(theory.linear_rate(0.2, 0.1))
  t = float(theory.time_to_error(1e-6, 0.3, rate))
  np.testing.assert_allclose(0.3 * np.exp(rate * t), 1e-6, rtol=1e-12, atol=0)
  assert theory.time_to_error(1e-6, 1e-7, rate) == 0


@pytest.mark.parametrize('b0,late', [(0.5, 3000), (0.1, 80_000)])
def test_pair(b0, late):
  toy = np.load(TOY)
  eta, stored = float(toy['eta']), toy[f'ab_{b0}']
  start = theory.Pair(*jnp.array(stored[0, :2]))

  @jax.jit
  def run(start):
    def step(pair, _):
      return theory.pair_step(pair, eta), pair

    return jax.lax.scan(step, start, length=late + 101)[1]

  a, b = np.array(run(start))
  seen = np.stack([a, b, a**2 - b**2], -1)
  kept = toy['steps'][toy['steps'] <= late]
  np.testing.assert_allclose(
    seen[kept], stored[: len(kept)], rtol=1e-11, atol=0
  )
  # Δ_t = Δ_0 Π_{s<t} (1 − η²a_s²b_s²), exactly.
  product = np.cumprod(1 - (eta * a * b) ** 2)
  np.testing.assert_allclose(
    (a**2 - b**2)[1:],
    (a[0] ** 2 - b[0] ** 2) * product[:-1],
    rtol=1e-12,
    atol=0,
  )
  # b_t+1/b_t → 1 − ηΔ_∞ once b² is below rounding of a².
  assert b[late] < 1e-20
  rate = np.log(b[late + 100] / b[late]) / 100
  limit = (a[0] ** 2 - b[0] ** 2) * product[-1]
  np.testing.assert_allclose(rate, np.log1p(-eta * limit), rtol=1e-12, atol=0)


def sampled_eigenvalues(rng, n, q, ratio, draws):
  """λ_min(FᵀF − GᵀG) of n x q Gaussian starts at α = 1."""
  F = rng.normal(size=(draws, n, q)) / n**0.5
  G = ratio * rng.normal(size=(draws, n, q)) / n**0.5
  gram = F.transpose(0, 2, 1) @ F - G.transpose(0, 2, 1) @ G
  return np.linalg.eigvalsh(gram)[:, 0]


@pytest.mark.parametrize('ratio', [0.0, 1 / 3, 0.8])
@pytest.mark.parametrize('share', [0.05, 0.25, 0.5])
def test_noise_eigenvalue_is_the_edge_of_large_starts(ratio, share):
  n, r = 400, 3
  q = round(share * n)
  seen = sampled_eigenvalues(np.random.default_rng(0), n, q, ratio, 2)
  law = float(theory.noise_eigenvalue(0.5, ratio, n, q + r, r))
  # Tracy–Widom: a real edge lies 1.2 ± 1.3 times this inside of its limit.
  scale = (share * (1 + ratio**4)) ** 0.5 * q ** (-2 / 3)
  inside = (seen - law / 0.25) / scale
  assert np.all((inside > -1.5) & (inside < 4.5)), inside


def test_noise_eigenvalue_limits():
  # ρ = 0 is Marchenko–Pastur, c → 0 the difference of the scales.
  np.testing.assert_allclose(
    theory.noise_eigenvalue(2.0, 0.0, 100, 28, 3), 4 * 0.25, rtol=1e-12, atol=0
  )
  np.testing.assert_allclose(
    theory.noise_eigenvalue(1.0, 0.6, 1e12, 4, 3), 0.64, rtol=1e-5, atol=0
  )
  assert theory.noise_eigenvalue(1.0, 0.3, 100, 3, 3) == np.inf
  assert theory.noise_eigenvalue(1.0, 0.9, 100, 53, 3) < 0


@pytest.mark.parametrize('argument', range(3))
def test_noise_eigenvalue_differentiates(argument):
  at = [1.5, 0.4, 50.0]

  def law(x):
    return theory.noise_eigenvalue(
      *(x if i == argument else v for i, v in enumerate(at)), 8, 3
    )

  h = 1e-5
  expected = (law(at[argument] + h) - law(at[argument] - h)) / (2 * h)
  found = jax.jit(jax.grad(law))(at[argument])
  np.testing.assert_allclose(found, expected, rtol=1e-8, atol=0)


def test_noise_eigenvalue_of_finite_blocks_lies_above():
  seen = sampled_eigenvalues(np.random.default_rng(0), 50, 2, 1 / 3, 4000)
  law = float(theory.noise_eigenvalue(1.0, 1 / 3, 50, 5, 3))
  assert 1.3 < np.mean(seen) / law < 1.5


def near_solution(seed, sigma, beta2, size, n=10):
  """(M, F, G): a perturbed solution with FᵀF = β²I (β² None: balanced)."""
  rng = np.random.default_rng(seed)
  U, _ = np.linalg.qr(rng.normal(size=(n, n)))
  V, _ = np.linalg.qr(rng.normal(size=(n, n)))
  r, k = len(sigma), len(sigma) + (0 if beta2 is None else 2)
  if beta2 is None:
    F, G = U[:, :r] * sigma**0.5, V[:, :r] * sigma**0.5
  else:
    F = beta2**0.5 * U[:, :k]
    G = np.zeros((n, k))
    G[:, :r] = V[:, :r] * sigma / beta2**0.5
  M = (U[:, :r] * sigma) @ V[:, :r].T
  F, G = (x + size * rng.normal(size=x.shape) for x in (F, G))
  return M, F, G


def errors_from(M, F, G, eta, steps):
  errors = []
  for _ in range(steps + 1):
    E = F @ G.T - M
    errors.append(np.sum(E**2))
    F, G = F - eta * E @ G, G - eta * E.T @ F
  return np.array(errors)


@pytest.mark.parametrize('beta2', [0.25, 0.4, 0.5, 0.7, 1.0])
def test_balanced_rate(beta2):
  sigma, eta = np.array([1.0, 0.5]), 0.2
  path = errors_from(*near_solution(0, sigma, beta2, 1e-6), eta, 150)
  slope = np.log(path[150] / path[110]) / 40
  law = float(theory.balanced_rate(eta, beta2, sigma[-1]))
  # The next mode is at β² or σ_r²/β², whichever is larger: nearest at 0.4 and
  # 0.625, where it is (0.875/0.92)^220 = 2e-5 of the slowest by t = 110.
  np.testing.assert_allclose(slope, law, rtol=1e-4, atol=0)


def test_balanced_rate_is_best_at_the_smallest_singular_value():
  sigma_r = 0.3
  grid = np.geomspace(0.03, 3, 201)
  rates = [float(theory.balanced_rate(0.2, b, sigma_r)) for b in grid]
  np.testing.assert_allclose(
    grid[np.argmin(rates)], sigma_r, rtol=1e-12, atol=0
  )
  best = float(theory.linear_rate(0.2, sigma_r))
  np.testing.assert_allclose(np.min(rates), best, rtol=1e-12, atol=0)


def test_beyond_the_middle_of_stability_the_largest_value_converges_last():
  """At η = 0.9 and κ = 2, 0.3733 times the rate of σ_r alone."""
  sigma, eta = np.array([1.0, 0.5]), 0.9
  errors = descend_full(12, sigma, 2, eta, 90)
  slope = np.log(errors[80] / errors[50]) / 30
  law = float(theory.linear_rate(eta, sigma[-1], 2 * sigma[0]))
  np.testing.assert_allclose(slope, law, rtol=1e-5, atol=0)
  alone = float(theory.linear_rate(eta, sigma[-1]))
  np.testing.assert_allclose(law / alone, 0.3733, rtol=0, atol=1e-4)
  # And where it does not, the largest value changes nothing.
  small = theory.linear_rate(0.2, 0.5, 2.0), theory.linear_rate(0.2, 0.5)
  assert small[0] == small[1]


@pytest.mark.parametrize('sigma, delta', [(0.5, 0.3), (1.0, 0.0), (0.2, 3.0)])
def test_signal_pair_has_the_product_and_the_difference(sigma, delta):
  a2, b2 = theory.signal_pair(sigma, delta)
  np.testing.assert_allclose(a2 * b2, sigma**2, rtol=1e-12, atol=0)
  np.testing.assert_allclose(a2 - b2, delta, rtol=0, atol=1e-12)


def test_signal_pair_is_where_the_scalar_problem_converges():
  """f⁺ = f − η(fg − σ)g keeps f² − g² up to O(η²) and ends at fg = σ."""
  eta, sigma, f, g = 1e-3, 0.5, 0.9, 0.2
  delta = f**2 - g**2
  for _ in range(40_000):
    e = f * g - sigma
    f, g = f - eta * e * g, g - eta * e * f
  found = theory.signal_pair(sigma, delta)
  np.testing.assert_allclose((f**2, g**2), found, rtol=1e-3, atol=0)


@pytest.mark.parametrize('short', [0.1, 0.3, 0.8])
def test_balanced_too_early_the_rate_is_that_of_what_was_short(short):
  """F and G at the modified step have σ_r − e; what follows is descent."""
  eta, sigma, beta2 = 0.2, np.array([1.0, 0.25]), 0.25
  M, F, G = near_solution(0, sigma, beta2, 0.0)
  G[:, 1] *= 1 - short
  F = F + 1e-5 * np.random.default_rng(1).normal(size=F.shape)
  errors = errors_from(M, F, G, eta, 500)
  slope = np.log(errors[420] / errors[340]) / 80
  law = theory.balanced_rate(eta, beta2, sigma[-1], error=short * sigma[-1])
  # λ_min is that of the flow; a step of η = 0.2 adds a little.
  np.testing.assert_allclose(slope, law, rtol=0.02, atol=0)
  best = theory.balanced_rate(eta, beta2, sigma[-1])
  assert best < law < 0  # slower


@pytest.mark.parametrize(
  'm, slow, rest', [(600, 162, 63), (600, 54, 171), (1500, 282, 103)]
)
def test_measured_share_is_the_edge_of_a_schur_complement(m, slow, rest):
  """Fast modes are a hundred times faster here."""
  rng = np.random.default_rng(0)
  J = rng.normal(size=(m, slow + rest)) / m**0.5
  J[:, slow:] *= 10
  lowest = np.linalg.eigvalsh(J.T @ J)[0]
  law = float(theory.measured_share(m, slow, rest))
  # Above the edge by its scatter, m^-2/3, and below by the fast modes' share.
  np.testing.assert_allclose(lowest, law, rtol=0.12, atol=0)
  assert theory.measured_share(m, slow + rest) < law < 1
  assert theory.measured_share(100, slow, rest) == 0


@pytest.mark.parametrize('beta2', [None, 0.5, 0.8])
def test_stability_edge(beta2):
  sigma = np.array([1.0, 0.5])
  start = near_solution(1, sigma, beta2, 1e-9)
  edge = float(theory.stability_edge(sigma[0], beta2))
  # Just outside, the fastest mode grows by 1 − ηλ = −1.04 a step; just inside,
  # it shrinks by 0.96.
  inside = errors_from(*start, 0.98 * edge, 150)
  outside = errors_from(*start, 1.02 * edge, 150)
  assert inside[-1] < 1e-4 * inside[0]
  assert outside[-1] > 1e3 * outside[0]


def test_stability_edge_of_the_symmetric_problem():
  edge = float(theory.stability_edge(1.0))
  for factor, grows in ((0.98, False), (1.02, True)):
    errors = descend_diagonal(
      (1 + 1e-9, 0.5**0.5), (1, 0.5), factor * edge, 150
    )
    assert (errors[-1] > errors[0]) == grows


def test_laws_are_differentiable_and_broadcast():
  t = jnp.array([10.0, 100.0])
  assert theory.sublinear(t, 5, 3, 0.2).shape == (2,)
  assert theory.scalar_noise(t, 0.3, 0.2).shape == (2,)
  slope = jax.jit(jax.grad(theory.linear_rate))(0.2, 0.5)
  np.testing.assert_allclose(slope, -2 * 0.5 / (1 - 0.1), rtol=1e-12, atol=0)
