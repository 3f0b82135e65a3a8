"""The same steps as others would write them: numpy, torch, scipy."""

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = [
  'Task',
  'check',
  'check_completion',
  'has_torch',
  'numpy_packed',
  'numpy_rank_one',
  'scipy_sparse',
  'torch_autograd',
  'torch_packed',
]

Steps = Callable[[int], Any]


class Task(NamedTuple):
  """The sub-gradient method with a clock on packed measurements."""

  rows: np.ndarray  # (m, p), svec(A_i)
  y: np.ndarray  # (m,)
  X0: np.ndarray  # (n, k)
  eta: float
  decay: float


def _packing(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  i, j = np.triu_indices(n)
  position = np.zeros((n, n), int)
  position[i, j] = position[j, i] = np.arange(len(i))
  return i * n + j, position.ravel(), np.where(i == j, 1.0, 2**0.5)


def numpy_packed(task: Task) -> Steps:
  """Closed form on svec(A_i): two products with a matrix of m × p."""
  n, m = len(task.X0), len(task.y)
  flat, position, scale = _packing(n)

  def run(steps: int) -> np.ndarray:
    X = task.X0.copy()
    for t in range(steps):
      z = task.rows @ ((X @ X.T).ravel()[flat] * scale) - task.y
      d = np.sign(z) @ task.rows / m**0.5
      D = (d / scale)[position].reshape(n, n)
      X -= task.eta * task.decay**t * (D @ X)
    return X

  return run


def check(task: Task, ours: np.ndarray) -> None:
  """Refuses to time what does not compute the same."""
  theirs = numpy_packed(task)(3)
  np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)


def has_torch() -> bool:
  """Whether PyTorch is installed."""
  return importlib.util.find_spec('torch') is not None


def torch_autograd(task: Task) -> Steps:
  """The mean of |<A_i, XXᵀ> − y_i| on whole A_i, by autograd."""
  import torch

  n, m = len(task.X0), len(task.y)
  _, position, scale = _packing(n)
  stack = torch.tensor((task.rows / scale)[:, position].reshape(m, n, n))
  y = torch.tensor(task.y)
  torch.set_num_threads(1)

  def run(steps: int) -> Any:
    X = torch.tensor(task.X0, requires_grad=True)
    for t in range(steps):
      z = torch.einsum('mij,ij->m', stack, X @ X.T) - y
      loss = z.abs().sum() / m**0.5 / 2
      (slope,) = torch.autograd.grad(loss, X)
      with torch.no_grad():
        X -= task.eta * task.decay**t * slope
    return X

  return run


def torch_packed(task: Task) -> Steps:
  """The closed form on packed matrices: the strongest that torch has."""
  import torch

  n, m = len(task.X0), len(task.y)
  flat, position, scale = (torch.tensor(x) for x in _packing(n))
  A, y = torch.tensor(task.rows), torch.tensor(task.y)
  torch.set_num_threads(1)

  def run(steps: int) -> Any:
    with torch.no_grad():
      X = torch.tensor(task.X0)
      for t in range(steps):
        z = A @ ((X @ X.T).reshape(-1)[flat] * scale) - y
        d = torch.sign(z) @ A / m**0.5
        D = (d / scale)[position].reshape(n, n)
        X -= task.eta * task.decay**t * (D @ X)
    return X

  return run


def numpy_rank_one(
  a: np.ndarray, y: np.ndarray, X0: np.ndarray, eta: float
) -> Steps:
  """Least squares on a_iᵀ XXᵀ a_i."""

  def run(steps: int) -> np.ndarray:
    X = X0.copy()
    for _ in range(steps):
      Z = a @ X
      z = np.sum(Z**2, 1) - y
      X -= eta * (a.T @ (z[:, None] * Z))
    return X

  return run


def scipy_sparse(
  rows: np.ndarray,
  columns: np.ndarray,
  values: np.ndarray,
  scale: float,
  F0: np.ndarray,
  G0: np.ndarray,
  eta: float,
) -> Steps:
  """Least squares on known entries, with a sparse matrix of residuals."""
  import scipy.sparse

  n1, n2 = len(F0), len(G0)
  residual = scipy.sparse.csr_matrix((values, (rows, columns)), (n1, n2))

  def run(steps: int) -> dict[str, np.ndarray]:
    F, G = F0.copy(), G0.copy()
    for _ in range(steps):
      z = np.einsum('ik,ik->i', F[rows], G[columns]) - values
      residual.data = scale * z
      F, G = F - eta * (residual @ G), G - eta * (residual.T @ F)
    return {'F': F, 'G': G}

  return run


def check_completion(field: Any) -> None:
  """Refuses to time what does not compute the same."""
  first, *others = [c.run(3) for c in field]
  for other in others:
    for name in 'FG':
      np.testing.assert_allclose(
        np.array(first[name]), np.array(other[name]), rtol=1e-8, atol=1e-10
      )
