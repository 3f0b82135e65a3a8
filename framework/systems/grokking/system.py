"""Training on a task that can be memorised or understood, as a `System`.

    L(θ) = (1/n) Σ_i ℓ(c f_θ(x_i), y_i),   θ_t+1 = θ_t + rule(filter(∇L(θ_t)))

full batch, ℓ one of the cross entropies in its compute dtype, c the logit scale
(the learning rate is divided by c²; what is observed is without it). A filter
(⊥Grad, Grokfast, unit norm) goes before the rule (AdamW, SGD).

Parameters and gradients have the dtype of the structure, float32 as a rule,
whatever dtype the loss computes in.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from framework import optimizers
from framework.descent import DescentState, descent
from framework.system import System
from framework.systems.grokking import losses, models, tasks
from framework.systems.grokking import probes as stability_probes
from framework.systems.grokking import transformer as transformers
from framework.systems.grokking.structure import Hp, Structure

__all__ = [
  'Data',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'mean_loss',
  'names',
  'network',
  'rule',
  'system',
]


class Data(NamedTuple):
  """Shared arrays: an own table, a stored split, or both."""

  table: tasks.Table | None = None
  split: tasks.Split | None = None


class Problem(NamedTuple):
  """What is fixed over time; key and t are of the step, for the loss alone."""

  x: Any
  y: Int[Array, ' train']
  x_test: Any
  y_test: Int[Array, ' test']
  key: Any = None
  t: Any = None


class State(NamedTuple):
  """Parameters, the rule's state, and the steps made."""

  params: PyTree
  opt_state: PyTree
  t: Int[Array, '']


def system(structure: Structure) -> System:
  """The training run of a structure.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`; its `sample` takes a `Data` where examples or a split
    are given, and otherwise draws a split for every seed. What is observed is
    in the `modular_observe` file.

  >>> import numpy as np
  >>> from framework.system import rollout
  >>> hp = jax.tree.map(np.float32, Hp(lr=0.01))._replace(intervene_at=0)
  >>> run = system(Structure(modulus=5, widths=(16,), gradient='perp'))
  >>> times = jnp.array([0, 20])
  >>> seen = jax.jit(lambda key: rollout(run, key, hp, times)[1])
  >>> seen(jax.random.key(0))['train_accuracy'].shape
  (2,)
  """
  from framework.systems.grokking.observe import observe

  s = structure
  net = network(s)

  def init_params(key: Key[Array, ''], problem: Problem, hp: Hp) -> PyTree:
    params = net.init(key, problem.x[:1])['params']
    return jax.tree.map(lambda w: w * hp.init_scale, params)

  def loss(params: PyTree, problem: Problem, hp: Hp) -> Float[Array, '']:
    drop = problem.key is not None and s.model == 'transformer' and s.dropout
    rngs = {'dropout': problem.key} if drop else None
    z = net.apply(
      {'params': params}, problem.x, deterministic=not drop, rngs=rngs
    )
    return mean_loss(s, z, problem.y, hp, problem.t)

  inner = descent(
    init_params,
    loss,
    lambda hp: rule(s, hp),
    batch=lambda key, problem, hp: problem._replace(key=key),
  )

  def init(key: Key[Array, ''], problem: Problem, hp: Hp) -> State:
    return State(*inner.init(key, problem, hp), jnp.int32(0))

  def step(key, state: State, problem: Problem, hp: Hp) -> State:
    now = problem._replace(t=state.t)
    before = DescentState(state.params, state.opt_state)
    after = inner.step(key, before, now, hp)
    return State(*after, state.t + 1)

  return System(
    lambda key, hp, *data: _sample(s, key, *data),
    init,
    step,
    observe(s, net, loss, lambda hp: rule(s, hp)),
  )


def network(structure: Structure) -> Any:
  """The flax module of a structure."""
  s = structure
  if s.model == 'mlp':
    modulus = s.modulus if s.task == 'modular' else 0
    if s.encoding == 'binary':
      modulus = 0
    return models.MLP((*s.widths, s.outputs), modulus, s.bias, s.dtype)
  if s.model == 'nanda':
    return transformers.nanda(s.outputs, s.modulus, dtype=s.dtype)
  return transformers.reference(
    s.outputs, s.modulus, dropout=s.dropout, dtype=s.dtype
  )


def rule(structure: Structure, hp: Hp) -> optax.GradientTransformation:
  """The optax rule: a filter of the gradient, then AdamW or SGD.

  *Deviation*: the authors' ⊥Grad ignores β_2 and ε of the command line and runs
  its AdamW with 0.999 and 1e-8; here both are what they are set to.

  Args:
    structure: Names the filter and the rule.
    hp: Its numbers.

  Returns:
    The chain.
  """
  s = structure
  lr = hp.lr / hp.logit_scale**2
  decay = optax.add_decayed_weights(hp.weight_decay)
  if s.optimizer == 'adamw':
    scale = 2.0**40 if s.moments == 'scaled' else 1.0
    adam = optimizers.scale_by_adam(
      hp.beta1, hp.beta2, hp.eps, gradient_scale=scale
    )
    base = optax.chain(adam, decay, optax.scale_by_learning_rate(lr))
  else:
    base = optax.chain(
      decay, optax.trace(hp.momentum), optax.scale_by_learning_rate(lr)
    )
  filters = {
    'perp': lambda: optimizers.perp_grad(s.rescale),
    'grokfast_ema': lambda: optimizers.grokfast_ema(hp.alpha, hp.lamb),
    'grokfast_ma': lambda: optimizers.grokfast_ma(s.window, hp.lamb),
    'unit': optimizers.normalize_by_global_norm,
  }
  if s.gradient == 'raw':
    return base
  filtered = optax.chain(filters[s.gradient](), base)
  return optimizers.match_norm(filtered, base) if s.matched else filtered


def mean_loss(
  structure: Structure,
  logits: Float[Array, 'rows classes'],
  labels: Int[Array, ' rows'],
  hp: Hp,
  t: Int[Array, ''] | None = None,
) -> Float[Array, '']:
  """The training loss of logits, with the intervention if it is time for it."""
  s = structure
  if s.intervention != 'none' and t is not None:
    on = (t >= hp.intervene_at).astype(logits.dtype)
    logits = losses.intervene(logits, labels, **{s.intervention: on})
  kind = losses.softmax_ce if s.loss == 'softmax' else losses.stablemax_ce
  each = kind(
    logits,
    labels,
    s.compute_dtype,
    smoothing=hp.smoothing,
    temperature=hp.temperature,
    logit_scale=hp.logit_scale,
  )
  # A mean in half precision would lose what half sums just kept.
  wide = jnp.promote_types(each.dtype, jnp.float32)
  return jnp.mean(each.astype(wide))


def _sample(s: Structure, key, data: Data | None = None) -> Problem:
  """Draws the split (and a parity table) of a seed."""
  key_table, key_split = jax.random.split(key)
  data = data or Data()
  if data.table is not None:
    table = data.table
  elif s.task == 'parity':
    table = tasks.Table(
      *tasks.sparse_parity(key_table, s.parity_k, s.parity_bits, s.rows)
    )
  else:
    encoding = 'binary' if s.encoding == 'binary' else 'token'
    table = tasks.modular_table(
      s.modulus, s.operation, encoding, lowest=s.lowest
    )
  if data.split is not None:
    split = data.split
  elif s.task == 'table':
    order = jax.random.permutation(key_split, s.train_from).astype(jnp.int32)
    rest = jnp.arange(s.train_from, table.x.shape[0], dtype=jnp.int32)
    split = tasks.Split(jnp.sort(order[: s.train]), rest)
  else:
    rows = table.x.shape[0]
    split = tasks.keyed_split(
      key_split, rows, tasks.train_size(rows, s.train_fraction)
    )
  x, y = jnp.asarray(table.x), jnp.asarray(table.y, jnp.int32)
  if jnp.issubdtype(x.dtype, jnp.floating):
    x = x.astype(s.dtype)
  train, test = jnp.asarray(split.train), jnp.asarray(split.test)
  return Problem(x[train], y[train], x[test], y[test])


def names(structure: Structure) -> list[str]:
  """The tensors of the network, in the order of per-tensor observations."""
  s = structure
  net = network(s)
  problem = jax.eval_shape(
    lambda key: _sample(s, key) if s.task != 'table' else None,
    jax.random.key(0),
  )
  if problem is None:
    layers = [f'layer_{i}' for i in range(len(s.widths) + 1)]
    kinds = ('bias', 'kernel') if s.bias else ('kernel',)
    return [f'{layer}.{kind}' for layer in layers for kind in kinds]
  params = jax.eval_shape(
    lambda x: net.init(jax.random.key(0), x)['params'], problem.x
  )
  return stability_probes.tensor_names(params)
