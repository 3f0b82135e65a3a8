"""Any flax module, any optax rule: a loss falls, and no bit is lost."""

import functools
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.supervised import supervised
from framework.system import advance, keys, rollout, start
from tests import toy

KEY = jax.random.key(0)
CE = optax.losses.softmax_cross_entropy_with_integer_labels


def task(key, hp):
  """Sixteen sequences of four rows; which of two coordinates sums to more."""
  x = toy.draw(key, (24, 4, 3), jnp.float32)
  y = (jnp.sum(x[..., 0] - x[..., 1], 1) > 0).astype(jnp.int32)
  return {'x': x[:16], 'y': y[:16], 'x_test': x[16:], 'y_test': y[16:]}


def rule(hp):
  return optax.adam(hp['lr'])


class Net(nn.Module):
  """Something in between two dense layers, told whether it is trained."""

  middle: Any  # (train) -> module or function
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train):
    kind = {'dtype': self.dtype, 'param_dtype': self.dtype}
    x = nn.Dense(6, **kind)(x)
    x = jnp.tanh(self.middle(train)(x))
    return nn.Dense(2, **kind)(x.reshape(len(x), -1))


class Loop(nn.Module):
  """Three layers with the same program, parameters stacked by `nn.scan`."""

  train: bool

  @nn.compact
  def __call__(self, x):
    train = self.train

    class Layer(nn.Module):
      @nn.compact
      def __call__(self, x, _):
        x = nn.Dropout(0.1, deterministic=not train)(x)
        return x + jnp.tanh(nn.Dense(6)(x)), None

    split = {'params': True, 'dropout': True}
    layers = nn.scan(
      Layer, variable_axes={'params': 0}, split_rngs=split, length=3
    )
    return layers()(x, None)[0]


class Adapted(nn.Module):
  """LoRA: W + B A with A and B in a collection of their own, B = 0 at first."""

  features: int
  collection: str = 'lora'

  @nn.compact
  def __call__(self, x):
    def drawn():
      return toy.draw(self.make_rng('params'), (x.shape[-1], 2), x.dtype)

    base = nn.Dense(self.features)(x)
    if self.collection == 'params':
      A = self.param('A', lambda key: toy.draw(key, (x.shape[-1], 2), x.dtype))
      B = self.param('B', lambda key: jnp.zeros((2, self.features), x.dtype))
    else:
      A = self.variable('lora', 'A', drawn).value
      zeros = functools.partial(jnp.zeros, (2, self.features), x.dtype)
      B = self.variable('lora', 'B', zeros).value
    return base + x @ A @ B


class Flat(nn.Module):
  """Rows made flat for a module of vectors."""

  inner: Any

  @nn.compact
  def __call__(self, x):
    return self.inner(x.reshape(len(x), -1))


def boxed(features):
  init = nn.with_partitioning(nn.initializers.lecun_normal(), (None, 'model'))
  return nn.Dense(features, kernel_init=init)


def only_adapters(hp):
  """The same by `optax.partition`, which sees paths of parameters."""

  def labels(params):
    return jax.tree_util.tree_map_with_path(
      lambda path, _: 'on' if path[-1].key in 'AB' else 'off', params
    )

  return optax.partition({'on': rule(hp), 'off': optax.set_to_zero()}, labels)


def net(module, **options):
  given = {'loss': CE, 'rule': rule, 'batch': 8} | options
  return functools.partial(supervised, task, module, **given)


BFLOAT = {'dtype': jnp.bfloat16, 'param_dtype': jnp.bfloat16}
NETS = {
  'dense': net(Flat(nn.Sequential([nn.Dense(8), nn.tanh, nn.Dense(2)]))),
  'conv': net(Net(lambda train: nn.Conv(6, (3,)))),
  'batch norm': net(
    Net(lambda train: nn.BatchNorm(use_running_average=not train, momentum=0.5))
  ),
  'layer norm': net(Net(lambda train: nn.LayerNorm())),
  'dropout': net(Net(lambda train: nn.Dropout(0.2, deterministic=not train))),
  'attention': net(
    Net(
      lambda train: nn.MultiHeadDotProductAttention(
        2, dropout_rate=0.1, deterministic=not train
      )
    )
  ),
  'scan': net(Net(Loop)),
  'adapters': net(Flat(Adapted(2)), trained='lora'),
  'partition': net(Flat(Adapted(2, 'params')), rule=only_adapters),
  'bfloat16': net(Net(lambda train: nn.Dense(6, **BFLOAT), jnp.bfloat16)),
  'boxed': net(Net(lambda train: boxed(6))),
}  # fmt: skip


def lanes(system, hp):
  """(begin, go on) of lanes, compiled once each."""

  @jax.jit
  @functools.partial(jax.vmap, in_axes=0)
  def begin(hp):
    return start(system, KEY, hp)

  @jax.jit
  @functools.partial(jax.vmap, in_axes=(0, 0, 0, None, None))
  def go(hp, problem, state, t, times):
    return advance(system, keys(KEY).step, problem, hp, state, t, times)

  return begin(hp), functools.partial(go, hp)


@pytest.mark.parametrize('name', NETS)
def test_any_module_learns(name):
  """Lanes of learning rates, whole and cut in two: the same to the bit."""
  hp = {'lr': jnp.array([0.03, 0.1], jnp.float32)}
  (problem, state), go = lanes(NETS[name](), hp)
  whole, records = go(problem, state, 0, jnp.array([0, 7, 60]))
  for part in ('loss', 'test_loss'):
    assert records[part].dtype == jnp.float32
  assert np.all(records['loss'][:, -1] < 0.6 * records['loss'][:, 0])
  half, _ = go(problem, state, 0, jnp.array([1, 1, 13]))
  chex.assert_trees_all_equal(
    go(problem, half, 13, jnp.array([14, 20, 60]))[0], whole
  )


def started(system, hp=None):
  hp = {'lr': jnp.float32(0.1)} if hp is None else hp
  return hp, *jax.jit(functools.partial(start, system))(KEY, hp)


def stepped(system, key=KEY):
  hp, problem, state = started(system)
  return problem, state, jax.jit(system.step)(key, state, problem, hp)


def test_running_statistics_move_in_steps_and_are_read_in_observations():
  """m <- m/2 + mean(h)/2 from m = 0; what is observed is evaluated with m."""
  module = Net(
    lambda train: nn.BatchNorm(use_running_average=not train, momentum=0.5)
  )
  system = supervised(task, module, CE, rule)
  problem, before, after = stepped(system)
  layer = before.params['Dense_0']
  hidden = problem['x'] @ layer['kernel'] + layer['bias'][None, None]
  moved = after.variables['batch_stats']['BatchNorm_0']
  np.testing.assert_allclose(
    moved['mean'], jnp.mean(hidden, (0, 1)) / 2, rtol=1e-5, atol=1e-6
  )
  seen = system.observe(after, problem, None)
  everything = {'params': after.params, **after.variables}
  for end in ('', '_test'):
    out = module.apply(everything, problem['x' + end], train=False)
    want = jnp.mean(CE(out, problem['y' + end]))
    got = seen[('test_' if end else '') + 'loss']
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=0)


def test_dropout_is_of_the_step_and_not_of_the_observation():
  module = Net(lambda train: nn.Dropout(0.5, deterministic=not train))
  system = supervised(task, module, CE, rule)
  problem, before, one = stepped(system)
  two, three = (stepped(system, jax.random.key(k))[2] for k in (0, 1))
  chex.assert_trees_all_equal(one, two)
  kernels = [s.params['Dense_1']['kernel'] for s in (one, three)]
  assert np.any(kernels[0] != kernels[1])
  out = module.apply({'params': before.params}, problem['x'], train=False)
  np.testing.assert_allclose(
    system.observe(before, problem, None)['loss'],
    jnp.mean(CE(out, problem['y'])),
    rtol=1e-6,
    atol=0,
  )


@pytest.mark.parametrize(
  'rule',
  [
    lambda hp: optax.lbfgs(memory_size=3),
    lambda hp: optax.contrib.sam(
      optax.sgd(hp['lr']), optax.sgd(0.01), opaque_mode=True
    ),
  ],
)
def test_rules_that_ask_again_see_the_same_noise_and_statistics(rule):
  """Statistics are those of θ_t, however often the loss was asked for."""

  def middle(train):
    norm = nn.BatchNorm(use_running_average=not train, momentum=0.5)
    return nn.Sequential([norm, nn.Dropout(0.1, deterministic=not train)])

  one = supervised(task, Net(middle), CE, rule, batch=8)
  two = supervised(task, Net(middle), CE, lambda hp: optax.sgd(0.1), batch=8)
  steps = [stepped(system)[2] for system in (one, two)]
  chex.assert_trees_all_close(
    steps[0].variables, steps[1].variables, rtol=1e-5, atol=1e-6
  )
  hp = {'lr': jnp.float32(0.2)}
  _, seen = jax.jit(functools.partial(rollout, one))(
    KEY, hp, jnp.array([0, 60])
  )
  assert seen['loss'][1] < 0.7 * seen['loss'][0]


def test_adapters_alone_are_trained():
  """In a collection of their own, or picked out of the parameters."""
  _, before, after = stepped(NETS['adapters']())
  chex.assert_trees_all_equal(before.variables, after.variables)
  assert set(after.params['inner']) == {'A', 'B'}
  assert np.all(after.params['inner']['B'] != 0)
  _, before, after = stepped(NETS['partition']())
  old, new = before.params['inner'], after.params['inner']
  chex.assert_trees_all_equal(old['Dense_0'], new['Dense_0'])
  assert np.all(new['B'] != 0)


def is_box(x):
  return isinstance(x, nn.meta.AxisMetadata)


def test_half_precision_stays_and_boxes_are_opened():
  for name, dtype in (('bfloat16', jnp.bfloat16), ('boxed', jnp.float32)):
    _, _, state = jax.eval_shape(lambda n=name: (0, 0, stepped(NETS[n]())[2]))
    for x in jax.tree.leaves(state.params):
      assert x.dtype == dtype
    assert not any(map(is_box, jax.tree.leaves(state, is_leaf=is_box)))


def test_a_start_of_ones_own_is_kept_for_probes():
  """θ_0 is α times the module's; a probe sees how far from it θ is."""

  def scaled(variables, problem, hp):
    params = jax.tree.map(lambda w: hp['alpha'] * w, variables['params'])
    return {'params': params, 'start': params}

  def moved(view):
    return view.params['kernel'] - view.state.variables['start']['kernel']

  make = functools.partial(supervised, flat_task, nn.Dense(2), CE, rule)
  plain, own = make(), make(start=scaled, probes={'moved': moved})
  hp = {'lr': jnp.float32(0.1), 'alpha': jnp.float32(3)}
  state, seen = jax.jit(functools.partial(rollout, own))(
    KEY, hp, jnp.array([0, 3])
  )
  theirs = started(plain)[2].params['kernel']
  np.testing.assert_array_equal(seen['moved'][0], 0)
  want = state.params['kernel'] - 3 * theirs
  np.testing.assert_allclose(seen['moved'][1], want, rtol=0, atol=1e-6)
  assert np.any(seen['moved'][1] != 0)


def flat_task(key, hp):
  """Without test rows."""
  x = toy.draw(key, (16, 3), jnp.float32)
  return {'x': x, 'y': (x[:, 0] > 0).astype(jnp.int32)}


def test_what_a_probe_looks_at():
  """The loss of a view is what was observed, its rows those of the problem."""

  def gradient(view):
    return optax.tree.norm(jax.grad(view.loss)(view.params))

  system = supervised(
    flat_task,
    nn.Dense(2),
    CE,
    rule,
    batch=4,
    metrics={'hits': lambda out, y: jnp.argmax(out, -1) == y},
    probes={
      'again': lambda view: view.loss(view.params),
      'few': lambda view: view.loss(
        view.params, jax.tree.map(lambda x: x[:5], view.rows)
      ),
      'outputs': lambda view: view.apply(view.params, view.problem['x']),
      'gradient': gradient,
      't': lambda view: view.state.t,
      'lr': lambda view: view.hp['lr'],
    },
  )
  hp = {'lr': jnp.float32(0.1)}
  run = jax.jit(functools.partial(rollout, system))
  _, seen = run(KEY, hp, jnp.array([0, 3, 100]))
  assert set(seen) == {
    'loss', 'hits', 'again', 'few', 'outputs', 'gradient', 't', 'lr'
  }  # fmt: skip
  y = started(system)[1]['y']
  np.testing.assert_array_equal(seen['again'], seen['loss'])
  for part, rows in (('loss', slice(None)), ('few', slice(5))):
    want = [jnp.mean(CE(out[rows], y[rows])) for out in seen['outputs']]
    np.testing.assert_allclose(seen[part], want, rtol=1e-5, atol=0)
  hits = jnp.mean(jnp.argmax(seen['outputs'], -1) == y[None], 1)
  np.testing.assert_allclose(seen['hits'], hits, rtol=1e-6, atol=0)
  assert seen['hits'][-1] == 1 and seen['hits'].dtype == jnp.float32
  np.testing.assert_array_equal(seen['t'], [0, 3, 100])
  assert seen['gradient'][-1] < seen['gradient'][0]


def test_the_loss_may_ask_for_hp():
  """Label smoothing as a lane: at 1, every net is as wrong as log 2."""

  def smoothed(outputs, y, hp):
    labels = optax.smooth_labels(jax.nn.one_hot(y, 2), hp['smoothing'])
    return optax.softmax_cross_entropy(outputs, labels)

  system = supervised(flat_task, nn.Dense(2), smoothed, rule)
  run = jax.jit(functools.partial(rollout, system))
  hp = {'lr': jnp.float32(0.1), 'smoothing': jnp.float32(1)}
  _, seen = run(KEY, hp, jnp.array([0, 200]))
  np.testing.assert_allclose(seen['loss'][1], np.log(2), rtol=1e-3, atol=0)


def test_averaged_parameters_are_observed():
  system = supervised(
    flat_task,
    nn.Dense(2),
    CE,
    lambda hp: optax.contrib.schedule_free_sgd(hp['lr']),
    probes={'kernel': lambda view: view.params['kernel']},
    eval_params=optax.contrib.schedule_free_eval_params,
  )
  _, problem, state = started(system)
  for key in jax.random.split(KEY, 3):
    state = system.step(key, state, problem, {'lr': jnp.float32(0.5)})
  want = optax.contrib.schedule_free_eval_params(state.opt_state, state.params)
  got = system.observe(state, problem, None)['kernel']
  np.testing.assert_array_equal(got, want['kernel'])
  assert np.any(got != state.params['kernel'])


def test_what_cannot_be_built_is_refused():
  with pytest.raises(ValueError, match='batch is 0, expected an integer >= 1'):
    supervised(flat_task, nn.Dense(2), CE, rule, batch=0)
  for names in (['loss'], ['test_loss'], ['a', 'test_a']):
    taken = dict.fromkeys(names, lambda view: view.loss(view.params))
    with pytest.raises(ValueError, match=f'{names[-1]} is the name of another'):
      supervised(flat_task, nn.Dense(2), CE, rule, probes=taken)
