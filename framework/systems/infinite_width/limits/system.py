r"""Finite networks on their way to infinite width, as a `System`.

A network of width n is trained from its random start on a few fixed points, and
what it predicts at others is compared, step by step, with its limit:

    error(t) = rms over points and outputs of f_n(t) − f_∞(t),   E error² ∝ 1/n

Which network, and which limit, is a `Way`: `linear`, `quadrature`,
`deep_linear`, `particles`. The limit does not depend on the seed: it is the
problem, computed once for all lanes.

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key, PyTree

from framework.checks import check_sizes
from framework.maths.norms import root
from framework.system import System
from framework.systems.infinite_width.limits.ways import Way, linear

__all__ = ['ATTRIBUTES', 'Hp', 'Problem', 'State', 'Structure', 'system']

_PROBES = 5

ATTRIBUTES = {
  'error': {'long_name': 'rms of f_n − f_∞ over predictions', 'units': '1'},
  'output': {'long_name': 'rms of f_n over predictions', 'units': '1'},
  'stderr': {'long_name': 'standard error of f_∞, rms', 'units': '1'},
}


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  lr: Float[ArrayLike, ''] = 0.3  # η
  inner_lr: Float[ArrayLike, ''] = 0.5  # η_in, of a loss that looks at it
  sigma1: Float[ArrayLike, ''] = 1.0
  sigma_w: Float[ArrayLike, ''] = 1.0
  sigma_v: Float[ArrayLike, ''] = 1.0


@dataclasses.dataclass(frozen=True)
class Structure:
  """Fixed in the compiled program.

  Raises:
    ValueError: If a size is below 1.
  """

  way: Way = linear()  # noqa: RUF009
  width: int = 64
  steps: int = 5  # T, for which the limit is known
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(width=self.width, steps=self.steps)


class Problem(NamedTuple):
  """The points and the limit on them."""

  x: Float[Array, 'm d']
  y: Array  # (m, k) numbers, or (m,) classes
  probe: Float[Array, 'e d']
  limit: Float[Array, 'T+1 e k']
  stderr: Float[Array, ' T+1']  # of the limit, rms over predictions


class State(NamedTuple):
  """Weights and the step."""

  params: PyTree
  t: Int[Array, '']


def system(structure: Structure) -> System:
  """The training of networks of one width.

  Args:
    structure: Fixed in the compiled program.

  Returns:
    A `System` over `Hp`. Observed: error, output (rms of f_n, at t = 0 of what
    vanishes in the limit) and stderr of the limit; NaN beyond T.

  >>> from framework.system import rollout
  >>> from framework.systems.infinite_width.limits.ways import quadrature
  >>> net = system(Structure(quadrature(jnp.tanh), width=1000, steps=2))
  >>> run = jax.jit(lambda hp: rollout(
  ...   net, jax.random.key(0), hp, jnp.arange(3))[1])
  >>> bool(jnp.all(run(Hp())['error'] < 0.2))
  True
  """
  s, way = structure, structure.way

  def sample(key: Key[Array, ''], hp: Hp) -> Problem:
    del key
    # The same points for every seed and width.
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (way.m, way.d), s.dtype) / way.d**0.5
    probe = jax.random.normal(keys[1], (_PROBES, way.d), s.dtype)
    probe = probe / way.d**0.5
    y = jnp.arange(way.m) % way.k
    if not way.classes:
      y = jax.random.normal(keys[2], (way.m, way.k), s.dtype)
    f, stderr = way.limit(s.steps, x, y, probe, hp, s.dtype)
    return Problem(x, y, probe, f, stderr)

  def init(key: Key[Array, ''], problem: Problem, hp: Hp) -> State:
    del problem
    return State(way.init(key, s.width, hp, s.dtype), jnp.int32(0))

  def step(key: Key[Array, ''], state: State, problem: Problem, hp: Hp):
    del key
    params = way.step(state.params, problem.x, problem.y, hp)
    return State(params, state.t + 1)

  def observe(state: State, problem: Problem, hp: Hp) -> dict[str, Array]:
    del hp
    f = way.apply(state.params, problem.probe)

    def now(of):
      return of.at[state.t].get(mode='fill', fill_value=jnp.nan)

    return {
      'error': _rms(f - now(problem.limit)),
      'output': _rms(f),
      'stderr': now(problem.stderr),
    }

  return System(sample, init, step, observe)


def _rms(x: Array) -> Float[Array, '']:
  return root(jnp.mean(x**2))
