"""Training on a task that can be memorised or understood, as a `System`.

    L(θ) = (1/n) Σ_i ℓ(f_θ(x_i), y_i),   θ_t+1 = θ_t + rule(∇L(θ_t)),

full batch. Task, network, loss and rule are what a run is given; parameters and
gradients have the dtype of the network, whatever dtype the loss computes in.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, Int, Key, PyTree

from framework.descent import TrainState, descent
from framework.supervised import View
from framework.system import System
from framework.systems.grokking.objective import mean_loss, softmax
from framework.systems.grokking.observe import ATTRIBUTES, observe
from framework.systems.grokking.rules import adamw
from framework.systems.grokking.tasks import Task

__all__ = ['ATTRIBUTES', 'Hp', 'State', 'Structure', 'system']


class Hp(NamedTuple):
  """Traced numbers; each can be a lane."""

  lr: Any = 0.005
  weight_decay: Any = 0.0
  beta1: Any = 0.9
  beta2: Any = 0.99
  eps: Any = 1e-25
  momentum: Any = 0.0  # of SGD
  logit_scale: Any = 1.0
  temperature: Any = 1.0
  smoothing: Any = 0.0
  init_scale: Any = 1.0  # factor of all weights at the start
  alpha: Any = 0.98  # decay of Grokfast's average
  lamb: Any = 2.0  # Grokfast's gain
  intervene_at: Any = 0  # first step of the intervention, an integer


class State(NamedTuple):
  """Parameters, the rule's state, and the steps made."""

  params: PyTree
  opt_state: PyTree
  t: Int[Array, '']


@dataclasses.dataclass(frozen=True)
class Structure:
  """Task, network, loss and rule of a run: functions, fixed when compiled."""

  task: Task  # (key, hp[, data]) -> {'x', 'y', 'x_test', 'y_test'}
  net: Any  # flax module of x; told with `deterministic` whether it is trained
  # (logits, labels) -> one loss a row; may ask for `hp` and for `t`, the step
  loss: Callable[..., Array] = dataclasses.field(default_factory=softmax)
  rule: Any = adamw  # optax transformation, or hp -> one
  # Observed beside what all runs observe: {name: view of a time -> array}
  probes: Mapping[str, Callable[[View], Array]] = dataclasses.field(
    default_factory=dict
  )


def system(structure: Structure) -> System:
  """The training run of a structure.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`. What is observed is in `ATTRIBUTES`.

  >>> import numpy as np
  >>> from framework import optimizers
  >>> from framework.system import rollout
  >>> from framework.systems import grokking
  >>> perp = grokking.filtered(lambda hp: optimizers.perp_grad())
  >>> net = grokking.MLP((16, 5), modulus=5, bias=False)
  >>> run = system(Structure(grokking.modular(5), net, rule=perp))
  >>> hp = jax.tree.map(np.float32, Hp(lr=0.01))._replace(intervene_at=0)
  >>> times = np.array([0, 20])
  >>> seen = jax.jit(lambda key: rollout(run, key, hp, times)[1])
  >>> seen(jax.random.key(0))['train_accuracy'].shape
  (2,)
  """
  s = structure
  rule = s.rule if callable(s.rule) else lambda hp: s.rule
  call = inspect.signature(type(s.net).__call__).parameters
  training, observing = (
    {'deterministic': x} if 'deterministic' in call else {}
    for x in (False, True)
  )

  def init_params(key: Key[Array, ''], problem: Any, hp: Hp) -> PyTree:
    params = s.net.init(key, problem['x'][:1])['params']
    return jax.tree.map(lambda w: w * hp.init_scale, params)

  def logits(params: PyTree, x: PyTree) -> Float[Array, 'rows classes']:
    return s.net.apply({'params': params}, x, **observing)

  def loss(
    params: PyTree,
    problem: Any,
    hp: Hp,
    *,
    key: Key[Array, ''],
    t: Int[Array, ''],
  ) -> Float[Array, '']:
    z = s.net.apply(
      {'params': params}, problem['x'], rngs={'dropout': key}, **training
    )
    return mean_loss(s.loss, z, problem['y'], hp, t)

  inner = descent(init_params, loss, rule)

  def init(key: Key[Array, ''], problem: Any, hp: Hp) -> State:
    return State(*inner.init(key, problem, hp)[:3])

  def step(key: Key[Array, ''], state: State, problem: Any, hp: Hp) -> State:
    # Nothing else is carried along: checkpoints hold these three.
    before = TrainState(*state, variables=())
    return State(*inner.step(key, before, problem, hp)[:3])

  return System(s.task, init, step, observe(logits, s.loss, rule, s.probes))
