"""What muP predicts over widths, against what was measured."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.mup_transfer import measure
from experiments.mup_transfer.measure import TP4, TP5, axis
from experiments.mup_transfer.structures import structure_of
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.mup import coord_check
from framework.systems.width.transfer import lr_sweep
from framework.systems.width.transfer.system import MISTAKES, RULES

__all__ = ['checked_rates', 'claims']


def _quick(config: Any, ds: Any) -> list[Claim]:
  made = []
  for optimizer, rate in checked_rates(config):
    made += _coordinates(config, ds, optimizer, rate, 0.2)
  return made + _transfer(config, ds)


def _coord_check(config: Any, ds: Any) -> list[Claim]:
  made = []
  for optimizer, rate in checked_rates(config):
    made += _coordinates(config, ds, optimizer, rate, 0.1)
    made += _mistakes(config, ds, optimizer, rate)
  return made


_CLAIMS: dict[str, Callable[[Any, Any], list[Claim]]] = {
  'quick': _quick,
  'coord_check': _coord_check,
}


def claims(config: Any, dataset: Any) -> list[Claim]:
  """The claims of a config's variant.

  Args:
    config: The config.
    dataset: Its results.

  Returns:
    Claims, in the order of the argument.
  """
  if config.task == 'regression':
    return _dichotomy(config, dataset)
  return _CLAIMS.get(config.variant, _transfer)(config, dataset)


def checked_rates(config: Any) -> list[tuple[str, float]]:
  """The rate that a coordinate check looks at, for each optimizer.

  Args:
    config: The config.

  Returns:
    (optimizer, rate): of a grid, the rate in the middle.
  """
  made = []
  for optimizer in axis(config, 'optimizer'):
    own = dataclasses.replace(config, optimizer=optimizer).resolved()
    rates = sorted(axis(own, 'lr'))
    made.append((optimizer, rates[len(rates) // 2]))
  return made


def _check(config: Any, ds: Any, rule: int, optimizer: str, rate: float):
  structure = structure_of(config)
  return measure.coordinates(
    config, ds, structure, rule=rule, optimizer=optimizer, lr=rate
  )


def _worst(check: coord_check.Check) -> float:
  """The steepest slope of what should not depend on the width.

  What is zero at every width, for it has not moved yet, has none; NaN if
  something is not finite, or zero, at some widths.
  """
  found = coord_check.slopes(check)
  worst = 0.0
  for values, slopes in (
    (check.size, found.size),
    (check.change, found.change),
  ):
    mean = values.mean(1)[:, 1:]  # (width, time, module)
    some = np.any(mean != 0, 0)
    if not np.all(np.isfinite(mean) & ((mean > 0) | ~some)):
      return math.nan
    worst = max(worst, np.max(np.abs(slopes[1:][some]), initial=0.0))
  return float(worst)


def _coordinates(
  config: Any, ds: Any, optimizer: str, rate: float, tolerance: float
) -> list[Claim]:
  """MuP keeps the order of every activation, SP does not."""
  widths = axis(config, 'width')
  if len(widths) < 3:
    reason = f'needs three widths, there are {len(widths)}'
    return [untestable('flat', 'muP keeps sizes', TP5, reason)]
  made = []
  rules = axis(config, 'rule')
  if 1 in rules:
    made.append(
      at_most(
        f'{optimizer}.mup.flat',
        'muP: sizes of all activations and of their changes are of the same '
        f'order at widths {widths[0]} to {widths[-1]}: steepest slope, t ≥ 2',
        f'{TP5}: coordinate check',
        tolerance,
        _worst(_check(config, ds, 1, optimizer, rate)),
        derivation='0 in the limit; what is left at these widths, which '
        'falls as n^-1/2, and the scatter of the seeds',
      )
    )
  if 0 in rules:
    check = _check(config, ds, 0, optimizer, rate)
    output = check.modules.index('')
    slope = coord_check.slopes(check).size[1, output]
    if not np.isfinite(check.size[:, :, 1, output]).all():
      slope = math.nan  # a width that diverged has no place on a line
    made.append(
      at_least(
        f'{optimizer}.sp.output',
        'SP: the output grows with the width: slope at t = 2',
        f'{TP5}: coordinate check',
        0.4,
        float(slope),
        derivation='1/2 (SGD) and 1 (Adam) once steps outgrow the start',
      )
    )
  return made


def _mistakes(config: Any, ds: Any, optimizer: str, rate: float) -> list[Claim]:
  """Each classic mistake is seen, so that a flat check means something."""
  made = []
  for rule in axis(config, 'rule'):
    name = RULES[rule]
    if name not in MISTAKES:
      continue
    if optimizer == 'sgd' and name == 'rate not scaled':
      continue
    made.append(
      at_least(
        f'{optimizer}.{name.replace(" ", "_")}',
        f'control: {name} is found: steepest slope',
        f'{TP5}: coordinate check',
        0.2,
        _worst(_check(config, ds, rule, optimizer, rate)),
        derivation='twice what passes; predicted are 1/2 and more',
      )
    )
  return made


def _transfer(config: Any, ds: Any) -> list[Claim]:
  """The best rate stays under muP, moves under SP; wider is better."""
  widths = axis(config, 'width')
  if len(widths) < 3:
    reason = f'needs three widths, there are {len(widths)}'
    return [untestable('transfer', 'the best rate stays', TP5, reason)]
  made = []
  for optimizer in axis(config, 'optimizer'):
    for rule in (0, 1):
      if rule not in axis(config, 'rule'):
        continue
      loss = measure.losses(config, ds, rule, optimizer)
      places = measure.best_places(loss)
      if rule == 0:
        made.append(_sp_drift(config, optimizer, places))
        continue
      made.append(_mup_drift(config, optimizer, places))
      made += _wider(loss, places, widths, optimizer)
  return made


def _edge(config: Any, places: np.ndarray) -> str:
  """Which minima are at an end of the grid and may lie beyond, or ''.

  An end can only hide a drift: the places on the grid are apart by no more than
  those without ends.
  """
  rates = axis(config, 'lr')
  for place, which in ((0, 'least'), (len(rates) - 1, 'largest')):
    at = [
      str(width)
      for width, p in zip(axis(config, 'width'), places, strict=True)
      if p == place
    ]
    if at:
      return (
        f'needs a wider grid: the {which} rate, {rates[place]:g}, is the best '
        f'at width {", ".join(at)}'
      )
  return ''


def _mup_drift(config: Any, optimizer: str, places: np.ndarray) -> Claim:
  """The best rate stays, on a grid on which it could move."""
  what = (
    f'{optimizer}.mup.drift',
    'muP: the best learning rate is the same at every width: steps of the grid '
    '(factors of two)',
    f'{TP5}: Figure 1',
  )
  moved = lr_sweep.drift(places)
  if (count := len(axis(config, 'lr'))) < 4:
    return untestable(*what, f'needs four rates, there are {count}')
  if moved <= 1 and (reason := _edge(config, places)):
    return untestable(*what, reason)
  return at_most(
    *what, 1, moved, derivation='one step: neighbours on a flat minimum'
  )


_SP_DRIFT = {'sgd': 2 / 4, 'adam': 3 / 4}  # steps of the grid a doubling


def _sp_drift(config: Any, optimizer: str, places: np.ndarray) -> Claim:
  """Where the first layer does not outweigh those that grow, SP's rate moves.

  With SGD the curvature that limits the rate is the tangent kernel, a sum over
  layers of |input of the layer|²: about d + n in a perceptron of two hidden
  layers (inputs of deviation 1, half of the ReLUs on). No more than that is
  predicted, and it does not look at what was measured.
  """
  widths = axis(config, 'width')
  moved = lr_sweep.drift(places)
  what = (
    f'{optimizer}.sp.drift',
    'SP: the best learning rate moves with the width: steps of the grid '
    '(factors of two)',
    f'{TP5}: Figure 1',
  )
  steps = _SP_DRIFT[optimizer] * math.log2(widths[-1] / widths[0])
  derivation = (
    'what was measured with the reference package over widths 64 to 1024, a '
    'doubling, in whole steps; layers that grow move by a factor of two a '
    'doubling, the first, whose inputs do not grow, by none, and the best rate '
    'of all in between'
  )
  if optimizer == 'sgd' and config.task != 'text':
    d = structure_of(config).inputs
    curvature = math.log2((d + widths[-1]) / (d + widths[0]))
    if curvature < steps:
      steps = curvature
      derivation = (
        f'log2 of d + n, which limits the rate, gains {curvature:.1f} from '
        f'width {widths[0]} to {widths[-1]} with d = {d} inputs; in whole steps'
      )
  bound = math.floor(steps)
  if bound < 1:
    reason = f'needs wider networks: {steps:.1f} steps are predicted'
    return untestable(*what, reason)
  if moved < bound and (reason := _edge(config, places)):
    return untestable(*what, reason)
  return at_least(*what, bound, moved, derivation=derivation)


def _wider(
  loss: np.ndarray, places: np.ndarray, widths: tuple, optimizer: str
) -> list[Claim]:
  """Each width against the one before, the last against the first.

  A seed has the same batches at every width, so that ratios are of pairs.
  """
  best = np.take_along_axis(loss, places[None, :, None], -1)[..., 0]
  ratio = best[:, 1:] / best[:, :-1]
  worst = ratio[:, int(np.argmax(ratio.mean(0)))]
  _, stderr, n = fits.mean_stderr(worst)
  noise = 2 * float(stderr) if n > 1 else 0.0
  return [
    at_most(
      f'{optimizer}.mup.wider',
      'muP: at its best rate no width is worse than the one before it: largest '
      'of the ratios of late loss',
      f'{TP5}: wider is better throughout training',
      1.0 + noise,
      worst,
      derivation='monotone, up to two standard errors of that ratio',
    ),
    at_most(
      f'{optimizer}.mup.widest',
      f'muP: width {widths[-1]} is better than {widths[0]} at the rate that is '
      'best for each: ratio of late loss',
      f'{TP5}: wider is better throughout training',
      1.0,
      best[:, -1] / best[:, 0],
      derivation='monotone; no tolerance',
    ),
  ]


def _slug(name: str) -> str:
  return name.replace(',', '').replace(' ', '_')


def _dichotomy(config: Any, ds: Any) -> list[Claim]:
  """Exponents of the classifier against slopes over widths."""
  if len(axis(config, 'width')) < 3:
    reason = f'needs three widths, there are {len(axis(config, "width"))}'
    return [untestable('dichotomy', 'measured = predicted', TP4, reason)]
  rows = measure.exponents(config, ds)
  stable = [e for e in rows if e.found.stable]
  made = []
  for e in stable:
    made += _powers(e)
  unstable = [e for e in rows if not e.found.stable]
  if unstable:
    made.append(
      at_least(
        'unstable',
        'of parametrisations called unstable something grows with the width: '
        'share',
        f'{TP4}: Theorem 3.3',
        1.0,
        [_grows(e) for e in unstable],
        derivation='slope above 0.05, or a run that diverged',
      )
    )
  feature = [e for e in stable if e.found.kind == 'feature']
  kernel = [e for e in stable if e.found.kind == 'kernel']
  if feature and kernel:
    gap = np.min([e.moves[-1] for e in feature]) - np.max(
      [e.moves[-1] for e in kernel]
    )
    made.append(
      at_least(
        'dichotomy',
        'every feature-learning parametrisation moves its features by a higher '
        'power of n than every one in the kernel regime: least gap',
        f'{TP4}: Dynamical Dichotomy',
        0.0,
        float(gap),
        derivation='r = 0 against r > 0',
      )
    )
  return made


def _powers(e: measure.Exponents) -> list[Claim]:
  """Start and change of the function, features and kernel of a stable one."""
  found = e.found
  made = []
  for part, what, where, measured, predicted in (
    ('start', 'f(0)', 'Theorem 3.3', e.start, (found.start,)),
    ('change', 'f(T) - f(0)', 'Theorem 3.3', e.change, (found.change,)),
    ('moves', 'h(T) - h(0), by layer,', 'Theorem 3.4, r', e.moves, found.moves),
    ('kernel', 'what a step on one layer moves f(0) by, by layer,',
     'derived, the layers in the kernel', e.kernel, found.shares),
  ):  # fmt: skip
    powers = -np.asarray(predicted, float)
    same = powers == np.atleast_1d(measured)  # -inf: both are zero
    with np.errstate(invalid='ignore'):
      off = np.where(same, 0, np.abs(measured - powers))
    made.append(
      at_most(
        f'{_slug(e.name)}.{part}',
        f'{found.kind}: {what} ~ {_orders(powers)}: '
        f'{"largest " if powers.size > 1 else ""}|measured - predicted|',
        f'{TP4}: {where}',
        0.15,
        float(np.max(off)),
        derivation='next order at these widths, n^-1/2 relative, and the '
        'scatter of the seeds',
      )
    )
  return made


def _orders(powers: np.ndarray) -> str:
  """Powers of n in words.

  >>> _orders(np.array([-1.5, 0, -np.inf]))
  'n^-1.5, n^0, 0'
  """
  return ', '.join('0' if p == -np.inf else f'n^{p + 0.0:g}' for p in powers)


def _grows(e: measure.Exponents) -> float:
  """1 if something does or a run diverged, 0 if nothing, NaN if unknown."""
  slopes = np.array([e.start, e.change, *e.moves])
  if e.diverged or np.any(slopes > 0.05):
    return 1.0
  return math.nan if np.isnan(slopes).any() else 0.0
