"""Every law against a direct simulation, with a tolerance that is derived."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import theory

TOY = pathlib.Path(__file__).parents[2] / 'golden' / 'ms_toy_scalar.npz'
STARTS = (1.0, 0.3, 0.05)


def noise_path(x0, eta, steps):
  """x⁺ = x(1 − ηx²) step by step; x_0 ... x_steps."""
  path = [x0]
  for _ in range(steps):
    path.append(path[-1] * (1 - eta * path[-1] ** 2))
  return np.array(path)


def test_the_toy_is_the_stored_one():
  toy = np.load(TOY)
  for x0 in STARTS:
    path = noise_path(x0, float(toy['eta']), 10_000)
    np.testing.assert_allclose(
      path[toy['steps']], toy[f'x_{x0}'], rtol=1e-12, atol=0
    )


@pytest.mark.parametrize('x0', STARTS)
def test_three_terms_describe_the_toy(x0):
  eta, steps = 0.1, 100_000
  path = noise_path(x0, eta, steps)
  np.testing.assert_allclose(
    theory.scalar_noise(float(steps), x0, eta), path[-1], rtol=2e-6, atol=0
  )
  # What three terms leave out of 1/x² is bounded by 2η²x_0² at every step, and
  # each of them is more than that.
  t = np.arange(steps + 1)
  left_out = 1 / path**2 - 1 / theory.scalar_noise(t, x0, eta) ** 2
  assert np.max(np.abs(left_out)) < 2 * (eta * x0) ** 2
  two_terms = 1 / path**2 - 1 / x0**2 - 2 * eta * t
  assert np.max(np.abs(two_terms)) > 10 * (eta * x0) ** 2


def test_what_three_terms_leave_out():
  eta, x0 = 0.02, 0.3
  path = noise_path(x0, eta, 300_000)
  left_out = 1 / path[-1] ** 2 - 1 / theory.scalar_noise(3e5, x0, eta) ** 2
  np.testing.assert_allclose(
    left_out, 1.25 * (eta * x0) ** 2, rtol=0.02, atol=0
  )


def test_crossover_is_where_the_square_has_halved():
  eta, alpha = 0.2, 0.05
  star = float(theory.crossover(eta, alpha))
  path = noise_path(alpha, eta, round(star))
  # Corrections are of the relative size 3/2 η α² ln 2.
  np.testing.assert_allclose(
    path[-1] ** 2, alpha**2 / 2, rtol=2 * eta * 0.0025, atol=0
  )
  assert round(star) == 1000


def descend_diagonal(x, sigma, eta, steps):
  """X⁺ = X − η(XXᵀ − M)X for diagonal X and M; squared errors."""
  x, sigma = np.array(x), np.array(sigma)
  errors = [np.sum((x**2 - sigma) ** 2)]
  for _ in range(steps):
    x = x - eta * (x**2 - sigma) * x
    errors.append(np.sum((x**2 - sigma) ** 2))
  return np.array(errors)


def test_sublinear_corrected_is_the_diagonal_problem():
  eta, noise, steps = 0.2, (0.3, 0.25, 0.4), 20_000
  sigma = (1.0, 0.5, 0.0, 0.0, 0.0)
  errors = descend_diagonal((0.5, 0.5, *noise), sigma, eta, steps)
  t = np.array([300, 1000, 5000, steps])  # the signal is at rounding by 300
  law = [theory.sublinear_corrected(s, jnp.array(noise), eta) for s in t]
  # x⁴ inherits twice the remainder 2η²x_0² of 1/x² > 2ηt.
  relative = 2 * 2 * (eta * 0.4) ** 2 / (2 * eta * t)
  assert np.all(np.abs(errors[t] / np.array(law) - 1) < relative)


def test_sublinear_is_the_limit():
  eta, alpha, k, r = 0.2, 0.3, 6, 3
  noise = jnp.full(k - r, alpha)
  star = float(theory.crossover(eta, alpha))
  for factor in (1e2, 1e4, 1e6):
    t = factor * star
    ratio = theory.sublinear_corrected(t, noise, eta) / theory.sublinear(
      t, k, r, eta
    )
    # (1 + (t* + 3/4 ln(1 + t/t*))/t)^-2
    lag = (star + 0.75 * np.log1p(factor)) / t
    np.testing.assert_allclose(ratio, (1 + lag) ** -2, rtol=1e-12, atol=0)
  assert abs(ratio - 1) < 3e-6


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


def test_sublinear_of_excess_rank():
  eta, steps = 0.2, 20_000
  errors = descend_full(12, np.array([1.0, 0.5]), 4, eta, steps)
  law = float(theory.sublinear(steps, 4, 2, eta))
  # Σ (1 + lag_i)^-2 with 1/x_0² the noise block's, about twenty times 1/α²
  # at most, so a lag of at most 20/(0.09 · 8000).
  assert 1 - 2 * 20 / 0.09 / (2 * eta * steps) < errors[-1] / law < 1


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
