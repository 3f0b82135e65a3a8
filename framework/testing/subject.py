"""A System with everything that a check of it needs, compiled once."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from framework import leaves
from framework import system as system_lib
from framework.run.plan import Plan
from framework.run.sweep import Program
from framework.system import System

__all__ = ['Subject', 'Traced', 'is_float', 'paths', 'to_words']


class Traced(NamedTuple):
  """The four functions of a System, traced once."""

  program: str  # the jaxpr as text
  constants: list[np.ndarray]
  problem: PyTree  # the rest are shapes
  state: PyTree  # what `init` returns
  after: PyTree  # what `step` returns
  seen: dict[str, Any]


class Subject:
  """A System, its hp and data, and its compiled programs.

  Two seeds and two settings of hp make four lanes. Whatever is compiled is
  compiled at the first use and then shared by all laws.
  """

  def __init__(
    self,
    system: System,
    hp: PyTree,
    times: Sequence[int] = (0, 1, 4, 5, 12),
    data: PyTree = None,
    *,
    other: PyTree = None,
    differentiable: Sequence[str] = (),
    looser: float = 1.0,
    seeds: tuple[int, int] = (3, 11),
    final: Callable[..., dict[str, Array]] | None = None,
  ):
    """Collects what there is; nothing is traced or compiled yet.

    Args:
      system: The run. Keep it small: the laws compile it five times.
      hp: Hyperparameters, any pytree of scalars.
      times: Steps to record at, three or more, increasing.
      data: Shared arrays for `system.sample`, if it takes them.
      other: Another setting of `hp`; with all floats halved when None.
      differentiable: Paths of the float64 leaves of `hp`, such as 'eta' or
        'rule.lr', in which all records have a derivative; in all others the
        derivative need only be finite.
      looser: Factor of the tolerances of lanes and derivatives.
      seeds: Two seeds.
      final: (state, problem, hp) -> {name: array}, observed once at the end of
        a run, where there is one.

    Raises:
      ValueError: If a leaf of `hp` is no scalar, `times` do not increase, or
        what is differentiable is no float64 leaf.
    """
    self.system, self.data, self.final = system, data, final
    # As the runner has them: a Python number would have two dtypes.
    self.hp = jax.tree.map(np.asarray, hp)
    if other is None:
      other = jax.tree.map(lambda x: x / 2 if is_float(x) else x, self.hp)
    self.other = jax.tree.map(
      lambda x, y: np.asarray(y, x.dtype), self.hp, other
    )
    self.times = np.asarray(times, np.int32)
    self.seeds, self.looser = seeds, looser
    self.differentiable = tuple(differentiable)
    self.traces = 0
    self._check()

  def _check(self) -> None:
    leaves.check_scalars(self.hp)
    t = self.times
    if t.ndim != 1 or len(t) < 3 or t[0] < 0 or np.any(np.diff(t) <= 0):
      raise ValueError(
        f'times are {t.tolist()}, expected three or more increasing steps >= 0'
      )
    known = dict(
      zip(leaves.names(self.hp), jax.tree.leaves(self.hp), strict=True)
    )
    for name in self.differentiable:
      if name not in known:
        raise ValueError(
          f'differentiable names {name!r}, expected some of {[*known]}'
        )
      dtype = jax.dtypes.canonicalize_dtype(known[name].dtype)
      if dtype != np.float64:
        raise ValueError(
          f'differentiable names {name!r}, which is {dtype}: a finite '
          'difference needs float64 (jax_enable_x64)'
        )

  def words(self, seed: int) -> np.ndarray:
    """The key of a seed as numbers, which any program takes and returns."""
    return np.asarray(jax.random.key_data(jax.random.key(seed)))

  def whole(self, words: Array, hp: PyTree, times: Array, data: PyTree):
    """`rollout` -> (state, its keys as words; records). To be transformed."""
    key = jax.random.wrap_key_data(words)
    state, seen = system_lib.rollout(self.system, key, hp, times, data)
    return to_words(state), seen

  @functools.cached_property
  def jitted(self) -> Any:
    """`whole`, compiled; `traces` counts how often it was traced."""

    def whole(*args):
      self.traces += 1
      return self.whole(*args)

    return jax.jit(whole)

  def run(self, seed: int, hp: PyTree, times: Any = None) -> Any:
    """(state, records) of one run, as numpy arrays."""
    times = self.times if times is None else times
    # Data are an argument: products with a constant are compiled otherwise.
    found = _traceable(self.jitted, self.words(seed), hp, times, self.data)
    return jax.tree.map(np.asarray, found)

  @functools.cached_property
  def runs(self) -> list[list[Any]]:
    """`run` of every lane: [seed][setting of hp]."""
    settings = self.hp, self.other
    return [[self.run(seed, hp) for hp in settings] for seed in self.seeds]

  def trace(self) -> Traced:
    """Traces sample, init, step and observe anew."""

    def four(key, hp, data):
      problem, state = system_lib.start(self.system, key, hp, data)
      args = key, state, problem, hp
      after = _unchanged('step', self.system.step, args)
      seen = _unchanged('observe', self.system.observe, args[1:])
      return problem, state, after, seen

    made, shapes = _traceable(
      jax.make_jaxpr(four, return_shape=True),
      jax.random.key(0),
      self.hp,
      self.data,
    )
    constants = jax.tree.map(np.asarray, to_words(made.consts))
    return Traced(str(made), constants, *shapes)

  @functools.cached_property
  def traced(self) -> Traced:
    """The first `trace`."""
    return self.trace()

  @functools.cached_property
  def lanes(self) -> tuple[Callable[[], Any], Callable[..., Any]]:
    """The runner's program, lane by lane on one device: (begin, go on)."""
    grid = jax.tree.map(
      lambda x, y: x if x == y else np.stack([x, y]), self.hp, self.other
    )
    points = max(map(np.size, jax.tree.leaves(grid)), default=1)
    plan = Plan(len(self.seeds), points, 1, 1, 1, 'seed')
    program = Program(self.system, plan, grid, self.data)
    keys = program.seed_keys(self.seeds)
    slots = len(self.times)

    def begin():
      return program.start(keys, grid, self.data)

    def go_on(problem, lanes, t, stops, recorded=None):
      # With as many stops as a whole run has, so that it compiles once.
      padded = np.full(slots, stops[-1], np.int32)
      wanted = np.zeros(slots, bool)
      padded[: len(stops)] = stops
      wanted[: len(stops)] = True if recorded is None else recorded
      lanes, seen = program.advance(
        keys, problem, grid, lanes, np.int32(t), padded, wanted
      )
      return lanes, jax.tree.map(lambda x: np.asarray(x)[:, :, wanted], seen)

    return begin, go_on


def is_float(x: Any) -> bool:
  """Whether an array, or the shape of one, holds real floats."""
  return jnp.issubdtype(x.dtype, jnp.floating)


def paths(tree: PyTree) -> dict[str, Any]:
  """The leaves of a tree by their paths.

  >>> paths({'rule': {'lr': 0.1}, 'decay': 0.0})
  {'decay': 0.0, 'rule.lr': 0.1}
  """
  flat = jax.tree_util.tree_flatten_with_path(tree)[0]
  name = functools.partial(jax.tree_util.keystr, simple=True, separator='.')
  return {name(path): leaf for path, leaf in flat}


def to_words(tree: PyTree) -> PyTree:
  """Typed keys as their words, which can leave an exported program."""

  def one(x):
    typed = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(x) if typed else x

  return jax.tree.map(one, tree)


def _traceable(f: Callable[..., Any], *args: Any) -> Any:
  """f(*args); a value that Python asks of a tracer is a broken law."""
  try:
    return f(*args)
  except jax.errors.JAXTypeError as error:
    line = str(error).strip().splitlines()[0]
    raise AssertionError(f'it cannot be traced: {line}') from error


def _unchanged(name: str, f: Callable[..., Any], args: Any) -> Any:
  """f(*args), which must leave its arguments as they are."""
  before = jax.tree.flatten(args)
  out = f(*args)
  after = jax.tree.flatten(args)
  same = after[1] == before[1] and all(
    x is y for x, y in zip(after[0], before[0], strict=True)
  )
  if not same:
    raise AssertionError(f'{name} changes its arguments')
  return out
