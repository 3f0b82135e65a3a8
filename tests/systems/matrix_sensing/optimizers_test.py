"""The balancing step is a re-gauging, once; preconditioners against numpy."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

from framework.systems.matrix_sensing import optimizers

GOLDEN = pathlib.Path(__file__).parents[2] / 'golden'


def draw(n1, n2, k, dtype=jnp.float64, seed=0):
  rng = np.random.default_rng(seed)
  F, G = (rng.normal(size=(n, k)) / n**0.5 for n in (n1, n2))
  return F.astype(dtype), G.astype(dtype)


regauge = jax.jit(optimizers.regauge)


def value_and_grad(params, M):
  """The population loss ½‖FGᵀ − M‖² and its gradient."""
  E = params['F'] @ params['G'].T - M
  grads = {'F': E @ params['G'], 'G': E.T @ params['F']}
  return jnp.sum(E**2) / 2, grads


def target(n1=7, n2=6):
  rng = np.random.default_rng(5)
  U, _ = np.linalg.qr(rng.normal(size=(n1, 2)))
  V, _ = np.linalg.qr(rng.normal(size=(n2, 2)))
  return (U * np.array([1.0, 0.5])) @ V.T


def step(rule, M, carry):
  """One step of a rule at the population loss."""
  params, state = carry
  loss, grads = value_and_grad(params, M)
  updates, state = rule.update(
    grads,
    state,
    params,
    value=loss,
    relative_loss=2 * loss / jnp.sum(M**2),
  )
  return optax.apply_updates(params, updates), state


# --- Re-gauging -------------------------------------------------------------


@pytest.mark.parametrize(
  'shape,alpha', [((8, 6, 4), 1e-2), ((6, 9, 6), 1.0), ((5, 5, 1), 1.0)]
)
def test_regauge_is_a_regauging(shape, alpha):
  F, G = draw(*shape)
  F, beta2 = alpha * F, 0.6
  new_F, new_G = regauge(F, G, jnp.float64(beta2))
  new_F, new_G, F, G = (np.array(x) for x in (new_F, new_G, F, G))
  np.testing.assert_allclose(new_F @ new_G.T, F @ G.T, atol=1e-13, rtol=0)
  np.testing.assert_allclose(
    new_F.T @ new_F, beta2 * np.eye(shape[2]), atol=1e-13, rtol=0
  )
  # What the step is for: imbalance is now β² less what G kept.
  edges = np.linalg.eigvalsh(new_F.T @ new_F - new_G.T @ new_G)
  top = np.linalg.norm(G, 2) * np.linalg.norm(F, 2)
  assert edges[0] >= beta2 - top**2 / beta2 - 1e-13


def test_regauge_is_the_stored_one():
  data = np.load(GOLDEN / 'ms_asym_gd.npz')
  before = [jnp.array(data[f'bal_{x}_before']) for x in 'FG']
  after = regauge(*before, jnp.array(data['beta2']))
  for found, name in zip(after, 'FG', strict=True):
    np.testing.assert_allclose(
      found, data[f'bal_{name}_after'], atol=1e-13, rtol=0
    )


def test_regauge_is_a_function_of_the_product_gauge():
  # Rotating the columns of both factors changes nothing, not even signs.
  F, G = draw(8, 6, 3)
  R, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))
  plain = regauge(F, G, jnp.float64(0.5))
  rotated = regauge(F @ R, G @ R, jnp.float64(0.5))
  for one, other in zip(plain, rotated, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-13, rtol=0)
  P = np.array(plain[0])
  assert np.all(P.max(0) > -P.min(0))


@pytest.mark.parametrize('dtype', [jnp.float64, jnp.float32])
def test_regauge_keeps_padding(dtype):
  F, G = draw(8, 6, 3, dtype)
  wide = [np.pad(x, ((0, 0), (0, 2))) for x in (F, G)]
  beta2 = jnp.asarray(0.5, dtype)
  narrow = regauge(F, G, beta2)
  tolerance = 1e-13 if dtype == jnp.float64 else 2e-6
  for padded, plain in zip(regauge(*wide, beta2), narrow, strict=True):
    assert padded.dtype == dtype
    assert np.all(padded[:, 3:] == 0)
    np.testing.assert_allclose(padded[:, :3], plain, atol=tolerance, rtol=0)


def test_regauge_of_zero_factors_is_finite():
  F, G = np.zeros((4, 2)), np.ones((3, 2))
  for x in regauge(F, G, jnp.float64(1)):
    assert np.all(x == 0)


# --- One modified step ------------------------------------------------------

TRIGGER = 0.05


def run(rule_of, eta, F, G, M, steps):
  """Balanced descent; (params, state) after each step and the losses."""
  rule = rule_of(eta)
  params = {'F': F, 'G': G}
  carry = params, rule.init(params)

  def one(carry, _):
    return step(rule, M, carry), (carry, value_and_grad(carry[0], M)[0])

  return jax.lax.scan(one, carry, length=steps)[1]


def balanced(eta, beta2=0.5, trigger=TRIGGER, **options):
  inner = optax.sgd(eta, **options)
  return optimizers.balance_once(inner, beta2, trigger)


def test_one_step_is_modified_and_only_one():
  M = target()
  F, G = draw(7, 6, 3)
  (path, states), loss = jax.device_get(
    jax.jit(lambda: run(balanced, 0.2, F, G, M, 120))()
  )
  relative = 2 * loss / np.sum(M**2)
  first = int(np.argmax(relative < TRIGGER))
  assert 0 < first < 100 and np.all(relative[first:] < TRIGGER)
  assert np.all(states.balanced_at[: first + 1] == -1)
  assert np.all(states.balanced_at[first + 1 :] == first)
  np.testing.assert_array_equal(states.step, np.arange(120))
  _, grads = jax.jit(jax.vmap(value_and_grad, (0, None)))(path, M)
  gauged = regauge(path['F'][first], path['G'][first], jnp.float64(0.5))
  for name, x in zip('FG', gauged, strict=True):
    wanted = path[name] - 0.2 * np.asarray(grads[name])
    wanted[first] = x
    np.testing.assert_allclose(path[name][1:], wanted[:-1], atol=1e-13, rtol=0)
  np.testing.assert_allclose(loss[first + 1], loss[first], rtol=1e-12, atol=0)


def test_lanes_balance_each_at_its_own_step():
  M = target()
  etas = jnp.array([0.1, 0.2, 0.3, 1e-4])  # the last one never does
  F, G = draw(7, 6, 3)

  def lane(eta):
    (path, states), _ = run(balanced, eta, F, G, M, 150)
    return path['F'][-1], states.balanced_at[-1]

  ways = {
    'vmap': jax.vmap(lane),
    'map': lambda e: jax.lax.map(lane, e),
    'nested': lambda e: [
      x.reshape(-1, *x.shape[2:])
      for x in jax.vmap(jax.vmap(lane))(e.reshape(2, 2))
    ],
  }
  alone = jax.jit(lane)
  F_alone, at_alone = map(np.array, zip(*map(alone, etas), strict=True))
  assert len(set(at_alone)) == 4 and at_alone[-1] == -1
  for name, way in ways.items():
    F_last, at = jax.jit(way)(etas)
    np.testing.assert_array_equal(at, at_alone, err_msg=name)
    np.testing.assert_allclose(
      F_last, F_alone, atol=1e-13, err_msg=name, rtol=0
    )


def svds(jaxpr, guarded=False):
  """For each SVD of a program, whether it is in a branch."""
  for equation in jaxpr.eqns:
    name = equation.primitive.name
    if name == 'svd':
      yield guarded
    # Not a choice between platforms, which is made when it is compiled.
    branches = name == 'cond' and not equation.params.get('branches_platforms')
    for value in jax.tree.leaves(
      list(equation.params.values()),
      is_leaf=lambda x: isinstance(x, Jaxpr | ClosedJaxpr),
    ):
      if isinstance(value, ClosedJaxpr):
        value = value.jaxpr
      if isinstance(value, Jaxpr):
        yield from svds(value, guarded or branches)


def one_update(eta, beta2, F, G, at):
  """One step of balanced descent from a state that balanced `at`."""
  rule = balanced(eta, beta2)
  params = {'F': F, 'G': G}
  state = rule.init(params)._replace(balanced_at=at)
  return step(rule, target(), (params, state))


def unguarded_update(eta, beta2, F, G, at):
  """The same with a plain branch on the lane's own predicate."""
  del eta
  return jax.lax.cond(
    at < 0,
    lambda: optimizers.regauge(F, G, beta2),
    lambda: (F, G),
  )


def traced(update, axes):
  args = [jnp.float64(0.1), jnp.float64(0.5), *draw(7, 6, 3), jnp.int32(-1)]
  for in_axes in reversed(axes):
    update = jax.vmap(update, in_axes)
  for in_axes in axes[::-1]:
    args = [
      x if axis is None else jnp.stack([x, x])
      for x, axis in zip(args, in_axes, strict=True)
    ]
  return jax.make_jaxpr(update)(*args).jaxpr


@pytest.mark.parametrize(
  'axes',
  [
    [],
    [(0, 0, 0, 0, 0)],
    [(0, None, None, None, 0)],
    [(0, 0, 0, 0, 0), (0, None, 0, 0, 0)],
  ],
  ids=['alone', 'vmap', 'shared', 'nested'],
)
def test_the_decomposition_is_in_a_branch(axes):
  found = list(svds(traced(one_update, axes)))
  assert found and all(found)
  # The check can fail: vmap turns a plain branch into a select.
  assert any(svds(traced(unguarded_update, axes))) == (not axes)


def test_the_decomposition_of_derivatives_is_in_a_branch():
  def change(eta, *rest):
    update = lambda eta: one_update(eta, *rest)[0]  # noqa: E731
    return jax.jacfwd(update)(eta)

  found = list(svds(traced(change, [(0, 0, 0, 0, 0)])))
  assert found and all(found)


def test_momentum_starts_afresh():
  M = target()
  F, G = draw(7, 6, 4)
  rule = functools.partial(balanced, momentum=0.9)
  (path, states), loss = jax.device_get(
    jax.jit(lambda: run(rule, 0.05, F, G, M, 600))()
  )
  at = int(states.balanced_at[-1])
  velocity = states.inner[0].trace['F']
  assert at > 0 and np.all(velocity[at + 1] == 0)
  assert np.linalg.norm(velocity[at]) > 0.01
  np.testing.assert_allclose(loss[at + 1], loss[at], rtol=1e-12, atol=0)
  assert loss[-1] < 1e-20 < loss[at]
  # The new gauge stays: momentum of the old one would have undone it.
  np.testing.assert_allclose(
    path['F'][-1].T @ path['F'][-1], 0.5 * np.eye(4), atol=0.1, rtol=0
  )


def test_any_rule_starts_afresh():
  M = target()
  F, G = draw(7, 6, 3)
  rule_of = lambda eta: optimizers.balance_once(  # noqa: E731
    optax.adam(eta), 0.5, TRIGGER
  )
  (_, states), _ = jax.jit(lambda: run(rule_of, 0.02, F, G, M, 150))()
  at = int(states.balanced_at[-1])
  count = np.array(states.inner[0].count)
  assert at > 0
  np.testing.assert_array_equal(count[: at + 1], np.arange(at + 1))
  np.testing.assert_array_equal(count[at + 1 :], np.arange(149 - at))


def test_derivatives_go_through_the_step():
  # The same step is modified on both sides of a small change of η. Two columns
  # of padding: equal singular values, between which the SVD has no derivative.
  M = target()
  F, G = (np.pad(x, ((0, 0), (0, 2))) for x in draw(7, 6, 3))

  def last(eta):
    (path, states), _ = run(balanced, eta, F, G, M, 80)
    return path['F'][-1] @ path['G'][-1].T, states.balanced_at[-1]

  h = 1e-6
  (low, high), at = jax.jit(jax.vmap(last))(jnp.array([0.2 - h, 0.2 + h]))
  assert 0 < at[0] == at[1]
  product = lambda eta: last(eta)[0]  # noqa: E731
  expected = (high - low) / (2 * h)
  etas = jnp.array([0.2, 0.25])  # a lane that is due while the other is not
  forward = jax.jit(jax.vmap(jax.jacfwd(product)))(etas)
  np.testing.assert_allclose(forward[0], expected, atol=1e-7, rtol=0)
  assert np.all(np.isfinite(forward)) and np.linalg.norm(expected) > 1e-3
  tangent = jax.jit(lambda eta: jax.jvp(product, (eta,), (jnp.float64(1),))[1])(
    0.2
  )
  np.testing.assert_allclose(tangent, forward[0], atol=1e-12, rtol=0)


# --- Preconditioning --------------------------------------------------------


def reference(U, Y, lam):
  """U (YᵀY + λI)⁺ by another route than a Cholesky factor."""
  gram = np.array(Y).T @ np.array(Y)
  return np.array(U) @ np.linalg.pinv(gram + lam * np.eye(len(gram)))


RULES = {
  'scaled_gd': (lambda eta: optimizers.scaled_gd(eta, 0.0), lambda L: 0.0),
  'damped': (lambda eta: optimizers.scaled_gd(eta, 0.02), lambda L: 0.02),
  'precgd': (lambda eta: optimizers.precgd(eta, 3.0), lambda L: 3 * L**0.5),
}


@pytest.mark.parametrize('name', list(RULES))
@pytest.mark.parametrize('parameters', ['X', 'FG'])
def test_one_preconditioned_step(name, parameters):
  """With two columns of padding, against numpy without."""
  rule_of, damping_of = RULES[name]
  rule, loss, eta = rule_of(0.3), 0.04, 0.3
  params = dict(zip(parameters, draw(9, 7, 4), strict=False))
  grads = dict(zip(parameters, draw(9, 7, 4, seed=1), strict=False))
  other = {'X': 'X', 'F': 'G', 'G': 'F'}
  expected = {
    name: np.array(params[name])
    - eta * reference(grads[name], params[other[name]], damping_of(loss))
    for name in parameters
  }
  pad = lambda tree: jax.tree.map(  # noqa: E731
    lambda x: np.pad(x, ((0, 0), (0, 2))), tree
  )
  wide = pad(params)
  updates, _ = rule.update(pad(grads), rule.init(wide), wide, value=loss)
  after = optax.apply_updates(wide, updates)
  for name in parameters:
    scale = np.max(np.abs(expected[name]))
    np.testing.assert_allclose(
      after[name][:, :4], expected[name], atol=1e-12 * scale, rtol=0
    )
    assert np.all(after[name][:, 4:] == 0)


def test_exact_scaled_gd_does_not_see_the_condition_number():
  # In the basis of the truth one step maps x to x − η(x − σ/x), whatever σ is.
  eta = 0.3
  for sigma in (1.0, 1e-4):
    x = np.array([[1.2 * sigma**0.5]])
    rule = optimizers.scaled_gd(eta, 0.0)
    grads = {'X': (x**2 - sigma) * x}
    updates, _ = rule.update(grads, rule.init({'X': x}), {'X': x})
    relative = (x + updates['X']) / sigma**0.5
    np.testing.assert_allclose(
      relative, 1.2 - eta * (1.2 - 1 / 1.2), rtol=1e-7, atol=0
    )


# --- Refusals ---------------------------------------------------------------


@pytest.mark.parametrize(
  'rule,params,message',
  [
    (balanced(0.1), {'X': jnp.ones((2, 1))}, r"\['X'\], expected \['F', 'G'\]"),
    (balanced(0.1), {'F': jnp.ones((2, 1))}, r"balance_once: .* are \['F'\]"),
    (balanced(0.1), jnp.ones((2, 1)), 'are Array.*, expected'),
    (
      optimizers.precgd(0.1),
      {'X': jnp.ones((2, 1)), 'b': jnp.ones(1)},
      r"\['X', 'b'\], expected \['X'\] or \['F', 'G'\]",
    ),
    (optimizers.scaled_gd(0.1, 0.0), {'W': jnp.ones((2, 1))}, 'scale_by_gram'),
  ],
)
def test_other_parameters_are_refused(rule, params, message):
  with pytest.raises(ValueError, match=message) as error:
    rule.init(params)
  assert '\n' not in str(error.value)
