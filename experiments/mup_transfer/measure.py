"""Reading results: coordinates, best learning rates, exponents."""

from typing import Any, NamedTuple

import numpy as np

from framework.evidence import fits
from framework.mup import abc, coord_check, lattice
from framework.systems.width.transfer import lr_sweep
from framework.systems.width.transfer.system import RULES, modules

__all__ = [
  'LATE',
  'TP4',
  'TP5',
  'Exponents',
  'axis',
  'coordinates',
  'exponents',
  'first_loss',
  'losses',
  'only',
  'rule_name',
]

TP4 = 'Yang, Hu 2021'
TP5 = 'Yang et al. 2022'
LATE = 3 / 4  # of the steps: the loss is the mean of the records after that
_NAMES = {'sp': 'SP', '8': 'muP', '3': 'muP, Table 3', '9': 'muP, Table 9'}


def rule_name(rule: int) -> str:
  """What a rule is called in figures.

  >>> rule_name(0), rule_name(1), rule_name(4)
  ('SP', 'muP', 'no readout multiplier')
  """
  name = RULES[int(rule)]
  return _NAMES.get(name, name)


def axis(config: Any, name: str) -> tuple:
  """The values of an axis, swept or not."""
  return tuple(config.sweep.get(name, (getattr(config, name),)))


def only(dataset: Any, **where: Any) -> Any:
  """The dataset at some coordinates, of the axes that it has."""
  return dataset.sel({k: v for k, v in where.items() if k in dataset.dims})


def _array(config: Any, part: Any, name: str, dims: tuple[str, ...]):
  """An observation with these axes first, ones put in where not swept."""
  array = part[name]
  missing = [d for d in dims if d not in array.dims]
  array = array.expand_dims(missing) if missing else array
  rest = [d for d in array.dims if d not in dims]
  return array.transpose(*dims, *rest).values


def losses(config: Any, dataset: Any, rule: int, optimizer: str) -> np.ndarray:
  """The loss over the last quarter of the steps.

  With a constant rate the last iterate fluctuates by more than a wider network
  gains; the mean over records of the same rows does so much less.

  Args:
    config: The config.
    dataset: Its results.
    rule: Which rule.
    optimizer: Which optimizer.

  Returns:
    (seed, width, lr); NaN where a run diverged.
  """
  part = only(dataset, rule=rule, optimizer=optimizer)
  part = part.sel(time=slice(LATE * config.steps, None))
  return _array(config, part, 'loss', ('seed', 'width', 'lr')).mean(-1)


def first_loss(config: Any, dataset: Any, optimizer: str) -> float:
  """The mean loss at the start, the same order for all rules."""
  part = only(dataset, optimizer=optimizer).isel(time=0)
  return float(part['loss'].mean())


def coordinates(
  config: Any,
  dataset: Any,
  structure: Any,
  *,
  rule: int,
  optimizer: str,
  lr: float,
) -> coord_check.Check:
  """Sizes of activations at the first records.

  Args:
    config: The config.
    dataset: Its results.
    structure: The structure of one width, for the names of modules.
    rule: Which rule.
    optimizer: Which optimizer.
    lr: Which learning rate.

  Returns:
    A `Check` of t = 1 ... dense + 1.
  """
  part = only(dataset, rule=rule, optimizer=optimizer, lr=lr)
  part = part.sel(time=slice(0, config.dense))
  dims = ('width', 'seed', 'time')
  return coord_check.Check(
    axis(config, 'width'),
    modules(structure),
    _array(config, part, 'size', dims),
    _array(config, part, 'change', dims),
  )


class Exponents(NamedTuple):
  """Of one parametrisation: predicted and measured powers of n."""

  name: str
  found: abc.Classification
  start: float  # of f(0)
  change: float  # of f(T) - f(0)
  moves: np.ndarray  # of h^l(T) - h^l(0)
  kernel: np.ndarray  # of what a step on each layer moves f by at the start
  diverged: bool  # whether a run of it did


def exponents(config: Any, dataset: Any) -> list[Exponents]:
  """Slopes over widths of root mean squares over seeds, case by case.

  Args:
    config: The config.
    dataset: Its results.

  Returns:
    One `Exponents` a case: -inf where something is zero at every width, NaN
    where it is not finite, or zero, at some.
  """
  everything = list(lattice.cases(config.optimizer).items())
  widths = axis(config, 'width')
  made = []
  for case in axis(config, 'case'):
    name, p = everything[int(case)]
    part = only(dataset, case=case)

    def slope(observed: str, time: int, part=part) -> np.ndarray:
      values = _array(config, part.isel(time=time), observed, ('width', 'seed'))
      if observed != 'kernel':
        values = values**2
      mean = np.moveaxis(values.mean(1), 0, -1)
      power = 1 if observed == 'kernel' else 0.5
      fit = fits.power_law(np.asarray(widths, float), mean**power)
      slope = np.where(fit.n == len(widths), fit.slope, np.nan)
      return np.where(np.all(mean == 0, -1), -np.inf, slope)

    made.append(
      Exponents(
        name,
        abc.classify(p, config.optimizer),
        float(slope('output', 0)),
        float(slope('change', -1)),
        slope('moves', -1),
        slope('kernel', 0),
        bool(np.isfinite(part['diverged_at']).any()),
      )
    )
  return made


def best_places(loss: np.ndarray) -> np.ndarray:
  """Place of the best rate at each width, of the mean over seeds.

  >>> best_places(np.array([[[1.0, 0.5], [0.2, np.nan]]])).tolist()
  [1, 0]
  """
  return lr_sweep.best(loss.mean(0))
