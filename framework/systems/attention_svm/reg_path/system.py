"""The regularisation path: the best attention of bounded norm.

    W_R = argmin L(W)           s.t.  ‖W‖_F ≤ R
    (K_R, Q_R) = argmin L(KQᵀ)  s.t.  ‖K‖_F² + ‖Q‖_F² ≤ 2R

Since min ½(‖K‖² + ‖Q‖²) over KQᵀ = W is the nuclear norm of W, the second ball
is nuclear. As R → ∞ the direction of either tends to the max-margin solution
W^mm of the optimal tokens in its own norm. L is not convex: what projected
descent finds depends on its start, along W^mm or at zero, and a point it ends
at satisfies

    ⟨−∇L, W⟩ = ‖∇L‖° ‖W‖     (‖·‖° dual to the norm of the ball),

which `stationarity` measures: 0 where no move within the ball is downhill to
first order.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Key

from framework.maths import draws, linalg
from framework.maths.margin import norm_named, svm
from framework.maths.simplex import project_frobenius, project_nuclear
from framework.probes import cosine
from framework.system import System
from framework.systems.attention_svm import gradient as horizon
from framework.systems.attention_svm import losses
from framework.systems.attention_svm.ensembles import sphere
from framework.systems.attention_svm.instances import Instance
from framework.systems.attention_svm.layer import logits, optimal_tokens
from framework.systems.attention_svm.losses import Loss
from framework.systems.attention_svm.rows import margin_rows

__all__ = [
  'ATTRIBUTES',
  'BALLS',
  'Hp',
  'Problem',
  'Structure',
  'balanced_factors',
  'constrained_descent',
  'problem_of',
  'stationarity',
  'system',
]

BALLS = ('frobenius', 'nuclear')
ATTRIBUTES = {
  'error': {'long_name': '1 − cos(W, W^mm)', 'units': '1'},
  'distance': {'long_name': '‖W/‖W‖ − W^mm/‖W^mm‖‖', 'units': '1'},
  'stationarity': {'long_name': '1 + ⟨∇L, W⟩/(‖∇L‖°‖W‖)', 'units': '1'},
  'loss': {'long_name': 'mean loss of the margin', 'units': '1'},
  'optimal': {'long_name': 'samples on their best token', 'units': '1'},
  'size': {'long_name': '‖W‖/R', 'units': '1'},
  'feasible': {'long_name': 'the SVM has a solution', 'units': '1'},
}


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  radius: Float[ArrayLike, ''] = 100.0  # R
  eta: Float[ArrayLike, ''] = 0.3  # length of a step of W
  along: Float[ArrayLike, ''] = 1.0  # start at this share of R W^mm/‖W^mm‖


@dataclasses.dataclass(frozen=True)
class Structure:
  """Sizes, ball and loss: each of them compiles a program of its own.

  Raises:
    ValueError: If a size is out of range, or there is no such ball.
  """

  n: int = 4  # samples
  T: int = 5  # tokens of each
  d: int = 8  # dimension
  ball: str = 'frobenius'
  loss: Loss = losses.logistic
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name, low in (('n', 1), ('T', 2), ('d', 1)):
      value = getattr(self, name)
      if value < low:
        raise ValueError(f'{name} is {value}, expected an integer >= {low}')
    if self.ball not in BALLS:
      raise ValueError(
        f'ball is {self.ball!r}, expected one of {", ".join(BALLS)}'
      )


class Problem(NamedTuple):
  """An instance, and the solution that its path should tend to."""

  data: Instance
  W: Float[Array, 'd q']  # W^mm in the norm of the ball
  best: Any  # Int[Array, ' n']: optimal tokens
  feasible: Bool[Array, '']


def problem_of(data: Instance, ball: str) -> Problem:
  """An instance with the solution that its path should tend to.

  Args:
    data: The instance.
    ball: 'frobenius' or 'nuclear'.

  Returns:
    A `Problem`; W is NaN where the margins are infeasible.
  """
  best = optimal_tokens(data.gamma, data.mask)
  rows = margin_rows(data.X, data.Z, best, data.mask)
  solution = svm(rows, ball, queries=len(data.Z))
  return Problem(data, solution.W, best, solution.certificate.feasible)


def balanced_factors(
  W: Float[Array, 'd q'],
) -> tuple[Float[Array, 'd m'], Float[Array, 'q m']]:
  """K, Q of least ½(‖K‖² + ‖Q‖²) = ‖W‖_* with KQᵀ = W, m = min(d, q).

  >>> K, Q = balanced_factors(jnp.diag(jnp.array([4.0, 1.0])))
  >>> print((K @ Q.T).round(4), (0.5 * jnp.sum(K**2 + Q**2)).round(4))
  [[4. 0.]
   [0. 1.]] 5.0
  """
  U, s, Vt = linalg.svd(W)
  root = jnp.sqrt(s)[None]
  return U * root, Vt.T * root


def stationarity(
  G: Float[Array, 'd q'], W: Float[Array, 'd q'], ball: str
) -> Float[Array, '']:
  """1 − ⟨−G, W⟩ / (‖G‖° ‖W‖), in [0, 2]; 0 at the ends of the path.

  >>> print(stationarity(-jnp.eye(2), jnp.eye(2), 'nuclear').round(4))
  0.0
  """
  value, dual = norm_named(ball)
  size = value(W) * dual(G)
  return 1 + jnp.sum(G * W) / jnp.where(size > 0, size, 1)


def constrained_descent(
  W: Float[Array, 'd q'],
  data: Instance,
  radius: Float[ArrayLike, ''],
  eta: Float[ArrayLike, ''],
  steps: int,
  ball: str = 'frobenius',
  loss: Loss = losses.logistic,
) -> Float[Array, 'd q']:
  """Projected normalised descent on W within a ball of either norm.

      W ← Π(W − η ∇L/‖∇L‖_F)

  On the nuclear ball the projection is one of singular values, so this needs
  no factors: a check of the path of (K, Q).

  Args:
    W: Where to start.
    data: The instance.
    radius: R.
    eta: Length of a step.
    steps: How many.
    ball: 'frobenius' or 'nuclear'.
    loss: Of the margin.

  Returns:
    W after the steps.

  Raises:
    ValueError: If there is no such ball.

  >>> data = sphere(jax.random.key(0), 2, 3, 4)
  >>> W = constrained_descent(jnp.zeros((4, 4)), data, 5.0, 0.1, 99)
  >>> print(jnp.sqrt(jnp.sum(W**2)).round(3))
  5.0
  """
  if ball not in BALLS:
    raise ValueError(f'ball is {ball!r}, expected one of {", ".join(BALLS)}')
  project = project_frobenius if ball == 'frobenius' else project_nuclear

  def step(_, W):
    G = horizon.gradient(W, data.X, data.Z, data.gamma, loss, data.mask).tree
    return project(W - eta * _unit(G)['W'], radius)

  return jax.lax.fori_loop(0, steps, step, W)


def system(structure: Structure) -> System:
  """Projected descent on W, or on K and Q, within the ball of radius R.

  On K and Q the step is η/√R, which moves W by about η. The gradient is exact
  at every horizon and its length normalised.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`; the state is {'W'} or {'K', 'Q'}. Observations: error
    1 − cos(W, W^mm); distance of W/‖W‖ to W^mm/‖W^mm‖ in the norm of the ball;
    stationarity; loss; optimal, the share of samples whose largest
    attention is on the optimal token; size ‖W‖/R; feasible.
  """
  s, loss = structure, structure.loss
  value = norm_named(s.ball).value

  def sample(key: Key[Array, ''], hp: Hp) -> Problem:
    del hp
    data = sphere(key, s.n, s.T, s.d, s.dtype)
    return problem_of(data, s.ball)

  def init(key: Key[Array, ''], problem: Problem, hp: Hp) -> dict[str, Array]:
    length = hp.along * hp.radius
    W = problem.W * (length / value(problem.W))
    if s.ball == 'frobenius':
      return {'W': W.astype(s.dtype)}
    K, Q = balanced_factors(W)
    # K = Q = 0 is a saddle: leave it.
    noise = 1e-3 * draws.normal(key, (2, s.d, s.d), s.dtype)
    return _inside({'K': K + noise[0], 'Q': Q + noise[1]}, hp)

  def gradient(state, problem: Problem) -> horizon.ScaledGradient:
    data = problem.data
    at = (data.X, data.Z, data.gamma, loss, data.mask)
    if s.ball == 'frobenius':
      return horizon.gradient(state['W'], *at)
    return horizon.kq_gradient(state['K'], state['Q'], *at)

  def step(key, state, problem: Problem, hp: Hp):
    del key
    direction = _unit(gradient(state, problem).tree)
    length = jnp.asarray(hp.eta, s.dtype)
    if s.ball == 'nuclear':
      length = length / jnp.sqrt(jnp.asarray(hp.radius, s.dtype))
    moved = jax.tree.map(lambda x, g: x - length * g, state, direction)
    return _inside(moved, hp)

  def observe(state, problem: Problem, hp: Hp) -> dict[str, Array]:
    W = state['W'] if s.ball == 'frobenius' else state['K'] @ state['Q'].T
    data, target = problem.data, problem.W
    a = logits(W, data.X, data.Z, data.mask)
    found = horizon.gradient(W, data.X, data.Z, data.gamma, loss, data.mask)
    size = value(W)
    unit = W / jnp.where(size > 0, size, 1)
    return {
      'error': 1 - cosine(W, target),
      'distance': value(unit - target / value(target)),
      'stationarity': stationarity(found.tree['W'], W, s.ball),
      'loss': found.loss,
      'optimal': jnp.mean(jnp.argmax(a, -1) == problem.best, dtype=s.dtype),
      'size': size / hp.radius,
      'feasible': problem.feasible.astype(s.dtype),
    }

  return System(sample, init, step, observe)


def _unit(tree: dict[str, Array]) -> dict[str, Array]:
  """A gradient over its norm, all matrices together; 0 stays."""
  size = jnp.sqrt(sum(jnp.sum(g**2) for g in tree.values()))
  return {k: g / jnp.where(size > 0, size, 1) for k, g in tree.items()}


def _inside(params: dict[str, Array], hp: Hp) -> dict[str, Array]:
  """‖W‖_F ≤ R, or ‖K‖² + ‖Q‖² ≤ 2R."""
  if 'W' in params:
    return {'W': project_frobenius(params['W'], hp.radius)}
  both = jnp.concatenate([params['K'], params['Q']])
  limit = jnp.sqrt(jnp.asarray(2 * hp.radius, both.dtype))
  K, Q = jnp.split(project_frobenius(both, limit), [len(params['K'])])
  return {'K': K, 'Q': Q}
