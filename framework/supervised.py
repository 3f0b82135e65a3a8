"""A flax module that learns labelled rows: five lines from a net to a `System`.

    L(θ) = (1/n) Σ_i ℓ(f_θ(x_i), y_i),   θ_t+1 = θ_t + rule(∇L(θ_t))

    net = supervised(
      task, module, optax.losses.softmax_cross_entropy_with_integer_labels,
      lambda hp: optax.adam(hp['lr']), batch=32)

What of a module is not trained (the running statistics of BatchNorm) is carried
in the state, changed by steps and only read by observations.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from framework.checks import check_sizes
from framework.descent import TrainState, descent, minibatch, offer
from framework.system import System

__all__ = ['View', 'supervised']

# Arguments by which modules of flax are told that they are trained.
_SWITCHES = {'train': True, 'training': True, 'deterministic': False}


class View(NamedTuple):
  """What a probe looks at: one time of one run."""

  params: PyTree  # θ, as evaluated
  state: TrainState
  problem: Mapping[str, Any]
  hp: PyTree
  rows: dict[str, PyTree]  # the training rows, {'x': ..., 'y': ...}
  loss: Callable[..., Float[Array, '']]  # (params[, rows]) -> L, as evaluated
  apply: Callable[..., PyTree]  # (params, x) -> outputs, as evaluated


def supervised(
  task: Callable[..., Mapping[str, Any]],
  module: Any,
  loss: Callable[..., Array],
  rule: Callable[..., Any],
  *,
  batch: int | Callable[..., PyTree] | None = None,
  metrics: Mapping[str, Callable[..., Array]] | None = None,
  probes: Mapping[str, Callable[[View], Any]] | None = None,
  start: Callable[..., Mapping[str, PyTree]] | None = None,
  trained: str = 'params',
  mutable: Sequence[str] | None = None,
  rngs: Sequence[str] = ('dropout',),
  modes: tuple[dict[str, Any], dict[str, Any]] | None = None,
  eval_params: Callable[[PyTree, PyTree], PyTree] | None = None,
) -> System:
  """The training of a flax module on a task, as a `System`.

  Args:
    task: (key, hp[, data]) -> {'x', 'y'}, the training rows, and if there are
      any {'x_test', 'y_test'}: arrays, or trees of arrays, whose first axis are
      rows. It is the problem; further entries are for probes and the batch.
    module: A `flax.linen.Module` of x.
    loss: (outputs, y) -> one loss a row, as in `optax.losses`; may ask for `hp`
      by that name.
    rule: hp -> optax transformation, as in `descent`.
    batch: Rows that each step draws with replacement, or (key, problem, hp) ->
      {'x', 'y'}. Full batch when None.
    metrics: {name: (outputs, y) -> a number a row, or their mean}, observed
      beside the loss; may ask for `hp`.
    probes: {name: `View` -> array}, observed too.
    start: (variables, problem, hp) -> variables, by collection: what is made of
      the module's own to start from; scaled by hp, or stored ones. A collection
      that the module does not know is kept for probes.
    trained: The collection of variables that the rule moves. Adapters in one of
      their own are trained alone by naming it here.
    mutable: Collections that a training step changes: all but the trained one
      and 'params' when None.
    rngs: Streams of random numbers that the module draws from in a step, each
      with a key of its own.
    modes: Arguments of the module (in a step, in an observation). When None,
      `train`, `training` or `deterministic` if it takes such a one.
    eval_params: (opt_state, params) -> the parameters that are observed, as
      `optax.contrib.schedule_free_eval_params`.

  Returns:
    A `System` whose states are `TrainState`s. Observed are `loss` and metrics
    on all training rows, the same with `test_` before their names on the test
    rows, and the probes.

  Raises:
    ValueError: If the batch is empty or two observations have one name.

  >>> import flax.linen as nn, optax
  >>> from framework.system import rollout
  >>> def task(key, hp):
  ...   x = jax.random.normal(key, (64, 5))
  ...   return {'x': x, 'y': (x[:, 0] > 0).astype(int)}
  >>> net = supervised(
  ...   task, nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(2)]),
  ...   optax.softmax_cross_entropy_with_integer_labels,
  ...   lambda hp: optax.adam(hp['lr']), batch=16)
  >>> times = jnp.array([0, 50])
  >>> seen = rollout(net, jax.random.key(0), {'lr': jnp.float32(0.1)}, times)[1]
  >>> bool(seen['loss'][1] < 0.1 * seen['loss'][0])
  True
  """
  # Not at the top: to import the framework is to import no flax.
  from flax.core import meta

  metrics, probes = dict(metrics or {}), dict(probes or {})
  taken = {'loss'}
  for name in (*metrics, *probes):
    if name.removeprefix('test_') in taken:
      raise ValueError(f'{name} is the name of another observation')
    taken.add(name)
  if batch is not None and not callable(batch):
    check_sizes(batch=batch)
    batch = minibatch(batch, rows=_rows)
  stepping, observing = modes or _modes(module)

  def joined(params: PyTree, variables: Mapping[str, PyTree]) -> Any:
    return {**variables, trained: params}

  def init_params(key: Key[Array, ''], problem: Any, hp: PyTree) -> Any:
    x = jax.tree.map(lambda rows: rows[:1], problem['x'])
    made = module.init({'params': key, **_streams(key, rngs)}, x, **observing)
    made = dict(meta.unbox(made))
    if start is not None:
      made = dict(start(made, problem, hp))
    params = made.pop(trained)
    return params, made

  def training_loss(
    params: PyTree,
    rows: Any,
    hp: PyTree,
    *,
    key: Key[Array, ''],
    variables: dict[str, PyTree],
  ) -> tuple[Float[Array, ''], dict[str, PyTree]]:
    moving = [
      name
      for name in variables
      if (name != 'params' if mutable is None else name in mutable)
    ]
    outputs, moved = module.apply(
      joined(params, variables),
      rows['x'],
      mutable=moving,
      rngs=_streams(key, rngs),
      **stepping,
    )
    variables = {**variables, **meta.unbox(dict(moved))}
    return _mean(loss, outputs, rows['y'], hp), variables

  def observe(state: TrainState, problem: Any, hp: PyTree) -> dict[str, PyTree]:
    def apply(params: PyTree, x: PyTree) -> PyTree:
      return module.apply(joined(params, state.variables), x, **observing)

    train = _rows(problem)

    def evaluated(params: PyTree, rows: Any = train) -> Float[Array, '']:
      return _mean(loss, apply(params, rows['x']), rows['y'], hp)

    params = state.params
    if eval_params is not None:
      params = eval_params(state.opt_state, params)
    found = {}
    for end in ('', '_test') if 'x_test' in problem else ('',):
      outputs, y = apply(params, problem['x' + end]), problem['y' + end]
      for name, metric in {'loss': loss, **metrics}.items():
        name = 'test_' + name if end else name
        found[name] = _mean(metric, outputs, y, hp)
    view = View(params, state, problem, hp, train, evaluated, apply)
    return found | {name: probe(view) for name, probe in probes.items()}

  own = descent(init_params, training_loss, rule, batch=batch)
  return System(task, *own, observe)


def _rows(problem: Any) -> dict[str, PyTree]:
  """The training rows."""
  return {'x': problem['x'], 'y': problem['y']}


def _streams(key: Key[Array, ''], names: Sequence[str]) -> dict[str, Any]:
  """A key for each stream of random numbers of a module."""
  return {name: jax.random.fold_in(key, i) for i, name in enumerate(names)}


def _mean(
  each: Callable[..., Array], outputs: PyTree, y: PyTree, hp: PyTree
) -> Float[Array, '']:
  """The mean over rows; in half precision it would lose what is in them."""
  rows = offer(each, {'hp': hp}, given=2)(outputs, y)
  return jnp.mean(rows.astype(jnp.promote_types(rows.dtype, jnp.float32)))


def _modes(module: Any) -> tuple[dict[str, Any], dict[str, Any]]:
  """The switches that a module takes, as (trained, evaluated)."""
  takes = inspect.signature(type(module).__call__).parameters
  on = {name: x for name, x in _SWITCHES.items() if name in takes}
  return on, {name: not x for name, x in on.items()}
