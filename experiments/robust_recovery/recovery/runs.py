"""From a config to what is run, and from results to lanes."""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from absl import logging
from jaxtyping import ArrayLike, Float, Int
from xarray import Dataset

from configs.robust_recovery import Config
from framework.evidence import fits, lanes
from framework.launch import hp_of, structure_of
from framework.optimizers import subgradient
from framework.run.job import Arm
from framework.system import linspaced
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import ensembles, operators, theory

__all__ = ['LOSSES', 'PAPER', 'Hp', 'Lanes', 'arm', 'times']

PAPER = 'Ma, Fattahi 2022'


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  k: Int[ArrayLike, '']  # columns; those beyond are zero and stay so
  eta: Float[ArrayLike, '']
  decay: Float[ArrayLike, '']
  level: Float[ArrayLike, '']
  cap: Float[ArrayLike, '']
  alpha: Float[ArrayLike, '']
  kappa: Float[ArrayLike, '']
  outliers: Float[ArrayLike, '']
  size: Float[ArrayLike, '']


RULES = {
  'geometric': lambda hp: subgradient.geometric(hp.eta, hp.decay),
  'normalised': lambda hp: subgradient.normalised_geometric(hp.eta, hp.decay),
  'loss': lambda hp: subgradient.residual_scaled(
    hp.eta, subgradient.mean_absolute
  ),
  'median': lambda hp: subgradient.residual_scaled(
    hp.eta, subgradient.quantile(0.5)
  ),
  'quantile': lambda hp: subgradient.residual_scaled(
    hp.eta, subgradient.quantile(hp.level)
  ),
  'tracker': lambda hp: subgradient.tracked_quantile(hp.eta, hp.level),
  'polyak': lambda hp: subgradient.polyak(cap=hp.cap),
}
LOSSES = {
  'absolute': lambda config: ms.mean_residual(jnp.abs),
  'huber': lambda config: ms.mean_residual(ms.huber(config.delta)),
  'least_squares': lambda config: ms.least_squares,
}
NOISES = {
  'none': None,
  'outliers': ms.robust.noise.outliers,
  'dense': ms.robust.noise.dense,
  'heavy_tailed': ms.robust.noise.heavy_tailed,
  'sign_aligned': ms.robust.noise.sign_aligned,
}
STARTS = {'spectral': ms.starts.spectral(), 'gaussian': ms.starts.gaussian}
ENSEMBLES = {
  'gaussian': None,
  'rademacher': operators.structured.draw_rademacher,
}
RANK_ONE = {
  'rank_one': operators.structured.draw_rank_one,
  'pairs': operators.structured.draw_pairs,
  'quadratic': operators.structured.draw_quadratic,
}
_AXES = (
  'objective',
  'schedule',
  'noise',
  'start',
  'ensemble',
  'm',
  *Hp._fields,
)


def arm(config: Config, hp: Any = None) -> Arm:
  """The system of one structural setting, with its hp."""
  squares = config.objective == 'least_squares'
  most = max(config.axis('outliers'))
  if config.noise in ('outliers', 'sign_aligned') and most >= 0.5:
    logging.warning(
      'outliers = %g: theorems on symmetric noise are of shares below 1/2', most
    )
  structure = structure_of(
    ms.Structure,
    config,
    n1=config.n,
    n2=config.n,
    m=max(config.m, *config.axis('m')),
    k_max=max(config.k, *config.axis('k')),
    operator=operators.gram if squares else operators.svec,
    measure=_measure(config),
    optimizer=optax.sgd if squares else RULES[config.schedule],
    loss=LOSSES[config.objective](config),
    noise=NOISES[config.noise],
    # The spectrum of A*(sign y) needs measurements; small is small enough.
    start=STARTS['gaussian' if squares else config.start],
    dtype=jnp.dtype(config.precision),
  )
  return Arm(
    ms.system(structure),
    hp_of(Hp, config, k=np.int32) if hp is None else hp,
    attributes=ms.ATTRIBUTES,
  )


def _measure(config: Config) -> Any:
  """Draws measurements, those of rank one in the form that is quickest."""
  draw = RANK_ONE.get(config.ensemble)
  if draw is None:
    return ENSEMBLES[config.ensemble]
  k = max(config.k, *config.axis('k'))

  def measure(*args: Any) -> Any:
    return operators.structured.quickest(draw(*args), k)[0]

  return measure


def times(config: Config) -> np.ndarray:
  """Evenly spaced record times."""
  return linspaced(config.steps, max(1, config.steps // config.records))


class Lanes:
  """The lanes of a part of some results, in one order throughout."""

  def __init__(self, config: Config, ds: Dataset, **where: Any):
    """Selects lanes; a value for each axis to select along."""
    self.config = config
    where = {axis: [value] for axis, value in where.items()}  # keeps the axis
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

  def seen(self, name: str) -> np.ndarray:
    """An observation, (lanes, time, ...)."""
    if name not in self.ds:
      return np.full((self.size, len(self.t)), np.nan)
    return lanes.lanes(self.ds, name)

  def over(self, axis: str, values: Any) -> np.ndarray:
    """Values (lanes, ...) as (along an axis, other lanes, ...)."""
    template = self.ds['diverged_at']
    order = np.arange(template.size).reshape(template.shape)
    rows = np.moveaxis(order, template.dims.index(axis), 0)
    values = np.broadcast_to(values, (self.size, *np.shape(values)[1:]))
    return values[rows.reshape(len(rows), -1)]

  @functools.cached_property
  def size(self) -> int:
    """How many lanes there are."""
    return self.ds['diverged_at'].size

  @functools.cached_property
  def sigma(self) -> np.ndarray:
    """Singular values of the truth, (lanes, r)."""
    kappa, r = self.given('kappa'), self.config.r
    rows = {
      x: np.asarray(ensembles.linear_spectrum(r, float(x)), np.float64)
      for x in np.unique(kappa)
    }
    return np.array([rows[x] for x in kappa])

  @functools.cached_property
  def norm(self) -> np.ndarray:
    """‖M‖_F in each lane."""
    return np.sqrt(np.sum(self.sigma**2, axis=1))

  @functools.cached_property
  def error(self) -> np.ndarray:
    """‖XXᵀ − M‖_F/‖M‖_F, (lanes, time)."""
    return np.sqrt(self.seen('squared_error')) / self.norm[:, None]

  @property
  def last(self) -> np.ndarray:
    """The relative error at T."""
    return self.error[:, -1]

  def reached(self, level: float) -> np.ndarray:
    """Steps until the relative error is at a level; NaN where it never is."""
    return fits.first_passage(self.t, self.error, level)

  @functools.cached_property
  def spoilt(self) -> np.ndarray:
    """The share p of spoilt measurements."""
    share = np.isin(self.given('noise'), ('outliers', 'sign_aligned'))
    return np.where(share, self.given('outliers'), 0.0)

  @functools.cached_property
  def evidence(self) -> np.ndarray:
    """m(1 − p)² over the r(2n − r + 1)/2 numbers that determine the truth.

    Sign-RIP has δ² ∝ 1/(φ² m) and φ ∝ 1 − p: what one clean measurement in
    1/(1 − p) of them is worth.
    """
    n, r = self.config.n, self.config.r
    numbers = r * (2 * n - r + 1) / 2
    return self.given('m') * (1 - self.spoilt) ** 2 / numbers

  @functools.cached_property
  def pace(self) -> np.ndarray:
    """C of the gradient step that a quantile step amounts to."""
    median = self.given('schedule') == 'median'
    level = np.where(median, 0.5, self.given('level'))
    found = theory.effective_step(self.given('eta'), level, self.spoilt)
    return np.asarray(found, np.float64)

  @functools.cached_property
  def growth(self) -> np.ndarray:
    """Steps until the weakest direction of the truth is as large as there."""
    sigma_r, alpha = self.sigma[:, -1], self.given('alpha')
    return np.log(np.sqrt(sigma_r) / alpha) / np.log1p(self.pace * sigma_r)
