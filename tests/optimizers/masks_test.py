import jax
import jax.numpy as jnp
import numpy as np
import optax

from framework.optimizers import freeze, from_step


def test_frozen_tensors_do_not_even_decay():
  w = {'a': jnp.ones(2), 'b': {'c': jnp.ones(2)}}
  rule = optax.chain(
    optax.adamw(0.1, weight_decay=1.0), freeze({'a': True, 'b': False})
  )
  updates, _ = rule.update(w, rule.init(w), w)
  np.testing.assert_array_equal(updates['a'], 0)
  assert (updates['b']['c'] < 0).all()


def test_from_step_acts_from_its_step_on_and_keeps_up():
  """What it switches on has seen all gradients before."""
  trace = optax.trace(0.5)
  rule = from_step(trace, 2)
  w = jnp.zeros(1)
  state, own, found, alone = rule.init(w), trace.init(w), [], []
  for g in (1.0, 1.0, 1.0, 1.0):
    u, state = rule.update(jnp.array([g]), state)
    v, own = trace.update(jnp.array([g]), own)
    found.append(float(u[0]))
    alone.append(float(v[0]))
  assert found == [1.0, 1.0, *alone[2:]] and alone[2] == 1.75


def test_the_step_may_be_a_lane():
  def second(first):
    rule = from_step(optax.set_to_zero(), first)
    state = rule.init(jnp.ones(1))
    _, state = rule.update(jnp.ones(1), state)
    return rule.update(jnp.ones(1), state)[0][0]

  np.testing.assert_array_equal(jax.vmap(second)(jnp.arange(4)), [0, 0, 1, 1])
