"""Laws of gradient descent on XOR clusters, as plain numbers.

Assumptions (A1) ... (A6) for a large constant C, Theorem 3.1 (under them, up to
√n steps: benign overfitting after grokking), the linear classifier after one
step, the rates of Lemma 4.7 and the chance that a cluster is lost.

References:
  [1] Xu, Wang, Frei, Vardi, Hu, "Benign Overfitting and Grokking in ReLU
      Networks for XOR Cluster Data", 2023.
"""

import math
from typing import NamedTuple

from jaxtyping import ArrayLike, Float

__all__ = [
  'Assumption',
  'Setting',
  'assumptions',
  'error_exponent',
  'growth',
  'horizon',
  'least_dimension',
  'slow_growth',
  'within_assumptions',
]


class Assumption(NamedTuple):
  """One assumption with both of its sides: left >= right is wanted."""

  name: str
  statement: str
  left: float
  right: float

  @property
  def holds(self) -> bool:
    """Whether left >= right."""
    return self.left >= self.right


def assumptions(
  n: int,
  p: float,
  m: int,
  mu_norm: float,
  eta: float,
  alpha: float,
  omega: float,
  C: float = 1.0,
) -> list[Assumption]:
  """(A1) ... (A6) of [1], each written as left >= right.

  Args:
    n: Training points.
    p: Dimension.
    m: Neurons.
    mu_norm: ‖μ‖.
    eta: Probability η of a flipped label.
    alpha: Step size α.
    omega: Standard deviation ω of W(0).
    C: The constant, "large enough" in [1]; 1 is the least it could be.

  Returns:
    Six `Assumption`.

  >>> paper = assumptions(200, 4e4, 1000, 35.36, 0.05, 1e-12, 1e-15)
  >>> [a.name for a in paper if not a.holds]
  ['A1', 'A2', 'A5']
  """
  square = mu_norm**2
  return [
    Assumption('A1', '‖μ‖² >= C n^0.51 √p', square, C * n**0.51 * p**0.5),
    Assumption('A2', 'p >= C n² ‖μ‖²', p, C * n**2 * square),
    Assumption('A3', '1/C >= η', 1 / C, eta),
    Assumption('A4', '1/(C n p) >= α', 1 / (C * n * p), alpha),
    Assumption(
      'A5', 'α ‖μ‖² >= ω n m^1.5 p', alpha * square, omega * n * m**1.5 * p
    ),
    Assumption('A6', 'm >= C n^0.02', m, C * n**0.02),
  ]


def least_dimension(n: int, C: float = 1.0) -> float:
  """The least p at which (A1) and (A2) can hold together: C⁴ n^5.02.

  >>> f'{least_dimension(100):.2e}'
  '1.10e+10'
  """
  return C**4 * n**5.02


class Setting(NamedTuple):
  """Numbers of a run that the theorem speaks of."""

  p: float  # dimension
  signal: float  # ‖μ‖ over √(p/n)
  alpha: float  # step size α
  omega: float  # standard deviation ω of W(0)


def within_assumptions(n: int, m: int, C: float = 1.0) -> Setting:
  """A setting in which (A1), (A2), (A4) and (A5) hold, none of them barely.

  p is 1.2 of the least at which (A1) and (A2) can hold together, ‖μ‖² lies in
  the middle of what they leave, and α and ω are at half of what (A4) and (A5)
  allow.

  Args:
    n: Training points.
    m: Neurons.
    C: The constant of the assumptions.

  Returns:
    A `Setting`.

  >>> found = within_assumptions(100, 400)
  >>> f'{found.p:.3g} {found.alpha:.2g} {found.omega:.2g}'
  '1.32e+10 3.8e-13 2.3e-23'
  """
  p = 1.2 * least_dimension(n, C)
  # Between C n^0.51 √p, (A1), and p/(C n²), (A2).
  square = (C * n**0.51 * p**0.5 * p / (C * n**2)) ** 0.5
  alpha = 0.5 / (C * n * p)
  return Setting(
    p=p,
    signal=(square * n / p) ** 0.5,
    alpha=alpha,
    omega=0.5 * alpha * square / (n * m**1.5 * p),
  )


def horizon(n: int) -> float:
  """√n: how many steps Theorem 3.1 speaks of."""
  return math.sqrt(n)


def error_exponent(n: int, p: float, mu_norm: float) -> float:
  """E in the bound exp(−Ω(E)) on the test error: n^0.99 ‖μ‖⁴/p.

  >>> round(error_exponent(200, 4e4, 35.36), 1)
  7413.3
  """
  return n**0.99 * mu_norm**4 / p


def growth(
  alpha: Float[ArrayLike, ''],
  mu_norm: Float[ArrayLike, ''],
  eta: Float[ArrayLike, ''],
  m: int,
) -> Float[ArrayLike, '']:
  """The rate at which an aligned neuron grows along its mean, a step.

      d⟨w_j, μ⟩/dt = α‖μ‖² (1 − 2η)/(8√m)

  All of its cluster's n/4 points activate it and none of the opposite one's, at
  sigmoid weights of ½. This is Ω(α‖μ‖²/√m) of Lemma 4.7 with its constant.

  >>> f'{growth(1e-12, 10.0, 0.0, 100):.3g}'
  '1.25e-12'
  """
  return alpha * mu_norm**2 * (1 - 2 * eta) / (8 * m**0.5)


def slow_growth(
  t: Float[ArrayLike, '*n'], n: int, m: int, alpha: float, mu_norm: float
) -> Float[ArrayLike, '*n']:
  """Lemma 4.7's bound, up to a constant, for neurons of the other sign.

      O(α‖μ‖²/√m + α‖μ‖² √(ln n) t/√(mn))

  Args:
    t: Steps.
    n: Training points.
    m: Neurons.
    alpha: Step size α.
    mu_norm: ‖μ‖.

  Returns:
    An array of the shape of t.
  """
  unit = alpha * mu_norm**2 / m**0.5
  return unit * (1 + math.sqrt(math.log(n) / n) * t)
