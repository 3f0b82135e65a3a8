"""From a config to a run: its numbers, its form, its record times."""

import dataclasses
from typing import Any

import numpy as np

from configs.xor_grokking import Config
from framework import system as system_lib
from framework.launch import Arm, hp_of, structure_of
from framework.systems.clusters import xor
from framework.systems.clusters.xor import theory

__all__ = [
  'FORMS',
  'PAPER',
  'arm',
  'assumptions',
  'first_time',
  'mu_norm',
  'resolved',
  'times',
]

PAPER = 'Xu et al. 2023'
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
    Steps (...), NaN where it is never reached.

  >>> first_time(np.array([0, 1, 4]), np.array([[0.5, 0.9, 1.0]]), 0.9)
  array([1.])
  """
  reached = accuracy >= level
  return np.where(reached.any(-1), t[reached.argmax(-1)], np.nan)
