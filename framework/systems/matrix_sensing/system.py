"""Gradient descent on factored matrices, as a `System`.

Symmetric (k columns, n1 = n2 = n):

    L(X) = ¼ ‖A(XXᵀ) − y‖²,      X⁺ = X − η D X,
    D = A*(A(XXᵀ) − y)

Asymmetric, both factors at once:

    L(F, G) = ½ ‖A(FGᵀ) − y‖²,   F⁺ = F − η D G,   G⁺ = G − η Dᵀ F

Start: F_0 = αF̃, G_0 = ραG̃ with entries of F̃, G̃ from N(0, 1/n), so singular
values are about α. At population A*A is the identity. The gradient is in closed
form: it needs A*A alone, which a Gram operator applies with one product.

*Deviation*: the variance 1/n of the start is not stated where [1] could be
read; α and α/3 are.

References:
  [1] Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
      Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int, Key, PyTree

from framework.descent import descent
from framework.maths import linalg
from framework.system import System
from framework.systems.matrix_sensing import (
  ensembles,
  operators,
  optimizers,
  probes,
)

__all__ = [
  'Hp',
  'Problem',
  'Structure',
  'factors',
  'final',
  'system',
  'value_and_grad',
]


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

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
  """What is fixed in the compiled program.

  Raises:
    ValueError: If a size or a name is out of range, naming it.
  """

  n1: int = 30
  n2: int = 30
  r: int = 3
  k_max: int = 5
  m: int | None = None  # measurements; None: population, A*A = identity
  symmetric: bool = True  # XXᵀ, or FGᵀ
  symmetric_truth: bool = True  # M = UΣUᵀ, or UΣVᵀ
  symmetric_ensemble: bool = True  # A_i = A_iᵀ
  operator: str = 'gram'  # kind of `operators`, for m measurements
  optimizer: str = 'gd'  # or 'balanced', 'scaled_gd', 'precgd'
  spectrum: str = 'linear'
  noisy: bool = False  # whether hp.outliers is looked at
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
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
    for name, known in _NAMES.items():
      value = getattr(self, name)
      if value not in known:
        raise ValueError(f'{name} is {value!r}, expected one of {list(known)}')
    if self.operator == 'svec' and self.m and not self.symmetric_ensemble:
      raise ValueError('svec packs symmetric A_i; choose dense for general A_i')
    if self.optimizer == 'balanced' and self.symmetric:
      raise ValueError('balancing re-gauges F and G: it needs FGᵀ, not XXᵀ')


class Problem(NamedTuple):
  """What is fixed over time."""

  operator: Any
  truth: ensembles.Truth
  M: Float[Array, 'n1 n2']
  y_energy: Float[Array, '']  # ‖y‖²
  noise_adjoint: Float[Array, 'n1 n2'] | None  # A*(s) of the noise s
  noise_energy: Float[Array, ''] | None  # ‖s‖²


_RULES = {
  'gd': lambda hp, sigma_r: optax.sgd(hp.eta),
  'balanced': lambda hp, sigma_r: optimizers.balance_once(
    optax.sgd(hp.eta), hp.beta2 * sigma_r, hp.trigger
  ),
  'scaled_gd': lambda hp, sigma_r: optimizers.scaled_gd(hp.eta, hp.damping),
  'precgd': lambda hp, sigma_r: optimizers.precgd(hp.eta, hp.loss_damping),
}


# Most parameters for which JᵀJ is formed and diagonalised at the last step: at
# 600 that takes about a tenth of a second a lane.
_DENSE = 600


_NAMES = {
  'operator': ('dense', 'svec', 'gram', 'blocks'),
  'optimizer': tuple(_RULES),
  'spectrum': ('linear', 'geometric'),
}


def factors(
  params: dict[str, Array],
) -> tuple[Float[Array, 'n1 k'], Float[Array, 'n2 k']]:
  """(F, G) of either parametrisation; (X, X) of the symmetric one."""
  return (params['X'],) * 2 if 'X' in params else (params['F'], params['G'])


def system(structure: Structure) -> System:
  """Gradient descent for matrix sensing.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`; its `sample` takes the `Truth` as data when own data
    is the ground truth. Observations: squared_error ‖FGᵀ − M‖_F², loss,
    signal / cross / residual (norms of the blocks of the error in the truth's
    basis), singular_values of FGᵀ, effective_rank; asymmetric also
    imbalance_min and imbalance_max, the edges of the spectrum of FᵀF − GᵀG.

  >>> import jax, jax.numpy as jnp
  >>> from framework import rollout
  >>> gd = system(Structure(n1=8, n2=8, r=1, k_max=2, dtype=jnp.float32))
  >>> run = jax.jit(lambda hp: rollout(
  ...   gd, jax.random.key(0), hp, jnp.array([0, 500])))
  >>> _, records = run(Hp(eta=0.2, alpha=0.3, k=1, kappa=1.0))
  >>> bool(records['squared_error'][1] < 1e-9)
  True
  """
  rule = _RULES[structure.optimizer]

  def optimizer(hp: Hp) -> optax.GradientTransformation:
    # Not 1/κ: at r = 1 there is one singular value, 1.
    sigma = ensembles.spectrum(structure.r, hp.kappa, structure.spectrum)
    return rule(hp, sigma[-1].astype(structure.dtype))

  def relative(value, problem, hp) -> dict[str, Array]:
    del hp
    times = 4 if structure.symmetric else 2
    return {'relative_loss': times * value / problem.y_energy}

  gd = descent(
    lambda key, problem, hp: _start(structure, key, hp),
    None,
    optimizer,
    value_and_grad=lambda p, problem, hp: value_and_grad(p, problem),
    extra_args=relative,
  )

  def sample(key, hp, truth=None):
    return _sample(structure, key, hp, truth)

  def observe(state, problem, hp):
    return _observe(structure, state, problem, hp)

  return System(sample, gd.init, gd.step, observe)


def _sample(
  structure: Structure,
  key: Key[Array, ''],
  hp: Hp,
  truth: ensembles.Truth | None,
) -> Problem:
  """Draws truth, operator and noise."""
  s = structure
  key_truth, key_operator, key_noise = jax.random.split(key, 3)
  if truth is None:
    sigma = ensembles.spectrum(s.r, hp.kappa, s.spectrum)
    truth = ensembles.low_rank(
      key_truth, s.n1, s.n2, sigma.astype(s.dtype), s.symmetric_truth
    )
  truth = jax.tree.map(lambda x: x.astype(s.dtype), truth)
  M = ensembles.matrix(truth)
  if s.m is None:
    energy = jnp.sum(truth.s**2)
    op = operators.Identity((s.n1, s.n2))
    return Problem(op, truth, M, energy, None, None)
  if s.symmetric_ensemble:
    A = ensembles.symmetric_gaussian(key_operator, s.m, s.n1, s.dtype)
  else:
    A = ensembles.gaussian(key_operator, s.m, s.n1, s.n2, s.dtype)
  measure = operators.build(
    'svec' if s.symmetric_ensemble else 'dense', A, (s.n1, s.n2)
  )
  op = operators.build(
    s.operator, A, (s.n1, s.n2), symmetric=s.symmetric_ensemble
  )
  y = measure.forward(M)
  if not s.noisy:
    return Problem(op, truth, M, jnp.sum(y**2), None, None)
  spoilt = jax.random.bernoulli(key_noise, hp.outliers, (s.m,))
  size = jax.random.normal(jax.random.fold_in(key_noise, 1), (s.m,), s.dtype)
  # In units where A_i has unit variance the outliers have standard deviation
  # 10; here everything is divided by √m.
  noise = jnp.where(spoilt, 10 * size / jnp.sqrt(s.m), 0.0)
  return Problem(
    op,
    truth,
    M,
    jnp.sum((y + noise) ** 2),
    measure.adjoint(noise),
    jnp.sum(noise**2),
  )


def _start(structure: Structure, key: Key[Array, ''], hp: Hp):
  """F_0 = αF̃, G_0 = ραG̃ (or F_0 when tied); columns beyond k are zero."""
  s = structure
  key_f, key_g = jax.random.split(key)

  def gaussian(key, n):
    # Drawn column by column, so that column j does not depend on k_max.
    draw = jax.random.normal(key, (s.k_max, n), s.dtype).T / n**0.5
    return jnp.where(jnp.arange(s.k_max)[None, :] < hp.k, draw, 0.0)

  F = jnp.asarray(hp.alpha, s.dtype) * gaussian(key_f, s.n1)
  if s.symmetric:
    return {'X': F}
  alpha_g = jnp.asarray(hp.alpha * hp.ratio, s.dtype)
  G = alpha_g * gaussian(key_g, s.n2)
  if s.n1 == s.n2:
    tied = jnp.asarray(hp.tied, s.dtype)
    G = tied * F + (1 - tied) * G
  return {'F': F, 'G': G}


def value_and_grad(
  params: dict[str, Array], problem: Problem
) -> tuple[Float[Array, ''], dict[str, Array]]:
  """The loss and its gradient in closed form.

      ∇_F L = D G,  ∇_G L = Dᵀ F,  ∇_X L = ½(D + Dᵀ) X,  D = A*(A(FGᵀ) − y)

  Args:
    params: {'X'} or {'F', 'G'}.
    problem: Operator, truth and noise.

  Returns:
    (L, gradient with the structure of params).
  """
  F, G = factors(params)
  symmetric = 'X' in params
  energy, DG, DtF = problem.operator.residual(F, G, problem.truth)
  Q, noise = problem.noise_adjoint, problem.noise_energy
  if Q is not None and noise is not None:  # y = A(M) + s, Q = A*(s)
    DG, DtF = DG - Q @ G, DtF - Q.T @ F
    energy += noise - 2 * jnp.vdot(F @ G.T - problem.M, Q)
  if symmetric:
    return energy / 4, {'X': (DG + DtF) / 2}
  return energy / 2, {'F': DG, 'G': DtF}


def _observe(structure: Structure, state, problem: Problem, hp: Hp):
  """What a person wants to see of one state."""
  del hp
  F, G = factors(state.params)
  loss, _ = value_and_grad(state.params, problem)
  singular = probes.singular_values(F, G)
  blocks = probes.error_blocks(F, G, problem.truth)
  seen = {
    'squared_error': probes.squared_error(F, G, problem.truth),
    'loss': loss,
    'signal': blocks.signal,
    'cross': jnp.sqrt((blocks.left**2 + blocks.right**2) / 2),
    'residual': blocks.residual,
    'singular_values': singular,
    'effective_rank': probes.effective_rank(singular),
  }
  if not structure.symmetric:
    edges = linalg.eigvalsh(probes.imbalance(F, G))
    seen |= {'imbalance_min': edges[0], 'imbalance_max': edges[-1]}
  if structure.optimizer == 'balanced':
    seen['balanced_at'] = state.opt_state.balanced_at
  return seen


def final(structure: Structure):
  """What is observed once, at the last step: the linearisation there.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    (state, problem, hp) -> {'sigma_r': σ_r of the truth, up to 600 parameters
    'ntk_min': λ⁺_min(JᵀJ) and 'ntk_max': λ_max(JᵀJ), and for FGᵀ
    'noise_eigenvalue': λ_min(FᵀF), at which the noise rows of G die}.
  """
  s = structure

  def observe(state: PyTree, problem: Problem, hp: Hp) -> dict[str, Array]:
    F, G = factors(state.params)
    parameters = F.size if s.symmetric else F.size + G.size
    seen = {'sigma_r': problem.truth.s[-1]}
    if not s.symmetric:
      seen['noise_eigenvalue'] = probes.noise_eigenvalue(F, hp.k)
    if parameters > _DENSE:
      return seen
    kernel = probes.ntk(F, G, problem.operator, s.symmetric)
    zeros = probes.structural_zeros(
      s.n1, s.n2, hp.k, s.r, s.symmetric, k_max=s.k_max
    )
    lowest, highest = probes.ntk_edges(kernel, zeros)
    return seen | {'ntk_min': lowest, 'ntk_max': highest}

  return observe
