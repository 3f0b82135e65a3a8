"""Networks: a gather is a dense layer on one-hots, and torch's starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.grokking import tables, transformer
from framework.systems.grokking.models import MLP, Dense, PairLayer

P = 7
PAIRS = tables.modular_table(P)
HOT = tables.modular_table(P, encoding='one_hot')


def start(net, x, key=0):
  init = jax.jit(net.init)
  return jax.device_get(init(jax.random.key(key), jnp.asarray(x))['params'])


def shapes(net, x):
  return jax.eval_shape(net.init, jax.random.key(0), jnp.asarray(x))['params']


def drawn(net, x):
  """Weights of the right shapes, of which no program is compiled."""
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda s: rng.normal(0, 0.3, s.shape).astype(s.dtype), shapes(net, x)
  )


@pytest.mark.parametrize('bias', [False, True])
def test_a_gather_is_a_dense_layer_on_one_hots(bias):
  dense, gather = Dense(9, bias), PairLayer(9, P, bias)
  params = start(dense, HOT.x)
  same = start(gather, PAIRS.x)
  jax.tree.map(np.testing.assert_array_equal, params, same)

  @jax.jit
  def both(params):
    def one(net, x):
      value = lambda p: jnp.sum(jnp.sin(net.apply({'params': p}, x)))  # noqa: E731
      return net.apply({'params': params}, x), jax.grad(value)(params)

    return one(dense, jnp.array(HOT.x)), one(gather, jnp.array(PAIRS.x))

  (a, da), (b, db) = both(params)
  np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-5), da, db
  )


def test_the_start_is_that_of_torch():
  """U(±1/√fan_in), of the one-hot width where the layer is a gather."""
  net = MLP((200, 300, P), P, bias=True)
  params = start(net, PAIRS.x)
  for i, fan_in in enumerate((2 * P, 200, 300)):
    for name, w in params[f'layer_{i}'].items():
      bound = fan_in**-0.5
      assert np.max(np.abs(w)) <= bound, (i, name)
      if w.size > 1000:
        np.testing.assert_allclose(np.std(w), bound / 3**0.5, rtol=0.03, atol=0)


def test_a_network_without_biases_is_homogeneous():
  net = MLP((16, 16, P), P, bias=False)
  params = start(net, PAIRS.x)
  assert all(set(layer) == {'kernel'} for layer in params.values())
  apply = jax.jit(lambda p: net.apply({'params': p}, jnp.array(PAIRS.x)))
  twice = jax.tree.map(lambda w: 2 * w, params)
  np.testing.assert_allclose(
    apply(twice), 8 * np.asarray(apply(params)), rtol=1e-6, atol=0
  )


def plain_transformer(params, x, options):
  """The whole layer in numpy, at every position; read at the last."""
  p = jax.tree.map(lambda w: np.asarray(w, np.float64), params)

  def dense(name, h):
    layer = p[name]
    return h @ layer['kernel'] + layer.get('bias', 0.0)

  def norm(name, h):
    h = h - h.mean(-1, keepdims=True)
    h = h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-5)
    return h * p[name]['scale'] + p[name]['bias']

  if options['equals']:
    x = np.concatenate([x, np.full((len(x), 1), P)], 1)
  h = p['embed'][x]
  if options['positions']:
    h = h + p['place']
  pre = norm if options['norm'] == 'pre' else lambda name, h: h
  post = norm if options['norm'] == 'post' else lambda name, h: h
  a = pre('norm_1', h)
  shape = (*a.shape[:2], 4, a.shape[2] // 4)
  q, k, v = (dense(n, a).reshape(shape) for n in ('query', 'key', 'value'))
  scores = np.einsum('bqnd,bknd->bnqk', q, k) / shape[-1] ** 0.5
  weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
  mixed = np.einsum('bnqk,bknd->bqnd', weights, v).reshape(a.shape)
  h = post('norm_1', h + dense('out', mixed))
  inner = np.maximum(dense('up', pre('norm_2', h)), 0)
  h = post('norm_2', h + dense('down', inner))
  return dense('unembed', h)[:, -1]


@pytest.mark.parametrize('norm', ['post', 'pre', 'none'])
@pytest.mark.parametrize('equals', [False, True])
def test_reading_the_last_position_needs_no_other(norm, equals):
  options = {'norm': norm, 'equals': equals, 'positions': equals}
  net = transformer.reference(
    P, P, width=16, hidden=24, dropout=0.0, dtype=jnp.float64, **options
  )
  params = drawn(net, PAIRS.x)
  found = jax.jit(net.apply)({'params': params}, jnp.array(PAIRS.x))
  wanted = plain_transformer(params, PAIRS.x, options)
  np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_dropout_acts_in_training_alone():
  net = transformer.reference(P, P, width=16, hidden=24, dropout=0.5)
  x = jnp.array(PAIRS.x)
  params = {'params': drawn(net, PAIRS.x)}
  apply = jax.jit(
    lambda key: net.apply(params, x, deterministic=False, rngs={'dropout': key})
  )
  one, two = apply(jax.random.key(0)), apply(jax.random.key(1))
  assert np.any(one != two)
  np.testing.assert_array_equal(one, apply(jax.random.key(0)))


def test_the_two_recipes():
  names = set(shapes(transformer.nanda(P, P), PAIRS.x))
  assert 'place' in names and not any('norm' in name for name in names)
  params = shapes(transformer.reference(P, P), PAIRS.x)
  assert 'place' not in params and 'norm_2' in params
  assert params['up']['kernel'].shape == (128, 2048)
  with pytest.raises(ValueError, match='heads to divide the width'):
    transformer.nanda(P, P, width=10).init(jax.random.key(0), PAIRS.x)
