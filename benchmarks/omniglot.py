"""Omniglot MAML by its two reformulations against the definitions.

    python -m benchmarks.omniglot --out=omniglot.json

CPU time with one thread of an outer step of the system that the experiment
runs (`framework.systems.infinite_width.few_shot`), on random drawings of
Omniglot's size with their quarter turns:

    GP, NTK (float32)   values at all drawings against all drawings as rows,
                        asked for every support and query point
    width 8192 (f64)    in the span of its columns against all coordinates

Both arrive at the same numbers, which is checked.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags

from benchmarks import timing
from framework.data import drawings
from framework.systems.infinite_width import few_shot as dynamics
from framework.systems.infinite_width.few_shot import kernels as kernel_limit
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.few_shot.kernels import Store
from framework.systems.infinite_width.limits import linear as linear_limit

OURS = 'reformulated'
CASES = ('gp', 'ntk', 'finite')
_KINDS = {'gp': kernel_limit.gp, 'ntk': kernel_limit.ntk}
_LARGE = {'d': 784, 'characters': 1028, 'width': 8192, 'tasks': 32}
_SMALL = {'d': 16, 'characters': 8, 'width': 50, 'tasks': 2}
_TESTS = 244
_PROBE = 50  # drawings at which kernels are compared
HP = dynamics.Hp(sigma2=1 / 32)


def _structure(case: str, sizes: dict[str, int]) -> dynamics.Structure:
  classes = sizes['characters'], min(sizes['characters'], _TESTS)
  return dynamics.Structure(
    dynamics.network(sizes['width'])
    if case == 'finite'
    else dynamics.kernel(_KINDS[case]),
    dynamics.table(sizes['d'], classes, turns=4),
    tasks=sizes['tasks'],
    eval_tasks=1,
    dtype=jnp.float64 if case == 'finite' else jnp.float32,
  )


def _data(sizes: dict[str, int]) -> dynamics.Data:
  shape = sizes['characters'], 20, sizes['d']
  draw = np.random.default_rng(0).integers
  # A tenth of the pixels is ink.
  made = [
    np.where(draw(0, 10, shape) == 0, draw(0, 256, shape), 0).astype(np.uint8)
    for _ in range(2)
  ]
  made[1] = made[1][:_TESTS]
  return dynamics.Data(*map(drawings.as_table, made))


def contestants(case: str, sizes: dict[str, int]) -> list[timing.Contestant]:
  """The system, and the same as it is defined.

  Args:
    case: One of `CASES`.
    sizes: d, characters, width and tasks.

  Returns:
    Contestants that return what they must agree in.
  """
  data, structure = _data(sizes), _structure(case, sizes)
  system = dynamics.system(structure)
  key = jax.random.key(0)
  problem = jax.jit(lambda: system.sample(key, HP, data))()
  start = jax.jit(lambda: system.init(key, problem, HP))()
  if case == 'finite':
    plain, other = _all_coordinates(structure, key, sizes['width'])
  else:
    plain, other = _by_rows(structure, problem, _KINDS[case])
  named: dict[str, tuple[Any, Any]] = {
    OURS: (system.step, start),
    'as defined': (plain, other),
  }

  def runner(step, start):
    @jax.jit
    def go(state, problem, steps):
      def one(t, state):
        return step(jax.random.fold_in(key, t), state, problem, HP)

      return jax.lax.fori_loop(0, steps, one, state)

    return lambda steps: np.asarray(
      _seen(case, structure, problem, go(start, problem, steps))
    )

  return [timing.Contestant(n, runner(*pair)) for n, pair in named.items()]


def _drawn(structure, key, problem) -> tuple[maml.Tasks, Any]:
  """The tasks that the system draws from a key, and their query rows."""
  s = structure
  tasks, rows = s.source.draw(key, problem.table, s.sizes, HP, s.dtype)
  return tasks, rows.query.reshape(-1)


def _all_coordinates(structure, key, width: int):
  """Step and start of a network as wide as it is."""
  s = structure

  def step(key, params, problem, hp):
    tasks, _ = _drawn(s, key, problem)
    grads = jax.grad(maml.outer_loss)(params, tasks, hp.inner_lr)
    grads, _ = maml.clip(hp.clip).update(grads, optax.EmptyState())
    return jax.tree.map(lambda p, g: p - hp.meta_lr * g, params, grads)

  scale = HP.sigma1, HP.sigma2
  # As `descent` draws it: the same network.
  return step, linear_limit.finite(key, s.source.d, s.ways, width, *scale)


def _by_rows(structure: dynamics.Structure, problem: dynamics.Problem, kind):
  """Step and start of the predictor whose rows are all drawings."""
  kernel = kernel_limit.one_layer(kind, kernel_limit.Scales())
  table = problem.table.train
  count = 4 * table.shape[0] * table.shape[1]  # with all turns
  S = 4 * table.shape[0]
  rows = jnp.arange(count, dtype=jnp.int32).reshape(S, -1)
  X = drawings.pixels(table, rows, 4, structure.dtype)
  C = jnp.zeros((*rows.shape, structure.ways), structure.dtype)

  def step(key, store, problem, hp):
    tasks, queries = _drawn(structure, key, problem)
    f = kernel_limit.on_tasks(
      lambda x: kernel_limit.predict(kernel, store, x), tasks
    )
    rates = hp.inner_lr, hp.meta_lr, hp.clip
    made = kernel_limit.outer_step(kernel, f, tasks, *rates)
    at = jnp.divmod(queries, rows.shape[1])
    return store._replace(C=store.C.at[at].add(made.C))

  return step, Store(X, C, jnp.int32(count))


def _seen(case, structure, problem, state) -> jax.Array:
  """Both must agree in f at a few drawings, or in W₂W₁."""
  if case == 'finite':
    params = getattr(state, 'params', state)
    return params.W2 @ params.W1
  table = problem.table.train
  probe = jnp.arange(_PROBE, dtype=jnp.int32)
  if isinstance(state, dynamics.Values):
    blocks = table.shape[1]
    return state.train[probe // blocks, probe % blocks, 0]
  kernel = kernel_limit.one_layer(_KINDS[case], kernel_limit.Scales())
  x = drawings.pixels(table, probe, 4, structure.dtype)
  return kernel_limit.predict(kernel, state, x)


def measure(
  quick: bool, rounds: int, seconds: float
) -> dict[str, list[dict[str, Any]]]:
  """All cases, in a process with one thread.

  Args:
    quick: Whether to take tiny tables.
    rounds: Samples of each row.
    seconds: What a sample should take at least.

  Returns:
    {case: rows}.

  Raises:
    RuntimeError: If the two ways do not agree.
  """
  jax.config.update('jax_enable_x64', True)
  tables = {}
  for case in CASES:
    print(f'measuring {case} ...', file=sys.stderr, flush=True)
    field = contestants(case, _SMALL if quick else _LARGE)
    one, two = (c.run(3) for c in field)
    error = np.max(np.abs(one - two)) / np.max(np.abs(two))
    if not error < 1e-3:
      raise RuntimeError(f'{case}: the two ways are {error:.3g} apart')
    times = timing.measure(field, rounds, seconds, time.process_time)
    tables[case] = [
      {'name': c.name, **t._asdict()} for c, t in zip(field, times, strict=True)
    ]
  return tables


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  quick = flags.FLAGS.quick
  sample = (2, 0.002) if quick else (flags.FLAGS.rounds, 0.3)
  machine = timing.machine(('jax', 'jaxlib', 'numpy'))
  print(*(f'{k}: {v}' for k, v in machine.items()), sep='\n')
  tables = timing.in_fresh_process('1', measure, quick, *sample)
  for case, rows in tables.items():
    ours, plain = (row['median'] for row in rows)
    print(
      f'{case}: {1e3 * ours:.2f} ms a step, {rows[1]["name"]} '
      f'{1e3 * plain:.2f} ms, {plain / ours:.1f} x'
    )
  timing.finish(machine, tables=tables)


def _define_flags() -> None:
  """Of the command alone: a module that is imported defines none."""
  timing.define_flags(5)


if __name__ == '__main__':
  _define_flags()
  app.run(main)
