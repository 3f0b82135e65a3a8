"""Independent solutions of the margin problems, one at a time, on the host."""

import numpy as np
import scipy.optimize


def instance(seed, n, T, d):
  """Random tokens, queries and scores on the sphere; the best tokens."""
  rng = np.random.default_rng(seed)

  def sphere(*shape):
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)

  v, X, Z = sphere(d), sphere(n, T, d), sphere(n, d)
  Y = np.sign(rng.standard_normal(n))
  return X, Z, np.argmax(Y[:, None] * (X @ v), 1)


def instances(count, n, T, d):
  """Many of them, stacked."""
  drawn = [instance(seed, n, T, d) for seed in range(count)]
  return tuple(np.stack(part) for part in zip(*drawn, strict=True))


def matrices(X, Z, tokens):
  """The constraint matrices themselves, flattened, and with no shortcut."""
  return np.array(
    [
      np.outer(x[a] - x[t], z).ravel()
      for x, z, a in zip(X, Z, tokens, strict=True)
      for t in range(len(x))
      if t != a
    ]
  )


def least_distance(A, b=None):
  """min ‖w‖ s.t. A w ≥ b by nonnegative least squares; None if infeasible.

  Lawson and Hanson, "Solving Least Squares Problems", chapter 23.
  """
  b = np.ones(len(A)) if b is None else b
  E = np.vstack([A.T, b])
  f = np.zeros(len(E))
  f[-1] = 1
  u, _ = scipy.optimize.nnls(E, f, maxiter=100 * E.shape[1])
  residual = f - E @ u
  if np.linalg.norm(residual) < 1e-9:
    return None
  return -residual[:-1] / residual[-1]


def linear_program(A, norm):
  """min ‖w‖ in l1 or linf s.t. A w ≥ 1; None if infeasible."""
  m, k = A.shape
  ones, eye = np.ones((k, 1)), np.eye(k)
  if norm == 'l1':
    c = np.ones(2 * k)
    rows, sides = -np.hstack([A, -A]), -np.ones(m)
    bounds = (0, None)
  else:
    c = np.append(np.zeros(k), 1)
    rows = np.vstack(
      [
        -np.hstack([A, np.zeros((m, 1))]),
        np.hstack([eye, -ones]),
        np.hstack([-eye, -ones]),
      ]
    )
    sides = np.concatenate([-np.ones(m), np.zeros(2 * k)])
    bounds = (None, None)
  found = scipy.optimize.linprog(c, rows, sides, bounds=bounds)
  return found.fun if found.status == 0 else None


def conic(A, d, norm):
  """min ‖W‖ s.t. A vec(W) ≥ 1 by a conic solver; None if infeasible."""
  import cvxpy

  W = cvxpy.Variable((d, A.shape[1] // d))
  w = cvxpy.vec(W, order='C')
  size = {
    'frobenius': lambda: cvxpy.norm(W, 'fro'),
    'nuclear': lambda: cvxpy.norm(W, 'nuc'),
    'spectral': lambda: cvxpy.norm(W, 2),
    'l1': lambda: cvxpy.norm1(w),
    'linf': lambda: cvxpy.norm_inf(w),
  }[norm]()
  problem = cvxpy.Problem(cvxpy.Minimize(size), [A @ w >= 1])
  problem.solve(solver='CLARABEL')
  return None if problem.status == 'infeasible' else problem.value
