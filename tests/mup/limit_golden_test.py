"""The limits against stored trajectories of the published code, and exactly."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.mup import kernel_limit, linear_limit, maml, word2vec
from framework.mup.maml import Tasks

FOLDER = pathlib.Path(__file__).parents[1] / 'golden'
TP4 = np.load(FOLDER / 'mup_tp4_maml.npz')
W2V = np.load(FOLDER / 'mup_w2v.npz')
HP = json.loads(str(TP4['hparams_json']))
TASKS = Tasks(*(TP4[n] for n in ('train_x', 'train_y', 'test_x', 'test_y')))
LR, ALPHA, BIAS = HP['inner_lr'], HP['alpha'], HP['bias_alpha']


def descend(params, order, steps, low_rank=True):
  """Eight outer steps of clipped descent: parameters and probes after each."""
  rule = optax.chain(maml.clip(HP['grad_clip']), optax.sgd(HP['meta_lr']))

  def one(carry, tasks):
    params, state = carry
    value, grads = jax.value_and_grad(maml.outer_loss)(
      params,
      tasks,
      LR,
      ALPHA,
      BIAS,
      steps=steps,
      order=order,
      low_rank=low_rank,
    )
    updates, state = rule.update(grads, state)
    params = optax.apply_updates(params, updates)
    probe = linear_limit.apply(params, TP4['probe_x'], ALPHA, BIAS)
    return (params, state), (params, probe, optax.tree.norm(grads), value)

  tasks = jax.tree.map(jnp.asarray, TASKS)
  return jax.jit(lambda p: jax.lax.scan(one, (p, rule.init(p)), tasks)[1])(
    params
  )


def start():
  return linear_limit.init(12, 5, HP['sigma1'], HP['sigma2'])


@pytest.mark.parametrize(
  'name, order, steps', [('fo1', 1, 1), ('so1', 2, 1), ('so2', 2, 2)]
)
def test_linear_limit_replays(name, order, steps):
  params, probe, _, _ = descend(start(), order, steps)
  for mine, theirs in (
    (params.W1, 'W1'),
    (params.W2, 'W2'),
    (params.b, 'b1'),
    (probe, 'probe'),
  ):
    want = TP4[f'lin_{name}_{theirs}']
    np.testing.assert_allclose(mine, want, atol=1e-10, err_msg=theirs)


@pytest.mark.parametrize('order', [1, 2])
def test_low_rank_inner_steps_are_the_definition(order):
  for one, other in zip(
    jax.tree.leaves(descend(start(), order, 2)),
    jax.tree.leaves(descend(start(), order, 2, low_rank=False)),
    strict=True,
  ):
    np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize('order', [1, 2])
def test_a_finite_network_with_orthogonal_columns_is_the_limit(order):
  net = linear_limit.orthogonal_sample(jax.random.key(1), start(), 40)
  _, *limit = descend(start(), order, 1)
  _, *finite = descend(net, order, 1)
  for one, other in zip(limit, finite, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize('kind', ['gp', 'ntk'])
@pytest.mark.parametrize('capacity', [160, 1600])
def test_kernels_replay_whatever_their_capacity(kind, capacity):
  scales = kernel_limit.Scales(HP['gp_varw'], HP['gp_varb'], HP['ntk_varw2'])
  kernel = kernel_limit.one_layer(kind, scales)
  # The published clip norm leaves out v_2.
  plain = kernel_limit.one_layer(kind, scales._replace(var_v=1.0))

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
    probe = kernel_limit.predict(kernel, store, jnp.asarray(TP4['probe_x']))
    return store, (probe, out.norm)

  store = kernel_limit.empty(capacity, 12, 5, jnp.float64, 40)
  tasks = jax.tree.map(jnp.asarray, TASKS)
  store, (probe, norm) = jax.jit(lambda s: jax.lax.scan(one, s, tasks))(store)
  np.testing.assert_allclose(probe, TP4[f'{kind}_probe'], atol=1e-8)
  np.testing.assert_allclose(norm, TP4[f'{kind}_gnorm'], atol=1e-8)
  assert store.count == 160


def replay(name, sigmoid=jax.nn.sigmoid):
  tables = word2vec.Tables(
    jnp.asarray(W2V[f'{name}_init']), jnp.zeros_like(W2V[f'{name}_init'])
  )
  run = jax.jit(lambda t, *a: word2vec.updates(t, *a, W2V['wd'], sigmoid)[0])
  return run(tables, W2V['ctx'], W2V['target'], W2V['alpha'])


@pytest.mark.parametrize('name', ['inf_exact', 'infV_exact', 'w16_exact'])
def test_word2vec_replays(name):
  got = replay(name)
  np.testing.assert_allclose(got.P, W2V[f'{name}_in'], atol=1e-5)
  np.testing.assert_allclose(got.Q, W2V[f'{name}_out'], atol=1e-5)


def test_word2vec_replays_with_the_table_of_the_reference():
  got = replay('inf_table', word2vec.table_sigmoid)
  np.testing.assert_allclose(got.P, W2V['inf_table_in'], atol=2e-3)
  np.testing.assert_allclose(got.Q, W2V['inf_table_out'], atol=2e-3)
  exact = replay('inf_exact')
  assert np.abs(exact.Q - W2V['inf_table_out']).max() > 0.05


def test_rows_of_length_V_are_enough():
  long, short = replay('inf_exact'), replay('infV_exact')
  for one, other in zip(long, short, strict=True):
    assert not np.asarray(one)[:, 31:].any()
    np.testing.assert_allclose(one[:, :31], other, atol=1e-6)
