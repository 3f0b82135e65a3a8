"""A product of L factors: a longer plateau, and a slower tail."""

import numpy as np
from xarray import Dataset

from configs.robust_recovery import Deep as Config
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, within
from framework.evidence.gates import gate
from framework.launch import Figures, Variant, hp_of, structure_of
from framework.run.job import Arm
from framework.system import logspaced
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import ensembles, theory
from framework.systems.matrix_sensing.deep import DeepHp, DeepStructure

_SOURCE = 'Arora, Cohen, Hu, Luo 2019: ds/dt = L s^(2 − 2/L)(σ − s)'
UNITS = {
  'squared_error': {'long_name': '‖W_L…W_1 − M‖_F²', 'units': '1'},
  'loss': {'long_name': '½ ‖A(W_L…W_1) − y‖²', 'units': '1'},
  'eigenvalues': {'long_name': 'of the product', 'units': '1'},
}


def arm(config: Config) -> Arm:
  """One depth."""
  structure = structure_of(
    DeepStructure, config, m=config.m, dtype=np.dtype(config.precision)
  )
  system = ms.deep.deep(structure)
  return Arm(system, hp_of(DeepHp, config), attributes=UNITS)


def times(config: Config) -> np.ndarray:
  """Record times per decade."""
  return logspaced(config.steps, config.records)


def _parts(config: Config, ds: Dataset):
  """(depth, alpha, eta, kappa, results) of each setting."""
  ds = lanes.prepared(config, ds, ('depth', 'alpha', 'eta', 'kappa'))
  for depth in config.axis('depth'):
    for alpha in config.axis('alpha'):
      for eta in config.axis('eta'):
        for kappa in config.axis('kappa'):
          part = lanes.select(
            ds, depth=[depth], alpha=[alpha], eta=[eta], kappa=[kappa]
          )
          yield int(depth), float(alpha), float(eta), float(kappa), part


def _measured(config: Config, part: Dataset, sigma_r: float):
  """(squared error (lanes, t), steps until the weakest is half)."""
  t = part['time'].values
  error = lanes.lanes(part, 'squared_error')
  weakest = lanes.lanes(part, 'eigenvalues')[..., config.r - 1]
  # As the first passage of what is missing.
  half = fits.first_passage(t, sigma_r - weakest, sigma_r / 2)
  return error, np.where(np.isnan(weakest).any(1), np.nan, half)


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on each depth."""
  r, n, steps = config.r, config.n, config.steps
  rows = {}
  for depth, alpha, eta, kappa, part in _parts(config, ds):
    sigma = np.asarray(ensembles.linear_spectrum(r, kappa), np.float64)
    error, half = _measured(config, part, float(sigma[-1]))
    escape = theory.deep_escape(float(sigma[-1]), depth, eta, alpha)
    crossed = steps * eta * 2 * (depth - 1) * alpha ** (2 * (depth - 1))
    law = theory.deep_noise(steps, depth, eta, alpha, max(n - r, 1))
    # e-folds of the signal after its escape.
    folds = 2 * eta * depth * float(sigma[-1]) ** (2 - 2 / depth)
    folds = folds * (steps - 1.5 * escape)
    rows.setdefault(depth, []).append(
      {
        'error': error[:, -1] / law,
        'half': half / max(escape, 1e-9),
        'exponent': fits.power_law(
          part['time'].values, error, fits.last_decade(part['time'].values)
        ).slope,
        'population': config.m is None and n > r,
        'fast': 2 * eta * depth <= 0.6,
        'crossed': crossed,
        'fitted': folds >= -np.log(law) + 5,
        'plateau': 50 <= escape <= steps / 2,
        'small': alpha**depth <= 0.2 * float(sigma[-1]),
      }
    )
  made = []
  for depth, found in rows.items():
    made += _of_depth(config, depth, found)
  return made


def _of_depth(config: Config, depth: int, found: list[dict]) -> list[Claim]:
  def each(name: str) -> np.ndarray:
    return np.concatenate([np.broadcast_to(x[name], size(x)) for x in found])

  def size(x: dict) -> int:
    return len(x['error'])

  basis = gate(
    (each('population'), 'measurements change the tail: choose none'),
    (each('fast'), 'the step is near the edge of stability'),
  )
  tail = gate(
    basis,
    (each('crossed') >= 10, 'T is too short for the tail'),
    (each('fitted'), 'the truth is not fitted by T'),
  )
  law = -depth / (depth - 1)
  return [
    tail.claim(
      within,
      f'L={depth}.tail',
      'the squared error is (n − r)(2(L − 1)ηT)^(−L/(L − 1)), with its start: '
      'ratio',
      'derived: ds/dt = −L s^(3 − 2/L) in the directions of noise',
      0.95,
      1.05,
      samples=each('error'),
      each=True,
      derivation='steps of size η against the flow, O(ln T/T)',
      kind='theorem',
      headline=True,
    ),
    gate(
      tail, (each('crossed') >= 100, 'T is too short for an exponent')
    ).claim(
      within,
      f'L={depth}.exponent',
      f'which falls as t^({law:.3g}): slower, the deeper',
      'derived: ds/dt = −L s^(3 − 2/L) in the directions of noise',
      law - 0.03,
      law + 0.06,
      samples=each('exponent'),
      derivation='the start is still a tenth at the begin of the last decade',
      kind='theorem',
    ),
    gate(
      basis,
      (each('small'), 'the start is no small one'),
      (each('plateau'), 'the plateau is not well inside of the run'),
    ).claim(
      within,
      f'L={depth}.escape',
      'steps until the weakest eigenvalue is half there, over the law',
      _SOURCE,
      0.93,
      1.1,
      samples=each('half'),
      each=True,
      derivation='records twenty a decade; steps of size η against the flow',
      kind='theorem',
      headline=True,
    ),
  ]


def figures(config: Config, ds: Dataset) -> Figures:
  """The error of each depth, and the plateau over α."""
  from framework.evidence import figures as plotting

  fig, (left, right) = plotting.figure('double', ncols=2, height=2.8)
  depths = [int(d) for d in config.axis('depth')]
  alphas = sorted(config.axis('alpha'))
  escapes = {d: [] for d in depths}
  laws = {d: [] for d in depths}
  shown = max(alphas)
  left.set(xscale='log', yscale='log', xlabel='steps $t$')
  for depth, alpha, eta, kappa, part in _parts(config, ds):
    sigma_r = float(ensembles.linear_spectrum(config.r, kappa)[-1])
    error, half = _measured(config, part, sigma_r)
    color = f'C{depths.index(depth)}'
    t = part['time'].values
    if alpha == shown:
      plotting.lanes(left, t[1:], error[:, 1:], f'$L={depth}$', color)
      late = t[t > 50]
      law = [
        theory.deep_noise(x, depth, eta, alpha, config.n - config.r)
        for x in late
      ]
      plotting.law(left, late, np.array(law))
    escapes[depth].append((alpha, np.median(half)))
    laws[depth].append((alpha, theory.deep_escape(sigma_r, depth, eta, alpha)))
  left.lines[-1].set_label('derived')
  left.set_ylabel('squared error')
  plotting.legend(left)
  for i, depth in enumerate(depths):
    x, y = np.array(sorted(escapes[depth])).T
    right.plot(x, y, 'o', ms=3, color=f'C{i}', label=f'$L={depth}$')
    x, y = np.array(sorted(laws[depth])).T
    x, y = x[y > 0], y[y > 0]  # others begin beyond it
    right.plot(x, y, '--', color=f'C{i}', lw=1)
  right.plot([], [], 'k--', lw=1, label='derived')
  right.set(xscale='log', yscale='log', xlabel=r'scale of the start $\alpha$')
  right.set_ylabel(r'steps until $\sigma_r$ is half there')
  plotting.legend(right)
  return {
    'deep': (
      fig,
      f'A product of L factors of {config.n} x {config.n} from αI. Left: the '
      f'squared error at α = {shown:g}; right: the plateau. Dashed: derived.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
