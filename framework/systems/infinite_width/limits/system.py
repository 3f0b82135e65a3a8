r"""Finite networks on their way to infinite width, as a `System`.

A network of width n is trained from its random start on a few fixed points, and
what it predicts at others is compared, step by step, with its limit:

    error(t) = rms over points and outputs of f_n(t) − f_∞(t),   E error² ∝ 1/n

    linear_sgd, linear_fomaml, linear_maml2   one linear layer, cross entropy,
                                        `linear_limit`
    tanh, erf, gelu                     one hidden layer, quadrature,
                                        `mean_field`
    linear_L2, linear_L3                deep linear, `deep_linear`
    tanh_L2, relu_L2                    deep, `deep_particles`, itself known up
                                        to a standard error

The limit does not depend on the seed: it is the problem, computed once for all
lanes.

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int, Key, PyTree

from framework.maths.norms import root
from framework.system import System
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.limits import (
  deep_linear,
  deep_particles,
  finite,
  mean_field,
)
from framework.systems.infinite_width.limits import linear as linear_limit

__all__ = [
  'LIMITS',
  'Hp',
  'Limit',
  'Problem',
  'State',
  'Structure',
  'system',
]


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  lr: Float[ArrayLike, ''] = 0.3  # η
  inner_lr: Float[ArrayLike, ''] = 0.5  # η_in of MAML
  sigma1: Float[ArrayLike, ''] = 1.0
  sigma_w: Float[ArrayLike, ''] = 1.0
  sigma_v: Float[ArrayLike, ''] = 1.0


class Limit(NamedTuple):
  """What is trained, and in how many layers."""

  method: str  # whose limit it is
  phi: Callable[[Array], Array] = lambda u: u
  depth: int = 1
  order: int = 0  # of MAML; 0 is plain descent


def _gelu(u: Array) -> Array:
  return nn.gelu(u, approximate=False)


LIMITS: dict[str, Limit] = {
  'linear_sgd': Limit('linear'),
  'linear_fomaml': Limit('linear', order=1),
  'linear_maml2': Limit('linear', order=2),
  'tanh': Limit('quadrature', jnp.tanh),
  'erf': Limit('quadrature', jax.scipy.special.erf),
  'gelu': Limit('quadrature', _gelu),
  'linear_L2': Limit('deep_linear', depth=2),
  'linear_L3': Limit('deep_linear', depth=3),
  'tanh_L2': Limit('particles', jnp.tanh, 2),
  'relu_L2': Limit('particles', nn.relu, 2),
}
# Inputs, outputs, points trained on.
_SIZES = {
  'linear': (6, 3, 8),
  'quadrature': (1, 1, 4),
  'deep_linear': (3, 2, 4),
  'particles': (3, 2, 4),
}
_PROBES = 5


@dataclasses.dataclass(frozen=True)
class Structure:
  """What is fixed in the compiled program.

  Raises:
    ValueError: If a size or a name is out of range, naming it.
  """

  limit: str = 'linear_sgd'
  width: int = 64
  steps: int = 5  # T, for which the limit is known
  nodes: int = 120  # an axis, of quadrature
  particles: int = 20_000  # of a batch
  batches: int = 10  # of particles
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    if self.limit not in LIMITS:
      raise ValueError(
        f'limit is {self.limit!r}, expected one of {", ".join(LIMITS)}'
      )
    lows = {'batches': 2, 'width': 1, 'steps': 1, 'nodes': 1, 'particles': 1}
    for name, low in lows.items():
      if getattr(self, name) < low:
        raise ValueError(
          f'{name} is {getattr(self, name)}, expected an integer >= {low}'
        )


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
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`. Observed: error, output (rms of f_n, at t = 0 of what
    vanishes in the limit) and stderr of the limit; NaN beyond T.

  >>> from framework.system import rollout
  >>> net = system(Structure('tanh', width=1000, steps=2))
  >>> run = jax.jit(lambda hp: rollout(
  ...   net, jax.random.key(0), hp, jnp.arange(3))[1])
  >>> bool(jnp.all(run(Hp())['error'] < 0.2))
  True
  """
  s = structure
  limit = LIMITS[s.limit]

  def sample(key: Key[Array, ''], hp: Hp) -> Problem:
    del key
    x, y, probe = _points(limit, s.dtype)
    f, stderr = _TRAJECTORY[limit.method](s, x, y, probe, hp)
    return Problem(x, y, probe, f, stderr)

  def init(key: Key[Array, ''], problem: Problem, hp: Hp) -> State:
    d, k, _ = _SIZES[limit.method]
    if limit.method == 'linear':
      params: PyTree = linear_limit.finite(
        key, d, k, s.width, hp.sigma1, hp.sigma_v, s.dtype
      )
    else:
      sigmas = hp.sigma1, hp.sigma_w, hp.sigma_v
      params = finite.init(key, s.width, d, k, limit.depth, *sigmas, s.dtype)
    return State(params, jnp.int32(0))

  def step(key: Key[Array, ''], state: State, problem: Problem, hp: Hp):
    del key
    if limit.method == 'linear':
      params = _linear_step(limit, state.params, problem.x, problem.y, hp)
    else:
      params = finite.step(state.params, problem.x, problem.y, hp.lr, limit.phi)
    return State(params, state.t + 1)

  def observe(state: State, problem: Problem, hp: Hp) -> dict[str, Array]:
    del hp
    if limit.method == 'linear':
      f = linear_limit.apply(state.params, problem.probe)
    else:
      f = finite.apply(state.params, problem.probe, limit.phi)

    def now(of):
      return of.at[state.t].get(mode='fill', fill_value=jnp.nan)

    return {
      'error': _rms(f - now(problem.limit)),
      'output': _rms(f),
      'stderr': now(problem.stderr),
    }

  return System(sample, init, step, observe)


def _points(limit: Limit, dtype: Any):
  """The same points for every seed and width."""
  d, k, m = _SIZES[limit.method]
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(keys[0], (m, d), dtype) / d**0.5
  probe = jax.random.normal(keys[1], (_PROBES, d), dtype) / d**0.5
  if limit.method == 'linear':
    return x, jnp.arange(m) % k, probe
  return x, jax.random.normal(keys[2], (m, k), dtype), probe


def _linear_step(limit: Limit, params: linear_limit.Params, x, y, hp: Hp):
  """Descent on the cross entropy, or on that of queries after an inner step."""

  def loss(params):
    if limit.order:
      half = x.shape[0] // 2
      task = maml.Tasks(x[None, :half], y[None, :half], x[None, half:],
                        y[None, half:])  # fmt: skip
      return maml.outer_loss(params, task, hp.inner_lr, order=limit.order)
    logits = linear_limit.apply(params, x)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
    return jnp.mean(losses)

  grads = jax.grad(loss)(params)
  return jax.tree.map(lambda p, g: p - hp.lr * g, params, grads)


def _scan(s: Structure, start: PyTree, step: Callable, apply: Callable):
  """Predictions before each step and after the last."""

  def one(state, t):
    return step(state, t), apply(state, t)

  state, f = jax.lax.scan(one, start, jnp.arange(s.steps))
  return jnp.concatenate([f, apply(state, jnp.int32(s.steps))[None]])


def _exact(s: Structure, f: Array) -> tuple[Array, Array]:
  return f, jnp.zeros(s.steps + 1, s.dtype)


def _linear(s: Structure, x, y, probe, hp: Hp):
  limit = LIMITS[s.limit]
  d, k, _ = _SIZES['linear']
  return _exact(
    s,
    _scan(
      s,
      linear_limit.init(d, k, hp.sigma1, hp.sigma_v, s.dtype),
      lambda net, t: _linear_step(limit, net, x, y, hp),
      lambda net, t: linear_limit.apply(net, probe),
    ),
  )


def _quadrature(s: Structure, x, y, probe, hp: Hp):
  phi = LIMITS[s.limit].phi
  d, k, _ = _SIZES['quadrature']
  start = mean_field.quadrature(d, k, s.nodes, hp.sigma1, hp.sigma_v, s.dtype)
  return _exact(
    s,
    _scan(
      s,
      start,
      lambda state, t: mean_field.step(state, x, y, hp.lr, phi),
      lambda state, t: mean_field.apply(state, probe, phi),
    ),
  )


def _deep_linear(s: Structure, x, y, probe, hp: Hp):
  d, k, m = _SIZES['deep_linear']
  sigmas = hp.sigma1, hp.sigma_w, hp.sigma_v
  depth, capacity = LIMITS[s.limit].depth, s.steps * m
  return _exact(
    s,
    _scan(
      s,
      deep_linear.init(depth, capacity, d, k, *sigmas, s.dtype),
      lambda state, t: deep_linear.step(state, x, y, hp.lr),
      lambda state, t: deep_linear.apply(state, probe),
    ),
  )


def _particles(s: Structure, x, y, probe, hp: Hp):
  limit = LIMITS[s.limit]
  d, k, m = _SIZES['particles']
  sigmas = hp.sigma1, hp.sigma_w, hp.sigma_v

  def batch(key):
    at = [jax.random.fold_in(key, i) for i in range(3)]
    start = deep_particles.init(
      at[0], s.particles, limit.depth, s.steps * m, d, k, *sigmas, s.dtype
    )

    def step(state, t):
      key = jax.random.fold_in(at[1], t)
      return deep_particles.step(key, state, x, y, hp.lr, limit.phi)

    def apply(state, t):
      key = jax.random.fold_in(at[2], t)
      return deep_particles.apply(key, state, probe, limit.phi)

    return _scan(s, start, step, apply)

  # One batch at a time: together they need `batches` times the memory.
  keys = jax.random.split(jax.random.key(1), s.batches)
  found = deep_particles.estimate(jax.lax.map(batch, keys))
  return found.mean, jnp.sqrt(jnp.mean(found.stderr**2, (1, 2)))


_TRAJECTORY = {
  'linear': _linear,
  'quadrature': _quadrature,
  'deep_linear': _deep_linear,
  'particles': _particles,
}


def _rms(x: Array) -> Float[Array, '']:
  return root(jnp.mean(x**2))
