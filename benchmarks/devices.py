"""The systems' programs on whatever device JAX has, in under six minutes.

    python -m benchmarks.devices --out=cpu.json
    python -m benchmarks.devices --cpu=cpu.json --out=device.json

One step of each program, vmapped over its lanes in float32, from states that
lie on the device: time on the wall a step and lane, what a step computes and at
least moves as a share of what a matrix product and a copy reach on the same
device in the same run, and the ratio to an earlier run on a CPU and to the same
arithmetic in torch on that device. The bytes are those of its arguments and its
state, read once and written once: where a cache holds them the share may exceed
100 %. Products take the device's default precision, here and in the limits.
PyTorch is optional, on a GPU it must have CUDA.
"""

import functools
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import limits, mup_peers, pi_limit, timing
from benchmarks import torch_closed as torch_
from framework import System
from framework.system import start
from framework.systems import attention_svm, grokking, matrix_sensing
from framework.systems.clusters import xor
from framework.systems.matrix_sensing import operators

ENOUGH_STEPS = 4  # that torch is compared after
AGREE = 1e-2  # float32, and products in the device's own precision


class Size(NamedTuple):
  """How large everything is."""

  sensing: tuple[int, int, int] = (50, 1200, 5)  # n, m, k
  large: int = 500  # n of the population
  lanes: int = 64
  sweep: int = 4096
  points: tuple[int, int] = (200, 1000)  # XOR clusters: n, m
  modulus: int = 113
  width: int = 200
  seeds: int = 256
  images: tuple[int, int, int] = (784, 32, 16_000)  # d, tasks, stored rows
  store: tuple[int, int, int] = (64_000, 3072, 400)  # rows, d, r
  product: int = 4096
  copy: int = 1 << 30  # bytes


SMOKE = Size(
  sensing=(6, 40, 2),
  large=16,
  lanes=2,
  sweep=8,
  points=(8, 16),
  modulus=7,
  width=8,
  seeds=2,
  images=(16, 2, 64),
  store=(512, 16, 64),
  product=64,
  copy=1 << 16,
)


class Job(NamedTuple):
  """A program: what one step of all its lanes is, and who else makes it."""

  name: str
  run: Callable[[int], Any]
  lanes: int
  flops: float = 0.0
  bytes: float = 0.0
  torch: Callable[[int], Any] | None = None
  torch_lanes: int | None = None  # as many as ours when None
  same: bool = False  # whether both end with the same numbers


def _sizes(tree: Any) -> int:
  return sum(x.nbytes for x in jax.tree.leaves(tree))


def _single(x: Any) -> np.ndarray:
  """Numbers in float32, also where float64 is on."""
  x = np.asarray(x)
  return x.astype(np.float32) if x.dtype.kind == 'f' else x.astype(np.int32)


def lanes_of(
  name: str,
  system: System,
  hp: Any,
  lanes: int,
  read: Callable[[Any], Any],
  shared: bool = False,
) -> tuple[Job, Any, Any]:
  """Steps of many lanes in one program.

  Args:
    name: What the program is called.
    system: Its system.
    hp: Hyperparameters; a leaf may hold one value a lane.
    lanes: How many.
    read: State -> what is returned, and so not optimised away.
    shared: Whether one problem serves all lanes.

  Returns:
    (the program, its problem, its first state).
  """
  keys = jax.random.split(jax.random.key(0), lanes)
  hp = jax.tree.map(lambda x: jnp.broadcast_to(_single(x), (lanes,)), hp)
  first = jax.tree.map(lambda x: x[0], hp)
  axis = None if shared else 0
  if shared:
    problem = jax.jit(lambda key: start(system, key, first)[0])(keys[0])
    init = jax.vmap(system.init, (0, None, 0))
    state = jax.jit(init)(keys, problem, hp)
  else:
    begin = jax.vmap(lambda key, hp: start(system, key, hp))
    problem, state = jax.jit(begin)(keys, hp)
  step = jax.vmap(system.step, (0, 0, axis, 0))

  @jax.jit
  def advance(keys, state, problem, hp, steps):
    return jax.lax.fori_loop(
      0, steps, lambda _, s: step(keys, s, problem, hp), state
    )

  # Counted before anything is fused or handed to a library.
  cost = jax.jit(step).lower(keys, state, problem, hp).cost_analysis() or {}
  problem, state = jax.block_until_ready((problem, state))

  def run(steps: int) -> Any:
    end = advance(keys, state, problem, hp, steps)
    return jax.block_until_ready(jax.vmap(read)(end))

  job = Job(
    name,
    run,
    lanes,
    float(cost.get('flops', 0)),
    float(_sizes(problem) + 2 * _sizes(state)),
  )
  return job, problem, state


def sensing_jobs(size: Size, device: str) -> list[Job]:
  """Gradient descent for matrix sensing: measured, swept, and at large n."""
  n, m, k = size.sensing
  eta = 0.2

  def made(n, m, k):
    return matrix_sensing.system(
      matrix_sensing.Structure(
        n1=n,
        n2=n,
        r=min(3, k),
        k_max=k,
        m=m,
        operator=operators.gram,
        dtype=jnp.float32,
      )
    )

  jobs = []
  for name, count in (('matrix sensing', size.lanes), ('sweep', size.sweep)):
    alpha = np.geomspace(0.05, 0.5, count).astype(np.float32)
    hp = matrix_sensing.Hp(eta=eta, alpha=alpha, k=k)  # pyrefly: ignore
    job, problem, state = lanes_of(
      f'{name}, n = {n}, m = {m}',
      made(n, m, k),
      hp,
      count,
      lambda state: state.params['X'],
      shared=True,
    )
    if not torch_.missing(device):
      H, M, X = map(
        np.asarray, (problem.operator.H, problem.M, state.params['X'])
      )
      run = torch_.sensing(device, H, M, X, eta)
      job = job._replace(torch=run, same=True)
    jobs.append(job)
  job, *_ = lanes_of(
    f'matrix sensing, n = {size.large}, population',
    made(size.large, None, k),
    matrix_sensing.Hp(eta=eta, k=k),
    1,
    lambda state: state.params['X'],
    shared=True,
  )
  return [*jobs, job]


def attention_job(size: Size, device: str) -> Job:
  """Attention as an SVM: normalised descent of W."""
  made = attention_svm.system(attention_svm.Structure(dtype=jnp.float32))
  eta = 0.1
  job, problem, state = lanes_of(
    'attention, W',
    made,
    attention_svm.Hp(eta=eta),
    size.sweep,
    lambda state: state.params['W'],
  )
  if torch_.missing(device):
    return job
  data = problem.data
  X, Z, gamma, W = map(
    np.asarray, (data.X, data.Z, data.gamma, state.params['W'])
  )
  run = torch_.attention(device, X, Z, gamma, [W], eta)
  return job._replace(torch=run, same=True)


def clusters_job(size: Size, device: str) -> Job:
  """XOR clusters in the Gram form."""
  n, m = size.points
  structure = xor.Structure(n=n, n_test=4, m=m)
  job, *_ = lanes_of(
    f'XOR clusters, n = {n}, m = {m}',
    xor.system(structure),
    xor.Hp(),
    min(size.lanes, 8),
    lambda state: state.params,
  )
  if torch_.missing(device):
    return job
  rng = np.random.default_rng(0)
  x = rng.standard_normal((n, 2 * n)).astype(np.float32)
  Z0 = (1e-3 * rng.standard_normal((n, m))).astype(np.float32)
  y, a = np.sign(x[:, 0]), np.sign(rng.standard_normal(m)) / m**0.5
  run = torch_.clusters(device, x @ x.T, Z0, y, a.astype(np.float32), 1e-3)
  return job._replace(torch=run, torch_lanes=1)


def modular_job(size: Size, device: str) -> Job:
  """Modular addition x + y mod p, full batch, AdamW."""
  p, width, lr = size.modulus, size.width, 0.01
  made = grokking.system(
    grokking.Structure(
      grokking.modular(p, train_fraction=0.4),
      grokking.MLP((width, width, p), p, bias=False),
      grokking.softmax(),
      grokking.adamw,
    )
  )
  hp = grokking.Hp(lr=lr, beta2=0.99, eps=1e-25)._replace(
    intervene_at=np.int32(0)  # pyrefly: ignore
  )
  job, *_ = lanes_of(
    f'modular, mod {p}', made, hp, size.seeds, lambda state: state.params
  )
  if torch_.missing(device):
    return job
  run = torch_.modular(device, p, size.seeds, width, lr)
  return job._replace(torch=run)


def width_jobs(size: Size) -> list[Job]:
  """Infinite width: a step of the µP limit, of the NTK, of the π-limit."""
  d, tasks, rows = size.images
  task = mup_peers.draw(d, tasks, np.float32)
  kernel = mup_peers.draw_kernel(d, tasks, rows, np.float32)
  store = pi_limit.draw(*size.store)
  step = pi_limit.ours(store)[0]
  M, _, r = size.store
  columns = r + pi_limit.K + 2 * r  # A of both layers, B of both
  inputs = 2 * tasks * mup_peers.WAYS  # to learn from, and to predict
  return [
    Job(f'µP limit, MAML, d = {d}', mup_peers.ours(task, 1), 1),
    Job(
      f'kernel block, NTK, {rows} rows',
      mup_peers.ours_kernel(kernel, 'ntk'),
      1,
      2.0 * inputs * rows * d,
      float(kernel.X.nbytes + kernel.C.nbytes),
    ),
    Job(
      f'π-limit, {M} rows',
      step,
      1,
      # Forwards, and backwards for the inputs: a product each.
      2.0 * 2 * pi_limit.BATCH * M * columns,
      float(_sizes((store.A, store.B))),
    ),
  ]


def agree(job: Job) -> None:
  """Raises unless torch ends with what ours ends with."""
  assert job.torch is not None
  ours = np.asarray(job.run(ENOUGH_STEPS), np.float64)
  theirs = np.asarray(job.torch(ENOUGH_STEPS), np.float64)
  error = np.abs(ours - theirs).max() / np.abs(ours).max()
  if not error < AGREE:
    raise RuntimeError(f'{job.name}: torch is off by {error:.3g} relatively')


def measure(
  size: Size, rounds: int, seconds: float
) -> tuple[dict[str, float], list[dict[str, Any]], str]:
  """The limits of the device, every program, and why torch is not there.

  Args:
    size: How large everything is.
    rounds: Samples of each row.
    seconds: What a sample should take at least.

  Returns:
    ({flops, bytes} a second, rows, reason).
  """
  backend = jax.default_backend()
  device = 'cuda' if backend == 'gpu' else 'cpu'
  absent = torch_.missing(device)
  if backend not in ('cpu', 'gpu'):
    absent = f'torch is not measured on {backend}'
  clock = perf_counter
  time = functools.partial(
    timing.measure, rounds=rounds, seconds=seconds, clock=clock
  )
  probes = [
    limits.matrix_product(size.product, np.float32),
    limits.copy(size.copy),
  ]
  product, copied = time([probe.contestant for probe in probes])
  peak = {
    'flops': probes[0].flops / product.median,
    'bytes': probes[1].bytes / copied.median,
  }
  rows = []
  builders: list[Callable[[], list[Job]]] = [
    lambda: sensing_jobs(size, device),
    lambda: [attention_job(size, device)],
    lambda: [clusters_job(size, device)],
    lambda: [modular_job(size, device)],
    lambda: width_jobs(size),
  ]
  for build in builders:  # one after the other: a device holds one of them
    for job in build():
      print(f'measuring {job.name} ...', file=sys.stderr, flush=True)
      field = [timing.Contestant('ours', job.run)]
      if job.torch is not None and not absent:
        if job.same:
          agree(job)
        field.append(timing.Contestant('torch', job.torch))
      ours, *theirs = time(field)
      count = job.torch_lanes or job.lanes
      rows.append(
        {
          'name': job.name,
          'lanes': job.lanes,
          'seconds': ours.median,
          'a_lane': ours.median / job.lanes,
          'product': job.flops / ours.median / peak['flops'] or None,
          'moved': job.bytes / ours.median / peak['bytes'] or None,
          'torch_a_lane': theirs[0].median / count if theirs else None,
        }
      )
  return peak, rows, absent


def table(
  device: str,
  peak: dict[str, float],
  rows: Sequence[dict[str, Any]],
  earlier: dict[str, Any] | None = None,
) -> str:
  """A markdown table of one device.

  Args:
    device: Its name.
    peak: Its limits.
    rows: As `measure` makes them.
    earlier: What an earlier run wrote, to compare with.

  Returns:
    The table under a line that names the device and its limits.
  """
  past = {row['name']: row for row in earlier['rows']} if earlier else {}

  def share(x):
    return '' if x is None else f'{100 * x:.2g} %'

  def ratio(other, row):
    return '' if other is None else f'{other / row["a_lane"]:.3g}'

  lines = [
    f'{device}, float32: {peak["flops"] / 1e12:.3g} TFLOP/s in a matrix '
    f'product, {peak["bytes"] / 1e9:.4g} GB/s in a copy.',
    '',
    '| | lanes | µs a step and lane | of the product | of the copy '
    '| CPU over it | torch over it |',
    '|---|---|---|---|---|---|---|',
  ]
  for row in rows:
    before = past.get(row['name'], {}).get('a_lane')
    lines.append(
      f'| {row["name"]} | {row["lanes"]} | {1e6 * row["a_lane"]:.4g} '
      f'| {share(row["product"])} | {share(row["moved"])} '
      f'| {ratio(before, row)} | {ratio(row["torch_a_lane"], row)} |'
    )
  return '\n'.join(lines)


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  smoke = flags.FLAGS.smoke
  earlier = None
  if flags.FLAGS.cpu:
    try:
      earlier = json.loads(pathlib.Path(flags.FLAGS.cpu).read_text())
    except (OSError, ValueError) as error:
      raise app.UsageError(f'cpu is {flags.FLAGS.cpu!r}: {error}') from error
  facts = timing.machine(('jax', 'jaxlib', 'numpy', 'torch'))
  began = perf_counter()
  size = SMOKE if smoke else Size()
  sample = (2, 0.002) if smoke else (flags.FLAGS.rounds, 0.1)
  peak, rows, absent = measure(size, *sample)
  kind = jax.devices()[0].device_kind
  name = facts['cpu'] if kind == 'cpu' else kind
  print(table(name, peak, rows, earlier))
  print(f'\n{perf_counter() - began:.0f} s in all; {absent or "with torch"}')
  timing.finish(facts, device=name, peak=peak, rows=rows, torch=absent)


def _define_flags() -> None:
  """Of the command alone: a module that is imported defines none."""
  flags.DEFINE_integer('rounds', 5, 'Samples of each row.', 1)
  flags.DEFINE_bool('smoke', False, 'Tiny sizes: shows that it works.')
  flags.DEFINE_string('cpu', None, 'JSON file of an earlier run to compare.')
  flags.DEFINE_string('out', None, 'JSON file to write.')


if __name__ == '__main__':
  _define_flags()
  app.run(main)
