"""Sweeps: seeds x a grid of hp become lanes of one compiled program.

Lanes have two axes, *seed* and *point* (a point is one setting of the swept
hp). A problem, or a part of it, that does not depend on one of them is shared
along it and never copied: one measurement operator for all initialisation
scales turns a batch of matrix-vector products into one matrix product. What
depends on what is read off the traced `sample`, leaf by leaf.

Along each axis lanes run by `vmap`, by `lax.map`, or by `lax.map` over batches;
the seed or the point axis is sharded over all devices. Where a problem is too
large for one device, the rows of its large arrays are sharded over a second
axis of the mesh, *model*, and the compiler puts in the collectives.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from framework import system as system_lib
from framework.leaves import check_scalars, like, names, replaced
from framework.run import plan as plan_lib
from framework.run.plan import Plan, Varies, dependence
from framework.system import System

__all__ = ['Lanes', 'Program', 'names', 'points']


class Lanes(NamedTuple):
  """The state of all lanes of a block; every leaf starts (seeds, points)."""

  state: PyTree
  alive: Bool[Array, 'seeds points']  # finite at every record so far
  diverged_at: Int[Array, 'seeds points']  # step of the first that was not


def points(hp: PyTree, axes: Mapping[str, Sequence[float]]) -> PyTree:
  """The grid of swept hyperparameters, flattened in C order.

  Args:
    hp: Any pytree of scalars.
    axes: Values for each swept leaf, by its name (see `names`).

  Returns:
    `hp` with each swept leaf replaced by an array over points; the others stay
    scalars (and so stay shared by all lanes).

  Raises:
    ValueError: If an axis is not a leaf of `hp`, has no values, or one that
      the leaf's type cannot hold, or if a leaf is not a scalar.

  >>> grid = points({'opt': {'lr': 0.1}, 'k': 5, 'alpha': 0.3},
  ...               {'opt.lr': (1.0, 2.0), 'k': (3, 4)})
  >>> grid['opt']['lr'].tolist(), grid['k'].tolist(), grid['alpha']
  ([1.0, 1.0, 2.0, 2.0], [3, 4, 3, 4], 0.3)
  """
  check_scalars(hp)
  try:
    values = [like(hp, name, axis) for name, axis in axes.items()]
  except ValueError as error:
    raise ValueError(f'sweep axis {error}') from None
  grid = np.meshgrid(*values, indexing='ij')
  return replaced(
    hp, {name: g.ravel() for name, g in zip(axes, grid, strict=True)}
  )


class Program:
  """The compiled functions that start, advance and conclude a block of lanes.

  One instance compiles at most once per function: seeds, hp values, step counts
  and record times are all arguments.
  """

  def __init__(
    self,
    system: System,
    plan: Plan,
    hp: PyTree,
    data: PyTree = None,
    *,
    mask: bool = True,
    final: Callable[..., dict[str, Array]] | None = None,
    devices: Sequence[Any] | None = None,
  ):
    """Builds the functions; nothing is compiled before it is called.

    Args:
      system: The run.
      plan: How lanes are laid out.
      hp: Hyperparameters of one block; swept ones have an axis of points.
      data: Shared arrays for `system.sample`, or None.
      mask: Whether what is observed of a diverged lane is NaN from there on.
      final: (state, problem, hp) -> {name: array}, observed once, at the end.
      devices: Devices to shard over; the first `plan.devices` are used.
    """
    self.plan, self.data = plan, data
    self._fitted: dict[str, Callable[..., Any]] = {}
    self._system = system
    self._varies = dependence(system, hp, data)
    self._hp_varies = jax.tree.map(lambda x: Varies(False, np.ndim(x) == 1), hp)
    devices = list(devices if devices is not None else jax.devices())
    self.devices = devices[: plan.devices * plan.model]
    grid = np.array(self.devices)
    if plan.model == 1:
      self.mesh = jax.sharding.Mesh(grid, ('lanes',))
    else:
      grid = grid.reshape(plan.devices, plan.model)
      self.mesh = jax.sharding.Mesh(grid, ('lanes', 'model'))
    seed, lane, shared = (
      Varies(True, False),
      Varies(True, True),
      Varies(False, False),
    )
    fixed = [seed, self._varies, self._hp_varies]
    self.start = self._compile(
      self._start,
      [seed, self._hp_varies, shared],
      (self._varies, lane),
      once=True,
    )
    self.advance = self._compile(
      functools.partial(self._advance, mask=mask),
      [*fixed, lane, shared, shared, shared],
      (lane, lane),
      donate=(3,),
    )
    self.final = final and self._compile(
      functools.partial(self._final, final, mask=mask),
      [*fixed, lane],
      lane,
      once=True,
    )

  def fitted(self, name: str, *args: Any) -> Callable[..., Any]:
    """`start`, `advance` or `final`, compiled once, if there is memory for it.

    Args:
      name: Of the function.
      *args: Its arguments, or others of their shapes and places.

    Returns:
      The compiled function.

    Raises:
      DoesNotFit: If its arguments, results and temporaries together do not.
    """
    if name not in self._fitted:
      compiled = getattr(self, name).lower(*args).compile()
      why = plan_lib.shortfall_of(compiled, self.devices)
      if why:
        raise plan_lib.DoesNotFit(why)
      self._fitted[name] = compiled
    return self._fitted[name]

  def seed_keys(self, seeds: Sequence[int]) -> Array:
    """Typed keys of a block's seeds."""
    return jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))

  def place(self, data: PyTree) -> PyTree:
    """Puts shared arrays on the devices, large ones spread over their rows."""
    return jax.tree.map(jax.device_put, data, self.data_shardings(data))

  def data_shardings(self, data: PyTree) -> PyTree:
    """Where `place` puts each of the shared arrays."""
    return jax.tree.map(
      lambda x: jax.sharding.NamedSharding(self.mesh, self._rows(x, 0)), data
    )

  def _rows(self, x: Any, lead: int) -> jax.sharding.PartitionSpec:
    """Rows over `model` if large and divisible; `lead` axes are of lanes."""
    own = jnp.shape(x)[lead:]
    large = math.prod(own) * x.dtype.itemsize >= _LARGE
    if self.plan.model == 1 or not (large and own[0] % self.plan.model == 0):
      return jax.P()
    return jax.P(*(None,) * lead, 'model')

  def _spread(self, x: Array, varies: Varies) -> Array:
    """A leaf of the problem with its rows over `model`, where that pays."""
    spec = self._rows(x, varies.seed + varies.point)
    if spec == jax.P():
      return x
    mesh = jax.sharding.get_abstract_mesh()
    return jax.lax.with_sharding_constraint(
      x, jax.sharding.NamedSharding(mesh, spec)
    )

  def _start(self, keys, hp, data):
    """(keys, hp, data) -> (problem with shared leaves shared, lanes)."""
    system = self._system

    def sample(key, hp):
      extra = () if data is None else (data,)
      return system.sample(system_lib.keys(key).sample, hp, *extra)

    flags, tree = jax.tree.flatten(
      self._varies, is_leaf=lambda x: isinstance(x, Varies)
    )
    first = _select(hp, self._hp_varies, 0)
    problem: list[Any] = [None] * len(flags)
    for kind in set(flags):
      # Each kind of leaf is sampled over just the axes it differs along; XLA
      # drops what the others would have computed.
      index = [i for i, v in enumerate(flags) if v == kind]

      def pick(key, hp, index=index):
        leaves = jax.tree.leaves(sample(key, hp))
        return [leaves[i] for i in index]

      args = [keys, hp if kind.point else first]
      axes = [Varies(kind.seed, False), self._hp_varies]
      if not kind.seed:
        args[0] = keys[0]
      if not kind.point:
        axes[1] = Varies(False, False)
      for i, x in zip(index, self._over(pick, axes, kind)(*args), strict=True):
        problem[i] = self._spread(x, kind)
    problem = jax.tree.unflatten(tree, problem)

    def init(key, problem, hp):
      state = system.init(system_lib.keys(key).init, problem, hp)
      return Lanes(state, jnp.bool_(True), jnp.int32(-1))

    axes = [Varies(True, False), self._varies, self._hp_varies]
    lanes = self._over(init, axes, Varies(True, True))(keys, problem, hp)
    return problem, lanes

  def _advance(self, keys, problem, hp, lanes, t, times, recorded, *, mask):
    """Advances a block to its stops -> (lanes, records (seed, point, stop))."""
    watched = self._system._replace(observe=_watched(self._system.observe))

    def one(key, problem, hp, lanes):
      state, records = system_lib.advance(
        watched,
        system_lib.keys(key).step,
        problem,
        hp,
        lanes.state,
        t,
        times,
        recorded,
      )
      broken = recorded & ~records.pop(_FINITE)
      alive = lanes.alive & (jnp.cumsum(broken) == 0)
      when = jnp.where(
        lanes.alive & ~alive[-1], times[jnp.argmax(broken)], lanes.diverged_at
      )
      if mask:
        records = {n: _nan_unless(alive, x) for n, x in records.items()}
      return Lanes(state, alive[-1], when.astype(jnp.int32)), records

    axes = [
      Varies(True, False),
      self._varies,
      self._hp_varies,
      Varies(True, True),
    ]
    return self._over(one, axes, Varies(True, True))(keys, problem, hp, lanes)

  def _final(self, final, keys, problem, hp, lanes, *, mask):
    """Observes the last state of each lane, one lane at a time."""
    axes = [
      Varies(True, False),
      self._varies,
      self._hp_varies,
      Varies(True, True),
    ]

    def one(key, problem, hp, lanes):
      del key
      last = final(lanes.state, problem, hp)
      if mask:
        last = {n: _nan_unless(lanes.alive, x) for n, x in last.items()}
      return last

    return self._over(one, axes, Varies(True, True), batch=(1, 1))(
      keys, problem, hp, lanes
    )

  def _over(self, f, axes, out: Varies, batch=None):
    """Maps an unbatched `f` over points inside, over seeds outside."""
    seed_batch, point_batch = batch or (
      self.plan.seed_batch,
      self.plan.point_batch,
    )
    plan = self.plan
    local = {
      axis: n // (plan.devices if plan.sharded == axis else 1)
      for axis, n in (('seed', plan.seeds), ('point', plan.points))
    }
    if out.point:
      f = _mapped(
        f, [_flag(a, 'point') for a in axes], point_batch, local['point']
      )
    if out.seed:
      f = _mapped(
        f, [_flag(a, 'seed') for a in axes], seed_batch, local['seed']
      )
    return f

  def _compile(self, f, axes, out, donate=(), once=False):
    """Jits `f` with its lanes sharded over the mesh, each device for itself.

    What runs once is compiled for a quick compilation, a fifth of the time on a
    CPU, and not for a quick run.
    """
    spec = functools.partial(_spec, sharded=self.plan.sharded)
    is_flag = lambda x: isinstance(x, Varies)  # noqa: E731
    in_specs = tuple(jax.tree.map(spec, a, is_leaf=is_flag) for a in axes)
    out_specs = jax.tree.map(spec, out, is_leaf=is_flag)
    # A lane never talks to another: no collective is needed along `lanes`, so
    # the check for replicated values has nothing to find.
    sharded = jax.shard_map(
      f,
      mesh=self.mesh,
      in_specs=in_specs,
      out_specs=out_specs,
      axis_names={'lanes'},  # along `model` the compiler partitions
      check_vma=False,
    )
    cpu = self.mesh.devices.flat[0].platform == 'cpu'
    # Where all programs are compiled quickly, this one as the others.
    once = once and not jax.config.values['jax_disable_most_optimizations']
    return jax.jit(
      sharded,
      donate_argnums=donate,
      compiler_options=_ONCE if once and cpu else None,
    )


_ONCE = {'xla_backend_optimization_level': 1}
_LARGE = 1 << 16  # bytes from which the rows of an array are worth spreading
_FINITE = ' finite'  # a space: no observation is called this


def _watched(observe: Callable[..., dict[str, Array]]) -> Callable[..., Any]:
  """Adds to the records whether every float of the state is finite."""

  def watched(state, problem, hp):
    floats = [
      x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.inexact)
    ]
    finite = jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in floats]))
    return {**observe(state, problem, hp), _FINITE: finite}

  return watched


def _nan_unless(alive: Bool[Array, '*stops'], x: Array) -> Array:
  """`x` as floats, NaN where the lane is no longer alive."""
  if not jnp.issubdtype(x.dtype, jnp.inexact):
    x = x.astype(jnp.result_type(float))
  keep = alive.reshape(alive.shape + (1,) * (x.ndim - alive.ndim))
  return jnp.where(keep, x, jnp.nan)


def _mapped(f, flags, batch: int, size: int):
  """Maps `f` over the leading axis of the flagged leaves of its arguments."""

  def over(*args):
    leaves, tree = jax.tree.flatten(args)
    marks = [
      m
      for flag, arg in zip(flags, args, strict=True)
      for m in _marks(flag, arg)
    ]
    moving = [x for x, m in zip(leaves, marks, strict=True) if m]

    def body(moving):
      _, *rest = moving
      it = iter(rest)
      merged = [
        next(it) if m else x for x, m in zip(leaves, marks, strict=True)
      ]
      return f(*jax.tree.unflatten(tree, merged))

    # The index gives the map its axis where no argument has one.
    moving = [jnp.arange(size), *moving]
    if batch >= size > 1:
      return jax.vmap(body)(moving)
    return jax.lax.map(body, moving, batch_size=batch if batch > 1 else None)

  return over


def _flag(axes: PyTree, name: str) -> PyTree:
  return jax.tree.map(
    lambda v: getattr(v, name), axes, is_leaf=lambda x: isinstance(x, Varies)
  )


def _marks(flag: PyTree, arg: PyTree) -> list[bool]:
  """One flag a leaf of `arg`, from a prefix tree of flags."""
  if isinstance(flag, bool):
    return [flag] * len(jax.tree.leaves(arg))
  return jax.tree.leaves(flag)


def _spec(varies: Varies, sharded: str) -> jax.sharding.PartitionSpec:
  """Where the sharded lane axis is in an array that varies so."""
  if sharded == 'seed' and varies.seed:
    return jax.P('lanes')
  if sharded == 'point' and varies.point:
    return jax.P(None, 'lanes') if varies.seed else jax.P('lanes')
  return jax.P()


def _select(hp: PyTree, varies: PyTree, index: int) -> PyTree:
  return jax.tree.map(
    lambda x, v: x[index] if v.point else x,
    hp,
    varies,
  )
