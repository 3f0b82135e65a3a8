"""Forms agree, scales do not matter, and what cannot be built is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import rollout
from framework.systems.clusters import xor as dynamics
from framework.systems.clusters.xor import net as xor_net
from tests import toy

SEEDS = (0, 1, 2, 3, 4)
STEPS = np.arange(21)


N, P, M = 30, 300, 24
FORMS = {
  'explicit': dynamics.explicit_problem,
  'gram': dynamics.gram_problem,
  'bartlett': dynamics.bartlett_problem,
}


@functools.cache
def runner(form, dtype):
  """(seed, hp) -> all observations and pre-activations; compiled once."""
  structure = dynamics.Structure(
    n=N,
    n_test=20,
    m=M,
    draw=FORMS[form],
    p=None if form == 'bartlett' else P,
    neurons=True,
    dtype=dtype,
  )
  gd = dynamics.system(structure)

  def observe(state, problem, hp):
    seen = dynamics.view(state, problem)
    whole = gd.observe(state, problem, hp)
    f = xor_net.outputs(seen.T, problem.facts.a, hp.leak)
    return whole | {'Z': seen.Z, 'N': seen.N, 'f': f}

  @jax.jit
  def run(seed, hp):
    key = jax.random.key(seed)
    return rollout(gd._replace(observe=observe), key, hp, STEPS)[1]

  return run


def recorded(form, dtype, seeds=SEEDS, **hp):
  """Everything observed, and all pre-activations, at every step."""
  hp = toy.typed(dynamics.Hp(**({'p': float(P)} | hp)), dtype)
  run = runner(form, dtype)
  found = [jax.tree.map(np.asarray, run(seed, hp)) for seed in seeds]
  return {k: np.stack([one[k] for one in found]) for k in found[0]}


@pytest.mark.parametrize(
  'dtype, tolerance, leak',
  # In float32 a pre-activation may round across 0, rarely: without a leak none
  # of these does.
  [
    (jnp.float64, 1e-13, 0.0),
    (jnp.float64, 1e-13, 0.3),
    (jnp.float32, 1e-5, 0),
  ],
)
def test_gram_form_is_the_explicit_run(dtype, tolerance, leak):
  explicit = recorded('explicit', dtype, leak=leak, eta=0.1)
  gram = recorded('gram', dtype, leak=leak, eta=0.1)
  np.testing.assert_array_equal(explicit['Z'] > 0, gram['Z'] > 0)
  np.testing.assert_array_equal(explicit['f'] > 0, gram['f'] > 0)
  for name in explicit:
    scale = np.abs(explicit[name]).max()
    np.testing.assert_allclose(
      gram[name], explicit[name], rtol=0, atol=tolerance * scale, err_msg=name
    )


@pytest.mark.parametrize('form', ['gram', 'bartlett'])
def test_only_the_ratio_of_step_and_start_matters(form):
  """As long as outputs are so small that every sigmoid weight is ½."""
  power = 2.0**-20
  plain = recorded(form, jnp.float32, SEEDS[:3])
  scaled = recorded(
    form, jnp.float32, SEEDS[:3], alpha=1e-12 * power, omega=1e-15 * power
  )
  # 1e-12 times a power of two is the power of two times float32(1e-12).
  np.testing.assert_array_equal(scaled['Z'], plain['Z'] * np.float32(power))


def test_the_ratio_in_double_precision():
  power = 2.0**-20
  plain = recorded('gram', jnp.float64, SEEDS[:3])
  scaled = recorded(
    'gram', jnp.float64, SEEDS[:3], alpha=1e-12 * power, omega=1e-15 * power
  )
  np.testing.assert_allclose(
    scaled['Z'] / power,
    plain['Z'],
    rtol=0,
    atol=1e-8 * np.abs(plain['Z']).max(),
  )


def test_order_one_outputs_do_change_the_weights():
  seen = recorded('gram', jnp.float64, (0,), alpha=0.1, omega=1e-4)
  ratio = seen['weight_ratio'][0]
  assert ratio[0] < 1.05 and ratio[-1] > 1.2


def test_the_norms_are_those_of_the_first_layer():
  seen = recorded('gram', jnp.float64, (0,))
  norms = np.sqrt(seen['N'].sum(-1))
  np.testing.assert_allclose(seen['weight_norm'], norms, rtol=1e-12, atol=0)


def test_momentum_commutes_with_the_span():
  """Any rule that is linear in gradients may be used in the Gram form."""

  def heavy_ball(hp):
    return optax.sgd(hp.alpha, momentum=0.9)

  hp = toy.typed(dynamics.Hp(p=20.0, alpha=0.3, omega=0.1), jnp.float64)
  key, found = jax.random.key(3), []
  for draw in (dynamics.explicit_problem, dynamics.gram_problem):
    gd = dynamics.system(
      dynamics.Structure(8, 4, 6, draw, p=20, rule=heavy_ball, dtype='f8')
    )
    problem = gd.sample(key, hp)
    state = first = gd.init(key, problem, hp)
    for _ in range(10):
      state = gd.step(key, state, problem, hp)
    found.append((problem, first.params, state.params))
  (x, W, one), (_, _, two) = found
  np.testing.assert_allclose(
    one['W'], W['W'] + x.x.T @ two['B'], rtol=1e-12, atol=1e-13
  )
  assert np.abs(two['B']).max() > 0.1


def test_the_module_has_what_the_system_draws():
  net = xor_net.TwoLayerNet(m=500, omega=0.5)
  tree = net.init(jax.random.key(0), jnp.ones((1, 40)))
  assert abs(float(jnp.std(tree['params']['W'])) - 0.5) < 0.02
  a = np.asarray(tree['frozen']['a'])
  np.testing.assert_allclose(np.abs(a), 500**-0.5, rtol=1e-6, atol=0)
  assert 0.4 < (a > 0).mean() < 0.6
  x = jax.random.normal(jax.random.key(1), (3, 40))
  z = x @ tree['params']['W']
  np.testing.assert_allclose(
    net.apply(tree, x), np.maximum(z, 0) @ a, rtol=1e-4, atol=1e-5
  )


def test_the_derivative_at_zero_is_that_of_the_left():
  slope = jax.grad(xor_net.activation)
  assert slope(jnp.float32(0.0)) == 0
  assert slope(jnp.float32(0.0), 0.25) == 0.25
  assert slope(jnp.float32(1e-30)) == 1


def test_choice_of_form():
  for form, size in (
    ('bartlett', (200, 4e4, 1000)),
    ('gram', (200, 150, 1000)),
    ('explicit', (200, 50, 1000)),
    ('bartlett', (100, 1.3e10, 400)),
  ):
    assert dynamics.choose(*size).draw is FORMS[form]


@pytest.mark.parametrize(
  'fields, message',
  [
    ({'n': 3}, 'n is 3, expected an integer >= 4'),
    ({'m': 1}, 'm is 1, expected an integer >= 2'),
    ({'n_test': 0}, 'n_test is 0, expected an integer >= 1'),
    ({'draw': FORMS['gram']}, 'p is None, expected an integer >= 2'),
    ({'draw': FORMS['explicit'], 'p': 1}, 'p is 1, expected an integer >= 2'),
    ({'p': 10}, 'p is 10, expected None: bartlett takes hp.p'),
    (
      {'draw': FORMS['explicit'], 'p': 10**7},
      r'p is 10000000, which takes 1.4e\+11 bytes .* bartlett takes any p',
    ),
  ],
)
def test_refusals(fields, message):
  with pytest.raises(ValueError, match=message):
    dynamics.Structure(**fields)


@functools.cache
def at_paper_size():
  gd = dynamics.system(dynamics.Structure())

  @jax.jit
  def run(seeds):
    def one(seed):
      key = jax.random.key(seed)
      times = jnp.array([0, 1, 2, 5, 15])
      return rollout(gd, key, dynamics.Hp(), times)[1]

    return jax.lax.map(one, seeds)

  return jax.tree.map(np.asarray, run(np.arange(12)))


def test_fits_at_once_and_generalises_later():
  seen = at_paper_size()
  assert (seen['train_accuracy'][:, 1] >= 0.98).all()
  assert (seen['train_accuracy'][:, 2:] >= 0.99).all()
  test = seen['test_accuracy'].mean(0)
  assert 0.45 < test[0] < 0.56 and 0.45 < test[1] < 0.58
  assert test[4] > 0.9
  assert seen['linear_agreement'][:, 1].mean() > 0.93
  assert 0.93 < seen['linear_slope'][:, 1].mean() < 1.13


def test_each_sign_keeps_one_mean():
  last = at_paper_size()['projection'][:, -1]  # (seed, sign, mean)
  assert np.median(last[:, 0, 0] / last[:, 0, 1]) > 12
  assert np.median(last[:, 1, 1] / last[:, 1, 0]) > 12


def test_a_linear_network_does_not_generalise():
  gd = dynamics.system(dynamics.Structure(n=60, m=100))

  @jax.jit
  def run(seeds):
    def one(seed):
      key = jax.random.key(seed)
      hp = dynamics.Hp(leak=1.0)
      return rollout(gd, key, hp, jnp.array([20]))[1]['test_accuracy']

    return jax.lax.map(one, seeds)

  assert 0.45 < float(run(np.arange(20)).mean()) < 0.55
