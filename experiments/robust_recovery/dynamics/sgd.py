"""SGD on noisy measurements balances the factors; full gradients do not."""

import numpy as np
from xarray import Dataset

from configs.robust_recovery import Streaming as Config
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, within
from framework.evidence.gates import gate
from framework.launch import Figures, Variant, hp_of, structure_of
from framework.run.job import Arm
from framework.system import linspaced
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing.streaming import (
  StreamingHp,
  StreamingStructure,
)

_AXES = ('batch', 'eta', 'noise', 'alpha', 'ratio', 'k')
UNITS = {
  'squared_error': {'long_name': '‖FGᵀ − M‖_F²', 'units': '1'},
  'imbalance': {'long_name': '‖FᵀF − GᵀG‖_F', 'units': '1'},
}


def arm(config: Config) -> Arm:
  """SGD with one size of the batch."""
  structure = structure_of(
    StreamingStructure,
    config,
    k_max=max(config.k, *config.axis('k')),
    dtype=np.dtype(config.precision),
  )
  hp = hp_of(StreamingHp, config, k=np.int32)
  return Arm(ms.streaming.streaming(structure), hp, attributes=UNITS)


def times(config: Config) -> np.ndarray:
  """Evenly spaced record times."""
  return linspaced(config.steps, max(1, config.steps // config.records))


def _lanes(config: Config, ds: Dataset) -> dict[str, np.ndarray]:
  ds = lanes.prepared(config, ds, _AXES)
  own = {name: lanes.coordinate(ds, name) for name in _AXES}
  own['imbalance'] = lanes.lanes(ds, 'imbalance')
  own['squared_error'] = lanes.lanes(ds, 'squared_error')
  own['t'] = ds['time'].values.astype(float)
  return own


def _law(config: Config, own: dict[str, np.ndarray]) -> np.ndarray:
  """ln‖Δ_t‖/‖Δ_0‖ by the law, (lanes, t), with the error as it was."""
  rate = -(own['eta'] ** 2) * config.n / own['batch']
  size = own['noise'][:, None] ** 2 + own['squared_error']
  middle = (size[:, 1:] + size[:, :-1]) / 2 * np.diff(own['t'])[None, :]
  return rate[:, None] * np.concatenate(
    [np.zeros((len(size), 1)), np.cumsum(middle, axis=1)], 1
  )


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the imbalance with noise and without."""
  own, n = _lanes(config, ds), config.n
  with np.errstate(divide='ignore', invalid='ignore'):
    change = np.log(own['imbalance'] / own['imbalance'][:, :1])
  change = np.where(np.isfinite(change), change, np.nan)
  law = _law(config, own)
  # What the noise alone does, from the config.
  alone = own['eta'] ** 2 * n * own['noise'] ** 2 / own['batch']
  folds = alone * config.steps
  # Where the law is at one e-fold after the begin of the window: its slope.
  begun = own['t'] >= config.steps / 10
  slope = _slopes(own['t'][begun], change[:, begun])
  wanted = _slopes(own['t'][begun], law[:, begun])
  stable = own['eta'] * (n * n / own['batch'] + 1) * 2 <= 1.0
  basis = gate(
    (stable, 'the step is too long for so few measurements'),
    (own['ratio'] <= 0.3, 'the start is nearly balanced'),
    (
      own['alpha'] >= 0.5,
      'the start is too small to be seen in the imbalance',
    ),
  )
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio = slope / wanted
  return [
    gate(
      basis,
      (own['noise'] >= 0.1, 'there is no noise'),
      (folds >= 0.3, 'T is too short for noise to balance anything'),
      (folds <= 2.0, 'T is so long that only fluctuations are left'),
    ).claim(
      within,
      'decay',
      '‖FᵀF − GᵀG‖ decays at the rate η² n (ν² + ‖E‖²)/b: measured over law',
      'derived: E Δ⁺ − Δ = η² E(GᵀDᵀDG − FᵀDDᵀF)',
      0.85,
      1.15,
      samples=ratio,
      derivation='mean over lanes; fluctuations of Δ of a tenth',
      kind='theorem',
      headline=True,
    ),
    gate(
      basis,
      (own['noise'] == 0, 'there is noise in every lane'),
      (own['eta'] * config.steps >= 50, 'T is too short'),
    ).claim(
      at_least,
      'conserved',
      'without noise gradients vanish, and what imbalance there is then stays: '
      'the last over that at T/2',
      'derived: the change is quadratic in D, and D → 0',
      0.999,
      samples=np.exp(change[:, -1] - change[:, change.shape[1] // 2]),
      each=True,
      derivation='the error has vanished by T/2',
      kind='theorem',
    ),
  ]


def _slopes(t: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Least-squares slopes; NaN where a value is missing."""
  x = t - t.mean()
  return (y - y.mean(1, keepdims=True)) @ x / (x @ x)


def figures(config: Config, ds: Dataset) -> Figures:
  """The imbalance over time, with the law."""
  from framework.evidence import figures as plotting

  own = _lanes(config, ds)
  law = _law(config, own)
  relative = own['imbalance'] / own['imbalance'][:, :1]
  fig, ax = plotting.figure(height=3.0)
  names = [
    (b, v) for b in np.unique(own['batch']) for v in np.unique(own['noise'])
  ]
  for i, (b, v) in enumerate(names):
    here = (own['batch'] == b) & (own['noise'] == v)
    name = rf'$b={b:g}$, $\nu={v:g}$'
    plotting.lanes(ax, own['t'], relative[here], name, f'C{i}')
    line = np.exp(np.mean(law[here], 0))
    plotting.law(ax, own['t'], line).set_label('' if i else 'derived')
  ax.set(yscale='log', xlabel='steps $t$')
  ax.set_ylabel(r'$\|F^\top F-G^\top G\|_F$ over its start')
  plotting.legend(ax)
  return {
    'sgd': (
      fig,
      f'Fresh measurements at every step, η = {config.eta:g}, n = {config.n}. '
      'Dashed: exp(−η² n Σ(ν² + ‖E‖²)/b), with the error as it was.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
