"""Training at one width as a System: learning rate and rule are lanes.

    w ← w - η m_lr u(∇ L(A w; batch)),   L: mean over the batch

Any module that is a function of a width, on any task, in SP or in muP (or with
a mistake in it): which parametrisation is a number of `Hp`, so that they share
a program, their starts and their batches. The width is structure.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from framework.checks import check_sizes
from framework.descent import DescentState, descent
from framework.mup import coordinates, initialisers, optimizers
from framework.mup import multipliers as mults_lib
from framework.mup.infshape import InfShapes
from framework.mup.multipliers import Multipliers
from framework.mup.net import Net, infer
from framework.system import System
from framework.systems.width.transfer.models import Perceptron
from framework.systems.width.transfer.parametrisations import mup, sp
from framework.systems.width.transfer.tasks import Examples, Task, classes

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'adamw',
  'modules',
  'net_of',
  'rules',
  'sgd',
  'system',
]

ATTRIBUTES = {
  'loss': {'long_name': 'cross-entropy on training rows', 'units': 'nat'},
  'size': {'long_name': "mean |x| of every module's output", 'units': '1'},
  'change': {'long_name': 'the same of what changed since t = 0', 'units': '1'},
}


class Hp(NamedTuple):
  """Traced: every one can be a lane."""

  lr: Any = 0.1  # η at the base width
  rule: Any = 1  # place in the structure's parametrisations
  weight_decay: Any = 0.0
  momentum: Any = 0.0  # of SGD


def adamw(hp: Hp, mults: Multipliers) -> optax.GradientTransformation:
  """Adam in muP with decoupled decay; see `mup.optimizers.mu_adamw`."""
  return optimizers.mu_adamw(hp.lr, mults, weight_decay=hp.weight_decay)


def sgd(hp: Hp, mults: Multipliers) -> optax.GradientTransformation:
  """SGD in muP with momentum and an ℓ2 penalty; see `optimizers.mu_sgd`."""
  return optimizers.mu_sgd(
    hp.lr, mults, momentum=hp.momentum, weight_decay=hp.weight_decay
  )


def cross_entropy(outputs: Array, targets: Array) -> Array:
  """−ln softmax(outputs) at the targets."""
  return optax.losses.softmax_cross_entropy_with_integer_labels(
    outputs, targets
  )


def perceptron(width: int) -> nn.Module:
  """Two hidden layers of ReLUs, ten classes."""
  return Perceptron(width, outputs=10)


@dataclasses.dataclass(frozen=True)
class Structure:
  """Fixed in the compiled program.

  Raises:
    ValueError: In one line, if a size does not fit.
  """

  width: int = 128
  base_width: int = 64  # at which every parametrisation is SP
  model: Callable[[int], nn.Module] = perceptron
  task: Task = dataclasses.field(default_factory=classes)
  optimizer: Callable[..., Any] = adamw  # (hp, multipliers) -> optax rule
  normalised: bool = True  # whether its steps do not grow with the gradient
  parametrisations: tuple[Callable[..., Multipliers], ...] = (sp, mup)
  loss: Callable[[Array, Array], Array] = cross_entropy  # one number a target
  batch: int = 64
  evaluated: int = 1024  # rows that the loss is observed on
  zeros: tuple[str, ...] = ('readout',)  # modules that start at zero
  coordinates: bool = True  # whether to observe sizes of activations

  def __post_init__(self):
    """Refuses what cannot be built."""
    names = 'width', 'base_width', 'batch', 'evaluated'
    check_sizes(**{name: getattr(self, name) for name in names})
    if not self.parametrisations:
      raise ValueError('parametrisations are empty, expected one or more')

  @property
  def kind(self) -> str:
    """Which multipliers of learning rates muP has, in its own words."""
    return 'adam' if self.normalised else 'sgd'


class Problem(NamedTuple):
  """All examples, and those that are looked at."""

  every: PyTree
  probe: Examples  # a batch whose activations are observed
  seen: Examples  # training rows that the loss is observed on


class State(NamedTuple):
  """Parameters, the rule's state, and activations at the start."""

  descent: DescentState
  start: dict[str, Array]


@functools.lru_cache(maxsize=64)
def _shapes(structure: Structure) -> InfShapes:
  base = structure.base_width
  widths = base, 2 * base, structure.width
  return infer(*(structure.model(n) for n in widths), structure.task.example())


@functools.lru_cache(maxsize=64)
def rules(structure: Structure) -> list[Multipliers]:
  """The multipliers of each parametrisation of a structure.

  Args:
    structure: The structure.

  Returns:
    A list of `Multipliers`.

  >>> one = rules(Structure(width=64, base_width=64))
  >>> one[0] == one[1]  # at the base width muP is SP
  True
  """
  s = structure
  return [make(_shapes(s), s.kind) for make in s.parametrisations]


def net_of(structure: Structure, hp: Hp) -> Net:
  """The net of a lane: multipliers are picked by the traced `hp.rule`."""
  return Net(
    structure.model(structure.width),
    _shapes(structure),
    mults_lib.select(rules(structure), hp.rule),
  )


def modules(structure: Structure) -> tuple[str, ...]:
  """Names of the modules whose activations are observed, '' for the output.

  Args:
    structure: The structure.

  Returns:
    The names, in the order of the observations.

  >>> modules(Structure(width=8, base_width=4))
  ('', 'layer_1', 'layer_2', 'readout')
  """
  s = structure
  net = Net(s.model(s.width), _shapes(s), rules(s)[0])

  def seen(key):
    x = s.task.example()
    return coordinates.activations(net, net.init(key, x), x)

  return tuple(jax.eval_shape(seen, jax.random.key(0)))


def system(structure: Structure) -> System:
  """The run of one width.

  Args:
    structure: What is fixed.

  Returns:
    A `System` whose hp is an `Hp`; `sample` takes the data of the task, if it
    has any. Observed: loss, and size and change of every module's output on a
    fixed batch.

  Raises:
    ValueError: If the modules at three widths do not fit together, or a module
      that is to start at zero is not there.

  >>> from framework.system import rollout
  >>> small = classes(inputs=4, rows=64)
  >>> net = system(Structure(width=16, base_width=8, task=small))
  >>> hp = Hp(lr=jnp.float32(0.01), rule=jnp.int32(1))
  >>> run = jax.jit(rollout, static_argnums=0)
  >>> seen = run(net, jax.random.key(0), hp, jnp.array([0, 5]))[1]
  >>> seen['loss'].shape, seen['size'].shape
  ((2,), (2, 4))
  """
  s = structure

  def sample(key: Key[Array, ''], hp: Hp, data: Any = None) -> Problem:
    del hp
    every = s.task.draw(key, data)
    first = functools.partial(s.task.first, every)
    return Problem(every, first(s.batch), first(s.evaluated))

  def batch(key: Key[Array, ''], problem: Problem, hp: Hp) -> Examples:
    del hp
    return s.task.batch(key, problem.every, s.batch)

  def init_params(key: Key[Array, ''], problem: Problem, hp: Hp) -> PyTree:
    del problem
    params = net_of(s, hp).init(key, s.task.example())
    return initialisers.zeros_at_start(params, *s.zeros) if s.zeros else params

  def loss(params: PyTree, rows: Examples, hp: Hp) -> Float[Array, '']:
    return jnp.mean(s.loss(net_of(s, hp).apply(params, rows[0]), rows[1]))

  def rule(hp: Hp) -> optax.GradientTransformation:
    return s.optimizer(hp, mults_lib.select(rules(s), hp.rule))

  own = descent(init_params, loss, rule, batch=batch)

  def acts(params: PyTree, problem: Problem, hp: Hp) -> dict[str, Array]:
    return coordinates.activations(net_of(s, hp), params, problem.probe[0])

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
        'size': coordinates.sizes(now),
        'change': coordinates.sizes(now, state.start),
      }
    return seen

  return System(sample, init, step, observe)
