"""Attention training and its SVMs as others would write them.

    W⁺ = W − η ∇L/(‖∇L‖_F + ε),   L = (1/n) Σ_i log(1 + exp(−Y_i vᵀX_iᵀ s_i)),
    s_i = softmax(X_i W z_i);   K and Q of W = KQᵀ each by its own norm

The torch loop trains one instance after the other, a module and automatic
differentiation, as the published code does; its batched form has all instances
in one tensor, and the closed form of `torch_closed` has the gradient written
out as well. cvxpy states the SVMs with one constraint a row and takes its
default solver. The solvers of the Frobenius SVM as a quadratic program are
called directly, on matrices that are made beforehand: nonnegative least squares
of the least-distance form (Lawson and Hanson, ch. 23), quadprog in W, clarabel
and piqp in the multipliers. All return what they end with, which is compared.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import torch_closed
from framework.systems import attention_svm as dynamics
from framework.systems.attention_svm import ensembles
from framework.systems.attention_svm.layer import weights_of

__all__ = [
  'DIRECT',
  'Task',
  'cvxpy_solve',
  'direct_solve',
  'draw',
  'missing',
  'ours_solve',
  'ours_train',
  'torch_batched',
  'torch_closed_form',
  'torch_loop',
]

ETA, EPS = 0.1, 2.220446049250313e-16


class Task(NamedTuple):
  """Instances and starts, with an axis of instances before all others."""

  data: dynamics.Instance
  W: np.ndarray
  K: np.ndarray
  Q: np.ndarray


def missing(package: str) -> str:
  """Why a package's rows are left out; '' if they are not."""
  found = importlib.util.find_spec(package) is not None
  return '' if found else f'{package} is not installed'


def draw(count: int, n: int, T: int, d: int) -> Task:
  """The published ensemble, in float64."""
  keys = jax.random.split(jax.random.key(0), count)
  data = jax.vmap(lambda k: ensembles.sphere(k, n, T, d, jnp.float64))(keys)
  rng = np.random.default_rng(0)
  start = rng.uniform(-(d**-0.5), d**-0.5, (3, count, d, d))
  return Task(jax.device_get(data), *start)


def ours_train(task: Task, form: str, gradient: str) -> Callable[[int], Any]:
  """All instances in one program: s steps -> W of each."""
  _, n, T, d = task.data.X.shape
  structure = dynamics.Structure(
    n=n,
    T=T,
    d=d,
    rank=d if form == 'kq' else None,
    exact=gradient == 'exact',
    dtype=jnp.float64,
  )
  layer = dynamics.system(structure)
  hp = jax.tree.map(jnp.float64, dynamics.Hp(eta=ETA, epsilon=EPS, lam=EPS))

  def one(data, params, steps):
    optimal = jnp.argmax(data.gamma, -1)
    problem = dynamics.Problem(data, optimal, params)
    key = jax.random.key(0)
    state = layer.init(key, problem, hp)
    state = jax.lax.fori_loop(
      0, steps, lambda t, s: layer.step(key, s, problem, hp), state
    )
    return weights_of(state.params)

  go = jax.jit(jax.vmap(one, (0, 0, None)))
  start = {'W': task.W} if form == 'w' else {'K': task.K, 'Q': task.Q}
  data, start = jax.device_put((task.data, start))
  return lambda steps: jax.block_until_ready(go(data, start, steps))


def _torch():
  import torch

  torch.set_num_threads(1)
  torch.set_default_dtype(torch.float64)
  return torch


def torch_loop(task: Task, form: str) -> Callable[[int], Any]:
  """One instance: s steps -> its W. What the published code does."""
  torch = _torch()
  F = torch.nn.functional
  X, Z, Y, v = (
    torch.tensor(np.asarray(x[0]))
    for x in (task.data.X, task.data.Z, task.data.Y, task.data.v)
  )

  def run(steps: int):
    names = ('W',) if form == 'w' else ('K', 'Q')
    params = [
      torch.nn.Parameter(torch.tensor(getattr(task, x)[0].copy()))
      for x in names
    ]
    optimiser = torch.optim.SGD(params, lr=ETA)
    for _ in range(steps):
      optimiser.zero_grad()
      W = params[0] if form == 'w' else params[0] @ params[1].T
      logits = torch.einsum('ntd,nd->nt', X, Z @ W.T)
      share = torch.softmax(logits, -1)
      margin = Y * torch.einsum('nt,ntd,d->n', share, X, v)
      loss = F.softplus(-margin).mean()
      if form == 'kq':
        loss = loss + EPS * sum((p**2).sum() for p in params)
      loss.backward()
      with torch.no_grad():
        for p in params:
          grad: Any = p.grad
          grad /= grad.norm() + EPS
      optimiser.step()
    W = params[0] if form == 'w' else params[0] @ params[1].T
    return W.detach().numpy()[None]

  return run


def torch_batched(task: Task, form: str) -> Callable[[int], Any]:
  """All instances in one tensor: what is left is the formulation."""
  torch = _torch()
  F = torch.nn.functional
  X, Z, Y, v = (
    torch.tensor(np.asarray(x))
    for x in (task.data.X, task.data.Z, task.data.Y, task.data.v)
  )

  def run(steps: int):
    names = ('W',) if form == 'w' else ('K', 'Q')
    params = [
      torch.tensor(getattr(task, x).copy(), requires_grad=True) for x in names
    ]
    for _ in range(steps):
      W = params[0] if form == 'w' else params[0] @ params[1].mT
      logits = torch.einsum('bntd,bnd->bnt', X, Z @ W.mT)
      share = torch.softmax(logits, -1)
      margin = Y * torch.einsum(
        'bnt,bnt->bn', share, (X @ v[:, :, None].unsqueeze(1))[..., 0]
      )
      loss = F.softplus(-margin).mean(-1).sum()
      if form == 'kq':
        loss = loss + EPS * sum((p**2).sum() for p in params)
      grads = torch.autograd.grad(loss, params)
      with torch.no_grad():
        for p, g in zip(params, grads, strict=True):
          p -= ETA * g / (g.flatten(1).norm(dim=1)[:, None, None] + EPS)
    W = params[0] if form == 'w' else params[0] @ params[1].mT
    return W.detach().numpy()

  return run


def torch_closed_form(task: Task, form: str) -> Callable[[int], Any]:
  """All instances in one tensor, the gradient written out."""
  _torch()
  data = task.data
  start = [task.W] if form == 'w' else [task.K, task.Q]
  X, Z, gamma = map(np.asarray, (data.X, data.Z, data.gamma))
  return torch_closed.attention('cpu', X, Z, gamma, start, ETA)


def ours_solve(task: Task, norm: str) -> Callable[[int], Any]:
  """Repeats a batch of solves for the best tokens: s batches -> norms."""

  def one(X, Z, gamma):
    best = jnp.argmax(gamma, -1)
    return dynamics.solve(X, Z, best, norm).certificate.primal

  go = jax.jit(jax.vmap(one))
  X, Z, gamma = jax.device_put((task.data.X, task.data.Z, task.data.gamma))

  def run(times: int):
    found = None
    for _ in range(times):
      found = jax.block_until_ready(go(X, Z, gamma))
    return found

  return run


def cvxpy_solve(task: Task, norm: str) -> Callable[[int], Any]:
  """One instance: s solves -> its least norm. One constraint a row."""
  import cvxpy

  X, Z, gamma = (
    np.asarray(x[0]) for x in (task.data.X, task.data.Z, task.data.gamma)
  )
  d, best = X.shape[-1], gamma.argmax(-1)
  name = {'frobenius': 'fro', 'nuclear': 'nuc'}[norm]

  def run(times: int):
    value = None
    for _ in range(times):
      W = cvxpy.Variable((d, d))
      rows = [
        (X[i, a] - X[i, t]) @ W @ Z[i] >= 1
        for i, a in enumerate(best)
        for t in range(X.shape[1])
        if t != a
      ]
      value = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm(W, name)), rows).solve()
    return np.array([value])

  return run


def _matrices(task: Task) -> np.ndarray:
  """The constraint matrices of the first instance, a flat one a row."""
  X, Z, gamma = (
    np.asarray(x[0]) for x in (task.data.X, task.data.Z, task.data.gamma)
  )
  return np.array(
    [
      np.outer(x[a] - x[t], z).ravel()
      for x, z, a in zip(X, Z, gamma.argmax(-1), strict=True)
      for t in range(len(x))
      if t != a
    ]
  )


def _repeated(solve: Callable[[], float]) -> Callable[[int], Any]:
  def run(times: int):
    value = None
    for _ in range(times):
      value = solve()
    return np.array([value])

  return run


def _scipy(A: np.ndarray) -> Callable[[], float]:
  nnls = importlib.import_module('scipy.optimize').nnls

  E = np.vstack([A.T, np.ones(len(A))])
  f = np.zeros(len(E))
  f[-1] = 1

  def solve():
    r = f - E @ nnls(E, f)[0]
    return float(np.linalg.norm(r[:-1] / r[-1]))

  return solve


def _quadprog(A: np.ndarray) -> Callable[[], float]:
  quadprog = importlib.import_module('quadprog')

  identity, zero = np.eye(A.shape[1]), np.zeros(A.shape[1])
  given = identity, zero, np.ascontiguousarray(A.T), np.ones(len(A))
  return lambda: float(np.linalg.norm(quadprog.solve_qp(*given)[0]))


def _clarabel(A: np.ndarray) -> Callable[[], float]:
  clarabel = importlib.import_module('clarabel')
  sparse = importlib.import_module('scipy.sparse')

  m = len(A)
  P, rows = sparse.csc_matrix(np.triu(A @ A.T)), sparse.csc_matrix(-np.eye(m))
  settings = clarabel.DefaultSettings()
  settings.verbose = False
  cones = [clarabel.NonnegativeConeT(m)]
  given = P, -np.ones(m), rows, np.zeros(m), cones, settings

  def solve():
    lam = np.array(clarabel.DefaultSolver(*given).solve().x)
    return float(np.linalg.norm(lam @ A))

  return solve


def _piqp(A: np.ndarray) -> Callable[[], float]:
  piqp = importlib.import_module('piqp')

  G, m = A @ A.T, len(A)

  def solve():
    solver = piqp.DenseSolver()
    solver.settings.verbose = False
    solver.setup(G, -np.ones(m), x_l=np.zeros(m))
    solver.solve()
    return float(np.linalg.norm(solver.result.x @ A))

  return solve


DIRECT = {
  'scipy': ('scipy, NNLS', _scipy),
  'quadprog': ('quadprog', _quadprog),
  'piqp': ('piqp', _piqp),
  'clarabel': ('clarabel', _clarabel),
}


def direct_solve(task: Task, package: str) -> Callable[[int], Any]:
  """One instance by a solver of quadratic programs: s solves -> its norm."""
  return _repeated(DIRECT[package][1](_matrices(task)))
