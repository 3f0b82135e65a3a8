"""From a config to what is run, and from results to pictures."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float, Int
from xarray import Dataset

from configs.robust_recovery import Picture as Config
from experiments.robust_recovery.images.data import (
  Data,
  explained,
  load,
  problem,
)
from framework.evidence import lanes
from framework.launch import hp_of
from framework.maths import linalg
from framework.optimizers import subgradient
from framework.run.job import Arm
from framework.system import linspaced
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import optimizers

__all__ = ['Recovered', 'arm', 'mse', 'psnr', 'recovered', 'times']


class Hp(NamedTuple):
  """Hyperparameters of descent on factors."""

  k: Int[ArrayLike, '']
  eta: Float[ArrayLike, '']
  level: Float[ArrayLike, '']
  decay: Float[ArrayLike, '']
  damping: Float[ArrayLike, '']
  alpha: Float[ArrayLike, '']
  ratio: Float[ArrayLike, ''] = 1.0
  tied: Float[ArrayLike, ''] = 0.0


RULES = {
  'tracker': lambda hp: optax.chain(
    optimizers.scale_by_gram(hp.damping),
    subgradient.tracked_quantile(hp.eta, hp.level),
  ),
  # Known entries have no Sign-RIP: what is left may be in a few rows, which a
  # quantile does not see.
  'normalised': lambda hp: subgradient.normalised_geometric(hp.eta, hp.decay),
  'least_squares': lambda hp: optimizers.scaled_gd(hp.eta, hp.damping),
}
CONVEX = {'nuclear': ms.convex.squares, 'convex': ms.convex.absolute}
ATTRIBUTES = {
  'squared_error': {'long_name': '‖FGᵀ − M‖_F²', 'units': '‖M‖²'},
  'left': {'long_name': 'F at the last step', 'units': '√‖M‖'},
  'right': {'long_name': 'G at the last step', 'units': '√‖M‖'},
  'misfit': {'long_name': 'mean |√m z|', 'units': '‖M‖'},
  'objective': {'long_name': '‖Z‖_*', 'units': '‖M‖'},
}


def arm(config: Config) -> Arm:
  """One method on the measurements."""
  data = load(config)
  dtype = np.dtype(config.precision)
  given, why = problem(data, dtype)
  k = min(config.k, *data.shape)
  notes = {'operator': why}
  if config.method in CONVEX:
    return _convex(config, data, given, notes, k)
  absolute = config.method == 'subgradient'
  structure = ms.Structure(
    n1=data.shape[0],
    n2=data.shape[1],
    r=1,
    k_max=k,
    m=data.y.size,
    symmetric=False,
    measure=_given,
    loss=ms.mean_residual(jnp.abs) if absolute else ms.least_squares,
    start=ms.starts.spectral(jnp.sign if absolute else lambda y: y),
    optimizer=RULES[config.schedule if absolute else config.method],
    dtype=dtype,
  )
  system = ms.system(structure)

  def observe(state, given, hp):
    seen = system.observe(state, given, hp)
    F, G = ms.factors(state.params)
    e = ms.unit_residuals(given, F, G)
    kept = {n: seen[n] for n in ('squared_error', 'loss') if n in seen}
    return kept | {'misfit': jnp.mean(jnp.abs(e))}

  def final(state, given, hp):
    F, G = ms.factors(state.params)
    return {'left': F, 'right': G}

  return Arm(
    system._replace(observe=observe),
    hp_of(Hp, config, k=np.int32(k), ratio=1.0, tied=0.0),
    given,
    final,
    notes,
    ATTRIBUTES,
  )


def _given(*args: Any) -> Any:
  raise ValueError('the measurements are given')


def _convex(
  config: Config, data: Data, given: ms.Problem, notes: Any, k: int
) -> Arm:
  """A convex program on the same measurements; its best k columns at last."""
  n, share = max(data.shape), data.y.size / (data.shape[0] * data.shape[1])
  unit = float(np.sqrt(data.y.size))  # of e over that of z
  # Candès et al. 2011: 1/√(share · n) an entry; entries are z/√(n1 n2/m).
  weight = 1.0 / np.sqrt(min(share, 1.0) * n)
  weight = weight * unit / np.sqrt(data.shape[0] * data.shape[1])
  weight = config.weight * weight if config.method == 'convex' else np.inf
  # ‖A‖² is n1 n2/m of entries, and about (1 + √(n1 n2/m))² of dense rows.
  norm2 = 1 / share if data.A is None else (1 + share**-0.5) ** 2
  tau = 0.02
  real = np.dtype(config.precision).type
  hp = ms.convex.ConvexHp(real(weight), real(tau), real(0.99 / (norm2 * tau)))

  def final(state, given, hp) -> dict[str, Array]:
    U, s, Vt = linalg.svd(state.Z)
    root = jnp.sqrt(s[None, :k])
    return {'left': U[:, :k] * root, 'right': Vt[:k].T * root}

  system = ms.convex.nuclear_norm(
    CONVEX[config.method], np.dtype(config.precision)
  )
  return Arm(system, hp, given, final, notes, ATTRIBUTES)


def times(config: Config) -> np.ndarray:
  """Evenly spaced record times."""
  return linspaced(config.steps, max(1, config.steps // config.records))


class Recovered(NamedTuple):
  """The result of one method."""

  F: np.ndarray  # (n1, k)
  G: np.ndarray  # (n2, k)
  residuals: np.ndarray  # of y, in its own units

  @property
  def matrix(self) -> np.ndarray:
    """FGᵀ, in the units of y."""
    return self.F @ self.G.T


def recovered(config: Config, ds: Dataset, method: str) -> list[Recovered]:
  """The find of a method, of each lane."""
  data = load(config)
  part = lanes.select(lanes.prepared(config, ds, ('method',)), method=[method])
  root = np.sqrt(data.scale)
  found = []
  for F, G in zip(
    lanes.lanes(part, 'left'), lanes.lanes(part, 'right'), strict=True
  ):
    F, G = root * F, root * G
    found.append(Recovered(F, G, explained(data, F, G) - data.y))
  return found


def mse(data: Data, matrix: np.ndarray) -> float:
  """Mean squared error of a picture in [0, 1]."""
  return float(np.mean((np.clip(matrix, 0, 1) - data.M) ** 2))


def psnr(error: float) -> float:
  """Peak signal to noise ratio of pictures in [0, 1], in dB."""
  with np.errstate(divide='ignore', invalid='ignore'):
    return float(-10 * np.log10(error))
