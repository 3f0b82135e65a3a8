"""Lanes: what each run of a setting was given, and what was recorded of it.

A linear rate is fitted on the last third of the way to the floor (or to the
last step): as late as can be, for the slowest mode rules only in the end, and a
thousand times above the square of rounding. A power law is fitted on the last
factor of ten of time.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import runs
from framework.evidence import fits, lanes
from framework.systems import matrix_sensing as ms

__all__ = ['FLOOR', 'LEVEL', 'PAPER', 'Lanes', 'ratio', 'settings']

PAPER = 'Xiong, Ding, Du 2023'
FLOOR = {'float64': 1e-26, 'float32': 1e-9}  # above the square of rounding
LEVEL = 1e-12  # of the squared error: 1e-6 of the norm

_AXES = (
  'setting',
  'parametrisation',
  'optimizer',
  'spectrum',
  *ms.Hp._fields,
)


class Lanes:
  """The lanes of a part of some results, in one order throughout."""

  def __init__(self, config: Config, ds: Dataset, **where: Any):
    """Selects lanes.

    Args:
      config: What was run.
      ds: Results.
      **where: A value for each axis to select along.
    """
    self.config = config
    # As lists, so that each axis stays.
    where = {axis: [value] for axis, value in where.items()}
    self.ds = lanes.select(lanes.prepared(config, ds, _AXES), **where)
    self.t = ds['time'].values

  def at(self, **where: Any) -> 'Lanes':
    """A part of them."""
    return Lanes(self.config, self.ds, **where)

  def values(self, axis: str) -> list[Any]:
    """The values along an axis, once each."""
    return np.atleast_1d(self.ds[axis].values).tolist()

  def given(self, name: str) -> np.ndarray:
    """A hyperparameter, or another axis, in each lane."""
    return lanes.coordinate(self.ds, name)

  def only(self, name: str) -> float:
    """A hyperparameter that all lanes share; NaN where they differ."""
    values = np.unique(self.given(name))
    return float(values[0]) if len(values) == 1 else np.nan

  def seen(self, name: str) -> np.ndarray:
    """An observation: (lanes, time, ...), or (lanes, ...) if without time.

    NaN for what this structure does not observe.
    """
    if name not in self.ds:
      return np.full(self.size, np.nan)
    return lanes.lanes(self.ds, name)

  def over(self, axis: str, values: np.ndarray) -> np.ndarray:
    """Values (lanes, ...) as (along an axis, other lanes, ...)."""
    template = self.ds['diverged_at']
    order = np.arange(template.size).reshape(template.shape)
    rows = np.moveaxis(order, template.dims.index(axis), 0)
    return np.asarray(values)[rows.reshape(len(rows), -1)]

  @functools.cached_property
  def size(self) -> int:
    """How many lanes there are."""
    return self.ds['diverged_at'].size

  @functools.cached_property
  def shape(self) -> tuple[int, int]:
    """(n1, n2) of the truth."""
    return runs.truth_shape(self.config)

  @functools.cached_property
  def sigma(self) -> np.ndarray:
    """Singular values of the truth, (lanes, r)."""
    pairs = zip(self.given('spectrum'), self.given('kappa'), strict=True)
    return np.array([runs.spectrum(self.config, *pair) for pair in pairs])

  @functools.cached_property
  def sensing(self) -> bool:
    """Whether there are measurements, not the population."""
    return self.values('setting') == ['sensing']

  @functools.cached_property
  def symmetric(self) -> bool:
    """Whether the product is XXᵀ, not FGᵀ."""
    return self.values('parametrisation') == ['symmetric']

  def slope(self, floor: float) -> np.ndarray:
    """Slope of ln(squared error), late; of balanced lanes after balancing."""
    error, t = self.seen('squared_error'), self.t
    begun = np.zeros(self.size)
    if 'balanced_at' in self.ds:
      begun = np.maximum(np.nan_to_num(self.seen('balanced_at')[:, -1]), 0)
    reached = fits.first_passage(t, error, floor)
    end = np.where(np.isnan(reached), t[-1], reached)
    late = fits.after(t, begun + 2 * (end - begun) / 3) & (t <= end[:, None])
    return fits.exponential(t, error, where=late).slope

  @functools.cached_property
  def rate(self) -> np.ndarray:
    """The slope down to the floor of the precision."""
    return self.slope(FLOOR[self.config.precision])

  @functools.cached_property
  def exponent(self) -> np.ndarray:
    """Slope of ln(squared error) on ln t, over the last factor of ten."""
    error = self.seen('squared_error')
    return fits.power_law(self.t, error, fits.last_decade(self.t)).slope

  @property
  def last(self) -> np.ndarray:
    """The squared error at T."""
    return self.seen('squared_error')[:, -1]


def ratio(measured: ArrayLike, law: ArrayLike) -> np.ndarray:
  """Measured over law; not finite where the law is zero or not known."""
  with np.errstate(divide='ignore', invalid='ignore'):
    return np.asarray(measured) / np.asarray(law)


def settings(config: Config, ds: Dataset) -> list[tuple[str, Lanes]]:
  """The lanes of each setting, under its name."""
  return [
    (str(name), Lanes(config, ds, setting=name))
    for name in Lanes(config, ds).values('setting')
  ]
