"""Gradient descent for matrix sensing as others would write it.

    L(X) = ¼ Σ_i (<A_i, XXᵀ> - y_i)²,   X⁺ = X - η Σ_i (<A_i, XXᵀ> - y_i) A_i X

Every peer takes the same measurements, measured values and start, and makes the
same iterates up to rounding, in float64. Each is written as well as its form
allows: nothing is allocated or copied in the loop that need not be.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from benchmarks import torch_closed
from benchmarks.timing import Contestant

__all__ = [
  'Run',
  'Task',
  'check_agreement',
  'numpy_flat',
  'numpy_gram',
  'numpy_loop',
  'torch_autograd',
  'torch_gram',
  'torch_refusal',
]

_TORCH_BYTES = 4e9  # more memory than this torch autograd is not given

Run = Callable[[int], Float[np.ndarray, '*lanes n k']]


class Task(NamedTuple):
  """A symmetric sensing problem and where to start from."""

  stack: Float[np.ndarray, 'm n n']  # A_i
  gram: Float[np.ndarray, 'p p']  # Σ_i svec(A_i) svec(A_i)ᵀ
  y: Float[np.ndarray, ' m']
  M: Float[np.ndarray, 'n n']  # the truth, which the Gram form works with
  X0: Float[np.ndarray, '*lanes n k']
  eta: float


def check_agreement(field: Sequence[Contestant], steps: int = 3) -> None:
  """Raises unless all make the same iterates.

  Args:
    field: Contestants with as many different numbers of lanes as there are.
    steps: Steps to compare after.

  Raises:
    RuntimeError: If one of them does not.
  """
  expected: dict[int, np.ndarray] = {}
  for contestant in field:
    X = contestant.run(steps)
    reference = expected.setdefault(contestant.lanes, X)
    error = np.abs(X - reference).max() / np.abs(reference).max()
    if not error < 1e-9:
      raise RuntimeError(f'{contestant.name} is off by {error:.3g} relatively')


def torch_refusal(task: Task) -> str:
  """Why torch autograd is not measured, if it is not."""
  if importlib.util.find_spec('torch') is None:
    return 'not installed'
  needed = 3 * task.stack.nbytes  # the stack and what einsum makes of it
  if needed > _TORCH_BYTES:
    return f'skipped, for it may take {needed / 1e9:.1f} GB'
  return ''


def torch_autograd(task: Task, threads: int | None = None) -> Run:
  """Automatic differentiation and `torch.optim.SGD` on the m × n × n stack.

  Args:
    task: What to solve; several starts are lanes of one einsum.
    threads: Threads of torch; as many as it likes when None.

  Returns:
    steps -> last iterate.
  """
  import torch

  if threads is not None:
    torch.set_num_threads(threads)
  A, y, X0 = map(torch.from_numpy, (task.stack, task.y, task.X0))

  def run(steps: int) -> np.ndarray:
    X = X0.clone().requires_grad_()
    optimizer = torch.optim.SGD([X], lr=task.eta)
    for _ in range(steps):
      optimizer.zero_grad()
      residual = torch.einsum('mij,...ij->...m', A, X @ X.mT) - y
      loss = 0.25 * (residual**2).sum()
      loss.backward()
      optimizer.step()
    return X.detach().numpy()

  return run


def torch_gram(task: Task) -> Run:
  """The formulation that ours takes, in torch."""
  X0 = task.X0 if task.X0.ndim == 3 else task.X0[None]
  run = torch_closed.sensing('cpu', task.gram, task.M, X0, task.eta)
  return lambda steps: run(steps).reshape(task.X0.shape)


def numpy_loop(task: Task) -> Run:
  """One measurement after the other."""

  def run(steps: int) -> np.ndarray:
    X = task.X0.copy()
    for _ in range(steps):
      Z = X @ X.T
      D = np.zeros_like(Z)
      for A_i, y_i in zip(task.stack, task.y, strict=True):
        D += (np.vdot(A_i, Z) - y_i) * A_i
      X -= task.eta * (D @ X)
    return X

  return run


def numpy_flat(task: Task) -> Run:
  """Two matrix-vector products with the m × n² matrix of flattened A_i."""
  A = task.stack.reshape(len(task.y), -1)

  def run(steps: int) -> np.ndarray:
    X = task.X0.copy()
    for _ in range(steps):
      residual = A @ (X @ X.T).ravel() - task.y
      D = (residual @ A).reshape(task.M.shape)
      X -= task.eta * (D @ X)
    return X

  return run


def numpy_gram(task: Task) -> Run:
  """The formulation that ours takes: svec and one product with AᵀA.

  Several starts are lanes of one matrix product.
  """
  n = len(task.M)
  i, j = np.triu_indices(n)
  index = i * n + j
  scale = np.where(i == j, 1.0, 2**0.5)
  position = np.empty((n, n), np.intp)
  position[i, j] = position[j, i] = np.arange(len(i))
  position = position.ravel()
  lanes = task.X0.shape[:-2]

  def run(steps: int) -> np.ndarray:
    X = task.X0.copy()
    for _ in range(steps):
      E = (X @ X.mT - task.M).reshape(*lanes, n * n)
      # AᵀA is symmetric, so it may as well stand on the right.
      d = (E.take(index, axis=-1) * scale) @ task.gram
      D = (d / scale).take(position, axis=-1).reshape(*lanes, n, n)
      X -= task.eta * (D @ X)
    return X

  return run
