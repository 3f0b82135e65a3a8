"""The dynamical dichotomy as a System: every abc-parametrisation is a lane.

    h^1 = n^-a_1 w^1 ξ,   h^l = n^-a_l w^l φ(h^l-1),   f = h^L+1
    w^l(0) = n^-b_l z^l,  z ~ N(0, 1);   w^l ← w^l - η n^-c_l u(∂L/∂w^l),
    L = mean over rows of ½ (f - y)²

The normal numbers z are the problem and are shared by all parametrisations of a
seed, so that a shift of (a, b, c) gives the same run up to rounding.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, PyTree

from framework.checks import check_sizes
from framework.descent import DescentState, descent
from framework.maths import draws
from framework.maths.norms import root
from framework.mup.abc import Abc
from framework.mup.optimizers import scale_by_tensor
from framework.optimizers import scale_by_smooth_adam
from framework.system import System

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'adam',
  'names',
  'system',
]

ATTRIBUTES = {
  'output': {'long_name': 'rms of f', 'units': '1'},
  'change': {'long_name': 'rms of f(t) − f(0)', 'units': '1'},
  'moves': {'long_name': 'rms of h(t) − h(0), layer by layer', 'units': '1'},
  'kernel': {
    'long_name': 'n^−c ‖∂f/∂w‖² of every layer at one point (Adam: |·|₁)',
    'units': '1',
  },
}


class Hp(NamedTuple):
  """Traced: every one can be a lane."""

  case: Any = 0  # place in the structure's cases
  lr: Any = 0.3  # η


def adam() -> optax.GradientTransformation:
  """Adam with an ε far below every gradient, for these shrink with width."""
  return scale_by_smooth_adam(eps=1e-30)


@dataclasses.dataclass(frozen=True)
class Structure:
  """Fixed in the compiled program.

  Raises:
    ValueError: In one line, if something does not fit.
  """

  width: int
  cases: tuple[Abc, ...]
  core: Callable[[], optax.GradientTransformation] = optax.identity  # u
  normalised: bool = False  # whether u does not grow with the gradient (Adam)
  activation: Callable[[Array], Array] = jnp.tanh
  inputs: int = 8
  rows: int = 4
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    if not self.cases:
      raise ValueError('cases are empty, expected a parametrisation or more')
    if len({case.depth for case in self.cases}) > 1:
      raise ValueError('cases have different depths, expected one')
    check_sizes(width=self.width, inputs=self.inputs, rows=self.rows)

  @property
  def depth(self) -> int:
    """L, the hidden layers."""
    return self.cases[0].depth


class Problem(NamedTuple):
  """Rows and labels, the same for all, and the normal numbers of a seed."""

  x: Float[Array, 'rows d']
  y: Float[Array, ' rows']
  z: dict[str, Array]  # {layer: (out, in)}


class State(NamedTuple):
  """Weights w, the rule's state, and where the run began."""

  descent: DescentState
  hidden: list[Float[Array, 'rows n']]  # h^l(0)
  output: Float[Array, ' rows']  # f(0)


def names(depth: int) -> list[str]:
  """Names of the weights, in order.

  >>> names(2)
  ['w1', 'w2', 'w3']
  """
  return [f'w{i + 1}' for i in range(depth + 1)]


def system(structure: Structure) -> System:
  """The run of one width; its lanes are parametrisations.

  Args:
    structure: What is fixed.

  Returns:
    A `System` whose hp is an `Hp`. Observed, as root mean squares over rows
    (and neurons): output f, change f - f(0), moves h^l - h^l(0) of each layer,
    and kernel, what a step on layer l alone moves f by at the first row: n^-c_l
    ‖∂f/∂w^l‖² (SGD), n^-c_l times the sum of |∂f/∂w^l| (Adam).

  >>> from framework.mup.parametrisations import parametrisation
  >>> from framework.system import rollout
  >>> cases = parametrisation('mup', 2), parametrisation('ntp', 2)
  >>> net = system(Structure(width=16, cases=cases))
  >>> hp = Hp(case=jnp.int32(1), lr=jnp.float32(0.3))
  >>> run = jax.jit(rollout, static_argnums=0)
  >>> seen = run(net, jax.random.key(0), hp, jnp.array([0, 3]))[1]
  >>> seen['moves'].shape, seen['kernel'].shape, float(seen['change'][0])
  ((2, 2), (2, 3), 0.0)
  """
  s = structure
  layers = names(s.depth)
  # n^-a, n^-b (0 for a zero start), n^-c of each case: (3, case, layer).
  powers = np.array(
    [
      [[float(s.width) ** -float(e) for e in row] for row in rows]
      for rows in zip(*s.cases, strict=True)
    ]
  )

  def factors(hp: Hp, which: int) -> dict[str, Array]:
    row = jnp.asarray(powers[which], s.dtype)[hp.case]
    return {name: row[i] for i, name in enumerate(layers)}

  def sample(key: Key[Array, ''], hp: Hp) -> Problem:
    del hp
    # The same rows for every seed and width.
    k = jax.random.split(jax.random.key(0), 2)
    x = draws.normal(k[0], (s.rows, s.inputs), s.dtype)
    y = jax.random.rademacher(k[1], (s.rows,), s.dtype)
    sizes = [s.inputs] + [s.width] * s.depth + [1]
    keys = jax.random.split(key, len(layers))
    z = {
      name: draws.normal(keys[i], (sizes[i + 1], sizes[i]), s.dtype)
      for i, name in enumerate(layers)
    }
    return Problem(x / s.inputs**0.5, y, z)

  def init_params(key: Key[Array, ''], problem: Problem, hp: Hp) -> PyTree:
    del key
    b = factors(hp, 1)
    # The factors of a normal draw and of its scale may not be multiplied first:
    # whether they are depends on what is compiled together.
    drawn = jax.lax.optimization_barrier(problem.z)
    return {name: b[name] * z for name, z in drawn.items()}

  def forward(params: PyTree, x: Array, hp: Hp):
    """(h^1 ... h^L, f)."""
    a = factors(hp, 0)
    hidden = []
    for name in layers:
      x = a[name] * (x @ params[name].T)
      hidden.append(x)
      x = s.activation(x)
    *hidden, out = hidden
    return hidden, out[..., 0]

  def loss(params: PyTree, problem: Problem, hp: Hp) -> Float[Array, '']:
    out = forward(params, problem.x, hp)[1]
    return 0.5 * jnp.mean((out - problem.y) ** 2)

  def optimizer(hp: Hp) -> optax.GradientTransformation:
    return optax.chain(
      s.core(),
      scale_by_tensor(factors(hp, 2)),
      optax.scale_by_learning_rate(hp.lr),
    )

  own = descent(init_params, loss, optimizer)

  def init(key: Key[Array, ''], problem: Problem, hp: Hp) -> State:
    first = own.init(key, problem, hp)
    return State(first, *forward(first.params, problem.x, hp))

  def step(key: Key[Array, ''], state: State, problem: Problem, hp: Hp):
    return state._replace(descent=own.step(key, state.descent, problem, hp))

  def observe(state: State, problem: Problem, hp: Hp) -> dict[str, Array]:
    params = state.descent.params
    hidden, out = forward(params, problem.x, hp)
    grads = jax.grad(lambda w: forward(w, problem.x[:1], hp)[1][0])(params)
    c = factors(hp, 2)
    size = jnp.abs if s.normalised else jnp.square
    return {
      'output': _rms(out),
      'change': _rms(out - state.output),
      'moves': jnp.stack(
        [_rms(h - g) for h, g in zip(hidden, state.hidden, strict=True)]
      ),
      'kernel': jnp.stack(
        [c[name] * jnp.sum(size(grads[name])) for name in layers]
      ),
    }

  return System(sample, init, step, observe)


def _rms(x: Array) -> Float[Array, '']:
  return root(jnp.mean(x**2))
