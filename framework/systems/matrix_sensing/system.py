"""Gradient descent on factored matrices, as a `System`.

Symmetric (k columns, n1 = n2 = n):

    L(X) = ¼ ‖A(XXᵀ) − y‖²,      X⁺ = X − η D X,
    D = A*(A(XXᵀ) − y)

Asymmetric, both factors at once:

    L(F, G) = ½ ‖A(FGᵀ) − y‖²,   F⁺ = F − η D G,   G⁺ = G − η Dᵀ F

Start: F_0 = αF̃, G_0 = ραG̃ with entries of F̃, G̃ from N(0, 1/n), so singular
values are about α, or another of `starts`. At population A*A is the identity.
The gradient is in closed form: it needs A*A alone, which a Gram operator
applies with one product. Other losses of the residual and other update rules
are functions in the `Structure`.

*Deviation*: the variance 1/n of the start is not stated where [1] could be
read; α and α/3 are.

References:
  [1] Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
      Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.descent import descent, offer
from framework.system import System
from framework.systems.matrix_sensing import (
  ensembles,
  observations,
  operators,
  starts,
)
from framework.systems.matrix_sensing.observations import factors
from framework.systems.matrix_sensing.problem import (
  Loss,
  Problem,
  Slope,
  in_units,
  least_squares,
  residuals,
)

__all__ = ['Hp', 'Structure', 'system', 'value_and_grad']


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane.

  The system itself reads eta, alpha, ratio, tied, k and kappa; the others are
  for the rules and the noise of a `Structure` that ask for them.
  """

  eta: Float[ArrayLike, ''] = 0.2  # step size η
  alpha: Float[ArrayLike, ''] = 0.3  # scale of F_0
  ratio: Float[ArrayLike, ''] = 1 / 3  # ρ: scale of G_0 over that of F_0
  tied: Float[ArrayLike, ''] = 0.0  # 1: G_0 = F_0; square M only
  k: Int[ArrayLike, ''] = 5  # columns; those beyond are zero and stay so
  kappa: Float[ArrayLike, ''] = 2.0  # σ_1/σ_r of the truth
  beta2: Float[ArrayLike, ''] = 1.0  # β² of the balancing step over σ_r
  trigger: Float[ArrayLike, ''] = 1e-3  # relative loss to balance at
  damping: Float[ArrayLike, ''] = 1e-3  # λ of ScaledGD(λ)
  loss_damping: Float[ArrayLike, ''] = 1.0  # c of PrecGD
  outliers: Float[ArrayLike, ''] = 0.0  # fraction of spoilt measurements


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part of the system: sizes, and choices as functions.

  The rule `optimizer` is an optax transformation, a function of hp that makes
  one, or a function of a learning rate such as `optax.adam`, which gets hp.eta.
  Rules that ask for them are given `value` (the loss), `relative_loss`
  (2L/‖y‖²; 4L/‖y‖² for XXᵀ) and `sigma_r` of the truth; where the residuals
  are formed also `residuals` e = √m z, `slope` ‖D‖_F, and `lowest`, the loss
  of the truth.

  Measurements are rows drawn as `symmetric_ensemble` says and stored by
  `operator`, or whatever operator `measure` draws. An hp with a field `m` uses
  the first so many of them.

  Raises:
    ValueError: If a size is out of range, or two choices do not go together.

  >>> Structure(symmetric=False, optimizer=optax.adam).symmetric_truth
  False
  """

  n1: int = 30
  n2: int = 30
  r: int = 3
  k_max: int = 5
  m: int | None = None  # measurements; None: population, A*A = identity
  symmetric: bool = True  # XXᵀ, or FGᵀ
  symmetric_truth: bool | None = None  # M = UΣUᵀ, or UΣVᵀ; None: as the factors
  symmetric_ensemble: bool | None = None  # A_i = A_iᵀ; None: as the factors
  operator: Callable[..., Any] = operators.gram  # a form, of m measurements
  # (key, m, shape, symmetric, dtype) -> operator; None: Gaussian rows
  measure: Callable[..., Any] | None = None
  optimizer: Any = optax.sgd
  loss: Loss = least_squares
  spectrum: Callable[..., Array] = ensembles.linear_spectrum  # (r, kappa) -> σ
  # (key, m, hp, dtype) -> s; may ask for `clean`, A(M)
  noise: Callable[..., Array] | None = None
  # (key, problem, k_max, symmetric) -> (F̃, G̃)
  start: Callable[..., tuple[Array, Array]] = starts.gaussian
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name in ('symmetric_truth', 'symmetric_ensemble'):
      if getattr(self, name) is None:
        object.__setattr__(self, name, self.symmetric)
    small = min(self.n1, self.n2)
    for name, value in (('r', self.r), ('k_max', self.k_max)):
      if not 1 <= value <= small:
        raise ValueError(f'{name} is {value}, expected 1 <= {name} <= {small}')
    if self.m is not None and self.m < 1:
      raise ValueError(f'm is {self.m}, expected an integer >= 1')
    if self.symmetric and not (self.n1 == self.n2 and self.symmetric_truth):
      raise ValueError('XXᵀ needs a square symmetric truth; choose FGᵀ')
    if not self.symmetric and self.symmetric_ensemble and self.m:
      raise ValueError(
        'symmetric A_i cannot see the skew part of FGᵀ; choose general A_i'
      )
    for name in ('operator', 'loss', 'spectrum', 'start'):
      if not callable(getattr(self, name)):
        raise ValueError(f'{name} is {getattr(self, name)!r}, not a function')
    rule = self.optimizer
    if not (callable(rule) or isinstance(rule, optax.GradientTransformation)):
      raise ValueError(
        f'optimizer is {rule!r}, expected an optax rule, hp -> rule or '
        'learning rate -> rule'
      )
    form = self.operator
    if form is operators.svec and self.m and not self.symmetric_ensemble:
      raise ValueError('svec packs symmetric A_i; take dense for general A_i')
    if self.loss is not least_squares and not self.kept:
      what = 'a gram operator' if self.m else 'the population'
      raise ValueError(f'loss is of the residuals, of which {what} has none')

  @property
  def kept(self) -> bool:
    """Whether the operator keeps its measurements, so that residuals exist."""
    return self.m is not None and (
      self.measure is not None
      or self.operator not in (operators.gram, operators.gram_single)
    )


def system(structure: Structure) -> System:
  """Gradient descent for matrix sensing.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`, or whatever has its fields that are read; its `sample`
    takes the `Truth` as data when own data is the ground truth, or a whole
    `Problem` when the measurements are. What it records is in `observations`.

  >>> import jax, jax.numpy as jnp
  >>> from framework import rollout
  >>> gd = system(Structure(n1=8, n2=8, r=1, k_max=2, dtype=jnp.float32))
  >>> run = jax.jit(lambda hp: rollout(
  ...   gd, jax.random.key(0), hp, jnp.array([0, 500])))
  >>> _, records = run(Hp(eta=0.2, alpha=0.3, k=1, kappa=1.0))
  >>> bool(records['squared_error'][1] < 1e-9)
  True
  """

  def offered(value, problem, hp, params, aux) -> dict[str, Array]:
    del hp
    times = 4 if structure.symmetric else 2
    extra = {'relative_loss': times * value / problem.y_energy}
    if problem.truth is not None:
      extra['sigma_r'] = problem.truth.s[-1]
    if structure.loss is not least_squares:
      # The compiler drops what the rule does not take.
      extra |= _of_residuals(structure, problem, params, aux)
    return extra

  def loss(params, problem, hp=None):
    del hp
    slope = structure.loss(problem, *factors(params))
    value, grads = _of_params(slope, params)
    return (value, slope), grads

  gd = descent(
    lambda key, problem, hp: _start(structure, key, problem, hp),
    None,
    lambda hp: _rule(structure.optimizer, hp),
    value_and_grad=loss,
    extra_args=offered,
  )

  def sample(key, hp, data=None):
    if isinstance(data, Problem):
      return data
    return _sample(structure, key, hp, data)

  def observe(state, problem, hp):
    (value, _), _ = loss(state.params, problem, hp)
    seen = observations.observe(state, problem, value)
    if structure.loss is not least_squares:
      seen |= observations.of_residuals(state, problem)
    return seen

  return System(sample, gd.init, gd.step, observe)


def _rule(optimizer: Any, hp: Any) -> optax.GradientTransformation:
  if isinstance(optimizer, optax.GradientTransformation):
    return optimizer
  first = next(iter(inspect.signature(optimizer).parameters), '')
  return optimizer(hp.eta if first == 'learning_rate' else hp)


def _of_residuals(
  structure: Structure,
  problem: Problem,
  params: dict[str, Array],
  slope: Slope,
) -> dict[str, Array]:
  """Extra arguments for rules of the sub-gradient method."""
  z = slope.residuals
  if z is None:
    z = residuals(problem, *factors(params))
  extra = {'residuals': in_units(problem, z)}
  if slope.weights is not None:
    D = problem.operator.adjoint(slope.weights)
    extra['slope'] = jnp.sqrt(jnp.sum(D**2))
  if problem.truth is not None:
    U, s, V = problem.truth
    F, G = U * jnp.sqrt(s)[None, :], V * jnp.sqrt(s)[None, :]
    lowest = structure.loss(problem, F, F if structure.symmetric else G).value
    extra['lowest'] = lowest / 2 if structure.symmetric else lowest
  return extra


def _sample(
  structure: Structure,
  key: Key[Array, ''],
  hp: Any,
  truth: ensembles.Truth | None,
) -> Problem:
  """Draws truth, operator and noise."""
  s = structure
  key_truth, key_operator, key_noise = jax.random.split(key, 3)
  if truth is None:
    sigma = s.spectrum(s.r, hp.kappa)
    truth = ensembles.low_rank(
      key_truth, s.n1, s.n2, sigma.astype(s.dtype), bool(s.symmetric_truth)
    )
  truth = jax.tree.map(lambda x: x.astype(s.dtype), truth)
  M = ensembles.matrix(truth)
  if s.m is None:
    op = operators.Identity((s.n1, s.n2))
    return Problem(op, truth, M, jnp.sum(truth.s**2))
  used = jnp.arange(s.m) < hp.m if hasattr(hp, 'm') else None
  if s.measure is not None:
    measure = op = s.measure(
      key_operator, s.m, (s.n1, s.n2), s.symmetric_ensemble, s.dtype
    )
    y = op.forward_factors(truth.U * truth.s[None, :], truth.V)
  elif s.symmetric_ensemble:
    A = ensembles.symmetric_gaussian(key_operator, s.m, s.n1, s.dtype)
    measure = operators.svec(A, (s.n1, s.n2), True)
    op, y = s.operator(A, (s.n1, s.n2), True), measure.forward(M)
  else:
    A = ensembles.gaussian(key_operator, s.m, s.n1, s.n2, s.dtype)
    measure = operators.dense(A, (s.n1, s.n2), False)
    op, y = s.operator(A, (s.n1, s.n2), False), measure.forward(M)
  if s.noise is None:
    noise = jnp.zeros_like(y)
  else:
    noise = offer(s.noise, {'clean': y}, 4)(key_noise, s.m, hp, s.dtype)
  if s.measure is not None:
    y = y + noise
    return Problem(op, truth, M, jnp.sum(y**2), y=y, used=used)
  if s.noise is None:
    return Problem(op, truth, M, jnp.sum(y**2), used=used)
  return Problem(
    op,
    truth,
    M,
    jnp.sum((y + noise) ** 2),
    measure.adjoint(noise),
    jnp.sum(noise**2),
    noise,
    used=used,
  )


def _start(
  structure: Structure, key: Key[Array, ''], problem: Problem, hp: Any
):
  """F_0 = αF̃, G_0 = ραG̃ (or F_0 when tied); columns beyond k are zero."""
  s = structure
  F, G = s.start(key, problem, s.k_max, s.symmetric)

  def scaled(alpha, start):
    start = start.astype(s.dtype)
    start = jnp.where(jnp.arange(s.k_max)[None, :] < hp.k, start, 0.0)
    return jnp.asarray(alpha, s.dtype) * start

  F = scaled(hp.alpha, F)
  if s.symmetric:
    return {'X': F}
  G = scaled(hp.alpha * hp.ratio, G)
  if s.n1 == s.n2:
    tied = jnp.asarray(hp.tied, s.dtype)
    G = tied * F + (1 - tied) * G
  return {'F': F, 'G': G}


def value_and_grad(
  params: dict[str, Array], problem: Problem, loss: Loss = least_squares
) -> tuple[Float[Array, ''], dict[str, Array]]:
  """The loss and its gradient in closed form.

      ∇_F L = D G,  ∇_G L = Dᵀ F,  ∇_X L = ½(D + Dᵀ) X,  D = A*(A(FGᵀ) − y)

  Args:
    params: {'X'} or {'F', 'G'}.
    problem: Operator, truth and noise.
    loss: Of the residual; L is half of it for XXᵀ.

  Returns:
    (L, gradient with the structure of params).
  """
  return _of_params(loss(problem, *factors(params)), params)


def _of_params(
  slope: Slope, params: dict[str, Array]
) -> tuple[Float[Array, ''], dict[str, Array]]:
  if 'X' in params:
    return slope.value / 2, {'X': (slope.F + slope.G) / 2}
  return slope.value, {'F': slope.F, 'G': slope.G}
