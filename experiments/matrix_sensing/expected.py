"""Expectations of lanes, from what they were given alone.

Nothing here looks at an outcome. Rates and times are on the slow side: of a
group of lanes, the slowest is slower than said one time in twenty.
"""

import functools

import numpy as np

from experiments.matrix_sensing.reading import FLOOR, Lanes
from framework.systems.matrix_sensing import theory

__all__ = [
  'FOLDS',
  'chance',
  'contraction',
  'crossovers',
  'dimension',
  'folds',
  'growth',
  'mixing',
  'noise_rate',
  'noise_share',
  'noise_starts',
  'resolved',
  'settled',
  'share',
  'signal_rate',
  'starts',
]

FOLDS = 15.0  # e-folds of the squared error that show a linear rate
_ODDS = 0.05


def dimension(lanes: Lanes) -> np.ndarray:
  """Of the space in which the product moves at the limit.

  XXᵀ: matrices of rank k, nk − k(k − 1)/2. FGᵀ with F of rank k and G of rank
  r: n₂k + n₁r − kr.
  """
  k, r, (n1, n2) = lanes.given('k'), lanes.config.r, lanes.shape
  return n1 * k - k * (k - 1) / 2 if lanes.symmetric else n2 * k + (n1 - k) * r


def share(lanes: Lanes) -> np.ndarray:
  """Share of any rate that measurements leave, at least; 1 without them."""
  if not lanes.sensing:
    return np.ones(lanes.size)
  return np.asarray(theory.measured_share(lanes.config.m, dimension(lanes)))


def noise_share(lanes: Lanes) -> np.ndarray:
  """Share of the rate of the noise of FGᵀ, where that is the slowest."""
  if not lanes.sensing:
    return np.ones(lanes.size)
  noise = (lanes.shape[1] - lanes.config.r) * (
    lanes.given('k') - lanes.config.r
  )
  rest = dimension(lanes) - noise
  return np.asarray(theory.measured_share(lanes.config.m, noise, rest))


def contraction(
  lanes: Lanes, eigenvalue: np.ndarray, highest: np.ndarray | float
) -> np.ndarray:
  """e-folds a step of the squared error of modes from λ to λ_max.

  Args:
    lanes: The lanes.
    eigenvalue: λ, with measurements what they leave of it.
    highest: λ_max of the population, which measurements can raise.

  Returns:
    (lanes,), negative beyond the edge of stability.
  """
  if lanes.sensing:
    highest = highest * (1 + np.sqrt(dimension(lanes) / lanes.config.m)) ** 2
  eta = lanes.given('eta')
  slow = np.minimum(eigenvalue, 0.999 / eta)
  return -np.asarray(theory.linear_rate(eta, slow, highest))


def signal_rate(lanes: Lanes, fast: bool = False) -> np.ndarray:
  """e-folds a step of the signal: at σ_r of XXᵀ, at min(a², b²) of FGᵀ.

  Args:
    lanes: The lanes.
    fast: Whether to say how fast it may be, not how slow.

  Returns:
    (lanes,), negative beyond the edge of stability.
  """
  sigma_1, sigma_r = lanes.sigma[:, 0], lanes.sigma[:, -1]
  part = np.ones(lanes.size) if fast else share(lanes)
  if lanes.symmetric:
    return contraction(lanes, sigma_r * part, 2 * sigma_1)
  # The mean of FᵀF − GᵀG at the start, which the signal keeps.
  tied, rho = lanes.given('tied'), lanes.given('ratio')
  kept = 1 - tied**2 - ((1 - tied) * rho) ** 2
  delta = lanes.given('alpha') ** 2 * np.abs(kept)
  slowest = np.asarray(theory.signal_pair(sigma_r, delta)[1])
  highest = np.add(*map(np.asarray, theory.signal_pair(sigma_1, delta)))
  return contraction(lanes, slowest * part, highest)


def growth(lanes: Lanes) -> np.ndarray:
  """Steps until a small start has grown to the weakest singular value.

      ln(σ_r/s_0²) / (2 ln(1 + ησ_r)),   s_0² = α²(√k − √(r−1))² ε²/n

  of the weakest of r directions in k Gaussian columns, where one lane in L is
  slower with probability (Lε)^(k−r+1). Infinite where the start itself is
  beyond the edge of stability.
  """
  eta, alpha, k = map(lanes.given, ('eta', 'alpha', 'k'))
  r, n = lanes.config.r, max(lanes.shape)
  excess = np.maximum(k - r, 0) + 1
  epsilon = (_ODDS / lanes.size) ** (1 / excess)
  weakest = (np.sqrt(k) - np.sqrt(r - 1)) * epsilon * alpha
  if not lanes.symmetric:  # only (F + G)/2 grows
    rho = np.minimum(lanes.given('ratio'), 1)
    weakest = weakest * np.sqrt(1 + rho**2) / 2
  sigma_r = lanes.sigma[:, -1]
  # Measurements do not slow this down: A*A(M) is no smaller than M.
  speed = 2 * np.log1p(eta * sigma_r)
  with np.errstate(divide='ignore'):
    steps = np.log(sigma_r * n / weakest**2) / speed
  stable = eta * (alpha * (1 + np.sqrt(k / n))) ** 2 < 1
  return np.where(stable, np.maximum(steps, 0), np.inf)


@functools.cache
def noise_starts(
  n1: int, n2: int, r: int, k: int, rho: float, tied: float, draws: int
) -> tuple[np.ndarray, np.ndarray]:
  """Imbalances of random starts on the noise block, at α = 1.

  Args:
    n1: Rows of F.
    n2: Rows of G.
    r: Rank of the truth, less than k, n1 and n2.
    k: Columns.
    rho: Scale of G_0 over that of F_0.
    tied: How much of G_0 is F_0.
    draws: How many starts.

  Returns:
    Of each, sorted: λ_min(FᵀF − GᵀG) outside the signal, and the least |λ|.
  """
  random = np.random.default_rng(0)
  lowest, least = [], []
  for part in np.array_split(np.arange(draws), -(-draws // 500)):
    F = random.normal(size=(len(part), n1 - r, k - r)) / n1**0.5
    G = rho * random.normal(size=(len(part), n2 - r, k - r)) / n2**0.5
    if n1 == n2:
      G = tied * F + (1 - tied) * G
    delta = F.transpose(0, 2, 1) @ F - G.transpose(0, 2, 1) @ G
    eigenvalues = np.linalg.eigvalsh(delta)
    lowest.append(eigenvalues[:, 0])
    least.append(np.abs(eigenvalues).min(1))
  return np.sort(np.concatenate(lowest)), np.sort(np.concatenate(least))


def starts(lanes: Lanes) -> list[tuple[np.ndarray, np.ndarray]]:
  """`noise_starts` of each lane; infinite where there is no noise."""
  draws = int(np.clip(lanes.size / _ODDS, 1000, 20_000))
  (n1, n2), r, none = lanes.shape, lanes.config.r, np.array([np.inf])
  fields = map(lanes.given, ('k', 'ratio', 'tied'))
  return [
    noise_starts(n1, n2, r, int(k), float(rho), float(tied), draws)
    if r < k and r < min(n1, n2)
    else (none, none)
    for k, rho, tied in zip(*fields, strict=True)
  ]


def noise_rate(lanes: Lanes, fast: bool = False) -> np.ndarray:
  """e-folds a step of the noise of FGᵀ; 0 where it stays.

  It dies at the least eigenvalue of FᵀF − GᵀG on the noise block, which the
  start has and descent keeps, up to a tenth.

  Args:
    lanes: The lanes.
    fast: Whether to take the fastest lane, not the slowest.

  Returns:
    (lanes,).
  """
  odds = _ODDS / lanes.size
  place = 1 - odds if fast else odds
  edge = np.array(
    [lowest[int(place * len(lowest))] for lowest, _ in starts(lanes)]
  )
  part = np.full(lanes.size, 1.1) if fast else 0.9 * noise_share(lanes)
  eigenvalue = np.maximum(lanes.given('alpha') ** 2 * edge, 0)
  return contraction(lanes, eigenvalue * part, 0.0)


def resolved(lanes: Lanes, fastest: np.ndarray) -> np.ndarray:
  """Whether four records lie in the last third of the way to the floor.

  Args:
    lanes: The lanes.
    fastest: e-folds a step that a lane may have at most.

  Returns:
    (lanes,), boolean.
  """
  way = -np.log(FLOOR[lanes.config.precision]) / np.maximum(fastest, 1e-30)
  end = np.minimum(way, lanes.config.steps)[:, None]
  inside = (lanes.t >= 2 * end / 3) & (lanes.t <= end)
  return inside.sum(1) >= 4


def chance(lanes: Lanes, level: float) -> np.ndarray:
  """Chance that the noise of FGᵀ is below a level by T.

  It starts at ρ²α⁴(k − r), the mean of its squared norm.

  Args:
    lanes: The lanes.
    level: Of the squared error.

  Returns:
    (lanes,), the share of random starts that are imbalanced enough.
  """
  alpha, rho, k = map(lanes.given, ('alpha', 'ratio', 'k'))
  begin = rho**2 * alpha**4 * np.maximum(k - lanes.config.r, 0)
  with np.errstate(divide='ignore', invalid='ignore'):
    needed = np.maximum(np.log(begin / level), 0)
    steps = np.maximum(lanes.config.steps - growth(lanes), 0)
    eigenvalue = -np.expm1(-needed / (2 * steps)) / lanes.given('eta')
    imbalance = eigenvalue / (alpha**2 * noise_share(lanes))
  return np.array(
    [
      np.mean(lowest >= wanted)
      for (lowest, _), wanted in zip(starts(lanes), imbalance, strict=True)
    ]
  )


def crossovers(lanes: Lanes) -> np.ndarray:
  """T/10 in units of the step from which on noise falls as 1/t².

  That is 1/(2ηx²) for a singular value x of the noise at the start, and the
  mean of 1/x² over a Gaussian block is n/(α²(n − k − 1)).
  """
  edge = np.maximum(1 - (lanes.given('k') + 1) / min(lanes.shape), 0)
  alpha = lanes.given('alpha') * np.sqrt(edge)
  with np.errstate(divide='ignore'):
    begun = np.asarray(theory.crossover(lanes.given('eta'), alpha))
  return lanes.config.steps / 10 / begun


def folds(lanes: Lanes, rate: np.ndarray, steps: float) -> np.ndarray:
  """e-folds at some rate since a start has grown; very negative if never."""
  return rate * (steps - np.minimum(growth(lanes), 1e30))


def settled(lanes: Lanes, steps: float) -> np.ndarray:
  """Whether the signal is a hundredth of the noise (k − r)/(4η²t²) by then."""
  eta, excess = lanes.given('eta'), lanes.given('k') - lanes.config.r
  noise = np.maximum(excess, 1) / (2 * eta * steps) ** 2
  return folds(lanes, signal_rate(lanes), steps) >= np.log(100 / noise)


def mixing(lanes: Lanes, depth: np.ndarray) -> np.ndarray:
  """How much faster than its slowest mode an error falls, relatively.

  Σ a_i exp(−x_i t) falls at most ln(Σ a/a_0)/t faster than its slowest term,
  since its logarithm is convex in t. Of d modes with Gaussian amplitudes the
  mean of ln(Σ a/a_0) is ln d + 1.3; t is counted in e-folds, five sixths of the
  way on average over the window of a fit.

  Args:
    lanes: The lanes.
    depth: e-folds of the squared error by T.

  Returns:
    (lanes,).
  """
  modes = dimension(lanes) if lanes.sensing else lanes.given('k')
  most = -np.log(FLOOR[lanes.config.precision])
  way = 5 / 6 * np.minimum(np.maximum(depth, 1.0), most)
  return (np.log(modes) + 1.3) / way
