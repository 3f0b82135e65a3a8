"""From saddle to saddle: singular values are learned one after the other."""

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.robust_recovery import Incremental as Config
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, at_least, within
from framework.evidence.gates import Gate, gate
from framework.launch import Figures, Variant, hp_of
from framework.run.job import Arm
from framework.system import linspaced
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import ensembles, operators, theory

_AXES = ('setting', 'eta', 'alpha', 'kappa', 'k')
_SOURCE = 'Li, Luo, Lyu 2021: greedy low-rank learning'
UNITS = {
  'rank_errors': {'long_name': '‖XXᵀ − M_i‖_F, i = 0 … r', 'units': '1'},
  'squared_error': {'long_name': '‖XXᵀ − M‖_F²', 'units': '1'},
  'learned': {'long_name': 'u_iᵀ XXᵀ u_i', 'units': '1'},
}


def arm(config: Config) -> Arm:
  """XXᵀ at population or from measurements."""
  structure = ms.Structure(
    n1=config.n,
    n2=config.n,
    r=config.r,
    k_max=max(config.k, *config.axis('k')),
    m=config.m if config.setting == 'sensing' else None,
    operator=operators.gram,
    spectrum=ensembles.geometric_spectrum,
    dtype=np.dtype(config.precision),
  )
  system = ms.system(structure)

  def observe(state, problem, hp):
    X, (U, s, _) = state.params['X'], problem.truth
    P, steps = X @ X.T, jnp.arange(config.r + 1)

    def error(i):
      M = (U * jnp.where(jnp.arange(config.r) < i, s, 0)[None, :]) @ U.T
      return jnp.sqrt(jnp.sum((P - M) ** 2))

    errors = jnp.stack([error(i) for i in steps])
    return {
      'rank_errors': errors,
      'squared_error': errors[-1] ** 2,
      'learned': jnp.sum((U.T @ X) ** 2, axis=1),
    }

  return Arm(
    system._replace(observe=observe),
    hp_of(ms.Hp, _Given(config), k=np.int32),
    attributes=UNITS,
  )


class _Given:
  """A config with the hyperparameters that it does not have."""

  def __init__(self, config: Config):
    self._config = config

  def __getattr__(self, name: str):
    return getattr(self._config, name, ms.Hp._field_defaults.get(name))


def times(config: Config) -> np.ndarray:
  """Evenly spaced record times."""
  return linspaced(config.steps, max(1, config.steps // config.records))


def _parts(config: Config, ds: Dataset):
  """(setting, eta, alpha, kappa, k, results) of each setting."""
  ds = lanes.prepared(config, ds, _AXES)
  grid = np.meshgrid(
    *(np.arange(len(config.axis(a))) for a in _AXES), indexing='ij'
  )
  for place in np.stack([g.ravel() for g in grid], 1):
    values = [config.axis(a)[i] for a, i in zip(_AXES, place, strict=True)]
    where = {a: [v] for a, v in zip(_AXES, values, strict=True)}
    yield (*values, lanes.select(ds, **where))


def _laws(config: Config, eta: float, alpha: float, kappa: float, k: int):
  """(σ, steps until each is half there)."""
  sigma = np.asarray(ensembles.geometric_spectrum(config.r, kappa), float)
  start = alpha * np.sqrt(k / config.n)
  return sigma, np.array([theory.half_time(x, eta, start) for x in sigma])


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on when each is learned, and on what is there in between."""
  made = {'population': [], 'sensing': []}
  for setting, eta, alpha, kappa, k, part in _parts(config, ds):
    sigma, half = _laws(config, eta, alpha, kappa, k)
    t = part['time'].values
    learned = lanes.lanes(part, 'learned')
    errors = lanes.lanes(part, 'rank_errors')
    missing = sigma[None, None, :] - learned
    at = np.stack(
      [
        fits.first_passage(t, missing[..., i], sigma[i] / 2)
        for i in range(config.r)
      ],
      1,
    )
    # How long the i-th best approximation is all there is, over the gap.
    stays = []
    for i in range(config.r - 1):
      there = errors[..., i + 1] <= 0.25 * sigma[i + 1]
      spacing = np.gradient(t)
      length = np.sum(np.where(there, spacing, 0), axis=1)
      length = np.where(np.isnan(errors).any((1, 2)), np.nan, length)
      stays.append(length / (half[i + 1] - half[i]))
    ones = np.ones(len(at), bool)
    made[setting].append(
      {
        'times': at / half,
        'stays': np.stack(stays, 1) if stays else np.zeros((len(at), 0)),
        'apart': ones
        & (config.r > 1 and np.min(sigma[:-1] / sigma[1:]) >= 1.8),
        'late': ones & (1.3 * half[-1] <= config.steps),
        'small': ones & (alpha <= 1e-3 * np.sqrt(sigma[-1])),
        'wide': ones & (k >= config.n),
        'fine': ones & (np.gradient(t).max() * eta * sigma[0] <= 2.0),
        'stable': ones & (eta * sigma[0] <= 0.5),
      }
    )
  return [
    claim
    for setting, found in made.items()
    if found
    for claim in _of_setting(config, setting, found)
  ]


def _of_setting(config: Config, setting: str, found: list[dict]) -> list[Claim]:
  def each(name: str) -> np.ndarray:
    return np.concatenate([x[name] for x in found])

  can: Gate = gate(
    (each('apart'), 'singular values are nearer than a factor of 1.8'),
    (each('late'), 'T is too short for the last of them'),
    (each('small'), 'alpha is too large: all are learned at once'),
    (each('fine'), 'too few records'),
    (each('stable'), 'the step is near the edge of stability'),
  )
  low, high = (0.9, 1.1) if setting == 'population' else (0.75, 1.3)
  return [
    gate(can, (each('wide'), 'k < n: the start has no share of its own in each')
    ).claim(
      within,
      f'{setting}.times',
      'the i-th singular value is half there after ln(√σ_i/α)/ln(1 + ησ_i) '
      'steps: over the law, the worst of all i',
      'derived: x⁺ = x(1 + η(σ − x²))',
      low,
      high,
      samples=_worst(each('times')),
      each=True,
      derivation='the start has a random share in each; measurements shift the '
      'singular values' if setting == 'sensing' else
      'the start has a random share in each direction',
      kind='theorem',
      headline=setting == 'population',
    ),
    can.claim(
      at_least,
      f'{setting}.greedy',
      'between two of them the iterate is the best approximation of rank i: '
      'how long within σ_{i+1}/4 of it, over the gap, the least of all i',
      _SOURCE,
      0.4 if setting == 'population' else 0.15,
      samples=each('stays').min(1) if each('stays').shape[1] else np.zeros(1),
      each=True,
      derivation='the ends of the gap, a tenth to a third of it each, are the '
      'transitions',
      kind='paper',
      headline=True,
    ),
  ]  # fmt: skip


def _worst(ratio: np.ndarray) -> np.ndarray:
  """The ratio of each lane that is farthest from one; NaN if one is."""
  with np.errstate(divide='ignore', invalid='ignore'):
    size = np.abs(np.log(ratio))
  place = np.where(np.isnan(size), np.inf, size).argmax(1)
  return ratio[np.arange(len(ratio)), place]


def figures(config: Config, ds: Dataset) -> Figures:
  """The share of each singular value that is learned."""
  from framework.evidence import figures as plotting

  settings = config.axis('setting')
  fig, axes = plotting.figure(
    'double' if len(settings) > 1 else 'single',
    ncols=len(settings),
    sharey=True,
    height=2.8,
  )
  axes = np.atleast_1d(axes)
  drawn = set()
  for setting, eta, alpha, kappa, k, part in _parts(config, ds):
    if setting in drawn:
      continue
    drawn.add(setting)
    ax = axes[settings.index(setting)]
    sigma, half = _laws(config, eta, alpha, kappa, k)
    learned = lanes.lanes(part, 'learned')
    colors = plotting.palette(range(config.r))
    for i, color in enumerate(colors):
      name = rf'$\sigma_{i + 1}={sigma[i]:.3g}$'
      t = part['time'].values
      plotting.lanes(ax, t, learned[..., i] / sigma[i], name, color)
      ax.axvline(half[i], color=color, ls='--', lw=1)
    ax.plot([], [], 'k--', lw=1, label='half, derived')
    ax.set(title=setting, xlabel='steps $t$')
  axes[0].set_ylabel(r'$u_i^\top XX^\top u_i/\sigma_i$')
  plotting.legend(axes[-1])
  return {
    'incremental': (
      fig,
      f'XXᵀ from α = {config.alpha:g}: one singular value after the other. '
      'Dashed: when each is to be half there.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
