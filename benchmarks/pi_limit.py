"""A step of the π-limit beside torch, and what steps cost over time.

Three contestants make the same step at a store of so many rows: ours, the
published algorithm (row-major arrays that are read by separate functions for V
and its two derivatives, arccos twice) and the strongest torch that we can write
of it (one arccos, transposed B, in-place work). All must agree in the gradient.
Rows are appended, and taken back: every step finds the same store.

    python -m benchmarks.pi_limit --rows=64000
"""

import functools
import importlib.util
import math
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import timing
from benchmarks.timing import Contestant
from framework.maths.gaussian import transform
from framework.systems.infinite_width.pi import net, rows, sgd

BATCH, K = 8, 10
FASTER = 1e4  # rate of the first layer, so that its steps show in float32


class Store(NamedTuple):
  """Rows of a network of two hidden layers, and a batch."""

  first: np.ndarray
  A: list[np.ndarray]
  B: list[np.ndarray]
  c: list[np.ndarray]
  x: np.ndarray
  y: np.ndarray


def draw(M: int, d: int, r: int) -> Store:
  """A store as training leaves it, of M rows a layer."""
  rng = np.random.default_rng(0)

  def normal(*shape):
    return rng.standard_normal(shape, dtype=np.float32)

  B = [normal(M, r) for _ in range(2)]
  B = [b / np.linalg.norm(b, axis=1, keepdims=True) for b in B]
  A = [normal(M, r) / r**0.5, normal(M, K) / r**0.5]
  # Random features of outputs near 1: gradients are far from rounding.
  c = [np.full(M, M**-0.5, np.float32) for _ in range(2)]
  x = normal(BATCH, d) / d**0.5
  return Store(normal(d, r) / r**0.5, A, B, c, x, np.arange(BATCH) % K)


def ours(store: Store) -> tuple[Any, tuple[int, int]]:
  """(run, (bytes of the state, bytes that a step holds at its peak)).

  Raises:
    RuntimeError: If the state that is given away is not written in place, or
      the backend does not say.
  """
  M, r = store.B[0].shape
  layout = rows.segments(M + BATCH, BATCH)
  phi = transform('relu')
  layers = []
  for A, B, c in zip(store.A, store.B, store.c, strict=True):
    start = rows.of(*(jnp.asarray(z[:BATCH]) for z in (A, B, c)))
    made, at = [start], BATCH
    for S, b in layout:
      count = min(S * b, M - at)
      pad = S * b - count

      def block(z, pad=pad, at=at, count=count):
        z = z[at : at + count]
        return np.pad(z, [(0, pad)] + [(0, 0)] * (z.ndim - 1))

      a, own, k = (block(z) for z in (A, B, c))
      made.append(
        rows.Rows(
          jnp.asarray(a.reshape(S, b, -1)),
          jnp.asarray(own.reshape(S, b, r).swapaxes(1, 2).copy()),
          jnp.asarray(k.reshape(S, b)),
          jnp.zeros((S, b), jnp.float32),
          jnp.asarray((own**2).sum(1).reshape(S, b)),
        )
      )
      at += count
    layers.append(tuple(made))
  zeros = tuple(jnp.zeros(n, jnp.float32) for n in (r, r, K))
  start = net.Net(jnp.asarray(store.first), zeros, tuple(layers))
  velocity = jax.tree.map(jnp.zeros_like, (start.first, start.biases))
  filled = M // BATCH * BATCH - BATCH
  state = sgd.State(start, velocity, jnp.int32(filled))
  rates = sgd.Rates(
    jnp.float32(1e-3), clip=jnp.float32(0.4), first_lr=jnp.float32(FASTER)
  )
  labels = jax.nn.one_hot(store.y, K)
  alphas = net.Multipliers(1.0, 1.0, 0.0, 0.0)  # no biases

  def loss(f):
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(f), 1))

  @functools.partial(jax.jit, donate_argnums=0)
  def step(state, x):
    state = sgd.step(phi, state, x, loss, rates, alphas)
    return state._replace(count=state.count - BATCH)

  compiled = step.lower(state, store.x).compile()
  sizes = compiled.memory_analysis()
  if sizes is None:
    raise RuntimeError('this backend does not say what a program holds')
  layers_size = sum(x.nbytes for x in jax.tree.leaves(state.net.layers))
  if sizes.alias_size_in_bytes < layers_size:
    raise RuntimeError(
      f'{sizes.alias_size_in_bytes} B are written in place, expected the '
      f'{layers_size} B of all rows'
    )
  peak = sizes.argument_size_in_bytes + sizes.temp_size_in_bytes
  peak += sizes.output_size_in_bytes - sizes.alias_size_in_bytes
  held = [state]

  def run(steps):
    for _ in range(steps):
      held[0] = compiled(held[0], store.x)
    jax.block_until_ready(held[0])
    return held[0]

  return run, (sum(x.nbytes for x in jax.tree.leaves(state)), peak)


def torch_run(store: Store, tuned: bool):
  """The same step in torch."""
  import torch

  T = lambda z: torch.from_numpy(np.ascontiguousarray(z))  # noqa: E731
  M = len(store.c[0])
  first, x = T(store.first.copy()), T(store.x)
  A, B = [T(a.copy()) for a in store.A], [T(b.copy()) for b in store.B]
  c, y = [T(z.copy()) for z in store.c], torch.from_numpy(store.y)
  Bt = [b.T.contiguous() for b in B]
  tau = 2 * math.pi

  def published():
    g, seen = x @ first, []
    for a, b, m in zip(A, B, c, strict=True):
      s = g.norm(dim=1, keepdim=True)
      unit = g / s
      q = unit @ b.T
      seen.append((g, s, unit, q))
      V = s * (torch.sqrt((1 - q * q).clamp(min=1e-20))
               + torch.acos(-q.clamp(-1, 1)) * q) / tau  # fmt: skip
      g = (V * m) @ a
    f = g.detach().requires_grad_()
    loss = torch.nn.functional.cross_entropy(f, y)
    (dy,) = torch.autograd.grad(loss, f)
    made = []
    for i in (1, 0):
      g, s, unit, q = seen[i]
      made.append((dy * s, unit))
      gamma = (dy @ A[i].T) * c[i]
      one = torch.acos(-q.clamp(-1, 1)) / tau
      two = torch.sqrt((1 - q * q).clamp(min=1e-20)) / (tau * s)
      dy = (gamma * one) @ B[i] + torch.einsum('bm,bm,br->br', two, gamma, g)
    return dy, made

  def strong():
    g, seen = x @ first, []
    for a, bt, m in zip(A, Bt, c, strict=True):
      s = g.norm(dim=1, keepdim=True)
      unit = g / s
      q = (unit @ bt).clamp_(-1, 1)
      theta = torch.acos(-q)
      sine = (1 - q * q).sqrt_()
      V = torch.addcmul(sine, q, theta).mul_(s / tau).mul_(m)
      seen.append((g, s, unit, theta, sine))
      g = V @ a
    f = g.detach()
    dy = (torch.softmax(f, 1) - torch.nn.functional.one_hot(y, K)) / BATCH
    made = []
    for i in (1, 0):
      g, s, unit, theta, sine = seen[i]
      made.append((dy * s, unit))
      gamma = (dy @ A[i].T).mul_(c[i] / tau)
      along = sine.mul_(gamma).sum(1, keepdim=True) / s
      dy = (theta.mul_(gamma)) @ B[i] + along * g
    return dy, made

  def norm(a, b):
    q = (b @ b.T).clamp(-1, 1)
    V = (torch.sqrt(1 - q * q) + q * torch.acos(-q)) / tau
    return ((a @ a.T) * V).sum().clamp(min=0).sqrt()

  def run(steps):
    with torch.no_grad():
      for _ in range(steps):
        with torch.set_grad_enabled(not tuned):
          dy, made = strong() if tuned else published()
        dy = dy.detach()
        grad = x.T @ dy
        total = grad.square().sum()
        for a, b in made:
          total = total + norm(a.detach(), b.detach()) ** 2
        share = torch.clamp(0.4 / total.sqrt(), max=1)
        first.sub_(1e-3 * FASTER * share * grad)
        at = M - BATCH
        for (a, b), i in zip(made, (1, 0), strict=True):
          A[i][at:] = share * a.detach()
          B[i][at:] = b.detach()
          if tuned:
            Bt[i][:, at:] = b.detach().T
          c[i][at:] = -1e-3
    return first.numpy()

  return run


def measure(M: int, d: int, r: int, rounds: int, seconds: float):
  """All contestants, in a process with one thread."""
  store = draw(M, d, r)
  run, held = ours(store)
  field = [Contestant('ours', run)]
  if importlib.util.find_spec('torch'):
    import torch

    torch.set_num_threads(1 if timing.one_thread() else torch.get_num_threads())
    field += [
      Contestant('torch, published', torch_run(store, False)),
      Contestant('torch, strongest', torch_run(store, True)),
    ]
    ends = [np.array(run(1).net.first)]
    ends += [c.run(1).copy() for c in field[1:]]
    moved = [e - store.first for e in ends]
    for c, m in zip(field[1:], moved[1:], strict=True):
      error = np.abs(m - moved[0]).max() / np.abs(moved[0]).max()
      if not error < 1e-2:
        raise RuntimeError(f'{c.name} is off by {error:.3g} relatively')
  else:
    print('torch is not installed', file=sys.stderr)
  times = timing.measure(field, rounds, seconds)
  bare = 4 * sum(z.size for part in (store.A, store.B) for z in part)
  found = [
    {'name': c.name, **t._asdict()} for c, t in zip(field, times, strict=True)
  ]
  return found, [size / bare for size in held]


def growth(steps: int, r: int) -> list[tuple[int, float]]:
  """Seconds of a whole run over its steps, each compiled beforehand."""
  phi, made = transform('relu'), []
  labels = jax.nn.one_hot(jnp.arange(BATCH) % K, K)
  x = jax.random.normal(jax.random.key(0), (BATCH, 64), jnp.float32) / 8

  def loss(f):
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(f), 1))

  start = net.gaussian()(jax.random.key(0), 64, K, r, 2, jnp.float32)

  @jax.jit
  def run(state, count):
    rates = sgd.Rates(jnp.float32(1e-3))
    return jax.lax.fori_loop(
      0, count, lambda i, s: sgd.step(phi, s, x, loss, rates), state
    )

  state = sgd.begin(start, steps * BATCH, BATCH)
  jax.block_until_ready(run(state, 1))
  for count in (steps // 4, steps // 2, steps):
    before = time.process_time()
    jax.block_until_ready(run(state, count))
    made.append((count, time.process_time() - before))
  return made


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  quick = flags.FLAGS.quick
  M, d, r = (2048, 64, 32) if quick else (flags.FLAGS.rows, 3072, 400)
  sample = (2, 0.002) if quick else (flags.FLAGS.rounds, 0.3)
  machine = timing.machine(('jax', 'jaxlib', 'numpy', 'torch'))
  print(*(f'{k}: {v}' for k, v in machine.items()), sep='\n')
  table, share = timing.in_fresh_process('1', measure, M, d, r, *sample)
  for row in table:
    ratio = row['median'] / table[0]['median']
    print(f'{row["name"]}: {1e3 * row["median"]:.1f} ms, {ratio:.2f} of ours')
  held, peak = share
  print(f'over the bytes of bare rows: state {held:.4f}, step {peak:.4f}')
  steps = 512 if quick else flags.FLAGS.growth
  over = timing.in_fresh_process('1', growth, steps, 32)
  t, s = np.log(np.array(over)).T
  print('steps, seconds:', over)
  print(f'exponent of time over steps: {np.polyfit(t, s, 1)[0]:.2f}')
  timing.finish(machine, table=table, memory=share, growth=over)


def _define_flags() -> None:
  """Of the command alone: a module that is imported defines none."""
  timing.define_flags(5)
  flags.DEFINE_integer('rows', 64_000, 'Rows a layer.', 1024)
  flags.DEFINE_integer(
    'growth', 4096, 'Steps of the run whose exponent is fitted.', 512
  )


if __name__ == '__main__':
  _define_flags()
  app.run(main)
