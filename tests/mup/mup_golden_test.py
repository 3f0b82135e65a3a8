"""Against the `mup` package: its multipliers, and five steps of its optimisers.

Recorded with its head (1981497) in float64: base width 8, target 32, a
feed-forward layer twice as wide in base and delta and three times in the
target, so that m_in and m_out differ.
"""

import json
import math
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.mup import initialisers, multipliers, optimizers
from framework.mup.net import Net, infer

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'


class Model(nn.Module):
  """relu, tanh, relu; the readout's output is doubled."""

  width: int
  inner: int

  @nn.compact
  def __call__(self, x):
    types = {'dtype': jnp.float64, 'param_dtype': jnp.float64}
    h = nn.relu(nn.Dense(self.width, name='emb', **types)(x))
    u = nn.tanh(nn.Dense(self.inner, name='up', **types)(h))
    d = nn.relu(nn.Dense(self.width, False, name='down', **types)(u))
    return nn.Dense(4, name='head', **types)(2 * d)


@pytest.fixture(scope='module')
def golden():
  with np.load(GOLDEN / 'mup_microsoft_rules.npz') as stored:
    return {k: stored[k] for k in stored.files}


@pytest.fixture(scope='module')
def shapes():
  x = jnp.ones((1, 6))
  return infer(Model(8, 16), Model(16, 32), Model(32, 96), x)


def tensors(golden, prefix):
  """The package's tensors as a tree of flax."""
  tree = {}
  for key, value in golden.items():
    if key.startswith(prefix):
      layer, name = key[len(prefix) :].split('.')
      leaf = ('bias', value) if name == 'bias' else ('kernel', value.T)
      tree.setdefault(layer, {})[leaf[0]] = leaf[1]
  return tree


def names(golden):
  rules = json.loads(str(golden['rules_json']))
  for name, rule in rules.items():
    layer, kind = name.split('.')
    yield f'{layer}/{"bias" if kind == "bias" else "kernel"}', rule


def near(a, b, tolerance=1e-12):
  assert a == pytest.approx(b, rel=tolerance, abs=tolerance)


def test_every_multiplier(golden, shapes):
  seen = 0
  for path, rule in names(golden):
    shape = shapes[path]
    near(shape.ninf, rule['ninf'])
    width = shape.m_in if shape.infinite_in else shape.m_out
    near(width, rule['width_mult'])
    for optimizer, keys in (('sgd', ('sgd',)), ('adam', ('adam', 'adamw'))):
      mults = multipliers.multipliers(shapes, '8', optimizer)
      for key in keys:
        near(mults.lr[path], rule[key]['lr_mult'])
        near(mults.wd[path], rule[key]['wd_mult'])
        seen += 1
    forward = 1 / rule['width_mult'] if path == 'head/kernel' else 1
    near(mults.forward[path], forward)
  assert seen == 7 * 3


def test_every_initialiser(golden, shapes):
  """Factors on what an initialiser of each law draws at the target."""
  laws = {
    'init_normal': 'constant',
    'init_uniform': 'constant',
    'init_trunc_normal': 'constant',
    'init_xavier_normal': 'fan_avg',
    'init_xavier_uniform': 'fan_avg',
    'init_kaiming_normal_fan_in': 'fan_in',
    'init_kaiming_uniform_fan_out': 'fan_out',
  }
  seen = 0
  for path, rule in names(golden):
    for key, law in laws.items():
      if key in rule:
        shape = shapes[path]
        drawn = shape._replace(role=shape.role._replace(law=law))
        near(multipliers.init_multiplier(drawn), rule[key])
        seen += 1
  assert seen == 4 * 7


def test_rescaled_parameters(golden, shapes):
  """What the package makes of torch's start, whose biases have a fan-in."""
  params = tensors(golden, 'raw/')
  found = initialisers.rescale(params, multipliers.multipliers(shapes))
  for layer, kernel in (('up', 'up/kernel'), ('head', 'head/kernel')):
    bias = params[layer]['bias']
    found[layer]['bias'] = bias * math.sqrt(shapes[kernel].m_in)
  wanted = tensors(golden, 'mup/')
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=0),
    found,
    wanted,
  )
  rules = {path: rule['init_rescale'] for path, rule in names(golden)}
  assert rules['head/kernel'] == 2 and rules['head/bias'] == 2


RULES = {
  'sgd': ('sgd', optimizers.mu_sgd, {}),
  'adam': ('adam', optimizers.mu_adam, {'scale_eps': False}),
  'adamw': ('adam', optimizers.mu_adamw, {'scale_eps': False}),
}


@pytest.mark.parametrize('name', RULES)
def test_five_steps(name, golden, shapes):
  kind, make, options = RULES[name]
  hp = json.loads(str(golden[f'{name}/hp']))
  net = Net(Model(32, 96), shapes, multipliers.multipliers(shapes, '8', kind))
  decay = {'weight_decay': hp['weight_decay']}
  rule = make(hp['lr'], net.mults, **decay, **options)

  def loss(params, x, y):
    out = net.apply(params, x)
    each = optax.losses.softmax_cross_entropy_with_integer_labels(out, y)
    return jnp.mean(each), out

  @jax.jit
  def step(params, state, x, y):
    (value, out), grads = jax.value_and_grad(loss, has_aux=True)(params, x, y)
    updates, state = rule.update(grads, state, params)
    return optax.apply_updates(params, updates), state, value, out

  params = jax.tree.map(jnp.asarray, tensors(golden, 'mup/'))
  state = rule.init(params)
  for t in range(5):
    x, y = golden['X'][t], golden['Y'][t]
    params, state, value, out = step(params, state, x, y)
    assert abs(value - golden[f'{name}/losses'][t]) <= 1e-12
    np.testing.assert_allclose(
      out, golden[f'{name}/outs'][t], rtol=0, atol=1e-12
    )
  wanted = tensors(golden, f'{name}/final/')
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-11),
    params,
    wanted,
  )
