"""One-pass stochastic gradient descent on a linear model, in expectation.

Inputs x ~ N(0, diag λ), labels y = x·w* + σξ, square loss, batch B, step η,
weight decay d, start w_0 = 0; every sample is seen once:

    w⁺ = (1 − ηd) w − (η/B) Σ x (x·w − y).

With c_i = E(w_i − w*_i)², b_i = E(w_i − w*_i) w*_i, a_i = 1 − ηd − ηλ_i, it is
exact for every step that

    c_i⁺ = a_i² c_i + (ηd)² w*_i² − 2ηd a_i b_i
           + (η²/B) [λ_i² c_i + λ_i (Σ_j λ_j c_j + σ²)],
    b_i⁺ = a_i b_i − ηd w*_i²,

and the excess risk is Σ λ_i c_i. A model of N modes misses the others twice:
they add Σ_{i>N} v_i² to the risk, and as much to the noise of the labels.

*Deviation*: weight decay pulls w to 0, not to w*: it needs the b_i, and is not
one more factor on c_i.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from framework.checks import check_sizes
from framework.system import System
from framework.systems.spectrum import spectra
from framework.systems.spectrum.spectra import Spectrum

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Problem',
  'Structure',
  'expected',
  'one_pass_risk',
  'problem_of',
  'stationary',
]

ATTRIBUTES = {'excess': {'long_name': 'excess risk', 'units': '1'}}


class Hp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  eta: Float[ArrayLike, ''] = 0.5  # step size times Σ λ
  noise: Float[ArrayLike, ''] = 0.25  # σ²
  decay: Float[ArrayLike, ''] = 0.0  # weight decay d
  alpha: Float[ArrayLike, ''] = 1.5  # λ_i = i^−α
  beta: Float[ArrayLike, ''] = 1.8  # v_i² = λ_i w*_i² = i^−β
  width: Int[ArrayLike, ''] = 1_000_000  # modes N of the model, up to `modes`
  rows: Int[ArrayLike, ''] = 100  # samples, where they are repeated


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: modes that are kept, batch, and where samples come from.

  Raises:
    ValueError: If a size is no positive integer.
  """

  modes: int = 2000
  tail: bool = False  # whether an infinity of modes lies beyond
  batch: int = 1
  rows_max: int | None = None  # samples that are repeated; None: all are fresh
  spectrum: Callable[..., Spectrum] | None = None  # (hp) -> own one
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(modes=self.modes, batch=self.batch)
    if self.rows_max is not None:
      check_sizes(rows_max=self.rows_max)

  def of(self, hp: Any) -> Spectrum:
    """The spectrum of the inputs and the target."""
    if self.spectrum is not None:
      return self.spectrum(hp)
    return spectra.power_law(
      hp.alpha, hp.beta, self.modes, tail=self.tail, dtype=self.dtype
    )


class Problem(NamedTuple):
  """A linear model of N modes, and what it is trained on."""

  lam: Float[Array, ' modes']  # 0 beyond the model's modes
  target: Float[Array, ' modes']  # w*_i >= 0
  missing: Float[Array, '']  # Σ_{i>N} v_i²
  noise: Float[Array, '']  # of the labels, as the model sees it
  eta: Float[Array, '']  # step size
  decay: Float[Array, '']


@jax.jit
def problem_of(spectrum: Spectrum, hp: Any) -> Problem:
  """The model of hp.width modes on a spectrum.

  Args:
    spectrum: Inputs and target.
    hp: eta, noise, decay and width.

  Returns:
    The problem, with the step size η = hp.eta / Σ λ over all modes.
  """
  dtype = spectrum.lam.dtype
  own = jnp.arange(1, spectrum.lam.size + 1) <= hp.width
  missing = spectra.beyond(spectrum, hp.width)
  lam = jnp.where(own, spectrum.lam, 0)
  safe = jnp.where(spectrum.lam > 0, spectrum.lam, 1)
  there = own & (spectrum.lam > 0) & (spectrum.v2 > 0)
  # The square root of what is there alone: that of 0 has no derivative.
  w2 = jnp.where(there, spectrum.v2 / safe, 1)
  return Problem(
    lam,
    jnp.where(there, jnp.sqrt(w2), 0),
    missing,
    jnp.asarray(hp.noise, dtype) + missing,
    jnp.asarray(hp.eta, dtype) / spectra.trace(spectrum),
    jnp.asarray(hp.decay, dtype),
  )


class State(NamedTuple):
  """Second moments of the error, and its product with the target."""

  c: Float[Array, ' modes']  # E(w_i − w*_i)²
  b: Float[Array, ' modes']  # E(w_i − w*_i) w*_i


def _start(p: Problem) -> State:
  """The weights are zero."""
  return State(p.target**2, -(p.target**2))


def _step(state: State, p: Problem, batch: Float[ArrayLike, '']) -> State:
  c, b = state
  a = 1 - p.eta * p.decay - p.eta * p.lam
  pull, w2 = p.eta * p.decay, p.target**2
  spread = p.lam * (p.lam * c + jnp.sum(p.lam * c) + p.noise)
  c_new = a**2 * c + pull**2 * w2 - 2 * pull * a * b
  return State(c_new + p.eta**2 / batch * spread, a * b - pull * w2)


def expected(structure: Structure) -> System:
  """The expectation of one-pass SGD, step by step.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp` that draws nothing; it records `excess`.

  >>> import jax
  >>> from framework import rollout
  >>> mean = expected(Structure(modes=50, dtype=jnp.float32))
  >>> hp = jax.tree.map(jnp.float32, Hp(alpha=1.5, beta=1.5))
  >>> run = jax.jit(rollout, static_argnums=0)
  >>> seen = run(mean, jax.random.key(0), hp, jnp.array([10, 100]))[1]
  >>> [f'{x:.3f}' for x in seen['excess']]
  ['1.134', '0.421']
  """

  def sample(key, hp):
    del key
    return problem_of(structure.of(hp), hp)

  def init(key, problem, hp):
    del key, hp
    return _start(problem)

  def step(key, state, problem, hp):
    del key, hp
    return _step(state, problem, structure.batch)

  def observe(state, problem, hp):
    del hp
    return {'excess': jnp.sum(problem.lam * state.c) + problem.missing}

  return System(sample, init, step, observe)


@jax.jit
def one_pass_risk(
  problem: Problem,
  steps: Int[Array, ' records'],
  batch: Float[ArrayLike, ''] = 1,
) -> Float[Array, ' records']:
  """The excess risk of one-pass SGD at some steps, without a run.

  Args:
    problem: As of `problem_of`.
    steps: Steps, not decreasing.
    batch: B.

  Returns:
    (records,).

  >>> problem = problem_of(spectra.power_law(1.5, 1.5, 50, tail=False), Hp())
  >>> print(one_pass_risk(problem, jnp.array([10, 200])).round(4))
  [1.1336 0.2915]
  """

  def to(carry, t):
    state, now = carry
    state = jax.lax.fori_loop(
      now, t, lambda i, s: _step(s, problem, batch), state
    )
    return (state, t), jnp.sum(problem.lam * state.c) + problem.missing

  steps = jnp.asarray(steps)
  start = _start(problem), jnp.zeros((), steps.dtype)
  return jax.lax.scan(to, start, steps)[1]


@jax.jit
def stationary(
  problem: Problem, batch: Float[ArrayLike, ''] = 1
) -> Float[Array, '']:
  """The excess risk that one-pass SGD without weight decay ends at.

      σ² h/(1 − h),   h = Σ ηλ / (B (2 − ηλ(1 + 1/B)))

  Args:
    problem: As of `problem_of`, without weight decay.
    batch: B.

  Returns:
    The excess risk; infinity where the step size is too large: it is stable if
    h < 1 and 0 < ηλ_i(1 + 1/B) < 2.

  >>> problem = problem_of(spectra.power_law(2, 2, 9, tail=False), Hp())
  >>> late = one_pass_risk(problem, jnp.array([20_000]))[0]
  >>> print((late / stationary(problem)).round(6))
  1.0
  """
  x = problem.eta * problem.lam
  room = 2 - x * (1 + 1 / jnp.asarray(batch, x.dtype))
  h = jnp.sum(x / (batch * jnp.where(room > 0, room, 1)))
  stable = jnp.all(room > 0) & (h < 1)
  value = problem.noise * h / (1 - jnp.where(stable, h, 0))
  return jnp.where(stable, value + problem.missing, jnp.inf)
