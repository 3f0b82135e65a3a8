"""Gradient descent on factors: problem, start, rules, structures."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.optimizers import tracked_quantile
from framework.systems import matrix_sensing as dynamics
from framework.systems.matrix_sensing import (
  ensembles,
  operators,
  optimizers,
  probes,
  targets,
)
from tests.systems.matrix_sensing.problem_test import ABSOLUTE
from tests.systems.matrix_sensing.problems import (
  FORMS,
  GENERAL,
  assert_close,
  follow,
  measured,
)


@pytest.mark.parametrize('symmetric', [True, False])
def test_every_form_samples_the_same_problem(symmetric):
  # Fewer measurements than entries: the noise can be read off its adjoint.
  shape = {
    'n1': 5,
    'n2': 5,
    'r': 2,
    'k_max': 2,
    'm': 9,
    'noise': ensembles.outliers,
  }
  shape |= {} if symmetric else GENERAL | {'n2': 4}
  hp = dynamics.Hp(outliers=0.4, k=2, kappa=4.0)

  systems = [
    dynamics.system(dynamics.Structure(operator=FORMS[kind], **shape))
    for kind in ('dense', *['svec'] * symmetric, 'gram', 'blocks')
  ]

  @jax.jit
  def samples(key):
    problems = [gd.sample(key, hp) for gd in systems]
    return [(p, p.operator.normal(p.M)) for p in problems]

  seen = samples(jax.random.key(1))
  dense, _ = seen[0]
  A, M = np.array(dense.operator.A), np.array(dense.M)
  s, *_ = np.linalg.lstsq(A.T, np.array(dense.noise_adjoint).ravel())
  assert 0 < np.sum(np.abs(s) > 1e-12) < 9
  np.testing.assert_allclose(
    dense.noise_energy, np.sum(s**2), rtol=1e-12, atol=0
  )
  y = A @ M.ravel() + s
  np.testing.assert_allclose(dense.y_energy, np.sum(y**2), rtol=1e-12, atol=0)
  np.testing.assert_allclose(
    np.linalg.svd(M, compute_uv=False)[:2], [1, 0.25], rtol=1e-13, atol=0
  )
  D = (A.T @ (A @ M.ravel())).reshape(M.shape)
  for problem, normal in seen:
    np.testing.assert_allclose(problem.M, M, atol=1e-15, rtol=0)
    np.testing.assert_allclose(
      problem.y_energy, dense.y_energy, rtol=1e-12, atol=0
    )
    np.testing.assert_allclose(normal, D, atol=1e-13, rtol=0)
    np.testing.assert_allclose(
      problem.noise_adjoint, dense.noise_adjoint, atol=1e-13, rtol=0
    )


def test_outliers_are_as_many_and_as_large_as_said():
  m, fraction = 20_000, 0.3
  shape = dynamics.Structure(
    n1=2, n2=2, r=1, k_max=1, m=m, noise=ensembles.outliers
  )
  gd = dynamics.system(shape)
  hp = dynamics.Hp(outliers=fraction)
  problem = jax.jit(gd.sample)(jax.random.key(0), hp)
  # ‖s‖² = 100 times the fraction: sd 10 where A_i has unit variance.
  np.testing.assert_allclose(
    problem.noise_energy, 100 * fraction, rtol=0.05, atol=0
  )


def test_an_own_truth_is_used():
  truth = targets.from_matrix(np.diag([1.0, 0.2, 0.0, 0.0]), 2)
  gd = dynamics.system(dynamics.Structure(n1=4, n2=4, r=2, k_max=2))
  problem = gd.sample(jax.random.key(0), dynamics.Hp(), truth)
  np.testing.assert_array_equal(problem.M, np.diag([1.0, 0.2, 0, 0]))
  np.testing.assert_allclose(problem.y_energy, 1.04, rtol=1e-15, atol=0)


def test_the_start_has_the_scale_alpha():
  shape = dynamics.Structure(n1=400, n2=300, k_max=4, **GENERAL)
  gd = dynamics.system(shape)
  hp = dynamics.Hp(alpha=0.3, ratio=0.5, k=3)
  problem = gd.sample(jax.random.key(1), hp)
  params = jax.jit(gd.init)(jax.random.key(0), problem, hp).params
  F, G = (np.array(params[name]) for name in 'FG')
  assert np.all(F[:, 3] == 0) and np.all(G[:, 3] == 0)
  # Singular values of a Gaussian n x k lie in 1 ± √(k/n).
  for x, alpha, n in ((F, 0.3, 400), (G, 0.15, 300)):
    values = np.linalg.svd(x[:, :3], compute_uv=False) / alpha
    assert np.all(np.abs(values - 1) < 1.5 * (3 / n) ** 0.5)
  assert abs(np.sum(F[:300] * G)) < 0.1 * np.linalg.norm(F) * np.linalg.norm(G)


def test_a_tied_start():
  gd = dynamics.system(dynamics.Structure(n1=6, n2=6, k_max=3, **GENERAL))
  init = jax.jit(gd.init)
  for tied, same in ((1.0, True), (0.0, False)):
    hp = dynamics.Hp(tied=tied, k=3)
    problem = gd.sample(jax.random.key(1), hp)
    params = init(jax.random.key(0), problem, hp).params
    assert np.array_equal(params['F'], params['G']) == same


@pytest.mark.parametrize(
  'optimizer,symmetric',
  [
    (optax.sgd, True),
    (optimizers.balanced, False),
    (lambda hp: optimizers.scaled_gd(hp.eta, hp.damping), False),
    (lambda hp: optimizers.precgd(hp.eta, hp.loss_damping), True),
  ],
)
def test_padded_lanes_are_unpadded_ones(optimizer, symmetric):
  last = {}
  shape = {'n1': 9, 'n2': 9, 'r': 2, 'm': 90, 'optimizer': optimizer}
  shape |= {} if symmetric else GENERAL | {'n2': 7}
  for k_max in (3, 5):
    structure = dynamics.Structure(k_max=k_max, **shape)
    problem, *_ = measured(structure)
    hp = dynamics.Hp(k=3, trigger=0.01)
    state, _ = follow(structure, problem)(hp, jnp.array([200]))
    last[k_max] = {name: np.array(x) for name, x in state.params.items()}
    if optimizer is optimizers.balanced:
      assert 0 < state.opt_state.balanced_at < 200
  for name, plain in last[3].items():
    assert np.all(last[5][name][:, 3:] == 0)
    assert_close(last[5][name][:, :3], plain, 1e-12)


def test_imbalance_changes_by_its_identity():
  structure = dynamics.Structure(
    n1=8, n2=6, r=2, k_max=4, m=80, operator=operators.dense, **GENERAL
  )
  problem, *_ = measured(structure)

  def observe(state, hp):
    F, G = state.params['F'], state.params['G']
    D = problem.operator.normal(F @ G.T - problem.M)
    change = probes.imbalance_step(F, G, D, hp.eta)
    return {'imbalance': probes.imbalance(F, G), 'change': change}

  run = follow(structure, problem, observe)
  hp = dynamics.Hp(eta=0.2, k=4, alpha=0.5)
  _, seen = run(hp, jnp.arange(301))
  imbalance, change = np.array(seen['imbalance']), np.array(seen['change'])
  np.testing.assert_allclose(
    np.diff(imbalance, axis=0), change[:-1], rtol=0, atol=1e-13
  )
  drift = np.linalg.norm(imbalance[-1] - imbalance[0])
  assert 1e-3 < drift / np.linalg.norm(imbalance[0]) < 0.1
  # O(η²) a step over O(1/η) steps.
  _, slower = run(hp._replace(eta=0.1), jnp.arange(0, 602, 2))
  slower = np.array(slower['imbalance'])
  half = np.linalg.norm(slower[-1] - slower[0])
  np.testing.assert_allclose(drift / half, 2, rtol=0.1, atol=0)


@pytest.mark.parametrize('sigma', [(1.0,), (1.0, 0.25)])
def test_what_triggers_the_modified_step(sigma):
  """The first 2L/‖y‖² below the trigger; β² is in units of σ_r."""
  structure = dynamics.Structure(
    n1=8,
    n2=6,
    r=len(sigma),
    k_max=3,
    m=80,
    optimizer=optimizers.balanced,
    **GENERAL,
  )
  problem, stack, y = measured(structure, sigma)
  hp = dynamics.Hp(eta=0.2, k=3, kappa=4.0, trigger=0.05, beta2=1.5)

  def observe(state, hp):
    return {**state.params, 'at': state.opt_state.balanced_at}

  _, seen = follow(structure, problem, observe)(hp, jnp.arange(151))
  F, G = np.array(seen['F']), np.array(seen['G'])
  residual = np.einsum('mij,tik,tjk->tm', stack, F, G) - y
  relative = np.sum(residual**2, -1) / np.sum(y**2)
  at = int(np.argmax(relative < 0.05))
  assert 0 < at < 150
  np.testing.assert_array_equal(
    seen['at'], np.where(np.arange(151) > at, at, -1)
  )
  gram = F[at + 1].T @ F[at + 1]
  np.testing.assert_allclose(
    gram, 1.5 * sigma[-1] * np.eye(3), atol=1e-13, rtol=0
  )


def test_balancing_needs_two_factors():
  gd = dynamics.system(dynamics.Structure(optimizer=optimizers.balanced))
  problem = gd.sample(jax.random.key(1), dynamics.Hp())
  with pytest.raises(ValueError, match=r"are \['X'\], expected \['F', 'G'\]"):
    gd.init(jax.random.key(0), problem, dynamics.Hp())


RULES = {
  'of a rate': (optax.adam, optax.adam(0.1)),
  'of hp': (lambda hp: optax.sgd(hp.eta / 2), optax.sgd(0.05)),
  'a rule': (optax.lion(0.01), optax.lion(0.01)),
}


@pytest.mark.parametrize('name', list(RULES))
def test_any_rule_can_be_taken(name):
  choice, rule = RULES[name]
  gd = dynamics.system(
    dynamics.Structure(n1=4, n2=4, r=1, k_max=2, optimizer=choice)
  )
  hp, key = dynamics.Hp(eta=0.1, k=2), jax.random.key(0)

  @jax.jit
  def both(key):
    problem = gd.sample(key, hp)
    state = gd.init(key, problem, hp)
    _, grads = dynamics.value_and_grad(state.params, problem)
    updates, _ = rule.update(grads, rule.init(state.params), state.params)
    wanted = optax.apply_updates(state.params, updates)
    return gd.step(key, state, problem, hp).params, wanted

  found, wanted = both(key)
  np.testing.assert_allclose(found['X'], wanted['X'], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
  'options,message',
  [
    ({'r': 0}, 'r is 0, expected 1 <= r <= 30'),
    ({'n1': 4, 'n2': 4, 'k_max': 5}, 'k_max is 5, expected 1 <= k_max <= 4'),
    ({'m': 0}, 'm is 0, expected an integer >= 1'),
    ({'n2': 20}, 'square symmetric truth'),
    ({'symmetric_truth': False}, 'square symmetric truth'),
    (
      {'symmetric': False, 'symmetric_ensemble': True, 'm': 600},
      'cannot see the skew part',
    ),
    ({'optimizer': 'adam'}, "optimizer is 'adam', expected an optax rule"),
    ({'operator': 'gram'}, "operator is 'gram', not a function"),
    ({'spectrum': 'flat'}, "spectrum is 'flat', not a function"),
    ({'loss': ABSOLUTE}, 'of which the population has none'),
    ({'loss': ABSOLUTE, 'm': 9}, 'of which a gram operator has none'),
    (
      {'m': 9, 'symmetric_ensemble': False, 'operator': operators.svec},
      'take dense for general A_i',
    ),
  ],
)
def test_structures_are_refused(options, message):
  with pytest.raises(ValueError, match=message) as error:
    dynamics.Structure(**options)
  assert '\n' not in str(error.value)


def test_a_rule_of_the_residuals_forms_them_once():
  """Not for the gradient and again for the rule: the compiler may keep both."""
  absolute, formed = dynamics.mean_residual(jnp.abs), []

  def loss(problem, F, G):
    formed.append(F)
    return absolute(problem, F, G)

  structure = dynamics.Structure(
    n1=6,
    n2=6,
    r=1,
    k_max=2,
    m=40,
    operator=operators.svec,
    loss=loss,
    optimizer=lambda hp: tracked_quantile(hp.eta, 0.5),
  )
  system, hp = dynamics.system(structure), dynamics.Hp(0.1, 0.1, k=2, kappa=1.0)
  key = jax.random.key(0)
  problem = system.sample(key, hp)
  state = system.init(key, problem, hp)
  jax.make_jaxpr(lambda state: system.step(key, state, problem, hp))(state)
  # The other one is that of the truth, which rules may ask for.
  assert [F.shape for F in formed] == [(6, 2), (6, 1)]
