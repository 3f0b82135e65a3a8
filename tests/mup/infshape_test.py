"""What grows is found by shapes, kept aside, and outlives transformations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.mup import infshape, roles
from framework.mup.infshape import InfShape, InfShapes, between
from framework.mup.net import infer
from framework.mup.roles import Role
from framework.run.checkpoint import Checkpoints
from framework.systems.width.transfer.models import Perceptron

X = jnp.ones((1, 5))


def mlp(n, outputs=3):
  return Perceptron(n, outputs)


@pytest.fixture(scope='module')
def shapes():
  return infer(mlp(8), mlp(16), mlp(32), X)


def test_sizes_at_base_and_target(shapes):
  assert list(shapes) == ['layer_1/kernel', 'layer_2/kernel', 'readout/kernel']
  first, hidden, last = shapes.values()
  assert (first.base, hidden.base, last.base) == ((None, 8), (8, 8), (8, None))
  assert [s.ninf for s in shapes.values()] == [1, 2, 1]
  assert (first.m_in, first.m_out, last.m_in, last.m_out) == (1, 4, 4, 1)
  assert last.fans() == ((8, 3), (32, 3))


def test_json_both_ways(shapes):
  again = InfShapes.from_json(shapes.to_json())
  assert again == shapes and hash(again) == hash(shapes)
  assert again['layer_2/kernel'].role == roles.DENSE
  with pytest.raises(ValueError, match='not JSON of infinite shapes'):
    InfShapes.from_json('{"a": 3}')
  with pytest.raises(ValueError, match='not JSON of infinite shapes'):
    InfShapes.from_json('nonsense')


def test_it_has_no_leaves_and_survives(shapes):
  """Under jit, vmap, scan and sharding, beside arrays in one tree."""
  state = {'w': jnp.ones((4, 2)), 'shapes': shapes}
  assert len(jax.tree.leaves(state)) == 1

  @jax.jit
  def double(state):
    assert state['shapes']['readout/kernel'].m_in == 4  # a Python number
    return {**state, 'w': state['w'] * state['shapes']['readout/kernel'].m_in}

  assert double(state)['shapes'] == shapes
  assert jax.vmap(double)(state)['shapes'] == shapes
  out, _ = jax.lax.scan(lambda s, _: (double(s), None), state, None, 3)
  assert out['shapes'] == shapes and float(out['w'][0, 0]) == 64
  mesh = jax.make_mesh((2,), ('i',), (jax.sharding.AxisType.Auto,))
  rows = jax.sharding.NamedSharding(mesh, jax.P('i'))
  placed = jax.device_put(state, rows)
  assert placed['shapes'] == shapes and placed['w'].sharding == rows


def test_it_comes_back_from_a_checkpoint(shapes, tmp_path):
  """Beside the arrays, as no leaf of the state, and as text in the facts."""
  store = Checkpoints(tmp_path)
  state = {'w': jnp.arange(6.0).reshape(2, 3), 'shapes': shapes}
  store.save(1, state, {'shapes': shapes.to_json()})
  store.wait()
  template = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state
  )
  found = store.restore(lambda meta: template)
  store.close()
  assert found is not None and found.tree['shapes'] == shapes
  np.testing.assert_array_equal(found.tree['w'], state['w'])
  assert InfShapes.from_json(found.meta['shapes']) == shapes


def test_the_tree_mirrors_the_parameters(shapes):
  params = jax.eval_shape(mlp(32).init, jax.random.key(0), X)['params']
  tree = shapes.tree(params)
  assert tree['layer_2']['kernel'] is shapes['layer_2/kernel']
  wrong = jax.eval_shape(mlp(16).init, jax.random.key(0), X)['params']
  with pytest.raises(ValueError, match=r'shape \(5, 16\), expected \(5, 32\)'):
    shapes.tree(wrong)
  with pytest.raises(ValueError, match='tensor other: no infinite shape'):
    shapes.tree({'other': jnp.ones(1)})


class Everything(nn.Module):
  """Of each kind of layer one; some tensors that the user makes."""

  n: int

  @nn.compact
  def __call__(self, x):
    embed = nn.Embed(11, self.n, name='embed')
    h = embed(x)
    place = self.param('place', nn.initializers.normal(0.02), (4, self.n))
    h = h + place[None]
    h = nn.LayerNorm(name='norm')(h)
    h = h + nn.MultiHeadDotProductAttention(2, name='attention')(h)
    h = nn.relu(nn.Conv(2 * self.n, (3,), name='conv')(h))
    h = nn.relu(nn.DenseGeneral((2, self.n), name='split')(h))
    h = nn.DenseGeneral(self.n, axis=(-2, -1), name='join')(h)
    # A depthwise convolution has a finite fan-in.
    h = nn.Conv(self.n, (3,), feature_group_count=self.n, name='depthwise')(h)
    h = h * self.param('gain', nn.initializers.ones, ())
    return embed.attend(h)


TOKENS = jnp.zeros((1, 4), int)


def everything(target=32, **kwargs):
  return infer(
    Everything(8), Everything(16), Everything(target), TOKENS, **kwargs
  )


def test_layers_of_every_kind():
  found = everything()
  kinds = {path: (s.m_in, s.m_out) for path, s in found.items()}
  assert kinds['embed/embedding'] == (1, 4)
  assert kinds['place'] == kinds['norm/scale'] == kinds['norm/bias'] == (1, 4)
  assert (
    kinds['attention/query/kernel'] == kinds['attention/out/kernel'] == (4, 4)
  )
  assert kinds['attention/value/bias'] == kinds['conv/bias'] == (1, 4)
  assert kinds['conv/kernel'] == kinds['split/kernel'] == (4, 4)
  assert kinds['split/bias'] == (1, 4) and kinds['join/kernel'] == (4, 4)
  assert kinds['depthwise/kernel'] == (1, 4) and kinds['gain'] == (1, 1)
  assert found['conv/kernel'].fans() == ((3 * 8, 3 * 16), (3 * 32, 3 * 64))
  heads = {path: s.m_head for path, s in found.items() if s.m_head != 1}
  assert heads == {'attention/query/kernel': 4, 'attention/query/bias': 4}
  laws = {path: s.role.law for path, s in found.items()}
  assert laws['embed/embedding'] == 'fan_out'  # flax draws with 1/features
  assert laws['conv/kernel'] == laws['join/kernel'] == 'fan_in'
  assert laws['place'] == 'unknown' and laws['norm/scale'] == 'constant'


def test_overrides():
  role = Role((0,), (1,), 'constant')
  found = everything(overrides={'place': role})
  assert found['place'].role == role
  with pytest.raises(ValueError, match='role of palce: no such tensor'):
    everything(overrides={'palce': role})
  with pytest.raises(ValueError, match=r'axes \(0,\) and \(2,\), expected'):
    everything(overrides={'place': Role((0,), (2,), 'constant')})
  with pytest.raises(ValueError, match="law 'fan', expected one of"):
    everything(overrides={'place': Role((0,), (1,), 'fan')})


def test_heads_that_multiply_leave_the_logits_alone():
  """A fixed head dimension: q·k/√d needs no correction."""

  def net(n):
    return nn.MultiHeadDotProductAttention(n // 4, qkv_features=n)

  x = [jnp.ones((1, 3, n)) for n in (8, 16, 32)]
  params = [
    jax.eval_shape(net(v.shape[-1]).init, jax.random.key(0), v)['params']
    for v in x
  ]
  into = Role((0,), (1, 2), 'fan_in')
  own = {f'{name}/kernel': into for name in ('key', 'value')} | {
    f'{name}/bias': Role((), (0, 1)) for name in ('query', 'key', 'value')
  }
  own['query/kernel'] = into._replace(query=True)
  with pytest.raises(
    ValueError, match=r'^axis 0 of parameter kernel of module out grows'
  ):
    between(*params, own)
  own['out/kernel'] = Role((0, 1), (2,), 'fan_in')
  found = between(*params, own)
  assert found['query/kernel'].m_head == 1 and found['query/kernel'].m_out == 4


def test_an_own_attention_function_is_not_rescaled():
  from framework.mup.layers import attention_fn

  class Net(nn.Module):
    n: int

    @nn.compact
    def __call__(self, x):
      h = nn.Dense(self.n)(x)
      own = nn.MultiHeadDotProductAttention(2, attention_fn=attention_fn(4))
      return own(h)

  found = infer(Net(8), Net(16), Net(32), jnp.ones((1, 3, 2)))
  assert all(s.m_head == 1 for s in found.values())


def test_normalised_queries_are_scaled_where_they_are_normalised():
  class Net(nn.Module):
    n: int

    @nn.compact
    def __call__(self, x):
      h = nn.Dense(self.n)(x)
      return nn.MultiHeadDotProductAttention(2, normalize_qk=True, name='a')(h)

  found = infer(Net(8), Net(16), Net(32), jnp.ones((1, 3, 2)))
  heads = {path for path, s in found.items() if s.m_head != 1}
  assert heads == {'a/query_ln/scale'}


@pytest.mark.parametrize(
  'call, line',
  [
    (lambda: infer(mlp(8), mlp(8), mlp(32), X), 'base and delta are equal in'),
    (lambda: infer(mlp(8), None, mlp(8), X), 'base and target are equal in'),
    (
      lambda: infer(mlp(8), mlp(16), mlp(16, 5), X),
      'dimension 1 of readout/kernel is 3 in base and delta and 5 in',
    ),
    (
      lambda: infer(mlp(8), mlp(16), Perceptron(32, 3, 1), X),
      'tensor layer_2/kernel is in base alone',
    ),
    (
      lambda: between({'w': jnp.ones(2)}, None, {'w': jnp.ones((2, 2))}),
      r'shape \(2,\) in base, \(2, 2\) in target',
    ),
    (
      # 3 inputs, width 3, 3 outputs: without delta, is 3 -> 3 infinite?
      lambda: infer(mlp(3), None, mlp(6), jnp.ones((1, 3))),
      'dimension 0 of layer_1/kernel is 3 in base and target, and 3 grows',
    ),
    (lambda: infer(nn.Dropout(0.0, deterministic=True), None, mlp(8), X),
     'has no parameters'),
  ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(call, line):
  with pytest.raises(ValueError, match=line) as caught:
    call()
  assert len(str(caught.value).splitlines()) == 1


def test_without_delta_where_there_is_no_doubt(shapes):
  assert infer(mlp(8), None, mlp(32), X) == shapes


def test_by_path_and_repr(shapes):
  paths = infshape.by_path(lambda path, _: path, {'a': {'b': 1, 'c': 2}})
  assert paths == {'a': {'b': 'a/b', 'c': 'a/c'}}
  assert '32 (base 8) x 3' in repr(shapes)
  assert shapes != {} and len(shapes) == 3
  swapped = shapes.swapped()['readout/kernel']
  assert (swapped.m_in, swapped.m_out) == (1, 4)


def test_shapes_are_hashable_static_arguments(shapes):
  calls = []

  def f(shapes, x):
    calls.append(1)
    return x * shapes['readout/kernel'].m_in

  g = jax.jit(f, static_argnums=0)
  g(shapes, 1.0)
  g(InfShapes.from_json(shapes.to_json()), 2.0)
  assert len(calls) == 1
  assert isinstance(shapes['readout/kernel'], InfShape)
  np.testing.assert_allclose(
    shapes['readout/kernel'].ratios, (4, 1), rtol=1e-7, atol=0
  )
