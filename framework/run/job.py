"""What is to be computed: arms (systems with their hp) laid out over lanes.

A job is plain data. `run.runner` advances it; `run.results` stores what
is observed at the places that its layout names.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree

from framework import system as system_lib
from framework.run import results, sweep
from framework.run.plan import Plan
from framework.system import System

__all__ = [
  'Arm',
  'Attributes',
  'Job',
  'Unit',
  'attributes',
  'check',
  'grids',
  'start',
  'units',
  'variables',
]


Attributes = Mapping[str, Mapping[str, str]]  # {observation: {'units': ...}}

# What every run records beside the observations of its system.
_OWN: Attributes = {
  'diverged_at': {'long_name': 'first non-finite record', 'units': 'step'},
  'time': {'long_name': 'steps', 'units': 'step'},
}


class Arm(NamedTuple):
  """One structural setting of a job."""

  system: System
  hp: PyTree  # a NamedTuple of scalars of fixed dtype, before the sweep
  data: PyTree = None  # shared arrays for `system.sample`
  final: Callable[..., dict] | None = None  # (state, problem, hp) -> {name: x}
  notes: Mapping[str, str] = {}  # what was chosen for it, and why
  attributes: Mapping[str, Mapping[str, str]] = {}  # units of observations


class Job(NamedTuple):
  """What is to be computed, whole."""

  arms: Sequence[Arm]  # one for each of `layout.structures`
  layout: results.Layout
  attributes: Mapping[str, Mapping[str, str]] = {}  # that no arm has


class Unit(NamedTuple):
  """A block of lanes of one structural setting."""

  structure: int
  seeds: slice
  points: slice

  @property
  def lanes(self) -> int:
    """How many lanes of results it holds (padding not counted)."""
    return (self.seeds.stop - self.seeds.start) * (
      self.points.stop - self.points.start
    )

  def real(self, x: np.ndarray) -> np.ndarray:
    """Without the lanes that only fill up the block."""
    seeds, points = self.seeds, self.points
    return x[: seeds.stop - seeds.start, : points.stop - points.start]


def attributes(job: Job) -> Attributes:
  """Units and long names of all observations."""
  found = {**_OWN, **job.attributes}
  for arm in job.arms:
    found |= arm.attributes
  return found


def check(job: Job) -> None:
  """Refuses what would go wrong later and less clearly.

  Raises:
    ValueError: If arms and structures do not match, or times do not increase.
  """
  times, structures = np.asarray(job.layout.times), job.layout.structures
  if len(job.arms) != len(structures):
    raise ValueError(f'{len(job.arms)} arms for {len(structures)} structures')
  if not times.size or times[0] < 0 or np.any(np.diff(times) <= 0):
    raise ValueError(f'record times {times}, expected increasing steps >= 0')


def grids(job: Job) -> list[PyTree]:
  """The hp of every point, for each arm.

  As arrays: a Python number has one dtype in a trace, another in a shape.
  """
  return [
    jax.tree.map(np.asarray, sweep.points(arm.hp, job.layout.hp))
    for arm in job.arms
  ]


def start(
  arm: Arm, grid: PyTree, key: Key[Array, '']
) -> tuple[PyTree, PyTree, PyTree]:
  """(problem, state, hp) of the first point of an arm."""
  hp = jax.tree.map(lambda x: np.ravel(x)[0], grid)
  return (*system_lib.start(arm.system, key, hp, arm.data), hp)


def units(layout: results.Layout, plans: Sequence[Plan]) -> list[Unit]:
  """All blocks of all settings, in the order they are run."""
  seeds, points = len(layout.seeds), layout.points
  return [
    Unit(
      i,
      slice(s, min(seeds, s + p.seeds)),
      slice(q, min(points, q + p.points)),
    )
    for i, p in enumerate(plans)
    for s in range(0, seeds, p.seeds)
    for q in range(0, points, p.points)
  ]


def variables(job: Job) -> dict[str, results.Variable]:
  """Every observation of every setting, from shapes alone.

  Raises:
    ValueError: If settings disagree about the shape of an observation.
  """
  found: dict[str, results.Variable] = {
    'diverged_at': results.Variable((), timed=False)
  }
  for i, (arm, grid) in enumerate(zip(job.arms, grids(job), strict=True)):

    def shapes(key, arm=arm, grid=grid):
      problem, state, hp = start(arm, grid, key)
      last: dict[str, Any] = arm.final(state, problem, hp) if arm.final else {}
      return arm.system.observe(state, problem, hp), last

    timed, last = jax.eval_shape(shapes, jax.random.key(0))
    for group, is_timed in ((timed, True), (last, False)):
      for name, x in group.items():
        variable = results.Variable(x.shape, is_timed)
        if found.setdefault(name, variable) != variable:
          raise ValueError(
            f'observation {name} is {variable} in setting '
            f'{job.layout.structures[i]} and {found[name]} in another'
          )
  return found
