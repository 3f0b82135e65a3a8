"""Stochastic gradient descent on FGᵀ: fresh measurements at every step.

    D_t = (1/b) Σ_i (<A_i, FGᵀ> − y_i) A_i,   y_i = <A_i, M> + ν ξ_i,
    F⁺ = F − η D_t G,   G⁺ = G − η D_tᵀ F

A_i has independent entries N(0, 1). Full gradients conserve the imbalance
Δ = FᵀF − GᵀG up to their own size, which vanishes; those of noisy measurements
do not vanish, and balance the factors.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import ArrayLike, Float, Int

from framework.descent import descent
from framework.maths import draws
from framework.system import System
from framework.systems.matrix_sensing import ensembles, probes

__all__ = ['StreamingHp', 'StreamingStructure', 'streaming']


class StreamingHp(NamedTuple):
  """Hyperparameters: traced scalars."""

  eta: Float[ArrayLike, ''] = 0.1
  alpha: Float[ArrayLike, ''] = 1.0  # scale of F_0
  ratio: Float[ArrayLike, ''] = 0.1  # scale of G_0 over that of F_0
  noise: Float[ArrayLike, ''] = 0.5  # ν
  kappa: Float[ArrayLike, ''] = 2.0
  k: Int[ArrayLike, ''] = 4  # columns; those beyond are zero and stay so


@dataclasses.dataclass(frozen=True)
class StreamingStructure:
  """The static part.

  Raises:
    ValueError: If a size is out of range.
  """

  n: int = 10
  r: int = 2
  k_max: int = 4
  batch: int = 20  # b: measurements a step
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name in ('r', 'k_max'):
      if not 1 <= getattr(self, name) <= self.n:
        value = getattr(self, name)
        raise ValueError(f'{name} is {value}, expected 1 to n = {self.n}')
    if self.batch < 1:
      raise ValueError(f'batch is {self.batch}, expected an integer >= 1')


def streaming(structure: StreamingStructure) -> System:
  """SGD for matrix sensing, with measurements that come once.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `StreamingHp`. It records squared_error ‖FGᵀ − M‖_F² and
    imbalance ‖FᵀF − GᵀG‖_F.

  >>> from framework import rollout
  >>> sgd = streaming(StreamingStructure(dtype=jnp.float32))
  >>> run = jax.jit(rollout, static_argnums=0)
  >>> state, seen = run(
  ...   sgd, jax.random.key(0), StreamingHp(), jnp.array([0, 10]))
  >>> seen['imbalance'].shape
  (2,)
  """
  s = structure

  def sample(key, hp):
    sigma = ensembles.linear_spectrum(s.r, hp.kappa).astype(s.dtype)
    return ensembles.low_rank(key, s.n, s.n, sigma, False)

  def init(key, problem, hp):
    keys = dict(zip('FG', jax.random.split(key), strict=True))
    scales = {'F': hp.alpha, 'G': hp.alpha * hp.ratio}

    def draw(name):
      X = draws.normal(keys[name], (s.k_max, s.n), s.dtype).T / s.n**0.5
      X = jnp.where(jnp.arange(s.k_max)[None, :] < hp.k, X, 0)
      return jnp.asarray(scales[name], s.dtype) * X

    return {name: draw(name) for name in 'FG'}

  def batch(key, problem, hp):
    rows, noise = jax.random.split(key)
    A = jax.random.normal(rows, (s.batch, s.n * s.n), s.dtype)
    xi = jax.random.normal(noise, (s.batch,), s.dtype)
    y = A @ ensembles.matrix(problem).reshape(-1)
    return A, y + jnp.asarray(hp.noise, s.dtype) * xi

  def value_and_grad(params, seen, hp):
    del hp
    A, y = seen
    F, G = params['F'], params['G']
    z = A @ (F @ G.T).reshape(-1) - y
    D = (z @ A).reshape(s.n, s.n) / s.batch
    return jnp.mean(z**2) / 2, {'F': D @ G, 'G': D.T @ F}

  def observe(state, problem, hp):
    del hp
    F, G = state.params['F'], state.params['G']
    return {
      'squared_error': probes.squared_error(F, G, problem),
      'imbalance': jnp.sqrt(jnp.sum(probes.imbalance(F, G) ** 2)),
    }

  sgd = descent(
    init,
    None,
    lambda hp: optax.sgd(hp.eta),
    batch=batch,
    value_and_grad=value_and_grad,
  )
  return System(sample, *sgd, observe)
