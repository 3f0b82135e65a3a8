"""The cost of keeping a run: a scan by hand, `rollout`, and the runner.

    python -m benchmarks.runner [--quick]

The same lanes of matrix sensing, from the same keys and with the same
observations at the same steps: a `lax.scan` that a user would write, `rollout`,
and `run.runner.run` with records and checkpoints in a work directory. CPU
seconds and seconds on the wall, in turns, compiled before: programs of the
runner lie in the cache of compiled programs, which every run reads.

The fixed cost is that of a run of two steps; what is written is timed within.
"""

import contextlib
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from framework import rollout
from framework.run import checkpoint, records, runner
from framework.run.job import Arm, Job, Layout, Options
from framework.system import start
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import operators

_QUICK = flags.DEFINE_bool('quick', False, 'tiny sizes, one round')


class Size(NamedTuple):
  """Lanes of one seed that differ in α, and when they are recorded."""

  name: str
  n: int
  m: int
  k: int
  lanes: int
  steps: int
  every: int

  @property
  def times(self) -> np.ndarray:
    """Steps that are recorded."""
    return np.arange(0, self.steps + 1, self.every)


SIZES = (
  Size('few lanes', 50, 1200, 5, 64, 6000, 60),
  Size('many lanes', 10, 200, 2, 20_000, 400, 20),
)
TINY = (
  Size('few lanes', 6, 40, 2, 4, 40, 10),
  Size('many lanes', 4, 20, 2, 16, 20, 10),
)


class Contest(NamedTuple):
  """One problem, three ways to run it: times -> observations of α."""

  system: Any
  hp: ms.Hp
  alphas: np.ndarray
  seed: int = 0

  def by_hand(self, times: np.ndarray) -> Callable[[], dict[str, np.ndarray]]:
    """A scan over records of a loop over steps."""
    system, every = self.system, int(times[1] - times[0])

    def lane(alpha):
      hp = self.hp._replace(alpha=alpha)
      key = jax.random.key(self.seed)
      problem, state = start(system, key, hp)

      def record(state, _):
        state = jax.lax.fori_loop(
          0, every, lambda t, s: system.step(key, s, problem, hp), state
        )
        return state, system.observe(state, problem, hp)

      first = system.observe(state, problem, hp)
      _, seen = jax.lax.scan(record, state, length=len(times) - 1)
      return jax.tree.map(lambda a, b: jnp.append(a[None], b, 0), first, seen)

    run = jax.jit(jax.vmap(lane))
    return lambda: jax.device_get(run(self.alphas))

  def rolled(self, times: np.ndarray) -> Callable[[], dict[str, np.ndarray]]:
    """`rollout` under `vmap`."""
    stops = jnp.asarray(times)

    def lane(alpha):
      hp = self.hp._replace(alpha=alpha)
      return rollout(self.system, jax.random.key(self.seed), hp, stops)[1]

    run = jax.jit(jax.vmap(lane))
    return lambda: jax.device_get(run(self.alphas))

  def kept(self, times: np.ndarray) -> Callable[[], None]:
    """The runner, with a work directory of its own."""
    layout = Layout({}, {'alpha': self.alphas.tolist()}, (self.seed,), times)
    job = Job([Arm(self.system, self.hp)], layout)

    def run() -> None:
      with tempfile.TemporaryDirectory() as place:
        runner.run(job, place, Options(checkpoint_every_secs=5.0))

    return run


def contest(size: Size) -> Contest:
  """Gradient descent on Gaussian measurements by their Gram matrix."""
  structure = ms.Structure(
    n1=size.n,
    n2=size.n,
    r=2,
    k_max=size.k,
    m=size.m,
    operator=operators.gram,
  )
  hp = ms.Hp(eta=0.1, alpha=0.1, k=np.int32(size.k), kappa=2.0)
  alphas = np.geomspace(1e-3, 0.3, size.lanes)
  return Contest(ms.system(structure), hp, alphas)


@contextlib.contextmanager
def written() -> Iterator[dict[str, float]]:
  """Seconds on the wall within records and checkpoints, while it is open."""
  spent = {'wall': 0.0}
  seams: list[tuple[type, str]] = [
    (records.Records, 'write'),
    (records.Records, 'flush'),
    (checkpoint.Checkpoints, 'save'),
  ]
  with contextlib.ExitStack() as stack:
    for owner, method in seams:
      inner = getattr(owner, method)

      @functools.wraps(inner)
      def outer(*args, inner=inner, **kwargs):
        began = time.perf_counter()
        try:
          return inner(*args, **kwargs)
        finally:
          spent['wall'] += time.perf_counter() - began

      setattr(owner, method, outer)
      stack.callback(setattr, owner, method, inner)
    yield spent


def measured(size: Size, rounds: int) -> dict[str, tuple[float, float]]:
  """Medians (CPU s, wall s) of each way, of two steps kept, and of writing."""
  given = contest(size)
  one, two = given.by_hand(size.times), given.rolled(size.times)
  seen, rolled = one(), two()
  for name, x in seen.items():
    np.testing.assert_allclose(rolled[name], x, rtol=1e-6, atol=1e-9)
  ways = {
    'scan by hand': one,
    'rollout': two,
    'runner': given.kept(size.times),
    'runner, two steps': given.kept(np.arange(3)),
  }
  for name in ('runner', 'runner, two steps'):
    ways[name]()  # fills the cache of programs
  found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
  found['of it written'] = []
  for _ in range(rounds):
    for name, run in ways.items():
      with written() as spent:
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
      found[name].append((cpu, wall))
      if name == 'runner':
        found['of it written'].append((np.nan, spent['wall']))
  return {n: tuple(np.median(x, 0)) for n, x in found.items()}


def report(size: Size, found: dict[str, tuple[float, float]]) -> str:
  """Rows of a table, and the judgement of both targets."""
  lines = [
    f'{size.name}: {size.lanes} x {size.steps} steps, n = {size.n}, '
    f'{len(size.times)} records',
    '| | CPU s | wall s |',
    '|---|---|---|',
  ]
  for name, (cpu, wall) in found.items():
    spent = '' if np.isnan(cpu) else f'{cpu:.2f}'
    lines.append(f'| {name} | {spent} | {wall:.2f} |')
  hand, kept = found['scan by hand'], found['runner']
  short, wrote = found['runner, two steps'], found['of it written']
  lines += [
    f'over the scan: {100 * (kept[0] / hand[0] - 1):.1f} % of CPU time '
    f'(asked 5), {100 * (kept[1] / hand[1] - 1):.1f} % on the wall',
    f'fixed: {short[1]:.2f} s on the wall (asked 1), {short[0]:.2f} s of CPU',
    f'written: {100 * wrote[1] / kept[1]:.1f} % of the wall (asked 5)',
  ]
  return '\n'.join(lines)


def main(argv: list[str]) -> None:
  """Prints a table a size."""
  del argv
  logging.set_verbosity(logging.WARNING)  # of orbax
  jax.config.update('jax_enable_x64', True)
  print(f'load {os.getloadavg()[0]:.1f}')
  with tempfile.TemporaryDirectory() as cache:
    jax.config.update('jax_compilation_cache_dir', cache)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
    for size in TINY if _QUICK.value else SIZES:
      found = measured(size, 1 if _QUICK.value else 3)
      print(report(size, found), flush=True)


if __name__ == '__main__':
  app.run(main)
