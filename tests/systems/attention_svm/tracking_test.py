"""Solutions that follow a run: as if all were solved, with few solves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths.margin import svm
from framework.systems import attention_svm as dynamics
from framework.systems.attention_svm import tracking
from framework.systems.attention_svm.rows import margin_rows


@pytest.fixture(scope='module')
def run():
  """Six runs of 60 steps, in stretches of 20: (data, tokens over time)."""
  structure = dynamics.Structure(n=3, T=4, d=5, dtype=jnp.float64)
  system = dynamics.system(structure)
  hp = jax.tree.map(jnp.float64, dynamics.Hp())

  @jax.jit
  @jax.vmap
  def start(key):
    problem = system.sample(key, hp)
    return problem, system.init(key, problem, hp)

  @jax.jit
  @jax.vmap
  def train(problem, state):
    key = jax.random.key(0)
    return jax.lax.fori_loop(
      0, 20, lambda t, s: system.step(key, s, problem, hp), state
    )

  problem, state = start(jax.random.split(jax.random.key(1), 6))

  @jax.jit
  @jax.vmap
  def chosen(params, data):
    return jnp.argmax(dynamics.logits_of(params, data), -1)

  seen = []
  for _ in range(4):
    seen.append(np.asarray(chosen(state.params, problem.data)))
    state = train(problem, state)
  return problem.data, seen


@pytest.mark.parametrize('norm', ['frobenius', 'nuclear'])
def test_it_is_what_solving_all_gives_with_as_few_solves(run, norm):
  data, seen = run
  followed, needed = tracking.follow(data), 0
  last = np.full_like(seen[0], -1)
  for tokens in seen:
    needed += int((tokens != last).any(1).sum())
    last = tokens
    followed = tracking.update(followed, data, tokens, norm)
    assert followed.solved == needed
  assert len(seen[0]) < needed < 4 * len(seen[0])  # some switched, not all

  @jax.jit
  @jax.vmap
  def every(X, Z, mask, tokens):
    return svm(margin_rows(X, Z, tokens, mask), norm, len(Z))

  W, _, found = every(data.X, data.Z, data.mask, jnp.asarray(last))
  np.testing.assert_allclose(followed.W, W, rtol=1e-9, atol=1e-12)
  np.testing.assert_array_equal(followed.feasible, found.feasible)
  np.testing.assert_allclose(followed.primal, found.primal, rtol=1e-9, atol=0)


def test_nothing_is_solved_twice(run):
  data, seen = run
  one = tracking.update(tracking.follow(data), data, seen[0])
  assert tracking.update(one, data, seen[0]) is one


def test_bad_input_is_one_line(run):
  data, seen = run
  single = jax.tree.map(lambda x: x[0], data)
  with pytest.raises(ValueError, match=r'X has shape \(3, 4, 5\), expected'):
    tracking.follow(single)
  with pytest.raises(ValueError, match='tokens have shape'):
    tracking.update(tracking.follow(data), data, seen[0][:2])
  with pytest.raises(ValueError, match='norm'):
    tracking.update(tracking.follow(data), data, seen[0], 'l3')
