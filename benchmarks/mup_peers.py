"""Few-shot learning in infinite-width limits as others would write it.

An outer step of MAML on 32 tasks of 5 ways and 1 shot, of the linear µP limit
(a network of width d + k) and of the kernel predictors of a ReLU network with
so many stored rows. Every peer takes the same tasks and the same start and
returns what the steps arrive at.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from benchmarks.timing import Contestant
from framework.systems.infinite_width.few_shot import kernels as kernel_limit
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.limits import linear as linear_limit

__all__ = [
  'Kernel',
  'Run',
  'Task',
  'check_agreement',
  'draw',
  'draw_kernel',
  'ours',
  'ours_kernel',
  'torch_kernel',
  'torch_low_rank',
  'torch_missing',
  'torch_plain',
]

Run = Callable[[int], Float[np.ndarray, '...']]
INNER, META, CLIP = 0.4, 0.1, 0.5
WAYS = 5
SETS = 4  # of tasks, in turns: nothing can be kept from the last step


class Task(NamedTuple):
  """Sets of tasks of a step each, and inputs at which results are compared."""

  x: Float[np.ndarray, 'sets tasks m d']
  x_query: Float[np.ndarray, 'sets tasks m d']
  y: Int[np.ndarray, 'sets tasks m']
  probe: Float[np.ndarray, 'n d']


class Kernel(NamedTuple):
  """Rows that a kernel predictor has stored, and tasks to go on with."""

  task: Task
  X: Float[np.ndarray, 'rows d']
  C: Float[np.ndarray, 'rows k']


def draw(d: int, tasks: int, dtype: Any) -> Task:
  """Drawings of classes: a mean each and as much noise."""
  rng = np.random.default_rng(0)
  shape = SETS, tasks, WAYS, d
  mean = rng.random(shape)
  x, q = (((mean + rng.random(shape)) / 2).astype(dtype) for _ in range(2))
  y = np.broadcast_to(np.arange(WAYS), shape[:3])
  return Task(x, q, np.ascontiguousarray(y), rng.random((7, d)).astype(dtype))


def draw_kernel(d: int, tasks: int, rows: int, dtype: Any) -> Kernel:
  """A predictor in the midst of its training."""
  rng = np.random.default_rng(1)
  X = rng.random((rows, d)).astype(dtype)
  C = (1e-3 * rng.standard_normal((rows, WAYS))).astype(dtype)
  return Kernel(draw(d, tasks, dtype), X, C)


def check_agreement(
  field: Sequence[Contestant], tolerance: float, steps: int = 3
) -> None:
  """Raises unless all end at the same numbers.

  Args:
    field: Contestants.
    tolerance: Largest difference over largest number.
    steps: Steps to compare after.

  Raises:
    RuntimeError: If one of them does not.
  """
  expected = None
  for contestant in field:
    f = np.asarray(contestant.run(steps), np.float64)
    expected = f if expected is None else expected
    error = np.abs(f - expected).max() / np.abs(expected).max()
    if not error < tolerance:
      raise RuntimeError(f'{contestant.name} is off by {error:.3g} relatively')


def ours(task: Task, order: int, low_rank: bool = True) -> Run:
  """The limit through `few_shot.maml` and optax."""
  d, dtype = task.x.shape[-1], task.x.dtype
  start = linear_limit.init(d, WAYS, 1.0, 1 / 32, dtype)
  rule = optax.chain(maml.clip(CLIP), optax.sgd(META))
  sets = maml.Tasks(*map(jnp.asarray, (task.x, task.y, task.x_query, task.y)))

  def loss(params, t):
    tasks = jax.tree.map(lambda x: x[t % SETS], sets)
    how = {'order': order, 'low_rank': low_rank}
    return maml.outer_loss(params, tasks, INNER, **how)

  @jax.jit
  def advance(steps, params):
    def step(t, params):
      grads = jax.grad(loss)(params, t)
      updates, _ = rule.update(grads, rule.init(params), params)
      return optax.apply_updates(params, updates)

    params = jax.lax.fori_loop(0, steps, step, params)
    return linear_limit.apply(params, jnp.asarray(task.probe))

  return lambda steps: np.asarray(advance(steps, start))


def ours_kernel(kernel: Kernel, kind: str) -> Run:
  """A kernel predictor through `few_shot.kernels`."""
  task = kernel.task
  rows, d = kernel.X.shape
  made = task.x.shape[1] * WAYS
  which = {'gp': kernel_limit.gp, 'ntk': kernel_limit.ntk}[kind]
  own = kernel_limit.one_layer(which, kernel_limit.Scales())
  store = kernel_limit.empty(rows, d, WAYS, kernel.X.dtype)
  store = jax.jit(kernel_limit.append)(store, kernel.X, kernel.C)
  sets = maml.Tasks(*map(jnp.asarray, (task.x, task.y, task.x_query, task.y)))

  def step(t, store):
    tasks = jax.tree.map(lambda x: x[t % SETS], sets)
    f = kernel_limit.on_tasks(
      lambda x: kernel_limit.predict(own, store, x), tasks
    )
    outer = kernel_limit.outer_step(own, f, tasks, INNER, META, CLIP)
    # As many rows at every step: the new ones take the place of the last.
    store = store._replace(count=store.count - made)
    return kernel_limit.append(store, outer.X, outer.C)

  advance = jax.jit(
    lambda steps, store: jax.lax.fori_loop(0, steps, step, store)
  )
  end = jax.jit(lambda store: store.C)

  def run(steps):
    return np.asarray(_rows(end(advance(steps, store)), rows - made, made))

  return run


def _rows(C: Any, first: int, count: int) -> np.ndarray:
  """Coefficients first ... first + count of a store in its own order."""
  C = np.asarray(C)
  return C.transpose(1, 0, 2).reshape(-1, C.shape[-1])[first : first + count]


def torch_missing() -> str:
  """Why there is no torch, or nothing."""
  return '' if importlib.util.find_spec('torch') else 'not installed'


def _torch_network(task: Task):
  """Parameters at the start, tasks and the function, in torch."""
  import torch

  start = linear_limit.init(task.x.shape[-1], WAYS, 1.0, 1 / 32, task.x.dtype)
  params = [torch.tensor(np.asarray(p), requires_grad=True) for p in start]
  arrays = [torch.tensor(a) for a in (task.x, task.x_query, task.y)]
  return params, arrays


def _torch_finish(params, start, task: Task):
  """What the network says at the probes; puts it back to its start."""
  import torch

  with torch.no_grad():
    W1, W2, b = params
    out = (torch.tensor(task.probe) @ W1.T + b) @ W2.T
    for p, first in zip(params, start, strict=True):
      p.copy_(first)
  return out.numpy()


def _torch_descend(params, outer) -> None:
  """Clips the gradient of the sum and makes a step."""
  import torch

  grads = torch.autograd.grad(outer, params)
  norm = torch.stack([g.square().sum() for g in grads]).sum().sqrt()
  share = torch.clamp(CLIP / (norm + 1e-6), max=1.0)
  with torch.no_grad():
    for p, g in zip(params, grads, strict=True):
      p -= META * share * g


def torch_plain(task: Task, order: int) -> Run:
  """A copy of the network for every task, as MAML is defined."""
  import torch

  params, (x, q, y) = _torch_network(task)
  start = [p.detach().clone() for p in params]
  entropy = torch.nn.functional.cross_entropy

  def apply(params, x):
    W1, W2, b = params
    return (x @ W1.T + b) @ W2.T

  def run(steps):
    for t in range(steps):
      outer = 0.0
      for x_i, q_i, y_i in zip(x[t % SETS], q[t % SETS], y[t % SETS],
                               strict=True):  # fmt: skip
        loss = entropy(apply(params, x_i), y_i)
        grads = torch.autograd.grad(loss, params, create_graph=order == 2)
        adapted = [p - INNER * g for p, g in zip(params, grads, strict=True)]
        outer = outer + entropy(apply(adapted, q_i), y_i)
      _torch_descend(params, outer)
    return _torch_finish(params, start, task)

  return run


def torch_low_rank(task: Task, order: int) -> Run:
  """The inner step as a product of few rows, all tasks at once."""
  import torch

  params, (x, q, y) = _torch_network(task)
  start = [p.detach().clone() for p in params]
  m = WAYS
  eye = torch.eye(WAYS, dtype=x.dtype)

  def logits(params, x, q, y):
    W1, W2, b = params
    fixed = params if order == 2 else [p.detach() for p in params]
    H = x @ fixed[0].T + fixed[2]
    chi = (torch.softmax(H @ fixed[1].T, -1) - eye[y]) / m
    D = chi @ fixed[1]
    h = q @ W1.T + b - INNER * (q @ x.mT + 1) @ D
    return h @ W2.T - INNER * (h @ H.mT) @ chi

  def run(steps):
    for t in range(steps):
      f = logits(params, x[t % SETS], q[t % SETS], y[t % SETS])
      outer = torch.nn.functional.cross_entropy(
        f.flatten(0, 1), y[t % SETS].flatten(), reduction='sum'
      )
      _torch_descend(params, outer / m)
    return _torch_finish(params, start, task)

  return run


def torch_kernel(kernel: Kernel, kind: str, together: bool) -> Run:
  """A kernel predictor; task by task as MAML goes, or all tasks together."""
  import torch

  task = kernel.task
  rows, d = kernel.X.shape
  x, q, y = (torch.tensor(a) for a in (task.x, task.x_query, task.y))
  T, m = x.shape[1:3]
  start = [torch.tensor(a) for a in kernel[1:]]
  X, C = (a.clone() for a in start)
  new = slice(rows - T * m, rows)
  eye = torch.eye(WAYS, dtype=x.dtype)

  def gram(a, b):
    inner = a @ b.mT
    s = torch.linalg.vector_norm(a, dim=-1)[..., :, None]
    t = torch.linalg.vector_norm(b, dim=-1)[..., None, :]
    c = torch.clamp(inner / (s * t), -1, 1)
    angle = torch.arccos(-c)
    K = s * t * (torch.sqrt(1 - c * c) + c * angle)
    if kind == 'ntk':
      K = K + angle * inner
    return K / (2 * torch.pi)

  def chi(f, y):
    return (torch.softmax(f, -1) - eye[y]) / m

  def adapted(f, f_query, x, q, y):
    c = -INNER * chi(f, y)
    return chi(f_query + gram(q, x) @ c, y)

  @torch.no_grad()
  def run(steps):
    for t in range(steps):
      tasks = x[t % SETS], q[t % SETS], y[t % SETS]
      if together:
        points = torch.cat(tasks[:2]).reshape(-1, d)
        f = gram(points, X) @ C
        f, f_query = f.reshape(2, T, m, WAYS)
        errors = adapted(f, f_query, *tasks)
      else:
        found = []
        for x_i, q_i, y_i in zip(*tasks, strict=True):
          f = gram(x_i, X) @ C
          f_query = gram(q_i, X) @ C
          found.append(adapted(f, f_query, x_i, q_i, y_i))
        errors = torch.stack(found)
      points, errors = tasks[1].reshape(-1, d), errors.reshape(-1, WAYS)
      norm = torch.sqrt((errors * (gram(points, points) @ errors)).sum())
      X[new] = points
      C[new] = -META * torch.clamp(CLIP / norm, max=1) * errors
    found = C[new].numpy().copy()
    X[new], C[new] = start[0][new], start[1][new]
    return found

  return run
