"""Each law fails on a System that breaks it, and says so in one line."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.system import System
from framework.testing import laws


def decay(**other):
  """x <- x − η x, with other functions in place of its own."""
  own = System(
    sample=lambda key, hp: {'from': jnp.float64(1)},
    init=lambda key, problem, hp: problem['from'],
    step=lambda key, x, problem, hp: x - hp['eta'] * x,
    observe=lambda x, problem, hp: {'x': x},
  )
  return own._replace(**other)


HP = {'eta': np.float64(0.5)}


def subject(system, hp=None, **kwargs):
  return laws.Subject(system, HP if hp is None else hp, **kwargs)


def test_a_dictionary_of_numbers_is_checked_in_one_call():
  laws.check(decay(), {'eta': 0.5}, (0, 2, 3), differentiable=['eta'])


def test_nested_hp_and_dataclasses_are_hyperparameters():
  run = decay(step=lambda key, x, problem, hp: x - hp['rule'][0] * x)
  laws.derivatives_are_finite_and_right(
    subject(run, {'rule': (0.5, np.int32(1))}, differentiable=['rule.0'])
  )


def test_all_laws_are_in_all_and_check_names_the_one_that_fails():
  own = {
    value
    for name, value in vars(laws).items()
    if callable(value)
    and getattr(value, '__module__', '') == laws.__name__
    and not name.startswith('_')
  }
  assert own - {laws.check} == set(laws.ALL)
  broken = decay(step=lambda key, x, problem, hp: x.astype(jnp.float32))
  with pytest.raises(AssertionError, match=r'^states_keep_their_type: state'):
    laws.check(broken, HP)


def test_hp_of_arrays_and_wrong_names_are_refused():
  with pytest.raises(ValueError, match='eta'):
    subject(decay(), {'eta': np.ones(2)})
  with pytest.raises(ValueError, match=r"'mu', expected some of \['eta'\]"):
    subject(decay(), differentiable=['mu'])
  with pytest.raises(ValueError, match='which is float32'):
    subject(decay(), {'eta': np.float32(1)}, differentiable=['eta'])
  with pytest.raises(ValueError, match=r'times are \[0, 2, 2\]'):
    subject(decay(), times=(0, 2, 2))


def fails(law, system, line, hp=None, **kwargs):
  with pytest.raises(AssertionError, match=line) as caught:
    law(subject(system, hp, **kwargs))
  assert '\n' not in str(caught.value)


def test_a_state_of_another_kind_after_a_step():
  law = laws.states_keep_their_type
  fails(
    law,
    decay(step=lambda key, x, problem, hp: (x, x)),
    r"init returns a state of \[''\], step one of \['0', '1'\]",
  )
  fails(
    law,
    decay(step=lambda key, x, problem, hp: x[None]),
    r'is float64\[\] after init and float64\[1\] after a step',
  )
  fails(law, decay(init=lambda key, problem, hp: jnp.array(1.0)), 'weak type')


@pytest.mark.parametrize(
  'observe, line',
  [
    (lambda x: {'time': x}, 'time has the name of an axis'),
    (lambda x: {'eta': x}, 'eta has the name of an axis'),
    (lambda x: {'a/b': x}, 'expected text without'),
    (lambda x: {'x': 1j * x}, 'real numbers'),
    (lambda x: {'x': jax.random.key(0)}, 'real numbers'),
    (lambda x: {}, 'no dict'),
  ],
)
def test_observations_that_results_cannot_have(observe, line):
  broken = decay(observe=lambda x, problem, hp: observe(x))
  fails(laws.observations_are_named_numbers, broken, line)


def test_what_changes_between_calls_is_not_pure():
  count = itertools.count()
  broken = decay(step=lambda key, x, problem, hp: x - next(count))
  fails(laws.functions_are_pure, broken, 'two programs')
  # A derivative of one's own is written with the address of a function.
  relu = decay(step=lambda key, x, problem, hp: jax.nn.relu(x - hp['eta']))
  laws.functions_are_pure(subject(relu))
  draw = np.random.default_rng(0).normal
  broken = decay(sample=lambda key, hp: {'from': jnp.asarray(draw(size=()))})
  fails(laws.functions_are_pure, broken, 'two programs')

  def observe(x, problem, hp):
    problem['seen'] = x
    return {'x': x}

  fails(
    laws.functions_are_pure,
    decay(observe=observe),
    'observe changes its arguments',
  )


def test_what_is_not_finite_or_never_changes():
  law = laws.jitted_runs_are_finite
  broken = decay(observe=lambda x, problem, hp: {'x': x, 'log': jnp.log(-x)})
  fails(law, broken, "observation 'log' is not finite")
  fails(law, decay(), 'state is not finite', hp={'eta': np.float64('nan')})
  still = decay(step=lambda key, x, problem, hp: x)
  fails(law, still, 'no record changes')


def test_hp_that_python_wants_to_know_cannot_be_traced():
  def step(key, x, problem, hp):
    return x - hp['eta'] * x if hp['eta'] > 0 else x

  fails(
    laws.new_values_do_not_compile_again,
    decay(step=step),
    'it cannot be traced: ',
  )


def test_hp_that_are_closed_over_have_no_effect():
  broken = decay(step=lambda key, x, problem, hp: x - HP['eta'] * x)
  fails(laws.new_values_do_not_compile_again, broken, 'closed over')


def test_lanes_that_are_far_from_single_runs():
  @jax.custom_batching.custom_vmap
  def half(x):
    return x / 2

  @half.def_vmap
  def _(size, batched, x):
    return x / 2 + 1e-9, True

  broken = decay(step=lambda key, x, problem, hp: half(x) * hp['eta'])
  law = laws.vmapped_lanes_are_near_single_runs
  fails(law, broken, 'state of lane .* is off by [0-9.]+e-10, expected at most')


@pytest.mark.parametrize(
  'law',
  [
    laws.lanes_of_the_runner_are_single_runs,
    laws.chunks_keep_every_bit,
    laws.checkpoints_keep_every_bit,
  ],
)
def test_a_program_that_is_another_each_time_is_no_single_run(law):
  count = itertools.count(1)
  broken = decay(
    step=lambda key, x, problem, hp: x - hp['eta'] * x / next(count)
  )
  fails(law, broken, 'of lane .* differs from a single run')


def test_derivatives_that_are_not_finite_or_not_right():
  law = laws.derivatives_are_finite_and_right
  root = decay(observe=lambda x, problem, hp: {'x': x, 'r': jnp.sqrt(x - 1)})
  fails(
    law,
    root,
    r"∂observation 'r'/∂eta is not finite at step \[0\]",
    hp={'eta': -0.5},
  )
  frozen = decay(
    observe=lambda x, problem, hp: {'x': x, 'y': jax.lax.stop_gradient(x)}
  )
  fails(law, frozen, "∂observation 'y'/∂eta is off by", differentiable=['eta'])
  law(subject(frozen))
  idle = decay(observe=lambda x, problem, hp: {'x': problem['from']})
  fails(law, idle, 'eta has no effect', differentiable=['eta'])


def test_a_callback_does_not_lower_everywhere():
  def step(key, x, problem, hp):
    jax.debug.callback(lambda x: None, x)
    return x - hp['eta'] * x

  fails(
    laws.lowers_for_every_platform,
    decay(step=step),
    'lower for cpu: .*callback',
  )

  def final(x, problem, hp):
    return {'e': jnp.linalg.eig(x * jnp.eye(2))[0].real}

  fails(
    laws.lowers_for_every_platform,
    decay(),
    'it does not lower for cuda: .*eig',
    final=final,
  )
