"""Reading results: lanes, first passages, the settings that a theorem sets."""

import dataclasses
from typing import Any

import numpy as np

from framework.systems.clusters.xor import theory

__all__ = [
  'PAPER',
  'Settings',
  'at',
  'first_time',
  'lanes',
  'only',
  'settings',
]

PAPER = 'Xu et al. 2023'
AXES = ('n', 'm', 'alpha', 'omega', 'eta', 'signal', 'leak', 'stratified')


@dataclasses.dataclass(frozen=True)
class Settings:
  """The numbers of a run, whoever set them."""

  n: int
  m: int
  p: float
  alpha: float
  omega: float
  eta: float
  signal: float
  leak: float
  stratified: float
  kappa: float

  @property
  def mu_norm(self) -> float:
    """‖μ‖."""
    return self.signal * (self.p / self.n) ** 0.5

  def assumptions(self, C: float) -> list[theory.Assumption]:
    """(A1) ... (A6) with both sides."""
    return theory.assumptions(
      self.n,
      self.p,
      self.m,
      self.mu_norm,
      self.eta,
      self.alpha,
      self.omega,
      C,
    )


def settings(config: Any, **replaced: Any) -> Settings:
  """The numbers of one setting of a config.

  In the regime of the theorem p is 1.2 of the least at which (A1) and (A2) can
  hold together, ‖μ‖² lies in the middle of what they leave, and α and ω are at
  half of what (A4) and (A5) allow.

  Args:
    config: The config.
    **replaced: Coordinates of swept axes.

  Returns:
    `Settings`.
  """
  names = [f.name for f in dataclasses.fields(Settings)]
  known = {name: getattr(config, name) for name in names} | replaced
  if config.regime == 'theorem':
    n, m, C = known['n'], known['m'], config.constant
    p = 1.2 * theory.least_dimension(n, C)
    # Between C n^0.51 √p, (A1), and p/(C n²), (A2).
    square = (C * n**0.51 * p**0.5 * p / (C * n**2)) ** 0.5
    alpha = 0.5 / (C * n * p)
    known |= {
      'p': p,
      'signal': (square * n / p) ** 0.5,
      'alpha': alpha,
      'omega': 0.5 * alpha * square / (n * m**1.5 * p),
    }
  return Settings(**known)


def only(dataset: Any, **where: Any) -> Any:
  """The dataset at some coordinates, of the axes that it has.

  Args:
    dataset: Results.
    **where: Coordinates; those of axes that were not swept are left out.

  Returns:
    The part of the dataset.
  """
  return dataset.sel({k: v for k, v in where.items() if k in dataset.dims})


def lanes(dataset: Any, name: str) -> np.ndarray:
  """An observation as an array (lanes, ...), seeds and other axes flattened.

  Args:
    dataset: Results, or a part of them.
    name: The observation.

  Returns:
    (lanes, time, ...) or (lanes, ...), lanes in C order.
  """
  array = dataset[name]
  own = [d for d in array.dims if d == 'time' or d.startswith(f'{name}_')]
  other = [d for d in array.dims if d not in own]
  values = array.transpose(*other, *own).values
  return values.reshape(-1, *values.shape[len(other) :])


def at(dataset: Any, name: str, t: int) -> np.ndarray:
  """An observation of all lanes at one record time.

  Args:
    dataset: Results, or a part of them.
    name: The observation.
    t: A step that was recorded.

  Returns:
    (lanes, ...).

  Raises:
    KeyError: If t was not recorded.
  """
  return lanes(dataset.sel(time=t), name)


def first_time(t: np.ndarray, accuracy: np.ndarray, level: float) -> np.ndarray:
  """The first record time at which an accuracy reaches a level.

  Args:
    t: Record times (time,).
    accuracy: (..., time).
    level: The level.

  Returns:
    Steps (...), NaN where it is never reached.

  >>> first_time(np.array([0, 1, 4]), np.array([[0.5, 0.9, 1.0]]), 0.9)
  array([1.])
  """
  reached = accuracy >= level
  return np.where(reached.any(-1), t[reached.argmax(-1)], np.nan)
