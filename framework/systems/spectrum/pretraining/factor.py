"""Pretrain on unlabelled data, then fit few labels: the factor model.

    x = Az + e,  z ~ N(0, I_r),  e ~ N(0, s² I_d),  y = z·w + τξ,  |w| = 1,

A of orthogonal columns of length `signal`. The first phase finds the subspace
of A from m unlabelled inputs, by PCA without centring, which is its maximum
likelihood; the second fits the labels by least squares in it. Without the first
there is the least-norm regression on all d coordinates. For a linear predictor
β the risk on the clean target is exact,

    E(β·x − z·w)² = |w − Aᵀβ|² + s²|β|².

Known the subspace, its mean over draws is v + (v + τ²) r/(n−r−1), with
v = s²/(signal² + s²); what PCA adds to it falls as 1/m. If the label depends on
a direction that has no more variance than others, pretraining does not help:
the subspace is not informative.

*Deviation*: the risk is on the clean target: label noise is not in it.

References:
  Ge, Tang, Fan, Jin, "On the Provable Advantage of Unsupervised
  Pretraining", 2023.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.checks import check_sizes
from framework.maths import draws, linalg
from framework.system import System

__all__ = [
  'ATTRIBUTES',
  'Data',
  'Hp',
  'Model',
  'Structure',
  'factor',
  'factor_data',
  'factor_model',
  'in_subspace',
  'least_norm',
  'oracle_risk',
  'principal',
  'risk',
]

ATTRIBUTES = {
  'pretrained': {'long_name': 'risk in the subspace of PCA', 'units': '1'},
  'oracle': {'long_name': 'risk in the true subspace', 'units': '1'},
  'supervised': {'long_name': 'risk of the least-norm fit', 'units': '1'},
  'uninformative': {
    'long_name': 'risk where the label is off the subspace',
    'units': '1',
  },
}


class Model(NamedTuple):
  """A factor model."""

  A: Float[Array, 'd r']  # orthogonal columns of length `signal`
  w: Float[Array, ' r']  # of norm 1
  s: Float[Array, '']  # deviation of the inputs' noise


class Data(NamedTuple):
  """Labelled data."""

  x: Float[Array, 'n d']
  y: Float[Array, ' n']


def factor_model(
  key: Key[Array, ''],
  d: int,
  r: int,
  signal: Float[ArrayLike, ''] = 3.0,
  noise: Float[ArrayLike, ''] = 1.0,
  dtype: Any = None,
) -> Model:
  """A model with a subspace and a target direction drawn uniformly.

  Args:
    key: Of the draw.
    d: Coordinates.
    r: Factors, at most d.
    signal: Length of the columns of A.
    noise: s.
    dtype: Of the arrays.

  Returns:
    The model.
  """
  dtype = jnp.dtype(dtype or jnp.result_type(float))
  subspace, target = jax.random.split(key)
  U, _ = linalg.qr(draws.normal(subspace, (d, r), dtype))
  w = draws.normal(target, (r,), dtype)
  return Model(
    jnp.asarray(signal, dtype) * U,
    w / jnp.linalg.norm(w),
    jnp.asarray(noise, dtype),
  )


def factor_data(
  key: Key[Array, ''],
  model: Model,
  n: int,
  label_noise: Float[ArrayLike, ''] = 0.1,
) -> Data:
  """Inputs of a model, and their noisy labels.

  Args:
    key: Of the draw.
    model: The model.
    n: How many.
    label_noise: τ.

  Returns:
    The data.
  """
  factors, inputs, labels = jax.random.split(key, 3)
  d, r = model.A.shape
  dtype = model.A.dtype
  z = draws.normal(factors, (n, r), dtype)
  x = z @ model.A.T + model.s * draws.normal(inputs, (n, d), dtype)
  xi = draws.normal(labels, (n,), dtype)
  return Data(x, z @ model.w + jnp.asarray(label_noise, dtype) * xi)


def principal(moment: Float[Array, 'd d'], r: int) -> Float[Array, 'd r']:
  """The top r directions of a second moment Σ x xᵀ.

  >>> print(abs(principal(jnp.diag(jnp.array([1.0, 3.0])), 1)).T)
  [[0. 1.]]
  """
  return linalg.eigh(moment)[1][:, -r:]


def least_norm(data: Data) -> Float[Array, ' d']:
  """The interpolating linear fit of least norm, Xᵀ(XXᵀ)⁻¹y, n <= d.

  >>> print(least_norm(Data(jnp.array([[2.0, 0.0]]), jnp.array([1.0]))))
  [0.5 0. ]
  """
  dual = linalg.solve_spd(data.x @ data.x.T, data.y[:, None])[:, 0]
  return data.x.T @ dual


def in_subspace(data: Data, P: Float[Array, 'd r']) -> Float[Array, ' d']:
  """The least-squares fit in a subspace, P (XP)⁺ y.

  Args:
    data: Labelled data, n >= r.
    P: Orthonormal columns.

  Returns:
    β.
  """
  seen = data.x @ P
  dual = linalg.solve_spd(seen.T @ seen, (seen.T @ data.y)[:, None])
  return P @ dual[:, 0]


def risk(model: Model, beta: Float[Array, ' d']) -> Float[Array, '']:
  """|w − Aᵀβ|² + s²|β|².

  >>> one = Model(jnp.ones((1, 1)), jnp.ones(1), jnp.array(1.0))
  >>> print(risk(one, jnp.array([0.5])))
  0.5
  """
  off = model.w - model.A.T @ beta
  return jnp.sum(off**2) + model.s**2 * jnp.sum(beta**2)


def oracle_risk(
  r: int, n: int, signal: float, noise: float, label_noise: float
) -> float:
  """The mean risk in the true subspace, v + (v + τ²) r/(n−r−1).

  Args:
    r: Factors.
    n: Labels, more than r + 1.
    signal: Length of the columns of A.
    noise: s.
    label_noise: τ.

  Returns:
    The mean over draws of the data.

  >>> round(oracle_risk(3, 40, 3.0, 1.0, 0.1), 7)
  0.1091667
  """
  v = noise**2 / (signal**2 + noise**2)
  return v + (v + label_noise**2) * r / (n - r - 1)


class Hp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  signal: Float[ArrayLike, ''] = 3.0
  noise: Float[ArrayLike, ''] = 1.0  # s
  label_noise: Float[ArrayLike, ''] = 0.1  # τ


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: sizes.

  Raises:
    ValueError: If n is not above r + 1, or r not below d.
  """

  d: int = 100
  r: int = 3
  n: int = 40  # labelled
  batch: int = 20  # unlabelled inputs that a step sees
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be fitted."""
    check_sizes(d=self.d, r=self.r, n=self.n, batch=self.batch)
    if not self.r < self.d:
      raise ValueError(f'r is {self.r}, expected r < d = {self.d}')
    if not self.r + 1 < self.n <= self.d:
      raise ValueError(
        f'n is {self.n}, expected r + 1 = {self.r + 1} < n <= d = {self.d}'
      )


class State(NamedTuple):
  """The second moment of the unlabelled inputs so far."""

  moment: Float[Array, 'd d']
  seen: Int[Array, '']


class _Problem(NamedTuple):
  model: Model
  data: Data
  off: Data  # labels along a direction with no more variance than noise
  direction: Array


def factor(structure: Structure) -> System:
  """Unlabelled data arrive: PCA of them, then least squares.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`; at time t there are m = t·batch unlabelled inputs.

  >>> from framework import rollout
  >>> s = Structure(d=20, r=2, n=10, dtype=jnp.float32)
  >>> hp = jax.tree.map(jnp.float32, Hp())
  >>> run = jax.jit(rollout, static_argnums=0)
  >>> seen = run(factor(s), jax.random.key(0), hp, jnp.array([0, 50]))[1]
  >>> bool(seen['pretrained'][1] < seen['supervised'][1])
  True
  """
  s, dtype = structure, jnp.dtype(structure.dtype)

  def sample(key, hp):
    models, labelled, other, off = jax.random.split(key, 4)
    model = factor_model(models, s.d, s.r, hp.signal, hp.noise, dtype)
    data = factor_data(labelled, model, s.n, hp.label_noise)
    raw = draws.normal(other, (s.d,), dtype)
    U = _directions(model)
    raw = raw - U @ (U.T @ raw)
    direction = raw / jnp.linalg.norm(raw)
    xi = draws.normal(off, (s.n,), dtype)
    labels = data.x @ direction + jnp.asarray(hp.label_noise, dtype) * xi
    return _Problem(model, data, Data(data.x, labels), direction)

  def init(key, problem, hp):
    del key, problem, hp
    return State(jnp.zeros((s.d, s.d), dtype), jnp.zeros((), jnp.int32))

  def step(key, state, problem, hp):
    x = factor_data(key, problem.model, s.batch, hp.label_noise).x
    return State(state.moment + x.T @ x, state.seen + s.batch)

  def observe(state, problem, hp):
    model, data, off, direction = problem
    # Before there is any: directions of coordinates.
    ladder = jnp.arange(s.d, dtype=dtype) / s.d
    P = principal(
      state.moment + jnp.where(state.seen == 0, 1, 0) * jnp.diag(ladder), s.r
    )
    beta = in_subspace(off, P)
    missed = direction - beta
    return {
      'pretrained': risk(model, in_subspace(data, P)),
      'oracle': risk(model, in_subspace(data, _directions(model))),
      'supervised': risk(model, least_norm(data)),
      # E((β − u)·x)², of inputs with the covariance AAᵀ + s² I.
      'uninformative': jnp.sum((model.A.T @ missed) ** 2)
      + model.s**2 * jnp.sum(missed**2),
    }

  return System(sample, init, step, observe)


def _directions(model: Model) -> Float[Array, 'd r']:
  """Orthonormal columns of A.

  Not A over its scale: a compiler that knows the scale multiplies with what it
  rounds its inverse to, and one that does not divides.
  """
  return model.A / jnp.linalg.norm(model.A, axis=0, keepdims=True)
