"""From a config to a run: its numbers, form and record times; each setting."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from framework import system as system_lib
from framework.evidence.claims import Claim, untestable
from framework.evidence.known import known
from framework.launch import Arm, hp_of, structure_of
from framework.systems.clusters import xor
from framework.systems.clusters.xor import theory

__all__ = [
  'CHANCE',
  'FORMS',
  'GENERALISED',
  'PAPER',
  'Setting',
  'arm',
  'asked',
  'assumptions',
  'first_time',
  'mu_norm',
  'resolved',
  'settings',
  'times',
]

PAPER = 'Xu et al. 2023'
# Accuracy of a network that is right on two of the four clusters, and on four:
# nearer to that than to one more, or one less.
CHANCE = (3 / 8, 5 / 8)
GENERALISED = 7 / 8
FORMS = {
  'explicit': xor.explicit_problem,
  'gram': xor.gram_problem,
  'bartlett': xor.bartlett_problem,
}


def resolved(config: Config, **at: Any) -> Config:
  """The config at some coordinates, with the numbers that its regime sets.

  Args:
    config: The config.
    **at: Coordinates of swept axes.

  Returns:
    The config without a sweep.
  """
  config = dataclasses.replace(config, sweep={}, **at)
  if config.regime == 'theorem':
    found = theory.within_assumptions(config.n, config.m, config.constant)
    config = dataclasses.replace(config, **found._asdict())
  return config


class Setting(NamedTuple):
  """One point of a sweep."""

  prefix: str  # of the ids of its claims; '' where nothing is swept
  config: Config  # its numbers, resolved
  ds: Dataset  # its results: seeds are the only lanes


def settings(
  config: Config, ds: Dataset, but: tuple[str, ...] = ()
) -> list[Setting]:
  """Every setting of a sweep, to be judged by its own numbers.

  Args:
    config: The config.
    ds: Its results.
    but: Axes that stay: lanes, or read otherwise.

  Returns:
    Settings, in the order of the sweep's axes.
  """
  axes = {name: x for name, x in config.sweep.items() if name not in but}
  found = []
  for place in itertools.product(*(range(len(x)) for x in axes.values())):
    at = {n: x[i] for (n, x), i in zip(axes.items(), place, strict=True)}
    here = ds.isel(dict(zip(axes, place, strict=True)))
    prefix = ''.join(f'{n}{v:g}.' for n, v in at.items() if len(axes[n]) > 1)
    found.append(Setting(prefix, resolved(config, **at), here))
  return found


def asked(
  reason: str,
  claim: Callable[..., Claim],
  id: str,
  statement: str,
  source: str,
  *numbers: Any,
  kind: str,
  headline: bool = False,
  **rest: Any,
) -> Claim:
  """A claim, or that it is not testable.

  Args:
    reason: Why the setting cannot show it; '' if it can.
    claim: `at_least`, `at_most`, `within` or `equals`.
    id: Short and stable name.
    statement: What is claimed.
    source: Where it is claimed.
    *numbers: What `claim` takes then; a function is called where it is asked.
    kind: What the prediction rests on.
    headline: Whether the figure stands or falls with it.
    **rest: Further arguments of `claim`.

  Returns:
    The `Claim`.
  """
  texts, own = (id, statement, source), {'kind': kind, 'headline': headline}
  if reason:
    return untestable(*texts, reason, **own)
  # What has no value is NaN, and no claim holds on it.
  with np.errstate(divide='ignore', invalid='ignore'):
    numbers = tuple(x() if callable(x) else x for x in numbers)
  return claim(*texts, *numbers, **own, **rest)


def mu_norm(c: Config) -> float:
  """‖μ‖ of a resolved config."""
  return c.signal * (c.p / c.n) ** 0.5


def assumptions(c: Config) -> list[theory.Assumption]:
  """(A1) ... (A6) of a resolved config, with both sides."""
  return theory.assumptions(
    c.n, c.p, c.m, mu_norm(c), c.eta, c.alpha, c.omega, c.constant
  )


def arm(config: Config) -> Arm:
  """The system of one structural setting and its hp.

  Raises:
    ValueError: If it cannot be built.
  """
  c = resolved(config)
  draw, why = FORMS.get(c.form), 'as asked for'
  if draw is None:
    draw, why = xor.choose(c.n, c.p, c.m)
  form = next(name for name, f in FORMS.items() if f is draw)
  p = None
  if form != 'bartlett':
    if c.p != int(c.p):
      raise ValueError(f'p is {c.p}, expected an integer for form={form}')
    p = int(c.p)
  structure = structure_of(
    xor.Structure, c, draw=draw, p=p, dtype=np.dtype(c.precision)
  )
  return Arm(
    xor.system(structure),
    hp_of(xor.Hp, c),
    final=xor.final(structure),
    notes={'form': f'{form}: {why}'},
    attributes=xor.ATTRIBUTES,
  )


def times(config: Config) -> np.ndarray:
  """Record times: every step up to `dense`, then evenly in ln t."""
  first = np.arange(min(config.dense, config.steps) + 1)
  later = system_lib.logspaced(config.steps, config.records)
  named = [t for t in (10, 15, 50, 100, 150) if t <= config.steps]
  later = np.concatenate([later[later > config.dense], named])
  return np.unique(np.concatenate([first, later])).astype(np.int32)


def first_time(t: np.ndarray, accuracy: np.ndarray, level: float) -> np.ndarray:
  """The first record time at which an accuracy reaches a level.

  Args:
    t: Record times (time,).
    accuracy: (..., time).
    level: The level.

  Returns:
    Steps (...): infinite where it is never reached, NaN where a record before
    that is missing, so that it is not known.

  >>> first_time(np.array([0, 1, 4]), np.array([[0.5, 0.9, 1.0]]), 0.9)
  array([1.])
  >>> first_time(np.array([0, 1]), np.array([[0.5, 0.6], [0.5, np.nan]]), 0.9)
  array([inf, nan])
  """
  reached = known(np.greater_equal, accuracy, level)
  settled = reached != 0  # reached, or missing
  first = settled.argmax(-1)
  at = np.take_along_axis(reached, first[..., None], -1)[..., 0]
  passed = np.where(np.isnan(at), np.nan, t[first])
  return np.where(settled.any(-1), passed, np.inf)
