"""Training at one width as a System: learning rate and rule are lanes.

A perceptron or a transformer, in SP or in muP (or with a mistake in it): which
one is a number of `Hp`, so that they share a program, their starts and their
batches. The width is structure.

    w ← w - η m_lr u(∇ L(A w; batch)),   loss: cross-entropy
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from framework.descent import DescentState, descent
from framework.mup import coord_check, initialisers, optimizers
from framework.mup import multipliers as mults_lib
from framework.mup.infshape import InfShapes
from framework.mup.multipliers import Multipliers
from framework.mup.net import Net, infer
from framework.system import System
from framework.systems.width.transfer.models import (
  ACTIVATIONS,
  Perceptron,
  Transformer,
)

__all__ = [
  'MISTAKES',
  'RULES',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'module_at',
  'modules',
  'net_of',
  'rules',
  'system',
]

# Lanes by number: SP, the three tables of muP, and what must not pass.
RULES = ('sp', '8', '3', '9', 'no readout multiplier', 'rate not scaled',
         'fans swapped')  # fmt: skip
MISTAKES = RULES[4:]


class Hp(NamedTuple):
  """What can be a lane."""

  lr: float = 0.1  # η at the base width
  rule: int = 1  # place in RULES
  weight_decay: float = 0.0
  momentum: float = 0.0  # of SGD


@dataclasses.dataclass(frozen=True)
class Structure:
  """What is fixed in the compiled program.

  Raises:
    ValueError: In one line, if something does not fit.
  """

  width: int = 128
  base_width: int = 64
  model: str = 'perceptron'  # or 'transformer'
  optimizer: str = 'adam'  # or 'sgd'
  depth: int = 2  # hidden layers or blocks
  inputs: int = 64  # of the perceptron
  outputs: int = 10  # classes or symbols
  activation: str = 'relu'
  heads: int = 4
  context: int = 32  # symbols that the transformer sees
  rows: int = 4096  # points of the teacher's task
  batch: int = 64
  fixed_batch: bool = False  # the same batch at every step
  evaluated: int = 1024  # rows that the loss is observed on
  zero_readout: bool = True
  coordinates: bool = True  # whether to observe sizes of activations
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name, allowed in (
      ('model', ('perceptron', 'transformer')),
      ('optimizer', mults_lib.OPTIMIZERS),
      ('activation', tuple(ACTIVATIONS)),
    ):
      if (value := getattr(self, name)) not in allowed:
        raise ValueError(
          f'{name} is {value!r}, expected one of {", ".join(allowed)}'
        )
    for name in ('width', 'base_width', 'depth', 'inputs', 'batch', 'heads',
                 'context', 'rows', 'evaluated'):  # fmt: skip
      if getattr(self, name) < 1:
        raise ValueError(f'{name} is {getattr(self, name)}, expected >= 1')
    if self.model == 'transformer':
      for name in ('width', 'base_width'):
        if (value := getattr(self, name)) % self.heads:
          raise ValueError(
            f'{name} is {value}, expected a multiple of the {self.heads} heads'
          )


class Problem(NamedTuple):
  """What is trained on."""

  x: Array  # rows of inputs, or a text of symbols
  y: Int[Array, ' rows']  # classes; empty for a text
  probe: tuple[Array, Array]  # a batch whose activations are observed
  seen: tuple[Array, Array]  # training rows that the loss is observed on


class State(NamedTuple):
  """Parameters, the rule's state, and activations at the start."""

  descent: DescentState
  start: dict[str, Array]


def module_at(structure: Structure, width: int) -> Any:
  """The flax module of a structure at some width."""
  s = structure
  if s.model == 'perceptron':
    return Perceptron(width, s.outputs, s.depth, s.activation, dtype=s.dtype)
  return Transformer(
    width, s.outputs, s.depth, s.heads, s.context, dtype=s.dtype
  )


@functools.lru_cache(maxsize=64)
def _shapes(structure: Structure) -> InfShapes:
  x = (
    jnp.zeros((1, structure.inputs), structure.dtype)
    if structure.model == 'perceptron'
    else jnp.zeros((1, structure.context), jnp.int32)
  )
  base = structure.base_width
  return infer(
    *(module_at(structure, n) for n in (base, 2 * base, structure.width)), x
  )


@functools.lru_cache(maxsize=64)
def rules(structure: Structure) -> list[Multipliers]:
  """The multipliers of each of `RULES`, in their order.

  Args:
    structure: The structure.

  Returns:
    A list of `Multipliers`.

  >>> one = rules(Structure(width=64, base_width=64))
  >>> one[0] == one[1]  # at the base width muP is SP
  True
  """
  shapes, kind = _shapes(structure), structure.optimizer
  tables = [mults_lib.multipliers(shapes, t, kind) for t in RULES[:4]]
  mup = tables[1]
  ones = {path: 1.0 for path in shapes}
  unscaled = {
    path: 1.0 if shape.ninf == 2 or kind == 'sgd' else mup.lr[path]
    for path, shape in shapes.items()
  }
  return [
    *tables,
    mup._replace(forward=ones),
    mup._replace(lr=unscaled),
    mults_lib.multipliers(shapes.swapped(), '8', kind)._replace(init=mup.init),
  ]


def net_of(structure: Structure, hp: Hp) -> Net:
  """The net of a lane: multipliers are picked by the traced `hp.rule`."""
  return Net(
    module_at(structure, structure.width),
    _shapes(structure),
    mults_lib.select(rules(structure), hp.rule),
  )


def modules(structure: Structure) -> tuple[str, ...]:
  """Names of the modules whose activations are observed, '' for the output.

  Args:
    structure: The structure.

  Returns:
    The names, in the order of the observations.

  >>> modules(Structure(width=8, base_width=4, depth=1))
  ('', 'layer_1', 'readout')
  """
  net = Net(
    module_at(structure, structure.width),
    _shapes(structure),
    rules(structure)[1],
  )

  def seen(key):
    x = _example(structure)
    return coord_check.activations(net, net.init(key, x), x)

  return tuple(jax.eval_shape(seen, jax.random.key(0)))


def _example(structure: Structure) -> Array:
  if structure.model == 'perceptron':
    return jnp.zeros((1, structure.inputs), structure.dtype)
  return jnp.zeros((1, structure.context), jnp.int32)


def system(structure: Structure) -> System:
  """The run of one width.

  Without data the perceptron learns the classes of a random teacher on Gaussian
  inputs. With data it learns those (rows, classes), and the transformer a text,
  (symbols, nothing).

  Args:
    structure: What is fixed.

  Returns:
    A `System` whose hp is an `Hp`; observations: loss, and size and change of
    every module's output on a fixed batch.

  Raises:
    ValueError: When a problem of the transformer is drawn without a text.

  >>> from framework.system import rollout
  >>> net = system(Structure(width=16, base_width=8, inputs=4, rows=64))
  >>> hp = Hp(lr=jnp.float32(0.01), rule=jnp.int32(1))
  >>> seen = rollout(net, jax.random.key(0), hp, jnp.array([0, 5]))[1]
  >>> seen['loss'].shape, seen['size'].shape
  ((2,), (2, 4))
  """
  s = structure

  def sample(key: Key[Array, ''], hp: Hp, data: Any = None) -> Problem:
    del hp
    if data is None:
      if s.model == 'transformer':
        raise ValueError('the transformer learns a text, give it as data')
      data = _teacher(key, s)
    x, y = (jnp.asarray(v) for v in data)
    if s.model == 'transformer':
      return Problem(x, y, _windows(x, s.batch, s), _windows(x, s.evaluated, s))
    return Problem(x, y, (x[: s.batch], y[: s.batch]),
                   (x[: s.evaluated], y[: s.evaluated]))  # fmt: skip

  def batch(key: Key[Array, ''], problem: Problem, hp: Hp):
    del hp
    if s.fixed_batch:
      return problem.probe
    if s.model == 'transformer':
      last = problem.x.shape[0] - s.context - 1
      first = jax.random.randint(key, (s.batch,), 0, last + 1)
      return _cut(problem.x, first, s)
    i = jax.random.randint(key, (s.batch,), 0, problem.x.shape[0])
    return problem.x[i], problem.y[i]

  def init_params(key: Key[Array, ''], problem: Problem, hp: Hp) -> PyTree:
    del problem
    params = net_of(s, hp).init(key, _example(s))
    if s.zero_readout:
      params = initialisers.zeros_at_start(params, 'readout')
    return params

  def loss(params: PyTree, rows: Any, hp: Hp) -> Float[Array, '']:
    out = net_of(s, hp).apply(params, rows[0])
    return jnp.mean(
      optax.losses.softmax_cross_entropy_with_integer_labels(out, rows[1])
    )

  def optimizer(hp: Hp) -> optax.GradientTransformation:
    mults = mults_lib.select(rules(s), hp.rule)
    decay = {'weight_decay': hp.weight_decay}
    if s.optimizer == 'sgd':
      return optimizers.mu_sgd(hp.lr, mults, momentum=hp.momentum, **decay)
    return optimizers.mu_adamw(hp.lr, mults, **decay)

  own = descent(init_params, loss, optimizer, batch=batch)

  def acts(params, problem, hp):
    return coord_check.activations(net_of(s, hp), params, problem.probe[0])

  def init(key: Key[Array, ''], problem: Problem, hp: Hp) -> State:
    first = own.init(key, problem, hp)
    start = acts(first.params, problem, hp) if s.coordinates else {}
    return State(first, start)

  def step(key: Key[Array, ''], state: State, problem: Problem, hp: Hp):
    return state._replace(descent=own.step(key, state.descent, problem, hp))

  def observe(state: State, problem: Problem, hp: Hp) -> dict[str, Array]:
    params = state.descent.params
    seen = {'loss': loss(params, problem.seen, hp)}
    if s.coordinates:
      now = acts(params, problem, hp)
      seen |= {
        'size': coord_check.sizes(now),
        'change': coord_check.sizes(now, state.start),
      }
    return seen

  return System(sample, init, step, observe)


def _teacher(key: Key[Array, ''], s: Structure) -> tuple[Array, Array]:
  """Gaussian inputs, classes of a random tanh network of width 16."""
  k = jax.random.split(key, 3)
  x = jax.random.normal(k[0], (s.rows, s.inputs), s.dtype)
  first = jax.random.normal(k[1], (s.inputs, 16), s.dtype)
  last = jax.random.normal(k[2], (16, s.outputs), s.dtype)
  hidden = jnp.tanh(2 * x @ first / s.inputs**0.5)
  return x, jnp.argmax(hidden @ last, 1).astype(jnp.int32)


def _windows(text: Array, count: int, s: Structure) -> tuple[Array, Array]:
  """Windows of a text, evenly spaced."""
  last = text.shape[0] - s.context - 1
  return _cut(text, jnp.asarray(np.linspace(0, last, count).astype(int)), s)


def _cut(text: Array, first: Array, s: Structure) -> tuple[Array, Array]:
  """Windows and the symbols that come next."""
  places = first[:, None] + jnp.arange(s.context + 1)[None]
  windows = text[places].astype(jnp.int32)
  return windows[:, :-1], windows[:, 1:]
