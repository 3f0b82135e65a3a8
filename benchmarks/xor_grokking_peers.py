"""Full-batch gradient descent on XOR clusters as others would write it.

    w_j⁺ = w_j + (α a_j/n) Σ_i g_i 1[⟨w_j, x_i⟩ > 0] y_i x_i

Every peer takes the same points and the same start, makes the same trajectory
up to rounding and returns the outputs f(x_i) at its end.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from benchmarks.timing import Contestant
from framework import rollout
from framework.systems.clusters import xor as dynamics
from framework.systems.clusters.xor import data as xor_data
from framework.systems.clusters.xor import net as xor_net
from framework.systems.clusters.xor.explicit import Explicit
from framework.systems.clusters.xor.facts import facts_of
from framework.systems.clusters.xor.gram import gram_of

__all__ = [
  'Run',
  'Task',
  'check_agreement',
  'numpy_gram',
  'ours',
  'torch_autograd',
  'torch_closed_form',
  'torch_gram',
  'torch_missing',
]

Run = Callable[[int], Float[np.ndarray, ' n']]


class Task(NamedTuple):
  """Training points, labels, both layers at t = 0 and the step size."""

  x: Float[np.ndarray, 'n p']
  y: Float[np.ndarray, ' n']
  W0: Float[np.ndarray, 'p m']
  a: Float[np.ndarray, ' m']
  alpha: float


def draw(n: int, p: int, m: int, dtype: Any) -> Task:
  """The paper's problem: ‖μ‖ = 2.5 √(p/n), η = 0.05, ω = 1e-15, α = 1e-12."""
  rng = np.random.default_rng(0)
  cluster = rng.integers(0, 4, n)
  y = xor_data.CLEAN[cluster] * np.where(rng.random(n) < 0.05, -1, 1)
  x = rng.standard_normal((n, p), dtype)
  x[:, :2] += 2.5 * (p / n) ** 0.5 * xor_data.DIRECTION[cluster]
  W0 = rng.standard_normal((p, m), dtype)
  W0 *= dtype(1e-15)
  a = rng.choice([-1, 1], m) / m**0.5
  return Task(x, y.astype(dtype), W0, a.astype(dtype), 1e-12)


def check_agreement(
  field: Sequence[Contestant], tolerance: float, steps: int = 3
) -> None:
  """Raises unless all end with the same outputs.

  Args:
    field: Contestants.
    tolerance: Largest difference over largest output.
    steps: Steps to compare after.

  Raises:
    RuntimeError: If one of them does not.
  """
  expected = None
  for contestant in field:
    f = contestant.run(steps)
    expected = f if expected is None else expected
    error = np.abs(f - expected).max() / np.abs(expected).max()
    if not error < tolerance:
      raise RuntimeError(f'{contestant.name} is off by {error:.3g} relatively')


def ours(task: Task, draw: dynamics.Draw) -> Run:
  """The framework as its user has it, on points that are already drawn.

  Args:
    task: The problem.
    draw: The form: `gram_problem` or `explicit_problem`.

  Returns:
    steps -> outputs.
  """
  n, p = task.x.shape
  dtype = task.x.dtype
  structure = dynamics.Structure(
    n=n, n_test=1, m=len(task.a), draw=draw, p=p, dtype=dtype
  )
  gd = dynamics.system(structure)
  y, a = jnp.asarray(task.y), jnp.asarray(task.a)
  labels = xor_data.Labels(jnp.zeros(n, jnp.int32), y, y)
  hp = jax.tree.map(dtype.type, dynamics.Hp(alpha=task.alpha))

  @jax.jit
  def build(x, W0):
    train = xor_data.XorData(x, labels)
    test = xor_data.XorData(x[:1], jax.tree.map(lambda v: v[:1], labels))
    if draw is dynamics.gram_problem:
      return gram_of(train, test, W0, a)
    facts = facts_of(train, test, a, x @ W0)
    return Explicit(facts, x, x[:1], W0)

  problem = jax.block_until_ready(build(task.x, task.W0))

  def observe(state, problem, hp):
    Z = dynamics.view(state, problem).Z
    return {'f': xor_net.outputs(Z, problem.facts.a)}

  given = gd._replace(sample=lambda key, hp, data: data, observe=observe)
  if draw is dynamics.explicit_problem:
    given = given._replace(
      init=lambda key, problem, hp: gd.init(
        key, problem._replace(start=_WORDS), hp
      )._replace(params={'W': problem.start})
    )

  @jax.jit
  def run(times, problem):
    return rollout(given, jax.random.key(0), hp, times, problem)[1]['f']

  def last(steps: int) -> np.ndarray:
    return np.array(run(np.array([0, steps]), problem)[-1])

  return last


_WORDS = np.zeros(2, np.uint32)  # of a key that is not used


def torch_missing() -> str:
  """Why torch is not measured, if it is not."""
  found = importlib.util.find_spec('torch') is not None
  return '' if found else 'not installed'


def torch_autograd(task: Task) -> Run:
  """Automatic differentiation and `torch.optim.SGD` on the p × m layer."""
  import torch

  x, y, W0, a = map(torch.from_numpy, task[:4])

  def run(steps: int) -> np.ndarray:
    W = W0.clone().requires_grad_()
    optimizer = torch.optim.SGD([W], lr=task.alpha)
    for _ in range(steps):
      optimizer.zero_grad()
      f = torch.relu(x @ W) @ a
      loss = torch.nn.functional.softplus(-y * f).mean()
      loss.backward()
      optimizer.step()
    return (torch.relu(x @ W.detach()) @ a).numpy()

  return run


def torch_closed_form(task: Task) -> Run:
  """The gradient written out, nothing kept for a backward pass."""
  import torch

  x, y, W0, a = map(torch.from_numpy, task[:4])
  n = len(y)

  def run(steps: int) -> np.ndarray:
    W = W0.clone()
    for _ in range(steps):
      Z = x @ W
      c = torch.sigmoid(-y * (Z.clamp_min(0) @ a)) * y * (task.alpha / n)
      D = (Z > 0) * torch.outer(c, a)
      W.addmm_(x.T, D)
    return ((x @ W).clamp_min(0) @ a).numpy()

  return run


def torch_gram(task: Task) -> Run:
  """The formulation that ours takes."""
  import torch

  x, y, W0, a = map(torch.from_numpy, task[:4])
  K, Z0, n = x @ x.T, x @ W0, len(y)

  def run(steps: int) -> np.ndarray:
    B = torch.zeros_like(Z0)
    outer = torch.outer(y * (task.alpha / n), a)
    for _ in range(steps):
      Z = torch.addmm(Z0, K, B)
      g = torch.sigmoid(-y * (Z.clamp_min(0) @ a))
      B += (Z > 0) * outer * g[:, None]
    return (torch.addmm(Z0, K, B).clamp_min(0) @ a).numpy()

  return run


def numpy_gram(task: Task) -> Run:
  """The formulation that ours takes, with nothing allocated in the loop."""
  x, y, W0, a, alpha = task
  K, Z0, n = x @ x.T, x @ W0, len(y)
  outer = np.multiply.outer(y * x.dtype.type(alpha / n), a)
  Z, R, gates = np.empty_like(Z0), np.empty_like(Z0), np.empty(Z0.shape, bool)

  def run(steps: int) -> np.ndarray:
    B = np.zeros_like(Z0)
    for _ in range(steps):
      np.matmul(K, B, out=Z)
      np.add(Z, Z0, out=Z)
      f = np.maximum(Z, 0, out=R) @ a
      g = 1 / (1 + np.exp(y * f))
      np.greater(Z, 0, out=gates)
      np.multiply(outer, g[:, None], out=R)
      np.multiply(R, gates, out=R)
      np.add(B, R, out=B)
    return np.maximum(K @ B + Z0, 0) @ a

  return run
