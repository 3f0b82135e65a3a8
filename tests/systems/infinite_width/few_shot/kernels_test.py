"""Stores of rows: blocks, what is not filled, and rows over devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.run.plan import Plan
from framework.run.sweep import Program
from framework.systems.infinite_width import few_shot as maml_dynamics
from framework.systems.infinite_width.few_shot import kernels as kernel_limit
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.few_shot.kernels import Scales
from tests import toy
from tests.compiling import counted

KINDS = (kernel_limit.gp, kernel_limit.ntk)
# 4 tasks of 5 queries, 20 rows a step: 400 after the last record.
STRUCTURE = dict(
  source=maml_dynamics.gaussian(12, 3), tasks=4, eval_tasks=8, eval_steps=2
)
TIMES = np.array([0, 3, 20], np.int32)


def rows(count, d, seed=0):
  rng = np.random.default_rng(seed)
  return rng.standard_normal((count, d)), rng.standard_normal((count, 2))


@pytest.mark.parametrize('kind', kernel_limit.KINDS)
def test_blocks_and_capacity_do_not_show(kind):
  """f(x) = K(x, X) c, however the rows lie and however much room there is."""
  kernel = kernel_limit.one_layer(kind, Scales(1.1, 0.3, 0.7))
  X, C = rows(11, 3)
  x = rows(5, 3, seed=1)[0]
  want = np.asarray(jax.jit(kernel)(x, X)) @ C

  @functools.partial(jax.jit, static_argnums=(0, 1))
  def filled(capacity, block):
    store = kernel_limit.empty(capacity, 3, 2, jnp.float64, block)
    for part in (slice(0, 6), slice(6, 11)):
      store = kernel_limit.append(store, X[part], C[part])
    return store.count, kernel_limit.predict(kernel, store, x)

  for capacity, block in ((11, 11), (11, 4), (110, 4), (12, 1)):
    count, found = filled(capacity, block)
    assert int(count) == 11
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


def test_rows_beyond_the_capacity_are_seen():
  store = kernel_limit.empty(4, 3, 2, jnp.float64, 2)
  store = kernel_limit.append(store, *rows(4, 3))
  assert np.isfinite(store.C).all()
  store = kernel_limit.append(store, *rows(1, 3))
  assert np.isnan(store.C).all()


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_rows_are_written_in_place(dtype):
  """Of a donated store nothing is copied, and none is compiled again."""
  append = jax.jit(kernel_limit.append, donate_argnums=0)
  store = kernel_limit.empty(4000, 3, 2, jnp.dtype(dtype), 1000)
  new = [x.astype(dtype) for x in rows(6, 3)]
  size = sum(x.nbytes for x in store)
  memory = append.lower(store, *new).compile().memory_analysis()
  assert memory.alias_size_in_bytes == size
  assert memory.temp_size_in_bytes < size / 20
  where = [x.unsafe_buffer_pointer() for x in store[:2]]
  before, store = store, append(store, *new)
  with counted() as count:
    store = append(store, *new)
  assert count.compiled == 0 and int(store.count) == 12
  assert all(x.is_deleted() for x in before)
  assert where == [x.unsafe_buffer_pointer() for x in store[:2]]


@pytest.mark.parametrize('kind', kernel_limit.KINDS)
def test_an_outer_step_is_compiled_once(kind):
  """Whatever rates, clip and variances, alone and as lanes over them."""
  x = jax.random.normal(jax.random.key(2), (3, 4, 5))
  y = jnp.broadcast_to(jnp.arange(4) % 2, (3, 4))
  tasks, f = maml.Tasks(x, y, x + 0.1, y), jnp.zeros((3, 8, 2))

  def step(rates):
    inner_lr, meta_lr, clip, *scales = rates
    kernel = kernel_limit.one_layer(kind, Scales(*scales))
    return kernel_limit.outer_step(kernel, f, tasks, inner_lr, meta_lr, clip)

  values = np.array(
    [[0.1, 0.2, 0.3, 1.0, 0.1, 1.0], [0.2, 0.5, 9.0, 1.5, 0.2, 0.5]]
  )
  single, lanes = jax.jit(step), jax.jit(jax.vmap(step))
  one = single(values[0])
  with counted() as count:
    other = single(values[1])
  assert count.compiled == 0
  assert np.abs(one.C - other.C).max() > 1e-3
  both = lanes(values)
  for i, alone in enumerate((one, other)):
    for found, want in zip(both, alone, strict=True):
      np.testing.assert_allclose(found[i], want, rtol=1e-12, atol=1e-14)


def outputs(structure, kind):
  """The system, observing what it predicts at inputs of its own."""
  system = maml_dynamics.system(structure)
  x = jnp.linspace(-1, 1, 7 * 12).reshape(7, 12)

  def observe(state, problem, hp):
    del problem
    scales = Scales(hp.var_w, hp.var_b, hp.var_v)
    kernel = kernel_limit.one_layer(kind, scales)
    return {'f': kernel_limit.predict(kernel, state, x)}

  return system._replace(observe=observe)


@pytest.mark.parametrize('kind', KINDS)
def test_the_rows_of_a_kernel_are_spread(kind):
  """Half of the rows of every block on each device, and no sum forgotten."""
  capacity = 400
  structure = maml_dynamics.Structure(
    maml_dynamics.kernel(kind, capacity=capacity), **STRUCTURE
  )
  hp = toy.typed(maml_dynamics.Hp(), float)
  hp = hp._replace(meta_lr=np.array([0.1, 0.5]), inner_lr=2.0, var_b=0.2)
  system = outputs(structure, kind)

  def run(plan):
    program = Program(system, plan, hp)
    keys = program.seed_keys(range(plan.seeds))
    problem, lanes = program.start(keys, hp, None)
    args = problem, hp, lanes, np.int32(0), TIMES, np.ones(3, bool)
    text = program.advance.lower(keys, *args).compile().as_text()
    lanes, records = program.advance(keys, *args)
    return lanes.state, records['f'], text

  plan = Plan(2, 2, 1, 1, 2, 'seed')
  _, want, alone = run(plan)
  state, got, text = run(plan._replace(model=2))
  np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
  assert np.ptp(np.asarray(want), axis=2).max() > 1e-3  # something was learnt
  np.testing.assert_array_equal(state.count, capacity)
  for x in state.X, state.C:
    shards = {s.data.shape for s in x.addressable_shards}
    assert shards == {(1, 2, capacity // 2, *x.shape[3:])}
  # No device ever holds them all.
  whole = f'f64[{capacity},1,12]'
  assert whole in alone and whole not in text
  assert 'all-reduce' in text or 'all-gather' in text
  assert 'all-reduce' not in alone and 'all-gather' not in alone


def test_rows_that_do_not_divide_stay_where_they_are():
  mesh = jax.make_mesh((3,), ('model',))
  store = kernel_limit.empty(8, 3, 2, jnp.float64, 8)
  with jax.set_mesh(mesh):
    assert kernel_limit.spread(store) is store
