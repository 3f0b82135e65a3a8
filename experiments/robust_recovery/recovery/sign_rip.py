"""The sub-gradient at random matrices: φ and δ against their laws."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key
from xarray import Dataset

from configs.robust_recovery import SignRip as Config
from experiments.robust_recovery.recovery.runs import PAPER
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, fact, within
from framework.evidence.gates import gate
from framework.launch import Figures, Variant, hp_of
from framework.run.job import Arm
from framework.system import System
from framework.systems.matrix_sensing import ensembles, operators, theory
from framework.systems.matrix_sensing.robust import noise, sign_rip


class Hp(NamedTuple):
  """Traced numbers."""

  outliers: Float[ArrayLike, '']
  size: Float[ArrayLike, '']
  norm: Float[ArrayLike, '']


class Measured(NamedTuple):
  """Measurements, and what spoils them."""

  operator: Any
  noise: Float[Array, ' m']


def arm(config: Config) -> Arm:
  """A chain of independent matrices X: a step draws the next."""
  n, m, dtype = config.n, config.m, jnp.dtype(config.precision)

  def sample(key: Key[Array, ''], hp: Hp) -> Measured:
    rows, spoilt = jax.random.split(key)
    A = ensembles.symmetric_gaussian(rows, m, n, dtype)
    operator = operators.svec(A, (n, n), True)
    return Measured(operator, noise.outliers(spoilt, m, hp, dtype))

  def draw(key: Key[Array, ''], hp: Hp) -> Float[Array, 'n n']:
    B = jax.random.normal(key, (n, config.r), dtype)
    signs = jnp.where(jnp.arange(config.r) % 2, -1, 1).astype(dtype)
    X = (B * signs[None, :]) @ B.T  # as a difference XXᵀ − M is: indefinite
    return jnp.asarray(hp.norm) * X / jnp.sqrt(jnp.sum(X**2))

  def observe(X: Array, problem: Measured, hp: Hp) -> dict[str, Array]:
    z = problem.operator.forward(X) - problem.noise
    Q = problem.operator.adjoint(jnp.sign(z)) / m**0.5
    phi, delta = sign_rip(Q, X, config.rank)
    return {'phi': phi, 'delta': delta}

  system = System(
    sample,
    lambda key, problem, hp: draw(key, hp),
    lambda key, X, problem, hp: draw(key, hp),
    observe,
  )
  units = {
    'phi': {'long_name': 'φ: the sub-gradient along X', 'units': '1'},
    'delta': {'long_name': 'δ: off X, over φ', 'units': '1'},
  }
  return Arm(system, hp_of(Hp, config), attributes=units)


def times(config: Config) -> np.ndarray:
  """One record a matrix."""
  return np.arange(config.draws, dtype=np.int32)


_AXES = ('m', 'outliers', 'size', 'norm')


def _lanes(config: Config, ds: Dataset) -> dict[str, np.ndarray]:
  """Means over the matrices of a lane, with its setting and the laws."""
  ds = lanes.prepared(config, ds, _AXES)
  own = {name: lanes.coordinate(ds, name) for name in _AXES}
  for name in ('phi', 'delta'):
    own[name] = lanes.lanes(ds, name).mean(1)
  law = theory.sign_rip_phi(own['norm'], own['outliers'], own['size'])
  own['phi_law'] = np.asarray(law, np.float64)
  made = [
    theory.sign_rip_delta(m, config.n, config.rank, phi)
    for m, phi in zip(own['m'], own['phi_law'], strict=True)
  ]
  own['delta_law'] = np.asarray(made, np.float64)
  return own


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on φ, on δ, and on how δ falls with m."""
  own = _lanes(config, ds)
  with np.errstate(divide='ignore', invalid='ignore'):
    phi = own['phi'] / own['phi_law']
    delta = own['delta'] / own['delta_law']
    product = own['delta'] * own['phi']
  seen = own['phi_law'] * np.sqrt(own['m'])
  clear = gate((seen >= 5, 'φ√m < 5: the scatter of a draw hides the law'))
  large = gate(
    (config.n >= 10, 'n < 10: no semicircle'),
    (4 * config.rank <= config.n * 2, 'q > n/2: the small end of it'),
  )
  exponent = np.nan
  if np.isfinite(product).all() and np.all(product > 0):
    exponent = fits.line(np.log(own['m']), np.log(product)).slope
  ms = np.array(config.axis('m'), float)
  # A matrix scatters by 1/(φ√m); all of a seed share their outliers, of whose
  # share √(p(1 − p)/m) is the deviation. Lanes of one m share their draws.
  p = own['outliers']
  with np.errstate(divide='ignore', invalid='ignore'):
    squares = 1 / (np.square(seen) * config.draws) + p / ((1 - p) * own['m'])
  error = np.sqrt(np.mean(squares) / (config.seeds * len(set(own['m']))))
  steady = (error <= 0.01, 'the mean of so few draws is not known to 1 %')
  return [
    gate(clear, steady).claim(
      within,
      'phi',
      'φ is √(2/π) E exp(−s²/2‖X‖²): its mean ratio to that',
      'derived: Gaussian A_i',
      0.97,
      1.03,
      samples=phi,
      derivation='three deviations of the mean, of 1 % at most',
      kind='theorem',
      headline=True,
    ),
    gate(clear, large).claim(
      within,
      'delta',
      'δ is the norm of the q largest of a semicircle over φ: mean ratio',
      'derived: off X the sub-gradient is a Gaussian symmetric matrix',
      0.85,
      1.15,
      samples=delta,
      derivation='edges of small matrices, n^-⅔; φ in the denominator',
      kind='theorem',
      headline=True,
    ),
    gate(
      (ms.max() >= 4 * ms.min(), 'm was not swept by a factor of four'),
      (bool(np.all(seen >= 5)), 'φ√m < 5: the scatter of a draw hides the law'),
    ).claim(
      within,
      'exponent',
      'δ falls as m^-½: the exponent of δφ',
      f'{PAPER}: m of the order of nq/δ²',
      -0.6,
      -0.4,
      samples=np.atleast_1d(exponent),
      derivation='15 % of a factor of two',
      kind='paper',
      headline=True,
    ),
    fact(
      'theory',
      'largest δ of these settings by its law',
      PAPER,
      float(own['delta_law'].max()),
      wanted='small against one',
    ),
  ]


def figures(config: Config, ds: Dataset) -> Figures:
  """φ over p, δ over m."""
  from framework.evidence import figures as plotting

  own = _lanes(config, ds)
  fig, (left, right) = plotting.figure('double', ncols=2, height=2.8)
  ms = np.unique(own['m'])
  shares = np.unique(own['outliers'])
  for i, m in enumerate(ms):
    here = own['m'] == m
    left.plot(
      own['outliers'][here] + 0.006 * (i - len(ms) / 2),
      own['phi'][here],
      'o',
      ms=3,
      color=f'C{i}',
      label=f'$m={m:g}$',
    )
  p = np.linspace(0, max(shares.max(), 0.1), 50)
  law = theory.sign_rip_phi(config.norm, p, config.size)
  plotting.law(left, p, np.asarray(law), r'$\varphi$ derived')
  left.set(xlabel='share of outliers $p$', ylabel=r'$\varphi$')
  plotting.legend(left)
  grid = np.geomspace(ms.min() / 1.3, ms.max() * 1.3, 30)
  for i, share in enumerate(shares):
    here = own['outliers'] == share
    right.plot(
      own['m'][here],
      own['delta'][here],
      'o',
      ms=3,
      color=f'C{i}',
      label=f'$p={share:g}$',
    )
    phi = float(theory.sign_rip_phi(config.norm, share, config.size))
    law = theory.sign_rip_delta(grid, config.n, config.rank, phi)
    right.plot(grid, np.asarray(law), '--', color=f'C{i}', lw=1)
  right.plot([], [], 'k--', lw=1, label='derived')
  right.set(xscale='log', yscale='log', xlabel='measurements $m$')
  right.set_xticks(ms, [f'{m:g}' for m in ms])
  right.minorticks_off()
  right.set_ylabel(rf'$\delta$ at rank {config.rank}')
  plotting.legend(right)
  return {
    'sign_rip': (
      fig,
      f'The sub-gradient at random matrices of rank {config.r}, n = '
      f'{config.n}. Dashed: derived, without a fitted number.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
