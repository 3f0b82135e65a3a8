"""Laws of deep products, of incremental learning, and of SGD's balancing.

Numbers on the host: scalars in, scalars out.

References:
  [1] Arora, Cohen, Hu, Luo, "Implicit regularization in deep matrix
      factorization", 2019.
  [2] Li, Luo, Lyu, "Towards resolving the implicit bias of gradient descent for
      matrix factorization: greedy low-rank learning", 2021.
"""

import numpy as np

__all__ = ['balancing_rate', 'deep_escape', 'deep_noise', 'half_time']


def deep_noise(
  t: float, depth: int, eta: float, alpha: float, directions: int
) -> float:
  """Squared error of the directions that the truth has not.

      ds/dt = −L s^(3 − 2/L),   s^−(2 − 2/L) = α^−2(L − 1) + 2(L − 1)ηt
      ‖P − M‖² = (n − r) s² → (n − r) (2(L − 1)ηt)^(−L/(L − 1))

  At L = 2 it is the 1/t² of XXᵀ; deeper is slower, towards 1/t.

  Args:
    t: Step.
    depth: L >= 2.
    eta: Step size η.
    alpha: Scale of the factors at the start.
    directions: n − r.

  Returns:
    The squared error.

  >>> round(deep_noise(1e4, 2, 0.05, 10.0, 1) * (2 * 0.05 * 1e4) ** 2, 3)
  1.0
  """
  size = alpha ** (-2 * (depth - 1)) + 2 * (depth - 1) * eta * t
  return float(directions * size ** (-depth / (depth - 1)))


def deep_escape(sigma: float, depth: int, eta: float, alpha: float) -> float:
  """Steps until an eigenvalue is half of σ, from α^L.

      ηL t = ∫ ds / (s^(2 − 2/L) (σ − s)),   s from α^L to σ/2

  Of the order of ln(1/α) at L = 2 and of α^−(L − 2) beyond: a plateau.

  Args:
    sigma: σ > 0.
    depth: L >= 2.
    eta: Step size η.
    alpha: Scale of the factors at the start.

  Returns:
    t; 0 where it begins there.

  >>> round(deep_escape(1.0, 2, 0.05, 0.1), 1)
  46.0
  """
  start, end = depth * np.log(alpha), np.log(sigma / 2)
  if start >= end:
    return 0.0
  x = np.linspace(start, end, 4001)  # s = e^x
  y = np.exp(x * (2 / depth - 1)) / (sigma - np.exp(x))
  return float(np.sum((y[1:] + y[:-1]) / 2) * (x[1] - x[0]) / (eta * depth))


def half_time(sigma: float, eta: float, start: float) -> float:
  """Steps of XXᵀ until an eigenvalue is half of σ, from start².

      x⁺ = x(1 + η(σ − x²))

  Args:
    sigma: σ > 0.
    eta: Step size η.
    start: x_0.

  Returns:
    t, by the recursion itself, between steps as the exponential.

  >>> round(half_time(1.0, 0.1, 0.001), 1)
  72.0
  """
  x, t = float(start), 0
  if x**2 >= sigma / 2:
    return 0.0
  while True:
    after = x * (1 + eta * (sigma - x**2))
    if after**2 >= sigma / 2:
      part = np.log(np.sqrt(sigma / 2) / x) / np.log(after / x)
      return float(t + part)
    x, t = after, t + 1
    if t > 10_000_000:
      return float('inf')


def balancing_rate(
  eta: float, n: int, batch: int, noise: float, squared_error: float = 0.0
) -> float:
  """Rate of Δ = FᵀF − GᵀG under SGD on b fresh measurements a step.

      E Δ⁺ = Δ + η² E(GᵀDᵀDG − FᵀDDᵀF) = (1 − η² n (ν² + ‖E‖²)/b) Δ

  for E DᵀD = E DDᵀ = n (ν² + ‖E‖²)/b · I, up to EᵀE, of Gaussian A_i.

  Args:
    eta: Step size η.
    n: Rows and columns of the truth.
    batch: b.
    noise: ν.
    squared_error: ‖E‖², E = FGᵀ − M.

  Returns:
    The slope of ln‖Δ‖.

  >>> round(balancing_rate(0.1, 10, 20, 0.5), 6)
  -0.001251
  """
  return float(np.log1p(-(eta**2) * n * (noise**2 + squared_error) / batch))
