"""Robust recovery against its peers and against the machine's limits.

    python -m benchmarks.robust_recovery --out=robust_recovery.json

One step in float64, CPU time with one thread: the sub-gradient method with a
clock, with the tracked quantile and with 16 lanes that share the measurements,
beside torch (autograd, and in closed form on packed matrices) and numpy; rank-
one measurements; matrix completion on factors beside a scipy-sparse loop.
PyTorch is optional: `pip install '.[bench]'`.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import limits, timing
from benchmarks import robust_recovery_peers as peers
from framework import rollout
from framework.optimizers import subgradient
from framework.system import start
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import operators

LANES = 16
SIZES: dict[
  str, Any
] = {  # (n, m, k); of completion m is a share of the entries
  'subgradient': (20, 1500, 20),
  'rank_one': (100, 8000, 10),
  'completion': (2000, 0.05, 10),
}
_QUICK: dict[str, Any] = {
  'subgradient': (6, 40, 3),
  'rank_one': (6, 40, 3),
  'completion': (40, 0.2, 3),
}
_PACKAGES = ('jax', 'jaxlib', 'numpy', 'optax', 'scipy', 'torch')
# (what, numerator, denominator, at least)
TARGETS = (
  ('tracker costs at most 1.1 of a clock', 'ours, clock', 'ours, tracker',
   1 / 1.1),
  ('16 lanes, each', 'ours, tracker', f'ours, tracker, {LANES} lanes', 1.4),
  ('torch autograd', 'torch, autograd', 'ours, clock', 8.0),
  ('torch, closed form', 'torch, closed form', 'ours, clock', 1.5),
  ('completion, scipy-sparse', 'scipy-sparse', 'ours, entries', 3.0),
)  # fmt: skip


class Hp(NamedTuple):
  """Hyperparameters of these steps."""

  alpha: Any = 0.1
  k: Any = np.int32(20)
  eta: Any = 0.05
  level: Any = 0.25
  kappa: Any = 2.0
  outliers: Any = 0.3
  size: Any = 10.0
  ratio: Any = 1.0
  tied: Any = 0.0


def ours(system: Any, problem: Any, hp: Hp) -> Callable[[int], Any]:
  """The framework as its user has it, on a problem that is already drawn.

  Args:
    system: Whose steps are made.
    problem: Shared by all lanes.
    hp: Hyperparameters; lanes if its alpha is a vector.

  Returns:
    steps -> last parameters, of all lanes.
  """
  given = system._replace(sample=lambda key, hp, data: data)

  def run(alpha, hp, times, problem):
    hp = hp._replace(alpha=alpha)
    return rollout(given, jax.random.key(0), hp, times, problem)[0].params

  if np.ndim(hp.alpha):
    run = jax.vmap(run, (0, None, None, None))
  run = jax.jit(run)

  def last(steps: int) -> Any:
    times = np.array([0, steps])
    return jax.block_until_ready(run(hp.alpha, hp, times, problem))

  return last


def _light(system: Any) -> Any:
  """Without observations: they are not part of a step."""
  return system._replace(observe=lambda state, problem, hp: {})


def sub_gradient(size: tuple[int, int, int]) -> list[timing.Contestant]:
  """The sub-gradient method on packed symmetric measurements."""
  n, m, k = size
  rules = {
    'clock': lambda hp: subgradient.geometric(hp.eta, 0.999),
    'tracker': lambda hp: subgradient.tracked_quantile(hp.eta, hp.level),
    'sort': lambda hp: subgradient.residual_scaled(
      hp.eta, subgradient.quantile(hp.level)
    ),
  }

  def system(rule):
    structure = ms.Structure(
      n1=n,
      n2=n,
      r=min(3, n),
      k_max=k,
      m=m,
      operator=operators.svec,
      loss=ms.mean_residual(jnp.abs),
      noise=ms.robust.noise.outliers,
      optimizer=rule,
    )
    return _light(ms.system(structure))

  hp = Hp(k=np.int32(k))
  draw = jax.jit(lambda key: start(system(rules['clock']), key, hp))
  problem, state = jax.block_until_ready(draw(jax.random.key(0)))
  field = [
    timing.Contestant(f'ours, {name}', ours(system(rule), problem, hp))
    for name, rule in rules.items()
  ]
  many = hp._replace(alpha=np.geomspace(0.05, 0.2, LANES))
  field.append(
    timing.Contestant(
      f'ours, tracker, {LANES} lanes',
      ours(system(rules['tracker']), problem, many),
      LANES,
    )
  )
  task = peers.Task(
    rows=np.array(problem.operator.A),
    y=np.array(problem.operator.forward(problem.M) + problem.noise),
    X0=np.array(state.params['X']),
    eta=float(hp.eta),
    decay=0.999,
  )
  peers.check(task, np.array(field[0].run(3)['X']))
  field.append(timing.Contestant('numpy, packed', peers.numpy_packed(task)))
  if peers.has_torch():
    field += [
      timing.Contestant('torch, autograd', peers.torch_autograd(task)),
      timing.Contestant('torch, closed form', peers.torch_packed(task)),
    ]
  return field


def rank_one(size: tuple[int, int, int]) -> list[timing.Contestant]:
  """Gradient descent on rank-one measurements, from factors alone."""
  n, m, k = size
  structure = ms.Structure(
    n1=n,
    n2=n,
    r=min(3, n),
    k_max=k,
    m=m,
    measure=operators.structured.draw_rank_one,
  )
  system, hp = _light(ms.system(structure)), Hp(k=np.int32(k))
  problem, state = jax.jit(lambda: start(system, jax.random.key(0), hp))()
  a, y = np.array(problem.operator.a), np.array(problem.y)
  X0 = np.array(state.params['X'])
  return [
    timing.Contestant('ours, rank one', ours(system, problem, hp)),
    timing.Contestant(
      'numpy, rank one', peers.numpy_rank_one(a, y, X0, float(hp.eta))
    ),
  ]


def completion(
  size: tuple[int, float, int],
) -> tuple[list[timing.Contestant], float]:
  """Gradient descent on factors of a matrix of which a share is known.

  Returns:
    (contestants, bytes that a step of ours has to move at least).
  """
  n, share, k = size
  rng = np.random.default_rng(0)
  truth = [rng.normal(size=(n, k)) / n**0.5 for _ in range(2)]
  rows, columns = np.nonzero(rng.random((n, n)) < share)
  values = np.sum(truth[0][rows] * truth[1][columns], axis=1)
  structure = ms.Structure(
    n1=n,
    n2=n,
    r=1,
    k_max=k,
    m=len(rows),
    symmetric=False,
    measure=operators.structured.draw_pairs,
  )
  system = _light(ms.system(structure))
  hp = Hp(k=np.int32(k), alpha=1.0)
  field, moved = [], 0.0
  for name, make in (
    ('entries', operators.structured.entries),
    ('masked', operators.structured.masked),
  ):
    operator = make(rows, columns, (n, n))
    y = jnp.array(operator.scale * values)
    problem = ms.Problem(operator, None, None, jnp.sum(y**2), y=y)
    field.append(timing.Contestant(f'ours, {name}', ours(system, problem, hp)))
    if name == 'entries':
      # Of an entry: two indices in each of three passes, its measurement, its
      # residual written once and read twice, and 4k numbers of the factors.
      moved = len(rows) * (6 * 4 + 4 * 8 + 4 * 8 * k)
  begin = field[0].run(0)
  task = (np.array(begin['F']), np.array(begin['G']), float(hp.eta))
  scale = n * n / len(rows)
  field.append(
    timing.Contestant(
      'scipy-sparse', peers.scipy_sparse(rows, columns, values, scale, *task)
    )
  )
  peers.check_completion(field)
  return field, moved


def measure(quick: bool, rounds: int) -> dict[str, Any]:
  """Measures everything with the threads that this process has."""
  jax.config.update('jax_enable_x64', True)
  sizes = _QUICK if quick else SIZES
  seconds = 0.002 if quick else 0.1
  completing, moved = completion(sizes['completion'])
  groups = {
    'subgradient': sub_gradient(sizes['subgradient']),
    'rank_one': rank_one(sizes['rank_one']),
    'completion': completing,
  }
  probes = limits.bandwidth(64 if quick else 2000, 1 << (20 if quick else 27),
                            'operator-sized')  # fmt: skip
  found: dict[str, Any] = {'sizes': sizes, 'bytes_of_completion': moved}
  for name, field in groups.items():
    print(f'measuring {name} ...', file=sys.stderr, flush=True)
    times = timing.measure(field, rounds, seconds)
    found[name] = {
      c.name: {'lanes': c.lanes, **t._asdict()}
      for c, t in zip(field, times, strict=True)
    }
  times = timing.measure([p.contestant for p in probes], rounds, seconds)
  found['limits'] = {
    p.contestant.name: p.bytes / t.median
    for p, t in zip(probes, times, strict=True)
  }
  return found


def verdicts(found: dict[str, Any]) -> list[tuple[str, float, float]]:
  """(what, ratio, wanted) of every target whose rows were measured."""
  per_lane = {
    name: row['median'] / row['lanes']
    for group in ('subgradient', 'rank_one', 'completion')
    for name, row in found[group].items()
  }
  return [
    (what, per_lane[above] / per_lane[below], wanted)
    for what, above, below, wanted in TARGETS
    if above in per_lane and below in per_lane
  ]


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  facts = timing.machine(_PACKAGES)
  found = timing.in_fresh_process(
    '1', measure, flags.FLAGS.quick, flags.FLAGS.rounds
  )
  for group in ('subgradient', 'rank_one', 'completion'):
    print(f'\n{group} {found["sizes"][group]}: CPU µs a step and lane')
    for name, row in found[group].items():
      low, middle, high = (
        1e6 * row[x] / row['lanes'] for x in ('low', 'median', 'high')
      )
      print(f'  {name:28s} {middle:10.1f}   ({low:.1f} .. {high:.1f})')
  step = found['completion']['ours, entries']['median']
  rate = found['bytes_of_completion'] / step
  best = max(found['limits'].values())
  print(
    f'\ncompletion moves {rate / 1e9:.2f} GB/s of what it has to, '
    f'{100 * rate / best:.0f} % of {best / 1e9:.1f} GB/s'
  )
  for what, ratio, wanted in verdicts(found):
    met = 'met' if ratio >= wanted else 'MISSED'
    print(f'  {what:40s} {ratio:8.2f}x, wanted {wanted:.2f}x: {met}')
  timing.finish(facts, found=found)


if __name__ == '__main__':
  timing.define_flags(7)
  app.run(main)
