"""A training run is a dynamical system: four pure functions and a rollout.

    problem  = sample(key_p, hp)                  fixed over time
    state_0  = init(key_i, problem, hp)           what a checkpoint holds
    state_t+1 = step(key_t, state_t, problem, hp)
    record_j = observe(state_{t_j}, problem, hp)  at the record times t_j

Everything is written for ONE run; `jax.vmap` makes lanes of it. The randomness
of step t is `fold_in(key_s, t)`, a function of (seed, step) alone, so a run may
be cut into chunks, killed and resumed without changing a bit of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Int, Key, PyTree

__all__ = [
  'Keys',
  'System',
  'advance',
  'keys',
  'linspaced',
  'logspaced',
  'rollout',
  'start',
]


class System(NamedTuple):
  """A training run: four pure functions, written for one run (no batch axis).

  `sample` takes a further argument when the run has `data`: a pytree of arrays
  that lies on the device once and is shared by all lanes.
  """

  sample: Callable[..., PyTree]  # (key, hp[, data]) -> problem
  init: Callable[..., PyTree]  # (key, problem, hp) -> state
  step: Callable[..., PyTree]  # (key, state, problem, hp) -> state
  observe: Callable[..., dict[str, Array]]  # (state, problem, hp) -> {name: x}


class Keys(NamedTuple):
  """The three independent streams of one seed."""

  sample: Key[Array, '']
  init: Key[Array, '']
  step: Key[Array, '']


def keys(key: Key[Array, '']) -> Keys:
  """Splits the key of a seed into its streams: problem, start, steps."""
  return Keys(*jax.random.split(key, 3))


def start(
  system: System, key: Key[Array, ''], hp: PyTree, data: PyTree = None
) -> tuple[PyTree, PyTree]:
  """The problem and the state at t = 0 of one seed.

  Args:
    system: The run.
    key: The key of the seed.
    hp: Hyperparameters, a pytree of scalars.
    data: What `system.sample` takes as its last argument, if it takes one.

  Returns:
    (problem, state at step 0).
  """
  k = keys(key)
  extra = () if data is None else (data,)
  problem = system.sample(k.sample, hp, *extra)
  return problem, system.init(k.init, problem, hp)


def advance(
  system: System,
  key: Key[Array, ''],
  problem: PyTree,
  hp: PyTree,
  state: PyTree,
  t: Int[ArrayLike, ''],
  times: Int[Array, ' stops'],
  recorded: Bool[Array, ' stops'] | None = None,
) -> tuple[PyTree, dict[str, Array]]:
  """Advances one run through a list of stops and observes it at each.

      state <- step(fold_in(key, i), state),   i = t, ..., times[j] - 1
      record_j <- observe(state)

  One `scan` over stops with an inner `fori_loop`, so one compilation serves
  every schedule with as many stops.

  Args:
    system: The run.
    key: The key of the *step* stream, `keys(key).step`.
    problem: What `system.sample` returned.
    hp: Hyperparameters.
    state: The state at step `t`.
    t: The step that `state` has reached.
    times: Steps to stop at: integers, not decreasing, the first at least `t`.
    recorded: Which stops to observe; the records of the others are zeros and
      cost nothing. All of them when None.

  Returns:
    (state at times[-1], records stacked along a leading axis of stops).

  Raises:
    ValueError: If `times` are not integers along one axis or, as far as they
      are not traced, decrease, begin before `t` or end after 2^31 - 1.
  """
  _check_times(times, t)

  def one_step(i, state):
    return system.step(jax.random.fold_in(key, i), state, problem, hp)

  def observe(state):
    return system.observe(state, problem, hp)

  def stop(carry, at):
    t, state = carry
    t_next, wanted = at
    state = jax.lax.fori_loop(t, t_next, one_step, state)
    if wanted is None:
      record = observe(state)
    else:
      shapes = jax.eval_shape(observe, state)
      record = jax.lax.cond(
        wanted,
        observe,
        lambda _: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes),
        state,
      )
    return (t_next, state), record

  times = jnp.asarray(times)
  carry = (jnp.asarray(t, times.dtype), state)
  (_, state), records = jax.lax.scan(stop, carry, (times, recorded))
  return state, records


def rollout(
  system: System,
  key: Key[Array, ''],
  hp: PyTree,
  times: Int[Array, ' records'],
  data: PyTree = None,
) -> tuple[PyTree, dict[str, Array]]:
  """Runs a system from its start and observes it at `times`.

  Pure, jittable, vmappable over `key` and `hp`, differentiable in `hp` in
  forward mode (`jax.jvp`, `jax.jacfwd`): the number of steps between records is
  data, so one compilation serves every schedule of the same length.

  Args:
    system: The run.
    key: The key of the seed, `jax.random.key(seed)`.
    hp: Hyperparameters, a pytree of scalars: traced, never compiled in.
    times: Steps to record at: integers, not decreasing; 0 is the start.
    data: Shared arrays for `system.sample`, if it takes them.

  Returns:
    (state at times[-1], {name: records with a leading axis of times}).

  Raises:
    ValueError: If `times` make no sense; traced, they are not looked into.

  >>> import jax, jax.numpy as jnp
  >>> decay = System(
  ...   sample=lambda key, hp: (),
  ...   init=lambda key, problem, hp: jnp.float32(1),
  ...   step=lambda key, x, problem, hp: x - hp['eta'] * x,
  ...   observe=lambda x, problem, hp: {'x': x})
  >>> run = jax.jit(lambda hp, ts: rollout(decay, jax.random.key(0), hp, ts))
  >>> x, records = run({'eta': 0.5}, jnp.array([0, 1, 3]))
  >>> print(x, records['x'])
  0.125 [1.    0.5   0.125]
  """
  problem, state = start(system, key, hp, data)
  return advance(system, keys(key).step, problem, hp, state, 0, times)


def linspaced(steps: int, every: int) -> np.ndarray:
  """Record times 0, every, 2 every, ..., always ending with `steps`.

  Args:
    steps: The last step T >= 1.
    every: Steps between records >= 1.

  Returns:
    Increasing int32 steps, first 0, last T.

  Raises:
    ValueError: If an argument is not an integer in [1, 2^31).

  >>> linspaced(10, 4).tolist()
  [0, 4, 8, 10]
  """
  _check_at_least_one(steps=steps, every=every)
  return np.unique(np.r_[0 : steps + 1 : every, steps]).astype(np.int32)


def logspaced(steps: int, per_decade: int = 20) -> np.ndarray:
  """Record times evenly spaced in ln t: 0, 1, ..., T, repeats removed.

  Args:
    steps: The last step T >= 1.
    per_decade: Records per factor of ten of t, once t is large enough that
      they are distinct integers.

  Returns:
    Increasing int32 steps, first 0, last T.

  Raises:
    ValueError: If an argument is not an integer in [1, 2^31).

  >>> logspaced(100, 3).tolist()
  [0, 1, 2, 5, 10, 22, 46, 100]
  """
  _check_at_least_one(steps=steps, per_decade=per_decade)
  count = int(np.ceil(per_decade * np.log10(steps))) + 1
  grid = np.rint(np.geomspace(1, steps, max(count, 1)))
  return np.unique(np.r_[0, grid, steps]).astype(np.int32)


def _check_times(times: Any, t: Any) -> None:
  """Times that are no integers make `fori_loop` count wrongly, in silence."""
  given = times if hasattr(times, 'dtype') else jnp.asarray(times)
  dtype, shape = given.dtype, given.shape
  if not jnp.issubdtype(dtype, jnp.integer) or len(shape) != 1 or not shape[0]:
    raise ValueError(
      f'times are {dtype} of shape {shape}, expected integers along one axis'
    )
  try:
    steps = np.append(np.asarray(t), np.asarray(times)).astype(np.int64)
  except jax.errors.TracerArrayConversionError:
    return
  if np.any(np.diff(steps) < 0) or steps[-1] >= 2**31:
    raise ValueError(
      f'times are {np.asarray(times)}, expected steps in [{steps[0]}, 2^31) '
      'that do not decrease'
    )


def _check_at_least_one(**values: Any) -> None:
  for name, value in values.items():
    # The comparison with the ends refuses nan, too.
    if not 1 <= value < 2**31 or value != int(value):
      raise ValueError(f'{name} is {value}, expected an integer in [1, 2^31)')
