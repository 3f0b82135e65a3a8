"""The limits against stored trajectories of the published code, and exactly."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.systems.infinite_width.few_shot import kernels as kernel_limit
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.few_shot.maml import Tasks
from framework.systems.infinite_width.limits import linear as linear_limit
from framework.systems.infinite_width.word2vec import model as word2vec

FOLDER = pathlib.Path(__file__).parents[3] / 'golden'
TP4 = np.load(FOLDER / 'mup_tp4_maml.npz')
W2V = np.load(FOLDER / 'mup_w2v.npz')
HP = json.loads(str(TP4['hparams_json']))
TASKS = Tasks(*(TP4[n] for n in ('train_x', 'train_y', 'test_x', 'test_y')))
LR, ALPHA, BIAS = HP['inner_lr'], HP['alpha'], HP['bias_alpha']


def near(one, other, atol, what=''):
  np.testing.assert_allclose(one, other, rtol=0, atol=atol, err_msg=what)


def typed(tree, dtype):
  """On the device, with all floats of one type."""

  def one(x):
    floats = np.issubdtype(np.asarray(x).dtype, np.floating)
    return jnp.asarray(x, dtype if floats else None)

  return jax.tree.map(one, tree)


def maml_loss(order, steps=1, low_rank=True):
  how = {'steps': steps, 'order': order, 'low_rank': low_rank}
  return lambda params, tasks: maml.outer_loss(
    params, tasks, LR, ALPHA, BIAS, **how
  )


def plain_loss(params, tasks):
  """Of all queries, without any inner step."""
  logits = linear_limit.apply(params, tasks.x_query, ALPHA, BIAS)
  return jnp.mean(
    optax.softmax_cross_entropy_with_integer_labels(logits, tasks.y_query)
  )


def run(params, loss, rule):
  """Eight steps: parameters, probes, norms of gradients and losses."""
  tasks, probe_x = typed((TASKS, TP4['probe_x']), params.W1.dtype)

  def one(carry, tasks):
    params, state = carry
    value, grads = jax.value_and_grad(loss)(params, tasks)
    updates, state = rule.update(grads, state, params)
    params = optax.apply_updates(params, updates)
    probe = linear_limit.apply(params, probe_x, ALPHA, BIAS)
    return (params, state), (params, probe, optax.tree.norm(grads), value)

  return jax.lax.scan(one, (params, rule.init(params)), tasks)[1]


def descend(params, *how, **more):
  """`run` with the published rule, clipped descent."""
  rule = optax.chain(maml.clip(HP['grad_clip']), optax.sgd(HP['meta_lr']))
  return jax.jit(lambda p: run(p, maml_loss(*how, **more), rule))(params)


def start(dtype=jnp.float64):
  return linear_limit.init(12, 5, HP['sigma1'], HP['sigma2'], dtype)


@pytest.mark.parametrize('dtype, most', [('float64', 1e-10), ('float32', 1e-5)])
@pytest.mark.parametrize(
  'name, order, steps', [('fo1', 1, 1), ('so1', 2, 1), ('so2', 2, 2)]
)
def test_linear_limit_replays(name, order, steps, dtype, most):
  params, probe, _, value = descend(start(dtype), order, steps)
  for mine, theirs in (
    (params.W1, 'W1'),
    (params.W2, 'W2'),
    (params.b, 'b1'),
    (probe, 'probe'),
  ):
    want = TP4[f'lin_{name}_{theirs}']
    assert mine.dtype == dtype
    near(mine, want, most, theirs)
  # Stored in float32, a number a task.
  losses = TP4[f'lin_{name}_outer_losses'].sum(1, dtype=np.float64)
  np.testing.assert_allclose(value, losses, rtol=1e-6, atol=0)


@pytest.mark.parametrize('order', [1, 2])
def test_low_rank_inner_steps_are_the_definition(order):
  for one, other in zip(
    jax.tree.leaves(descend(start(), order, 2)),
    jax.tree.leaves(descend(start(), order, 2, low_rank=False)),
    strict=True,
  ):
    near(one, other, 1e-12)


RULES = {
  # learning rate, momentum, weight decay, clip
  'descent': (0.3, 0.0, 0.0, np.inf),
  'momentum': (0.1, 0.9, 0.0, np.inf),
  'decay': (0.3, 0.0, 0.2, np.inf),
  'clip': (0.3, 0.0, 0.0, 0.1),
  'all': (0.1, 0.9, 0.2, 0.1),
}
LOSSES = {'plain': plain_loss, 'order1': maml_loss(1), 'order2': maml_loss(2)}


@pytest.mark.parametrize('loss', LOSSES)
def test_a_finite_network_with_orthogonal_columns_is_the_limit(loss):
  """For any rule that is linear in gradients and weights, up to a norm."""

  @jax.jit
  def both(limit, net, hp):
    lr, momentum, decay, most = hp
    rule = optax.chain(
      maml.clip(most), optax.add_decayed_weights(decay), optax.sgd(lr, momentum)
    )
    return [run(p, LOSSES[loss], rule)[1:] for p in (limit, net)]

  net = linear_limit.orthogonal_sample(jax.random.key(1), start(), 40)
  seen = {}
  for name, hp in RULES.items():
    limit, finite = both(start(), net, jnp.array(hp))
    for one, other in zip(limit, finite, strict=True):
      near(one, other, 1e-12, name)
    seen[name] = limit[0]
  # Every rule is another one, and moves the outputs.
  last = np.array([f[-1] for f in seen.values()])
  gaps = np.abs(last[:, None] - last[None]).max((2, 3))
  assert np.all(gaps + np.eye(len(last)) > 1e-3)
  assert np.all(np.abs(last).max((1, 2)) > 1e-3)


def test_a_rule_entry_by_entry_is_not_that_of_the_limit():
  """Adam sees in which coordinates a network is written."""
  net = linear_limit.orthogonal_sample(jax.random.key(1), start(), 40)
  limit, finite = (
    jax.jit(lambda p: run(p, plain_loss, optax.adam(0.01)))(p)[1]
    for p in (start(), net)
  )
  assert np.abs(limit[-1] - finite[-1]).max() > 1e-2


def test_descent_is_that_of_four_numbers():
  """f = (AC + BD) ξ from A = D = 1, B = C = 0, written out."""
  xi, y, lr = 0.8, 1.5, 0.3
  A, B, C, D = 1.0, 0.0, 0.0, 1.0
  net = linear_limit.init(1, 1)
  x, target = jnp.array([[xi]]), jnp.array([[y]])

  def loss(net):
    f = linear_limit.apply(net, x, bias_alpha=0.0)
    return jnp.sum((f - target) ** 2) / 2

  step = jax.jit(
    lambda net: jax.tree.map(lambda p, g: p - lr * g, net, jax.grad(loss)(net))
  )
  for _ in range(5):
    chi = (A * C + B * D) * xi - y
    change = lr * chi * xi
    A, B, C, D = (
      A - change * C,
      B - change * D,
      C - change * A,
      D - change * B,
    )
    net = step(net)
    near(net.W1[:, 0], [A, B], 1e-14)
    near(net.W2[0], [C, D], 1e-14)
  assert abs((A * C + B * D) * xi - y) < 0.3


@pytest.mark.parametrize('dtype, most', [('float64', 1e-8), ('float32', 1e-4)])
@pytest.mark.parametrize('kind', ['gp', 'ntk'])
@pytest.mark.parametrize('capacity', [160, 1600])
def test_kernels_replay_whatever_their_capacity(kind, capacity, dtype, most):
  scales = kernel_limit.Scales(HP['gp_varw'], HP['gp_varb'], HP['ntk_varw2'])
  K = {'gp': kernel_limit.gp, 'ntk': kernel_limit.ntk}[kind]
  kernel = kernel_limit.one_layer(K, scales)
  # The published clip norm leaves out v_2.
  plain = kernel_limit.one_layer(K, scales._replace(var_v=1.0))
  tasks, probe_x = typed((TASKS, TP4['probe_x']), dtype)

  def one(store, tasks):
    f = kernel_limit.on_tasks(
      lambda x: kernel_limit.predict(kernel, store, x), tasks
    )
    out = kernel_limit.outer_step(
      kernel,
      f,
      tasks,
      LR,
      HP['meta_lr'],
      HP['grad_clip'],
      norm_kernel=plain,
    )
    store = kernel_limit.append(store, out.X, out.C)
    probe = kernel_limit.predict(kernel, store, probe_x)
    return store, (probe, out.norm)

  store = kernel_limit.empty(capacity, 12, 5, jnp.dtype(dtype), 40)
  store, (probe, norm) = jax.jit(lambda s: jax.lax.scan(one, s, tasks))(store)
  assert probe.dtype == norm.dtype == store.C.dtype == dtype
  near(probe, TP4[f'{kind}_probe'], most)
  near(norm, TP4[f'{kind}_gnorm'], most)
  assert store.count == 160


def replay(name, sigmoid=jax.nn.sigmoid, dtype=jnp.float32):
  P = jnp.asarray(W2V[f'{name}_init'], dtype)
  tables = word2vec.Tables(P, jnp.zeros_like(P))
  run = jax.jit(lambda t, *a: word2vec.updates(t, *a, W2V['wd'], sigmoid)[0])
  return run(tables, W2V['ctx'], W2V['target'], W2V['alpha'])


@pytest.mark.parametrize('name', ['inf_exact', 'infV_exact', 'w16_exact'])
def test_word2vec_replays(name):
  got = replay(name)
  near(got.P, W2V[f'{name}_in'], 1e-5)
  near(got.Q, W2V[f'{name}_out'], 1e-5)


def test_word2vec_replays_with_the_table_of_the_reference():
  got = replay('inf_table', word2vec.table_sigmoid)
  near(got.P, W2V['inf_table_in'], 2e-3)
  near(got.Q, W2V['inf_table_out'], 2e-3)
  exact = replay('inf_exact')
  assert np.abs(exact.Q - W2V['inf_table_out']).max() > 0.05


def test_rows_of_length_V_are_enough():
  """Bit for bit but for the order of sums, a vector unit's: a few ulp of 2.

  The reference adds one number after the other, where zeros at the end change
  nothing: its tables are equal.
  """
  for table in ('in', 'out'):
    long, short = (
      W2V[f'{name}_{table}'] for name in ('inf_exact', 'infV_exact')
    )
    np.testing.assert_array_equal(long[:, :31], short)
    assert not long[:, 31:].any()
  names = 'inf_exact', 'infV_exact'
  long, short = (replay(name, dtype=jnp.float64) for name in names)
  for one, other in zip(long, short, strict=True):
    assert one.dtype == np.float64 and np.abs(other).max() < 2
    assert not np.asarray(one)[:, 31:].any()
    near(one[:, :31], other, 4e-15)
