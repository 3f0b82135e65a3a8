import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.descent import DescentState, TrainState, descent, minibatch
from framework.system import System, advance, keys, rollout, start
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

  d = descent(lambda *_: jnp.ones(()), quadratic, optimizer)
  hp, problem = 0.5, np.ones(())
  state, step = d.init(KEY, problem, hp), jax.jit(d.step)
  want = 1.0
  for t in range(3):
    state = step(KEY, state, problem, hp)
    want *= 1 - 0.5 * 0.5**t
  np.testing.assert_allclose(state.params, want, rtol=1e-12, atol=0)


def test_value_and_grad_replaces_the_loss():
  def closed(x, problem, hp):
    return quadratic(x, problem, hp), problem * x

  problem, hp = jnp.array([1.0, 2.0]), 0.25

  def init(*_):
    return jnp.ones(2)

  one = descent(init, quadratic, optax.sgd)
  two = descent(init, None, optax.sgd, value_and_grad=closed)
  state = one.init(KEY, problem, hp)
  np.testing.assert_array_equal(
    one.step(KEY, state, problem, hp).params,
    two.step(KEY, state, problem, hp).params,
  )


def test_neither_loss_nor_gradient_is_refused():
  with pytest.raises(TypeError, match='needs a loss or a value_and_grad'):
    descent(lambda *_: jnp.ones(2), None, optax.sgd)


def test_rules_are_given_the_loss_and_what_else_they_need():
  """A rule that keeps its extra arguments as its state shows them."""

  def rule(hp):
    def update(grads, state, params=None, *, value, curvature, **extra):
      return jax.tree.map(lambda g: -hp * g, grads), (value, curvature)

    return optax.GradientTransformationExtraArgs(
      lambda params: (jnp.zeros(()), jnp.zeros(())), update
    )

  d = descent(
    lambda *_: jnp.array([1.0, 3.0]),
    quadratic,
    rule,
    extra_args=lambda value, problem, hp: {'curvature': jnp.max(problem)},
  )
  problem, hp = jnp.array([1.0, 2.0]), 0.1
  state = d.step(KEY, d.init(KEY, problem, hp), problem, hp)
  assert state.opt_state == (9.5, 2.0)


def test_rules_are_given_what_a_closed_form_computes_beside_the_loss():
  def value_and_grad(params, problem, hp):
    residuals = params - problem
    return (0.5 * jnp.sum(residuals**2), residuals), residuals

  def rule(hp):
    def update(grads, state, params=None, *, value, largest, **extra):
      return jax.tree.map(lambda g: -hp * g, grads), (value, largest)

    return optax.GradientTransformationExtraArgs(
      lambda params: (jnp.zeros(()), jnp.zeros(())), update
    )

  d = descent(
    lambda *_: jnp.array([1.0, 3.0]),
    None,
    rule,
    value_and_grad=value_and_grad,
    extra_args=lambda value, problem, hp, aux: {'largest': jnp.max(aux)},
  )
  problem, hp = jnp.array([2.0, 1.0]), 0.5
  state = d.step(KEY, d.init(KEY, problem, hp), problem, hp)
  assert state.opt_state == (2.5, 2.0)
  np.testing.assert_array_equal(state.params, [1.5, 2.0])


def regression(rule, batch=None) -> System:
  """Two layers of tanh units: matrices and vectors, three of the first."""

  def sample(key, hp):
    x = toy.draw(key, (8, 3), jnp.float64)
    return {'x': x, 'y': jnp.stack([jnp.sin(x[:, 0]), x[:, 1] * x[:, 2]], 1)}

  def init_params(key, problem, hp):
    one, two = jax.random.split(key)
    return {
      'base': {'w': toy.draw(one, (3, 4), jnp.float64), 'b': jnp.zeros(4)},
      'head': {'w': toy.draw(two, (4, 2), jnp.float64)},
    }

  def loss(params, rows, hp):
    hidden = rows['x'] @ params['base']['w'] + params['base']['b'][None]
    out = jnp.tanh(hidden) @ params['head']['w']
    return jnp.mean((out - rows['y']) ** 2)

  def observe(state, problem, hp):
    return {'loss': loss(state.params, problem, hp)}

  return System(sample, *descent(init_params, loss, rule, batch=batch), observe)


def bare(hp):
  """A rule whose update has the three arguments and no others."""
  return optax.GradientTransformation(
    lambda params: optax.EmptyState(),
    lambda g, state, params=None: (
      jax.tree.map(lambda x: -hp['lr'] * x, g),
      state,
    ),
  )


def sam(opaque):
  """As in the paper: gradient of the loss a distance rho uphill."""

  def rule(hp):
    up = optax.chain(optax.contrib.normalize(), optax.sgd(0.01))
    return optax.contrib.sam(optax.sgd(hp['lr']), up, opaque_mode=opaque)

  return rule


def partitioned(hp):
  labels = {'base': {'w': 'adam', 'b': 'still'}, 'head': {'w': 'free'}}
  rules = {
    'adam': optax.adam(hp['lr']),
    'still': optax.set_to_zero(),
    'free': optax.contrib.schedule_free_sgd(hp['lr']),
  }
  return optax.partition(rules, labels)


# Rule and learning rate; with it and with half of it the loss falls.
RULES = {
  'bare': (bare, 0.2),
  # One that is no chain: in `test_lbfgs_is_optax_by_hand`.
  'lbfgs of a scale': (lambda hp: optax.chain(
    optax.scale(hp['lr']), optax.lbfgs(memory_size=3)), 1.0),
  'backtracking': (lambda hp: optax.chain(
    optax.sgd(hp['lr']), optax.scale_by_backtracking_linesearch(5)), 0.5),
  'sam': (sam(False), 0.2),
  'sam opaque': (sam(True), 0.2),
  'sophia': (lambda hp: optax.contrib.sophia(hp['lr']), 0.02),
  'polyak': (lambda hp: optax.polyak_sgd(hp['lr']), 0.5),
  'schedule free': (
    lambda hp: optax.contrib.schedule_free_adamw(hp['lr']), 0.1),
  'plateau': (lambda hp: optax.chain(
    optax.adam(hp['lr']),
    optax.contrib.reduce_on_plateau(patience=2)), 0.1),
  'muon': (lambda hp: optax.contrib.muon(hp['lr']), 0.05),
  'partition': (partitioned, 0.1),
  'steps': (lambda hp: optax.MultiSteps(optax.adam(hp['lr']), 3), 0.1),
  'steps of lbfgs': (lambda hp: optax.MultiSteps(
    optax.lbfgs(), 2).gradient_transformation(), 0.0),
  'adafactor': (lambda hp: optax.adafactor(
    hp['lr'], min_dim_size_to_factor=2), 0.1),
}  # fmt: skip


@pytest.mark.parametrize('name', RULES)
def test_any_optax_rule_descends(name):
  """Built from a traced hp, vmapped over it, and cut without losing a bit."""
  rule, lr = RULES[name]
  system = regression(rule)
  hp = {'lr': jnp.array([lr, lr / 2])}

  @jax.jit
  @jax.vmap
  def begin(hp):
    return start(system, KEY, hp)

  @jax.jit
  @functools.partial(jax.vmap, in_axes=(0, 0, 0, None, None))
  def go(hp, problem, state, t, times):
    return advance(system, keys(KEY).step, problem, hp, state, t, times)

  problem, state = begin(hp)
  whole, records = go(hp, problem, state, 0, jnp.array([0, 7, 30]))
  assert np.all(records['loss'][:, -1] < 0.6 * records['loss'][:, 0])
  half, _ = go(hp, problem, state, 0, jnp.array([1, 1, 13]))
  chex.assert_trees_all_equal(
    go(hp, problem, half, 13, jnp.array([14, 20, 30]))[0], whole
  )


def test_lbfgs_is_optax_by_hand():
  system, hp = regression(lambda hp: optax.lbfgs()), {'lr': 0.0}
  problem, state = jax.jit(functools.partial(start, system))(KEY, hp)
  got = jitted(system)(KEY, hp, jnp.array([5]))[0].params
  rule = optax.lbfgs()

  def loss(params):
    return system.observe(DescentState(params, ()), problem, hp)['loss']

  @jax.jit
  def step(params, opt_state):
    value, grad = jax.value_and_grad(loss)(params)
    updates, opt_state = rule.update(
      grad, opt_state, params, value=value, grad=grad, value_fn=loss
    )
    return optax.apply_updates(params, updates), opt_state

  params, opt_state = state.params, rule.init(state.params)
  for _ in range(5):
    params, opt_state = step(params, opt_state)
  chex.assert_trees_all_close(got, params, rtol=1e-6, atol=1e-9)


def test_opaque_sam_takes_the_gradient_uphill():
  """L = x²/2 at x = 1, η = 1/2: ∇L(1 + 0.01) = 1.01, and x becomes 0.495."""
  d = descent(lambda *_: jnp.ones(()), quadratic, sam(True))
  problem, hp = jnp.ones(()), {'lr': 0.5}
  state = d.init(KEY, problem, hp)
  got = jax.jit(d.step)(KEY, state, problem, hp).params
  np.testing.assert_allclose(got, 1 - 0.5 * 1.01, rtol=1e-12, atol=0)


def test_a_line_search_sees_the_batch_the_noise_and_the_step():
  """`value_fn` and `grad_fn` at θ_t are the loss and gradient of this step."""

  def rule(hp):
    def update(g, state, params=None, *, value, value_fn, grad_fn, grad):
      again = value_fn(params), grad_fn(params, 0)
      return jax.tree.map(jnp.zeros_like, g), (value, *again, grad)

    return optax.GradientTransformationExtraArgs(
      lambda params: (jnp.zeros(()),) * 4, update
    )

  def loss(x, batch, hp, *, key, t):
    return x * (jnp.sum(batch) + 10 * t + toy.draw(key, (), jnp.float64))

  d = descent(lambda *_: 1.5, loss, rule, batch=minibatch(2))
  problem, seen, step = np.arange(100.0), [], jax.jit(d.step)
  state = d.init(KEY, problem, 1.0)
  for key in jax.random.split(KEY):
    state = step(key, state, problem, 1.0)
    value, again, gradient, grad = map(float, state.opt_state)
    assert value == again == 1.5 * gradient == 1.5 * grad
    seen.append(value)
  assert seen[0] != seen[1]


def noise(x, problem, hp, *, key):
  """Its gradient is the draw, so that a step shows it."""
  return x * toy.draw(key, (), jnp.float64)


def test_the_noise_of_the_loss_is_that_of_the_step():
  d = descent(lambda *_: jnp.zeros(()), noise, optax.sgd)
  state = d.init(KEY, None, 1.0)
  # Nothing but the parameters and the rule's state is carried for it.
  assert type(state) is DescentState
  moved = [d.step(key, state, None, 1.0).params for key in keys(KEY)]
  want = [-toy.draw(key, (), jnp.float64) for key in keys(KEY)]
  np.testing.assert_array_equal(moved, want)


def test_the_noise_of_the_loss_is_not_the_draw_of_the_batch():
  """Whether the batch draws with its key, or with what it splits it into."""

  def batch(key, problem, hp):
    used = [key, *jax.random.split(key, 8), jax.random.fold_in(key, 1)]
    return jnp.stack([toy.draw(k, (), jnp.float64) for k in used])

  def loss(x, batch, hp, *, key):
    return jnp.dot(x, batch == toy.draw(key, (), jnp.float64))

  d = descent(lambda *_: jnp.zeros(10), loss, optax.sgd, batch=batch)
  state = d.init(KEY, None, 1.0)
  moved = jax.jit(d.step)(KEY, state, None, 1.0).params
  np.testing.assert_array_equal(moved, 0)


def test_the_loss_and_the_batch_may_ask_for_the_step():
  """L = x b, b = 100 t from the batch's t, plus the loss's own t."""
  d = descent(
    lambda *_: jnp.zeros(()),
    lambda x, batch, hp, t: x * (batch + t),
    optax.sgd,
    batch=lambda key, problem, hp, *, t: 100.0 * t,
  )
  system = System(
    lambda key, hp: (), *d, lambda state, p, hp: {'x': state.params}
  )
  state, records = jitted(system)(KEY, 1.0, jnp.array([0, 1, 2, 3]))
  np.testing.assert_array_equal(records['x'], [0, 0, -101, -303])
  assert type(state) is TrainState
  assert state.t == 3 and state.variables == ()


def test_hp_called_t_is_no_question():
  """Names of the three arguments that everyone gets mean nothing."""
  d = descent(
    lambda *_: jnp.ones(()), lambda key, variables, t: t * key, optax.sgd
  )
  state = d.step(KEY, d.init(KEY, None, 0.5), None, 0.5)
  assert type(state) is DescentState
  assert state.params == 0.75


@pytest.mark.parametrize('closed', [False, True])
def test_the_loss_carries_variables(closed):
  """L = x m with m the running mean of t: m_t+1 = (m_t + t)/2."""

  def loss(x, problem, hp, *, t, variables):
    return x * variables, (variables + t) / 2

  def value_and_grad(x, problem, hp, *, t, variables):
    return loss(x, problem, hp, t=t, variables=variables), variables

  d = descent(
    lambda *_: (jnp.zeros(()), jnp.ones(())),
    None if closed else loss,
    optax.sgd,
    value_and_grad=value_and_grad if closed else None,
  )
  state = d.init(KEY, None, 1.0)
  for _ in range(3):
    state = d.step(KEY, state, None, 1.0)
  # m = 1, 1/2, 3/4, 11/8.
  assert state.variables == 1.375 and state.t == 3
  assert state.params == -(1 + 0.5 + 0.75)


def test_minibatches_are_rows_of_the_problem():
  table = {'x': np.arange(10.0).reshape(5, 2), 'y': np.arange(5)}
  batch = jax.jit(minibatch(64))(KEY, table, None)
  x, y = np.asarray(batch['x']), np.asarray(batch['y'])
  assert x.shape == (64, 2)
  # Pairs stay together, and 64 draws out of five find all of them.
  np.testing.assert_array_equal(x[:, 0], 2 * y)
  assert set(y.tolist()) == {0, 1, 2, 3, 4}


def test_minibatches_are_uniform_and_of_each_step():
  draw = jax.jit(
    jax.vmap(
      lambda t: minibatch(4)(jax.random.fold_in(KEY, t), jnp.arange(5), None)
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
  batch = minibatch(3, rows=lambda p: p['train'])
  shape = jax.eval_shape(lambda: batch(KEY, problem, None))
  assert shape.shape == (3,) and shape.dtype == int


def test_the_loss_sees_the_batch_instead_of_the_problem():
  """Gradient -mean(batch): one step moves by the mean of what was drawn."""
  batch = minibatch(2)
  d = descent(
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
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=0)


def test_a_batch_of_no_rows_is_refused():
  with pytest.raises(ValueError, match='batch size is 0'):
    minibatch(0)
