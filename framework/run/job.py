"""What is to be computed: arms (systems with their hp) laid out over lanes.

A job is plain data, its `Options` say how it is computed. `runner` advances it,
`records` stores what is observed at the places that its layout names. What
could not be stored, or would hide something else that is, `check` refuses
before anything is computed.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from framework import system as system_lib
from framework.run import sweep
from framework.run.plan import Plan
from framework.system import System

__all__ = [
  'Arm',
  'Attributes',
  'Job',
  'Layout',
  'Options',
  'Unit',
  'Variable',
  'attributes',
  'check',
  'check_options',
  'grids',
  'start',
  'units',
  'variables',
]


Attributes = Mapping[str, Mapping[str, str]]  # {observation: {'units': ...}}

_DIVERGED = 'diverged_at'

# What every run records beside the observations of its system.
_OWN: Attributes = {
  _DIVERGED: {'long_name': 'first non-finite record', 'units': 'step'},
  'time': {'long_name': 'steps', 'units': 'step'},
}


class Layout(NamedTuple):
  """The dimensions that all results of a run share."""

  structure: Mapping[str, Sequence[Any]]  # looped: one program each
  hp: Mapping[str, Sequence[float]]  # lanes; leaves of hp, by name
  seeds: Sequence[int]  # lanes
  times: np.ndarray  # steps

  @property
  def points(self) -> int:
    """How many settings of the swept hp there are."""
    return math.prod(len(v) for v in self.hp.values())

  @property
  def structures(self) -> list[dict[str, Any]]:
    """Each setting of the structural axes, in order."""
    names = list(self.structure)
    return [
      dict(zip(names, values, strict=True))
      for values in itertools.product(*self.structure.values())
    ]

  @property
  def axes(self) -> list[str]:
    """The dimensions, in the order of the results."""
    return [*self.structure, *self.hp, 'seed', 'time']


class Variable(NamedTuple):
  """One observation: its own shape (scalars are ()) and whether it has time."""

  shape: tuple[int, ...]
  timed: bool
  dtype: str = 'float64'  # on disk; opened, all are float64


class Arm(NamedTuple):
  """One structural setting of a job."""

  system: System
  hp: PyTree  # any pytree of scalars of fixed dtype, before the sweep
  data: PyTree = None  # shared arrays for `system.sample`
  final: Callable[..., dict] | None = None  # (state, problem, hp) -> {name: x}
  notes: Mapping[str, str] = {}  # what was chosen for it, and why
  attributes: Mapping[str, Mapping[str, str]] = {}  # units of observations


class Job(NamedTuple):
  """What is to be computed, whole."""

  arms: Sequence[Arm]  # one for each of `layout.structures`
  layout: Layout


class Options(NamedTuple):
  """How it is computed; may differ on every relaunch."""

  batching: str = 'auto'
  lanes_per_call: int = 0
  model_devices: int = 1  # that a lane is spread over
  checkpoint_every_secs: float = 300.0
  keep: int = 2
  on_nan: str = 'freeze'  # or 'stop', 'continue'
  chunk_secs: float = 1.0
  chunk_stops: int = 32
  profile: tuple[int, int] | None = None  # steps of the first block
  stop_requested: Callable[[], bool] = lambda: False
  listener: Callable[..., None] | None = None  # (structure, times, records)


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


def check(job: Job) -> dict[str, Variable]:
  """Refuses what would go wrong later and less clearly, or unseen.

  Traces what is observed of every arm; computes nothing.

  Args:
    job: What is to be computed.

  Returns:
    Every observation.

  Raises:
    ValueError: If arms and structures do not match, times are not increasing
      steps, an axis of the sweep is not one of an arm's hp, or something that
      is observed cannot be stored under its name.
  """
  times, structures = np.asarray(job.layout.times), job.layout.structures
  if len(job.arms) != len(structures):
    raise ValueError(f'{len(job.arms)} arms for {len(structures)} structures')
  whole = jnp.issubdtype(times.dtype, jnp.integer) and times.ndim == 1
  if not (whole and times.size) or times[0] < 0 or times[-1] >= 2**31:
    raise ValueError(f'record times {times}, expected increasing steps >= 0')
  if np.any(np.diff(times.astype(np.int64)) <= 0):
    raise ValueError(f'record times {times}, expected increasing steps >= 0')
  if not len(job.layout.seeds):
    raise ValueError('no seeds')
  found = variables(job)
  _check_names(job.layout.axes, found)
  attributes(job)
  return found


def _check_names(axes: Sequence[str], found: Mapping[str, Variable]) -> None:
  """Refuses names that are no file's, or that hide one another."""
  for name in [*axes, *found]:
    # Of an array in a store, and so of a folder: '/' would make two of it.
    bad = not isinstance(name, str) or name != name.strip() or not name
    if bad or name.startswith(('.', '__')) or set(name) & set('/\\\0\n'):
      raise ValueError(
        f'{name!r} is the name of an observation or an axis, expected text '
        "without '/', '\\' and spaces around it that begins with neither '.' "
        "nor '__'"
      )
  taken = {}
  for axis in axes:
    if axis in taken:
      raise ValueError(f'two axes of the results are called {axis}: rename one')
    taken[axis] = 'an axis'
  for name in found:
    if name in taken:
      raise ValueError(f'observation {name} has the name of an axis: rename it')
    taken[name] = 'an observation'
  for name, variable in found.items():
    for i in range(len(variable.shape)):
      own = f'{name}_{i}'
      if own in taken:
        raise ValueError(
          f'axis {i} of observation {name}, of shape {variable.shape}, would '
          f'be called {own} like {taken[own]}: rename one'
        )


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


def units(layout: Layout, plans: Sequence[Plan]) -> list[Unit]:
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


def variables(job: Job) -> dict[str, Variable]:
  """Every observation of every setting, from shapes alone.

  Raises:
    ValueError: If an observation cannot be stored, or settings disagree about
      its shape.
  """
  found = {_DIVERGED: Variable((), timed=False)}
  where = {}
  for setting, arm, grid in zip(
    job.layout.structures, job.arms, grids(job), strict=True
  ):
    hp = jax.tree.map(lambda x: np.ravel(x)[0], grid)
    key = jax.random.key(0)
    # Each function by itself: traced once, whoever asks again.
    extra = () if arm.data is None else (arm.data,)
    problem = jax.eval_shape(arm.system.sample, key, hp, *extra)
    state = jax.eval_shape(arm.system.init, key, problem, hp)
    groups = {True: jax.eval_shape(arm.system.observe, state, problem, hp)}
    if arm.final:
      groups[False] = jax.eval_shape(arm.final, state, problem, hp)
    own: dict[str, Variable] = {}
    for timed, group in groups.items():
      for name, variable in _stored(group, timed).items():
        if name in own or name == _DIVERGED:
          also = 'in the end' if name in own else 'by the runner'
          raise ValueError(f'observation {name} is recorded {also}, too')
        own[name] = variable
    for name, variable in own.items():
      other = found.setdefault(name, variable)
      if other[:2] != variable[:2]:
        raise ValueError(
          f'observation {name} is {_words(variable)} in setting {setting} and '
          f'{_words(other)} in {where[name]}'
        )
      wider = max(other.dtype, variable.dtype)
      found[name] = variable._replace(dtype=wider)
      where.setdefault(name, setting)
  return found


def _words(variable: Variable) -> str:
  when = 'over time' if variable.timed else 'in the end'
  return f'of shape {variable.shape} {when}'


def _stored(group: Any, timed: bool) -> dict[str, Variable]:
  """How the observations of one function are stored."""
  if not isinstance(group, Mapping):
    raise ValueError(
      f'a {type(group).__name__} is observed, expected {{name: array}}'
    )
  found = {}
  for name, x in group.items():
    if not hasattr(x, 'dtype'):
      kind = type(x).__name__
      raise ValueError(f'observation {name} is a {kind}, expected an array')
    real = jnp.issubdtype(x.dtype, jnp.floating) or x.dtype == bool
    if not real and not jnp.issubdtype(x.dtype, jnp.integer):
      raise ValueError(
        f'observation {name} is {x.dtype}, expected real numbers (of complex '
        'ones observe the real and the imaginary part)'
      )
    single = real and x.dtype.itemsize <= 4
    found[name] = Variable(x.shape, timed, 'float32' if single else 'float64')
  return found


def attributes(job: Job) -> Attributes:
  """Units and long names of all observations and axes.

  Args:
    job: What is to be computed.

  Returns:
    Those of every arm, before the runner's own.

  Raises:
    ValueError: If two arms observe one thing in different units.
  """
  found: dict[str, Mapping[str, str]] = {}
  for setting, arm in zip(job.layout.structures, job.arms, strict=True):
    for name, words in arm.attributes.items():
      before = found.setdefault(name, words)
      if before.get('units') != words.get('units'):
        raise ValueError(
          f'observation {name} has units {words.get("units")} in setting '
          f'{setting} and {before.get("units")} in another'
        )
  return {**_OWN, **found}


def check_options(options: Options) -> None:
  """Refuses what would go wrong later and less clearly.

  Raises:
    ValueError: With the option and what it may be.
  """
  if options.on_nan not in ('freeze', 'stop', 'continue'):
    raise ValueError(
      f'on_nan is {options.on_nan!r}, expected freeze, stop or continue'
    )
  if options.chunk_stops < 1:
    raise ValueError(f'chunk_stops is {options.chunk_stops}, expected >= 1')
