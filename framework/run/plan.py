"""How the lanes of a sweep are laid out: what is shared, batched, sharded.

Which part of a problem differs between seeds and which between points (settings
of the swept hp) is read off the traced `sample`, leaf by leaf. From that, and
from the bytes involved, `choose` decides how many lanes go into one call, which
run by `vmap` and which by `lax.map`, and which axis is sharded over devices.
"""

import math
import os
import pathlib
import resource
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jaxtyping import PyTree

from framework import system as system_lib
from framework.system import System

__all__ = [
  'DoesNotFit',
  'Plan',
  'Sizes',
  'Varies',
  'bytes_text',
  'choose',
  'dependence',
  'lanes_that_fit',
  'memory',
  'relaid',
  'shortfall',
  'shortfall_of',
  'sizes',
]


class DoesNotFit(ValueError):
  """A setting for which there is not enough memory."""


class Varies(NamedTuple):
  """Along which lane axes an array differs."""

  seed: bool
  point: bool


class Plan(NamedTuple):
  """How lanes are laid out; recorded with the results, for it fixes the bits.

  A batch of 1 means `lax.map` lane by lane, a batch of the whole axis `vmap`,
  anything between `lax.map` over vmapped batches. With `model` > 1 the rows of
  what is large in the problem lie spread over so many devices a lane.
  """

  seeds: int  # seeds in a block, a multiple of the devices if sharded
  points: int  # points in a block
  seed_batch: int
  point_batch: int
  devices: int  # along the sharded axis
  sharded: str  # 'seed' or 'point'
  model: int = 1  # devices that one lane is spread over

  @property
  def lanes(self) -> int:
    """Lanes in one call of the compiled program."""
    return self.seeds * self.points


def dependence(system: System, hp: PyTree, data: PyTree) -> PyTree:
  """Which leaves of the problem differ between seeds, which between points.

  Traces `sample` and follows each output back to the inputs it can be reached
  from, so the answer errs on the side of copying, never of sharing.

  Args:
    system: The run.
    hp: Hyperparameters; swept ones have a leading axis of points.
    data: Shared arrays, or None.

  Returns:
    The tree of the problem with a `Varies` at every leaf.
  """
  inputs, call = _abstract_sample(system, hp, data)
  traced, shape = jax.make_jaxpr(call, return_shape=True)(*inputs)
  swept = [np.ndim(leaf) == 1 for leaf in jax.tree.leaves(hp)]
  own = [Varies(True, False)] + [Varies(False, s) for s in swept]
  own += [Varies(False, False)] * (len(traced.jaxpr.invars) - len(own))
  reach = dict(zip(traced.jaxpr.invars, own, strict=True))

  def union(variables) -> Varies:
    known = [reach.get(v) for v in variables if not isinstance(v, Literal)]
    known = [v for v in known if v is not None]
    return Varies(any(v.seed for v in known), any(v.point for v in known))

  for equation in traced.jaxpr.eqns:
    found = union(equation.invars)
    reach.update(dict.fromkeys(equation.outvars, found))
  flags = [union([v]) for v in traced.jaxpr.outvars]
  return jax.tree.unflatten(jax.tree.structure(shape), flags)


class Sizes(NamedTuple):
  """Bytes of a sweep, by how often they are needed."""

  state: int  # a lane
  record: int  # a lane and record
  problem_lane: int  # a lane: leaves that differ between points
  problem_seed: int  # a seed: leaves that differ between seeds alone
  problem_shared: int  # once


def sizes(system: System, hp: PyTree, data: PyTree = None) -> Sizes:
  """Bytes of state, problem and record, from shapes alone.

  Args:
    system: The run.
    hp: Hyperparameters; swept ones have a leading axis of points.
    data: Shared arrays, or None.

  Returns:
    A `Sizes`.
  """
  one = jax.tree.map(lambda x: jnp.asarray(x).ravel()[0], hp)
  problem, state = jax.eval_shape(
    lambda k: system_lib.start(system, k, one, data), jax.random.key(0)
  )
  record = jax.eval_shape(
    lambda s, p: system.observe(s, p, one), state, problem
  )
  flags = jax.tree.leaves(
    dependence(system, hp, data), is_leaf=lambda x: isinstance(x, Varies)
  )
  leaves = list(zip(jax.tree.leaves(problem), flags, strict=True))
  return Sizes(
    state=_bytes(state),
    record=_bytes(record),
    problem_lane=_bytes([x for x, v in leaves if v.point]),
    problem_seed=_bytes([x for x, v in leaves if v.seed and not v.point]),
    problem_shared=_bytes([x for x, v in leaves if not (v.seed or v.point)])
    + _bytes(data),
  )


def choose(
  size: Sizes,
  seeds: int,
  points: int,
  *,
  batching: str = 'auto',
  lanes_per_call: int = 0,
  model: int = 1,
  devices: Sequence[Any] | None = None,
) -> Plan:
  """Chooses the layout of a sweep of seeds x points.

  On a CPU lanes share a cache: a batch pays while its working set stays in it
  (about 1 MiB a core) and costs two to three times beyond, and a problem of
  its own per seed is best run seed by seed. On an accelerator everything that
  fits goes into one batch.

  Args:
    size: Bytes of the sweep, from `sizes`.
    seeds: Seeds S >= 1.
    points: Points P >= 1.
    batching: 'auto', 'vmap' (one batch) or 'map' (lane by lane, bitwise equal
      to single runs).
    lanes_per_call: Most lanes in one call of the program; 0 lets memory decide.
    model: Devices to spread the large arrays of a problem over.
    devices: Devices to use; all of them when None.

  Returns:
    A `Plan`.

  Raises:
    ValueError: If `batching` is unknown, `lanes_per_call` is negative, or
      `model` does not divide the devices.

  >>> small = Sizes(state=80, record=8, problem_lane=0, problem_seed=0,
  ...               problem_shared=80)
  >>> choose(small, 1, 6, batching='vmap', devices=jax.devices()[:1])
  Plan(seeds=1, points=6, seed_batch=1, point_batch=6, devices=1,
       sharded='seed', model=1)
  """
  if batching not in ('auto', 'vmap', 'map'):
    raise ValueError(f'batching is {batching!r}, expected auto, vmap or map')
  if lanes_per_call < 0:
    raise ValueError(f'lanes_per_call is {lanes_per_call}, expected >= 0')
  devices = list(jax.devices() if devices is None else devices)
  if model < 1 or len(devices) % model:
    raise ValueError(
      f'model is {model}, expected a divisor of the {len(devices)} devices'
    )
  lanes = lanes_per_call or lanes_that_fit(size, points, devices, model)
  block_points = min(points, lanes)
  block_seeds = min(seeds, max(1, lanes // block_points))
  sharded, count = _sharding(
    size, block_seeds, block_points, len(devices) // model
  )
  if sharded == 'seed':
    block_seeds = _round_up(block_seeds, count)
  else:
    block_points = _round_up(block_points, count)
  local_seeds = block_seeds // (count if sharded == 'seed' else 1)
  local_points = block_points // (count if sharded == 'point' else 1)
  if batching == 'map':
    seed_batch = point_batch = 1
  elif batching == 'vmap' or devices[0].platform != 'cpu':
    seed_batch, point_batch = local_seeds, local_points
  else:
    lane = 4 * (size.state + size.problem_lane) + 1
    batch = max(1, min(64, _CACHE // lane))
    point_batch = min(local_points, batch)
    own = size.problem_seed + size.problem_lane * point_batch
    seed_batch = 1 if own > _CACHE // 16 else batch // point_batch
    seed_batch = max(1, min(local_seeds, seed_batch))
  return Plan(
    block_seeds, block_points, seed_batch, point_batch, count, sharded, model
  )


def relaid(plan: Plan, devices: int, model: int = 1) -> Plan:
  """The same blocks and batches on at most so many devices.

  Args:
    plan: The layout that a run began with.
    devices: Devices there are now.
    model: Devices a lane is spread over now, a divisor of `devices`.

  Returns:
    `plan` itself if they suffice, else on the most devices that divide the
    sharded axis.
  """
  axis = plan.seeds if plan.sharded == 'seed' else plan.points
  count = min(plan.devices, devices // model)
  while axis % count:
    count -= 1
  return plan._replace(devices=count, model=model)


_CACHE = 1 << 20  # bytes of working set that a CPU core keeps close


def lanes_that_fit(
  size: Sizes,
  points: int,
  devices: Sequence[Any] | None = None,
  model: int = 1,
) -> int:
  """Lanes that fit in the memory of all devices, at least one a device.

  Args:
    size: Bytes of the sweep.
    points: Points that share the problem of a seed.
    devices: All of them when None.
    model: Devices that share one copy of the problem.

  Returns:
    A number of lanes.
  """
  devices = list(jax.devices() if devices is None else devices)
  # State, its donated copy and a temporary of its size; 64 records in flight.
  lane = model * (3 * size.state + 64 * size.record) + 2 * size.problem_lane
  lane += 2 * size.problem_seed / points
  groups = len(devices) // model
  part = 0.4 if devices[0].platform == 'cpu' else 0.7
  room = part * memory(devices) - 2 * size.problem_shared * groups
  return max(groups, int(room // max(lane, 1)))


def shortfall(size: Sizes, devices: Sequence[Any] | None = None) -> str:
  """Why not even one lane fits in memory; nothing if it may.

  Counts what a lane cannot do without: its problem, and its state as it is and
  as it becomes. What a step needs beside them only the compiler knows.

  Args:
    size: Bytes of the sweep.
    devices: All of them when None.

  Returns:
    A line, or ''.

  >>> shortfall(Sizes(1 << 60, 8, 0, 0, 0), jax.devices()[:1])
  'a lane needs 2.0 EiB (problem 0 B, twice the state of 1.0 EiB), there...'
  """
  devices = list(jax.devices() if devices is None else devices)
  problem = size.problem_shared + size.problem_seed + size.problem_lane
  least, there = problem + 2 * size.state, memory(devices)
  if least <= there:
    return ''
  where = 'on this host' if devices[0].platform == 'cpu' else 'on the devices'
  return (
    f'a lane needs {bytes_text(least)} (problem {bytes_text(problem)}, twice '
    f'the state of {bytes_text(size.state)}), there are {bytes_text(there)} '
    f'{where}'
  )


def shortfall_of(compiled: Any, devices: Sequence[Any]) -> str:
  """Why a compiled program does not fit in memory; nothing if it may.

  Args:
    compiled: What `jax.jit(f).lower(...).compile()` gave.
    devices: Those that it runs on.

  Returns:
    A line, or ''.
  """
  stats = compiled.memory_analysis()
  if stats is None:
    return ''
  count, there = len(devices), memory(devices)
  held = stats.argument_size_in_bytes
  made = stats.output_size_in_bytes - stats.alias_size_in_bytes
  temporary = stats.temp_size_in_bytes
  if count * (held + made + temporary) <= there:
    return ''
  return (
    f'{count} devices need {bytes_text(held)} of arguments, {bytes_text(made)} '
    f'of results and {bytes_text(temporary)} of temporaries each, there are '
    f'{bytes_text(there)} in all'
  )


def memory(devices: Sequence[Any]) -> float:
  """Bytes there are: of the host that CPU devices share, or of all devices.

  A container's bound (cgroup) and that of the shell (`ulimit -v`) count.
  """
  if devices[0].platform == 'cpu':
    bounds = [os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')]
    for place in _CGROUPS:
      text = place.read_text().strip() if place.exists() else 'max'
      bounds += [int(text)] if text.isdigit() else []
    bound, _ = resource.getrlimit(resource.RLIMIT_AS)
    if bound != resource.RLIM_INFINITY:
      taken = pathlib.Path('/proc/self/statm')
      pages = int(taken.read_text().split()[0]) if taken.exists() else 0
      bounds.append(max(0, bound - pages * os.sysconf('SC_PAGE_SIZE')))
    return float(min(bounds))
  # Only a device of this process can be asked, and none that is not there.
  own = [d for d in devices if d.process_index == jax.process_index()]
  try:
    stats = own[0].memory_stats() or {}
  except jax.errors.JaxRuntimeError:
    stats = {}
  return float(len(devices) * stats.get('bytes_limit', 8 << 30))


# Where Linux says what a container may use: version 2, version 1.
_CGROUPS = (
  pathlib.Path('/sys/fs/cgroup/memory.max'),
  pathlib.Path('/sys/fs/cgroup/memory/memory.limit_in_bytes'),
)


def bytes_text(count: float) -> str:
  """A size a person can read.

  >>> bytes_text(2048)
  '2.0 KiB'
  """
  for unit in ('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'):
    if count < 1024:
      return f'{count:.0f} B' if unit == 'B' else f'{count:.1f} {unit}'
    count /= 1024
  return f'{count:.1f} EiB'


def _sharding(
  size: Sizes, seeds: int, points: int, devices: int
) -> tuple[str, int]:
  """The axis to shard, and over how many devices, that is done soonest.

  What a step of a seed costs: reading the seed's own problem once, and the
  state of its lanes.
  """
  lane = 4 * size.state + size.problem_lane + 1

  def cost(seeds: int, points: int) -> int:
    return seeds * (size.problem_seed + points * lane)

  options = []
  for count in range(1, devices + 1):
    options.append((cost(-(-seeds // count), points), count, 0, 'seed'))
    options.append((cost(seeds, -(-points // count)), count, 1, 'point'))
  _, count, _, axis = min(options)
  return axis, count


def _round_up(value: int, multiple: int) -> int:
  return -(-value // multiple) * multiple


def _abstract_sample(system: System, hp: PyTree, data: PyTree):
  one = jax.tree.map(lambda x: jnp.asarray(x).ravel()[0], hp)
  inputs = (jax.random.key(0), one) + (() if data is None else (data,))
  return inputs, lambda key, *rest: system.sample(key, *rest)


def _bytes(tree: PyTree) -> int:
  def one(x) -> int:
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      return 8 * math.prod(x.shape)
    return x.dtype.itemsize * math.prod(x.shape)

  return sum(one(x) for x in jax.tree.leaves(tree))
