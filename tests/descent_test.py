import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import descent as lib
from framework.system import rollout, start
from tests import toy

KEY = jax.random.key(0)


def jitted(system):
  return jax.jit(functools.partial(rollout, system))


def quadratic(x, problem, hp):
  return 0.5 * jnp.sum(problem * x**2)


def test_adam_is_optax_by_hand():
  system, hp = toy.net(), toy.NetHp()
  problem, state = jax.jit(functools.partial(start, system))(KEY, hp)
  got, _ = jitted(system)(KEY, hp, jnp.array([20]))
  rule = optax.adam(0.05)
  module, params = toy.Net(4, jnp.float64), state.params
  opt_state = rule.init(params)

  @jax.jit
  def step(params, opt_state):
    def loss(params):
      return jnp.mean(
        (module.apply({'params': params}, problem['x']) - problem['y']) ** 2
      )

    grads = jax.grad(loss)(params)
    updates, opt_state = rule.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state

  for _ in range(20):
    params, opt_state = step(params, opt_state)
  chex.assert_trees_all_close(got.params, params, rtol=1e-9)
  assert np.any(
    abs(params['Dense_0']['kernel'] - state.params['Dense_0']['kernel']) > 0.1
  )


def test_it_learns():
  run = jitted(toy.net(width=16))
  _, records = run(KEY, toy.NetHp(), jnp.array([0, 300]))
  assert records['loss'][1] < 1e-2 * records['loss'][0]


def test_a_schedule_built_from_hp_is_followed():
  def optimizer(hp):
    return optax.sgd(lambda count: hp * 0.5**count)

  d = lib.descent(lambda *_: jnp.ones(()), quadratic, optimizer)
  hp, problem = 0.5, jnp.ones(())
  state = d.init(KEY, problem, hp)
  want = 1.0
  for t in range(3):
    state = d.step(KEY, state, problem, hp)
    want *= 1 - 0.5 * 0.5**t
  np.testing.assert_allclose(state.params, want, rtol=1e-12)


def test_value_and_grad_replaces_the_loss():
  def closed(x, problem, hp):
    return quadratic(x, problem, hp), problem * x

  problem, hp = jnp.array([1.0, 2.0]), 0.25

  def init(*_):
    return jnp.ones(2)

  one = lib.descent(init, quadratic, optax.sgd)
  two = lib.descent(init, None, optax.sgd, value_and_grad=closed)
  state = one.init(KEY, problem, hp)
  np.testing.assert_array_equal(
    one.step(KEY, state, problem, hp).params,
    two.step(KEY, state, problem, hp).params,
  )


def test_neither_loss_nor_gradient_is_refused():
  with pytest.raises(TypeError, match='needs a loss or a value_and_grad'):
    lib.descent(lambda *_: jnp.ones(2), None, optax.sgd)


def test_rules_are_given_the_loss_and_what_else_they_need():
  """A rule that keeps its extra arguments as its state shows them."""

  def rule(hp):
    def update(grads, state, params=None, *, value, curvature, **extra):
      return jax.tree.map(lambda g: -hp * g, grads), (value, curvature)

    return optax.GradientTransformationExtraArgs(
      lambda params: (jnp.zeros(()), jnp.zeros(())), update
    )

  d = lib.descent(
    lambda *_: jnp.array([1.0, 3.0]),
    quadratic,
    rule,
    extra_args=lambda value, problem, hp: {'curvature': jnp.max(problem)},
  )
  problem, hp = jnp.array([1.0, 2.0]), 0.1
  state = d.step(KEY, d.init(KEY, problem, hp), problem, hp)
  assert state.opt_state == (9.5, 2.0)


def test_minibatches_are_rows_of_the_problem():
  table = {'x': np.arange(10.0).reshape(5, 2), 'y': np.arange(5)}
  batch = jax.jit(lib.minibatch(64))(KEY, table, None)
  x, y = np.asarray(batch['x']), np.asarray(batch['y'])
  assert x.shape == (64, 2)
  # Pairs stay together, and 64 draws out of five find all of them.
  np.testing.assert_array_equal(x[:, 0], 2 * y)
  assert set(y.tolist()) == {0, 1, 2, 3, 4}


def test_minibatches_are_uniform_and_of_each_step():
  draw = jax.jit(
    jax.vmap(
      lambda t: lib.minibatch(4)(
        jax.random.fold_in(KEY, t), jnp.arange(5), None
      )
    )
  )
  draws = np.asarray(draw(np.arange(5000)))
  counts = np.bincount(draws.ravel())
  # A binomial of 20000 draws with p = 1/5 has a standard deviation of 57.
  assert np.all(abs(counts - 4000) < 4 * 57)
  assert len(np.unique(draws, axis=0)) > 500  # of 625
  np.testing.assert_array_equal(draws, draw(np.arange(5000)))


def test_rows_picks_the_table_out_of_the_problem():
  problem = {'train': np.arange(7), 'test': np.zeros(())}
  batch = lib.minibatch(3, rows=lambda p: p['train'])
  shape = jax.eval_shape(lambda: batch(KEY, problem, None))
  assert shape.shape == (3,) and shape.dtype == int


def test_the_loss_sees_the_batch_instead_of_the_problem():
  """Gradient -mean(batch): one step moves by the mean of what was drawn."""
  batch = lib.minibatch(2)
  d = lib.descent(
    lambda *_: jnp.zeros(()),
    lambda x, batch, hp: -x * jnp.mean(batch),
    optax.sgd,
    batch=batch,
  )
  problem = jnp.arange(100.0)

  @jax.jit
  def moved(key):
    return (
      d.step(key, d.init(key, problem, 1.0), problem, 1.0).params,
      jnp.mean(batch(key, problem, None)),
    )

  for key in (KEY, jax.random.key(1)):
    got, want = moved(key)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_batch_of_no_rows_is_refused():
  with pytest.raises(ValueError, match='batch size is 0'):
    lib.minibatch(0)
