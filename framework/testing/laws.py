"""The laws of every System, whatever it computes.

Each is a function of a `Subject` that raises AssertionError, in a line that
says what does not hold. `ALL` has them in the order of their costs.
"""

import re
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from framework import system as system_lib
from framework.leaves import names
from framework.run import job
from framework.run.checkpoint import Checkpoints, to_host
from framework.testing.lowering import lowered
from framework.testing.subject import (
  Subject,
  Traced,
  is_float,
  paths,
  to_words,
)

__all__ = [
  'ALL',
  'Subject',
  'check',
  'checkpoints_keep_every_bit',
  'chunks_keep_every_bit',
  'derivatives_are_finite_and_right',
  'functions_are_pure',
  'jitted_runs_are_finite',
  'lanes_of_the_runner_are_single_runs',
  'lowers_for_every_platform',
  'new_values_do_not_compile_again',
  'observations_are_named_numbers',
  'states_keep_their_type',
  'vmapped_lanes_are_near_single_runs',
]

_PARTS = 'state', 'observation'  # what a rollout returns


def check(system: system_lib.System, hp: PyTree, *args, **kwargs) -> None:
  """Checks all laws of one System.

  Args:
    system: The run, small.
    hp: Hyperparameters, any pytree of scalars.
    *args: Further arguments of `Subject`: times, data.
    **kwargs: The same by name.

  Raises:
    AssertionError: At the first law that does not hold, naming it.

  >>> from framework.system import System
  >>> check(System(
  ...   sample=lambda key, hp: (),
  ...   init=lambda key, problem, hp: jnp.float32(1),
  ...   step=lambda key, x, problem, hp: x - hp['eta'] * x,
  ...   observe=lambda x, problem, hp: {'eta': x}), {'eta': np.float32(0.5)})
  Traceback (most recent call last):
  AssertionError: observations_are_named_numbers: observation eta has the name
    of an axis: rename it
  """
  subject = Subject(system, hp, *args, **kwargs)
  for law in ALL:
    try:
      law(subject)
    except AssertionError as error:
      raise AssertionError(f'{law.__name__}: {error}') from error


def states_keep_their_type(subject: Subject) -> None:
  """A step returns what `init` did: shapes, dtypes and weak types."""
  traced = subject.traced
  start, after = paths(traced.state), paths(traced.after)
  _hold(
    jax.tree.structure(traced.state) == jax.tree.structure(traced.after),
    f'init returns a state of {[*start]}, step one of {[*after]}',
  )
  for path, x in start.items():
    kinds = [f'{y.dtype}{list(y.shape)}' for y in (x, after[path])]
    _hold(
      kinds[0] == kinds[1],
      f'{_called("state", path)} is {kinds[0]} after init and {kinds[1]} after '
      'a step',
    )
    _hold(
      not (x.weak_type or after[path].weak_type),
      f'{_called("state", path)} is of weak type: give it a dtype',
    )


def observations_are_named_numbers(subject: Subject) -> None:
  """Observations are real arrays under names that results can have."""
  seen = subject.traced.seen
  _hold(isinstance(seen, dict) and seen, f'observe returns {seen!r}, no dict')
  for name, x in seen.items():
    real = hasattr(x, 'dtype') and (
      is_float(x)
      or jnp.issubdtype(x.dtype, jnp.integer)
      or jnp.issubdtype(x.dtype, jnp.bool_)
    )
    _hold(real, f'{name!r} is {x}, expected an array of real numbers')
  s = subject
  swept = zip(names(s.hp), jax.tree.leaves(s.hp), strict=True)
  every = {name: [x.item()] for name, x in swept}
  layout = job.Layout({}, every, s.seeds, s.times)
  arm = job.Arm(s.system, s.hp, s.data, s.final)
  try:
    job.check(job.Job([arm], layout))
  except ValueError as error:
    raise AssertionError(str(error)) from error


def functions_are_pure(subject: Subject) -> None:
  """The same functions of the same arguments are the same program again."""
  one, two = subject.traced, subject.trace()
  if not _same_program(one, two):
    # The first time it may have filled caches of its own.
    one, two = two, subject.trace()
  _hold(
    _same_program(one, two),
    'traced twice, its functions are two programs: they use something that is '
    'no argument and changes',
  )


def jitted_runs_are_finite(subject: Subject) -> None:
  """The compiled rollout is finite, in time and seeds not all the same."""
  state, seen = subject.runs[0][0]
  for what, tree in zip(_PARTS, (state, seen), strict=True):
    for path, x in paths(tree).items():
      finite = not jnp.issubdtype(x.dtype, jnp.inexact) or np.isfinite(x).all()
      _hold(finite, f'{_called(what, path)} is not finite: {x.ravel()[-3:]}')
  for name, x in seen.items():
    _hold(
      x.shape[0] == len(subject.times), f'{name!r} has shape {x.shape} in time'
    )
  _hold(
    any(np.any(x[0] != x[-1]) for x in seen.values())
    or _differ(seen, subject.runs[1][0][1]),
    'no record changes in time or with the seed: the laws would say nothing',
  )


def new_values_do_not_compile_again(subject: Subject) -> None:
  """hp, seeds and record times are arguments: one trace serves them all."""
  (first, second), _ = subject.runs
  later = subject.times + 1
  moved = subject.run(subject.seeds[0], subject.hp, later)
  _hold(
    subject.traces == 1,
    f'it was compiled {subject.traces} times for new values, expected once',
  )
  varied = not jax.tree.all(jax.tree.map(np.equal, subject.hp, subject.other))
  _hold(
    not varied or _differ(first, second),
    'hp have no effect: they are closed over, or `other` is no other',
  )
  del moved


def vmapped_lanes_are_near_single_runs(subject: Subject) -> None:
  """Lanes side by side differ by rounding alone, each hp along an axis.

  In every step values may pass through some hundred operations that round
  otherwise, and the errors of steps add up.
  """
  lanes = [(i, j) for i in range(2) for j in range(2)]
  words = np.stack([subject.words(subject.seeds[i]) for i, _ in lanes])
  leaves, tree = jax.tree.flatten(subject.hp)
  pairs = list(zip(leaves, jax.tree.leaves(subject.other), strict=True))
  axes = [None if x == y else 0 for x, y in pairs]
  grid = [x if x == y else np.stack([x, y, x, y]) for x, y in pairs]
  batched = jax.vmap(
    lambda words, hp, *rest: subject.whole(
      words, jax.tree.unflatten(tree, hp), *rest
    ),
    (0, axes, None, None),
  )
  found = jax.jit(batched)(words, grid, subject.times, subject.data)
  steps = max(1, int(subject.times[-1]))
  for n, (i, j) in enumerate(lanes):
    one = jax.tree.map(lambda x, n=n: np.asarray(x[n]), found)
    for what, x, y in zip(_PARTS, one, subject.runs[i][j], strict=True):
      where = f'{{}} of lane {i, j}'
      _near(what, x, y, 100 * steps * subject.looser, where)


def lanes_of_the_runner_are_single_runs(subject: Subject) -> None:
  """Lane by lane (`lax.map`) the runner has the bits of plain rollouts."""
  begin, go_on = subject.lanes
  lanes, seen = go_on(*begin(), 0, subject.times)
  _single_runs(subject, lanes, seen)


def chunks_keep_every_bit(subject: Subject) -> None:
  """In pieces, with stops in between, a run is what it is in one."""
  begin, go_on = subject.lanes
  times = subject.times.tolist()
  stops = sorted({0, 2, 3, times[-1] - 1, *times})
  problem, lanes = begin()
  t, found = 0, []
  for i in range(0, len(stops), 2):
    pair = stops[i : i + 2]
    lanes, seen = go_on(problem, lanes, t, pair, np.isin(pair, times))
    found.append(seen)
    t = pair[-1]
  together = jax.tree.map(lambda *x: np.concatenate(x, 2), *found)
  _single_runs(subject, lanes, together)


def checkpoints_keep_every_bit(subject: Subject) -> None:
  """A state that was stored and read goes on as if it had not been."""
  begin, go_on = subject.lanes
  problem, lanes = begin()
  middle, first = go_on(problem, lanes, 0, subject.times[:2])
  shapes = jax.eval_shape(lambda: middle)
  with tempfile.TemporaryDirectory() as directory:
    checkpoints = Checkpoints(directory)
    checkpoints.save(1, middle, {})
    checkpoints.wait()
    restored = checkpoints.restore(lambda _: shapes)
    checkpoints.close()
  if restored is None:
    raise AssertionError('its state cannot be restored from a checkpoint')
  lanes, rest = go_on(
    problem, restored.tree, subject.times[1], subject.times[2:]
  )
  together = jax.tree.map(lambda *x: np.concatenate(x, 2), first, rest)
  _single_runs(subject, lanes, together)


def derivatives_are_finite_and_right(subject: Subject) -> None:
  """∂records/∂hp forward: finite, and a central difference where promised.

  At h = ε^⅓ |hp| the difference errs by about ε^⅔ = 4e-11 of the value, times
  the condition of the run, for which there is room up to 1e-6.
  """
  leaves, tree = jax.tree.flatten(subject.hp)
  words = subject.words(subject.seeds[0])

  @jax.jit
  def slope(along, words, hp, times, data):
    def records(hp):
      seen = subject.whole(words, hp, times, data)[1]
      return {name: x for name, x in seen.items() if is_float(x)}

    return jax.jvp(records, (hp,), (along,))[1]

  for index, path in enumerate(names(subject.hp)):
    if not is_float(leaves[index]):
      continue
    along = [
      np.asarray(i == index, x.dtype)
      if is_float(x)
      else np.zeros((), jax.dtypes.float0)
      for i, x in enumerate(leaves)
    ]
    found = jax.tree.map(
      np.asarray,
      slope(
        jax.tree.unflatten(tree, along),
        words,
        subject.hp,
        subject.times,
        subject.data,
      ),
    )
    for name, x in found.items():
      broken = np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(1))
      _hold(
        not broken.size,
        f'∂{_called(_PARTS[1], name)}/∂{path} is not finite at step '
        f'{subject.times[broken].tolist()}',
      )
    if path not in subject.differentiable:
      continue
    at = float(leaves[index])
    h = np.finfo(np.float64).eps ** (1 / 3) * max(abs(at), 1e-3)
    ends = []
    for value in (at - h, at + h):
      moved = [*leaves]
      moved[index] = np.asarray(value, leaves[index].dtype)
      hp = jax.tree.unflatten(tree, moved)
      ends.append(subject.run(subject.seeds[0], hp)[1])
    want = {n: (ends[1][n] - ends[0][n]) / (2 * h) for n in found}
    eps = float(np.finfo(np.float64).eps)
    roundings = 1e-6 / eps * subject.looser
    _near(_PARTS[1], found, want, roundings, f'∂{{}}/∂{path}')
    _hold(
      any(np.any(x != 0) for x in found.values()),
      f'{path} has no effect on any record',
    )


def lowers_for_every_platform(subject: Subject) -> None:
  """Rollout and `final` lower for CPU, CUDA and TPU and call nobody back."""
  words = subject.words(subject.seeds[0])
  lowered(subject.jitted, words, subject.hp, subject.times, subject.data)
  final = subject.final
  if final is None:
    return

  def last(words, hp, data):
    key = jax.random.wrap_key_data(words)
    problem, state = system_lib.start(subject.system, key, hp, data)
    return to_words(final(state, problem, hp))

  lowered(last, words, subject.hp, subject.data)


ALL: tuple[Callable[[Subject], None], ...] = (
  states_keep_their_type,
  observations_are_named_numbers,
  functions_are_pure,
  jitted_runs_are_finite,
  new_values_do_not_compile_again,
  lowers_for_every_platform,
  lanes_of_the_runner_are_single_runs,
  chunks_keep_every_bit,
  checkpoints_keep_every_bit,
  vmapped_lanes_are_near_single_runs,
  derivatives_are_finite_and_right,
)


def _hold(condition: Any, line: str) -> None:
  if not condition:
    raise AssertionError(line)


def _same_program(one: Traced, two: Traced) -> bool:
  texts = [re.sub(r'0x[0-9a-f]+', '', x.program) for x in (one, two)]
  return (
    texts[0] == texts[1]
    and len(one.constants) == len(two.constants)
    and all(map(_bits_equal, one.constants, two.constants))
  )


def _bits_equal(x: np.ndarray, y: np.ndarray) -> bool:
  return x.dtype == y.dtype and x.shape == y.shape and (
    x.tobytes() == y.tobytes()
  )  # fmt: skip


def _differ(one: PyTree, two: PyTree) -> bool:
  return not jax.tree.all(jax.tree.map(np.array_equal, one, two))


def _called(what: str, path: str) -> str:
  return f'{what} {path!r}' if path else what


def _near(
  what: str, one: PyTree, two: PyTree, roundings: float, where: str
) -> None:
  """|a − b| within so many roundings of the largest |b| of the array."""
  for (path, a), b in zip(
    paths(one).items(), jax.tree.leaves(two), strict=True
  ):
    if not is_float(a):
      continue
    most = max(1e-3, np.max(np.abs(b), initial=0))
    off = np.max(np.abs(a.astype(np.float64) - b), initial=0)
    allowed = roundings * float(jnp.finfo(a.dtype).eps) * most
    # So that nan is no small difference.
    if not off <= allowed:
      raise AssertionError(
        f'{where.format(_called(what, path))} is off by {off:.2g}, expected '
        f'at most {allowed:.2g}'
      )


def _single_runs(subject: Subject, lanes: Any, seen: PyTree) -> None:
  """Each lane of the runner has the bits of a plain rollout."""
  states = to_host(lanes.state)
  for i, per_seed in enumerate(subject.runs):
    for j in range(np.asarray(lanes.alive).shape[1]):
      state, want = per_seed[j]
      # The runner's records are floats, for there is no other nan.
      wide, want = jax.tree.map(lambda x: x.astype(np.float64), (seen, want))
      pairs = (states, state), (wide, want)
      for what, (found, single) in zip(_PARTS, pairs, strict=True):
        for path, x in paths(found).items():
          own, y = x[i, j], paths(single)[path]
          if not _bits_equal(own, y):
            off = np.max(np.abs(own.astype(np.float64) - y), initial=0)
            raise AssertionError(
              f'{_called(what, path)} of lane {i, j} differs from a single '
              f'run, by {off:.2g}'
            )
