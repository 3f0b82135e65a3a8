"""Laws of gradient descent on XOR clusters that are derived here.

The network is that of `net`, f(x; W) = Σ_j a_j φ(⟨w_j, x⟩), and all sigmoid
weights are ½: outputs are far below 1. Each law comes with a function that says
where it does not reach, as a sentence, or '' where it does: whether a run can
test it is known before the run.
"""

import math
import statistics

import numpy as np
from jaxtyping import Float
from scipy import special

__all__ = [
  'aligned_growth',
  'crosstalk',
  'fit_chance',
  'fit_out_of_reach',
  'growth_out_of_reach',
  'largest_output',
  'lemma_members',
  'linear_slope',
  'majority',
  'minority_support',
  'misses_of_one_step',
  'one_step_out_of_reach',
  'slope_spread',
  'time_to_fit',
  'unsupported',
  'weights_differ',
]

_NORMAL = statistics.NormalDist()
_DRAWS = 400  # of cluster sizes, where a chance has no closed form


def linear_slope(leak: float = 0.0) -> float:
  """The slope of f(x; W(1)) on (α/8n)⟨Σ_i y_i x_i, x⟩: one step is linear.

      f(x; W(1)) = (1 + λ)² (α/8n) ⟨Σ_i y_i x_i, x⟩   as m → ∞

  A neuron's step is (α a_j/2n) Σ_i φ'(Z_ij) y_i x_i, of mean (1 + λ)/2 times
  the sum, for a gate is open with probability ½; and neurons of both signs add
  up to φ(s) − φ(−s) = (1 + λ)s.

  Args:
    leak: λ, slope of φ below 0.

  Returns:
    (1 + λ)²: 1 for ReLU, 4 for a linear network.

  >>> linear_slope(), linear_slope(1.0)
  (1.0, 4.0)
  """
  return (1 + leak) ** 2


def slope_spread(
  n: int,
  n_test: int,
  m: int,
  p: float,
  mu_norm: float,
  alpha: float,
  omega: float,
) -> float:
  """The standard deviation over runs of the slope that `linear_slope` is of.

      sd² <= (1/2m) ln(1 + ‖μ‖⁴/2p) + q² (ρ + 1/n_test),
      q = ω√(p/2) / ((α/8n) √(np + n‖μ‖⁴/2))

  The first term is that of m random gates. Scores ⟨Σ_i y_i x_i, x⟩ of the test
  points differ by δ_1‖μ‖², δ_2‖μ‖², the cluster differences δ ~ N(0, n/2), and
  by noise of variance np; those of one neuron stray from half of them by a
  random subset of as many points, which makes a relative (n/2)/(δ_1² + δ_2²),
  and its mean over δ has the logarithm as a bound. The second term is that of
  the outputs at t = 0, relative to the step, with the cosine ρ = ‖μ‖²/(p +
  ‖μ‖²) of two points of a cluster.

  Args:
    n: Training points.
    n_test: Test points.
    m: Neurons.
    p: Dimension.
    mu_norm: ‖μ‖.
    alpha: Step size α.
    omega: Standard deviation ω of W(0).

  Returns:
    The standard deviation for ReLU; a leaky one has a smaller.

  >>> round(slope_spread(200, 200, 1000, 4e4, 35.36, 1e-12, 1e-15), 3)
  0.039
  """
  square = mu_norm**2
  gates = math.log1p(square**2 / (2 * p)) / (2 * m)
  step = alpha / (8 * n) * math.sqrt(n * p + n * square**2 / 2)
  start = omega * math.sqrt(p / 2) / step
  cosine = square / (p + square)
  return math.sqrt(gates + start**2 * (cosine + 1 / n_test))


def crosstalk(n: int, signal: float) -> float:
  """How far the points of a pair of clusters drive each other's outputs.

      c = ‖μ‖² √(n/2)/p = signal²/√(2n)

  in units of what a point does to itself: ‖μ‖²|δ| against p, δ ~ N(0, n/2) the
  difference of clean less flipped points. Far below 1 is what (A2) is for.

  >>> round(crosstalk(200, 2.5), 4)
  0.3125
  """
  return signal**2 / math.sqrt(2 * n)


def misses_of_one_step(n: int, signal: float) -> float:
  """The share of training labels that one large step does not fit.

      Φ(−1/c),   c = `crosstalk`

  A point's own step is αp/8n, that of its pair of clusters α‖μ‖²δ/8n; where
  that is larger, the half of the pair's points on its wrong side is missed.

  >>> round(misses_of_one_step(200, 2.5), 5)
  0.00069
  """
  c = crosstalk(n, signal)
  return _NORMAL.cdf(-1 / c) if c else 0.0


def time_to_fit(n: int, p: float, alpha: float, omega: float) -> float:
  """Steps until the last training point is fitted, in high dimension.

      t = 4n (ω/α) z_n/√(2p),   Φ(z_n)^n = ½

  Outputs begin as N(0, ω²p/2). Each point drives its own by α‖x‖²/4n = αp/4n a
  step (half of the neurons active, sigmoid weights ½, other points orthogonal),
  and the one farthest on the wrong side begins z_n deviations away, in the
  median run. One step is the least there is.

  Args:
    n: Training points.
    p: Dimension.
    alpha: Step size α.
    omega: Standard deviation ω of W(0).

  Returns:
    Steps, a real number.

  >>> round(time_to_fit(200, 4e4, 1e-16, 1e-15), 1)
  76.4
  """
  farthest = _NORMAL.inv_cdf(0.5 ** (1 / n))
  return 4 * n * omega / alpha * farthest / (2 * p) ** 0.5


def aligned_growth(eta: float) -> tuple[float, float]:
  """Between what an aligned neuron grows, in units of `theory.growth`.

      [½, 1] · (1 − η)/(1 − 2η)

  Soon all clean points of its cluster are active and the flipped ones are not:
  n/4 (1 − η) points. The clean points of the opposite cluster that were active
  at t = 0, n/8 (1 − η), drive themselves by p and stay where ‖μ‖²n/8 < p; where
  it is larger they are lost, and the upper end is reached.

  >>> [round(x, 3) for x in aligned_growth(0.05)]
  [0.528, 1.056]
  """
  whole = (1 - eta) / (1 - 2 * eta)
  return whole / 2, whole


def largest_output(
  t: float,
  n: int,
  p: float,
  mu_norm: float,
  alpha: float,
  omega: float,
) -> float:
  """A bound on |f| at training points up to a step t.

      |f| <= 5ω√(p/2) + (αt/2n)(p + ‖μ‖² + n‖μ‖²/2 + 3n√p)

  A step changes Z_ij by at most (α|a_j|/2n) Σ_k |⟨x_i, x_k⟩|, and Σ_j a_j² = 1:
  own norm, the n/2 points of one pair of clusters, noise of the others. It
  bounds the ratio of sigmoid weights by e^(2|f|).

  >>> f'{largest_output(14, 200, 4e4, 35.36, 1e-12, 1e-15):.1e}'
  '1.0e-08'
  """
  square = mu_norm**2
  sums = p + square + n * square / 2 + 3 * n * math.sqrt(p)
  return 5 * omega * math.sqrt(p / 2) + alpha * t / (2 * n) * sums


def majority(n: int, eta: float) -> float:
  """The accuracy of a majority of all n labels: Φ((1 − 2η)√n).

  Who knows the clusters and has only to find which pair is called +1 can do no
  better.

  >>> round(majority(200, 0.49), 3), round(majority(200, 0.05), 3)
  (0.611, 1.0)
  """
  return _NORMAL.cdf((1 - 2 * eta) * math.sqrt(n))


def fit_chance(t: float, n: int, law: float) -> float:
  """The probability that all n labels are fitted by t: Φ(z_n t/law)^n.

  Args:
    t: Steps.
    n: Training points.
    law: `time_to_fit`.

  >>> round(fit_chance(76.4, 200, 76.4), 3), fit_chance(20, 200, 76.4) < 1e-20
  (0.5, True)
  """
  farthest = _NORMAL.inv_cdf(0.5 ** (1 / n))
  return _NORMAL.cdf(farthest * t / law) ** n


def minority_support(
  counts: Float[np.ndarray, '*lanes 4 2'], cosine: float = 0.0
) -> Float[np.ndarray, '*lanes 2']:
  """Expected share of neurons pulled to the lesser cluster of each pair.

  At t = 0 each point activates a neuron with probability ½, two points whose
  cosine is ρ both do with probability ¼ + ρ/2π + O(ρ³), and ρ = ±‖μ‖²/(p +
  ‖μ‖²) within a pair of clusters. So D_νj has

      mean      δ/2,                          δ = (c_ν − n_ν) − (c_−ν − n_−ν)
      variance  N/4 + (|ρ|/2π)(M² − N),       N = points of the pair,
                                              M = clean less flipped of them

  and the lesser cluster pulls with P(D <= −1) = Φ(−(|δ| + 1)/2√variance), D
  being an integer.

  Args:
    counts: (c_ν, n_ν) of each cluster.
    cosine: |ρ| of two points of a pair.

  Returns:
    One number for ±μ_1 and one for ±μ_2.

  >>> import numpy as np
  >>> even = np.array([[50., 0.], [50., 0.], [60., 0.], [40., 0.]])
  >>> print(np.round(minority_support(even), 4))
  [0.4602 0.0179]
  """
  net = counts[..., 0] - counts[..., 1]
  size = counts.sum(-1)
  gap = abs(net[..., 0::2] - net[..., 1::2])
  pair = size[..., 0::2] + size[..., 1::2]
  both = net[..., 0::2] + net[..., 1::2]
  variance = pair / 4 + cosine / (2 * math.pi) * (both**2 - pair)
  with np.errstate(divide='ignore'):  # a pair without points pulls nothing
    return special.ndtr(-(gap + 1) / 2 / variance**0.5)


def unsupported(
  n: int,
  eta: float,
  cosine: float = 0.0,
  level: float = 0.05,
  stratified: bool = False,
) -> float:
  """The chance that a run has a cluster with hardly any neurons of its own.

  Over draws of the cluster sizes (the same ones each time) of which
  `minority_support` says how many neurons are pulled to the lesser of a pair.

  Args:
    n: Training points.
    eta: Probability η of a flipped label.
    cosine: |ρ| of two points of a pair.
    level: Share of the neurons of its sign that is hardly any.
    stratified: Whether every cluster has n/4 points.

  Returns:
    A probability.

  >>> 0.1 < unsupported(100, 0.05) < 0.35
  True
  """
  clean, flipped = _sizes(n, eta, stratified)
  shares = minority_support(np.stack([clean, flipped], -1), cosine)
  return float(np.mean(shares.min(-1) < level))


def lemma_members(
  n: int, m: int, eta: float, kappa: float, stratified: bool = False
) -> float:
  """The chance that both index sets of Lemma 4.7 have members in a run.

  Over draws of cluster sizes and of gates, which are fair coins at t = 0. Small
  runs have none: max(d_ν, d_−ν) < min(c_ν, c_−ν) − 2(n_ν + n_−ν) − √n asks for
  n(1/8 − η) well above √n.

  Args:
    n: Training points.
    m: Neurons.
    eta: Probability η of a flipped label.
    kappa: κ of the sets.
    stratified: Whether every cluster has n/4 points.

  Returns:
    A probability.

  >>> lemma_members(200, 1000, 0.05, 0.1) < 0.5 < lemma_members(
  ...   800, 400, 0.05, 0.1)
  True
  """
  clean, flipped = (x[:, :2, None] for x in _sizes(n, eta, stratified))
  coins = np.random.default_rng(1)
  shape = (_DRAWS, 2, m)
  d = coins.binomial(clean, 0.5, shape) - coins.binomial(flipped, 0.5, shape)
  room = clean.min(1) - 2 * flipped.sum(1) - n**0.5
  free, D = d.max(1) < room, d[:, 0] - d[:, 1]
  level = n ** (0.5 - kappa)
  J1 = (free & (level < D))[:, : m // 2].any(1)
  J2 = (free & (abs(D) > level))[:, m // 2 :].any(1)
  return float(np.mean(J1 & J2))


def _sizes(
  n: int, eta: float, stratified: bool
) -> tuple[np.ndarray, np.ndarray]:
  """Clean and flipped points of four clusters, (draws, 4) each."""
  draw = np.random.default_rng(0)
  size = (
    np.full((_DRAWS, 4), n // 4)
    if stratified
    else draw.multinomial(n, [0.25] * 4, _DRAWS)
  )
  flipped = draw.binomial(size, eta)
  return size - flipped, flipped


def weights_differ(
  t: float, n: int, p: float, mu_norm: float, alpha: float, omega: float
) -> str:
  """Why sigmoid weights up to a step t are not all ½; '' if they are."""
  f = largest_output(t, n, p, mu_norm, alpha, omega)
  if f < 0.1:
    return ''
  return f'outputs may reach {f:.2g} by t = {t:.3g}: sigmoid weights differ'


def one_step_out_of_reach(
  n: int, p: float, alpha: float, omega: float, leak: float
) -> str:
  """Why `misses_of_one_step` does not speak of a run; '' if it does."""
  if leak:
    return f'leak = {leak:g}: the law is of ReLU'
  if (t := time_to_fit(n, p, alpha, omega)) > 0.3:
    return f'one step does not fit: 4n(ω/α)z_n/√(2p) = {t:.2g}'
  return ''


def fit_out_of_reach(
  n: int, p: float, signal: float, alpha: float, omega: float, leak: float
) -> str:
  """Why `time_to_fit` does not speak of a run; '' if it does."""
  if leak:
    return f'leak = {leak:g}: the law is of ReLU'
  if (c := crosstalk(n, signal)) > 0.35:
    return f'points are not orthogonal: ‖μ‖²√(n/2)/p = {c:.2g}'
  if (f := 5 * omega * math.sqrt(p / 2)) > 0.5:
    return f'outputs begin at up to {f:.2g}, sigmoid weights are not ½'
  return ''


def growth_out_of_reach(
  n: int, p: float, alpha: float, omega: float, leak: float, eta: float
) -> str:
  """Why `aligned_growth` does not speak of a run; '' if it does."""
  if leak:
    return f'leak = {leak:g}: the law is of ReLU'
  if (t := time_to_fit(n, p, alpha, omega)) > 0.1:
    return f'the start counts: 4n(ω/α)z_n/√(2p) = {t:.2g}'
  if eta > 0.1:
    return f'η = {eta:g}: (A3) asks for a small one'
  return ''
