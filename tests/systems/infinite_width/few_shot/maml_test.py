"""A step of MAML: compiled once, and its state is given back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.system import start
from framework.systems.infinite_width import few_shot as maml_dynamics
from framework.systems.infinite_width.few_shot import maml
from tests import toy
from tests.compiling import counted

SIZES = dict(
  source=maml_dynamics.gaussian(30, 2), ways=3, tasks=4, eval_tasks=4
)
GP, NTK = maml_dynamics.kernels.gp, maml_dynamics.kernels.ntk
LEARNERS = {
  'limit': (maml_dynamics.network(), 'float64'),
  'limit2': (maml_dynamics.network(order=2), 'float32'),
  'finite': (maml_dynamics.network(50), 'float32'),
  'linear': (maml_dynamics.linear_kernel(), 'float64'),
  'gp': (maml_dynamics.kernel(GP, capacity=120), 'float32'),
  'ntk': (maml_dynamics.kernel(NTK, capacity=120), 'float64'),
}


@pytest.mark.parametrize('name', LEARNERS)
def test_steps_are_compiled_once_and_donated(name):
  learner, dtype = LEARNERS[name]
  dtype = jnp.dtype(dtype)
  structure = maml_dynamics.Structure(learner, **SIZES, dtype=dtype)
  system = maml_dynamics.system(structure)
  hp = toy.typed(maml_dynamics.Hp(inner_lr=0.5), dtype)
  key = jax.random.key(0)
  problem, state = jax.jit(lambda: start(system, key, hp))()
  size = sum(x.nbytes for x in jax.tree.leaves(state))
  step = jax.jit(system.step, donate_argnums=1)
  memory = step.lower(key, state, problem, hp).compile().memory_analysis()
  assert memory.alias_size_in_bytes == size

  def go(state, lr, clip):
    rates = {'meta_lr': lr, 'inner_lr': 2 * lr, 'clip': clip}
    after = step(key, state, problem, hp._replace(**toy.typed(rates, dtype)))
    for x, was in zip(*map(jax.tree.leaves, (after, state)), strict=True):
      assert was.is_deleted() and x.dtype == was.dtype
    return after

  state = go(state, 0.1, 0.5)
  with counted() as count:
    for t in range(3):
      state = go(state, 0.1 * t, 0.5 + t)
  assert count.compiled == 0
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(state))


@pytest.mark.parametrize('order', [0, 3])
def test_orders_other_than_one_and_two_are_refused(order):
  tasks = maml.Tasks(*[jnp.ones((1, 2, 3)), jnp.zeros((1, 2), int)] * 2)
  params = maml.Params(jnp.ones((4, 3)), jnp.ones((2, 4)), jnp.zeros(4))
  with pytest.raises(ValueError, match=f'order is {order}, expected 1 or 2'):
    maml.outer_loss(params, tasks, 0.1, order=order)
  with pytest.raises(ValueError, match=f'order is {order}, expected 1 or 2'):
    maml.adapt(params, tasks.x[0], tasks.y[0], 0.1, order=order)
