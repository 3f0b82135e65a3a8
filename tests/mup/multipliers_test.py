"""All five multipliers of all kinds of tensors, in numbers."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.mup import layers, multipliers, optimizers
from framework.mup.infshape import InfShape, InfShapes
from framework.mup.multipliers import Multipliers
from framework.mup.roles import Role

# m_in, m_out = 1, 4;  4, 3;  4, 1
SHAPES = {
  'input': InfShape((5, 32), (None, 8), Role((0,), (1,), 'constant')),
  'hidden': InfShape((32, 24), (8, 8), Role((0,), (1,), 'constant')),
  'readout': InfShape((32, 3), (8, None), Role((0,), (1,), 'constant')),
  'bias': InfShape((32,), (8,), Role((), (0,), 'constant')),
  'fixed': InfShape((5, 3), (None, None), Role((0,), (1,), 'unknown')),
}
# (init, forward, SGD's rate, Adam's rate, ε), by hand from TP5.
TABLES = {
  '3': {
    'input': (1, 1, 4, 1, 1 / 4),
    'hidden': (1 / 2, 1, 3 / 4, 1 / 4, 1 / 3),
    'readout': (1 / 4, 1, 1 / 4, 1 / 4, 1),
  },
  '8': {
    'input': (1, 1, 4, 1, 1 / 4),
    'hidden': (1 / 2, 1, 3 / 4, 1 / 4, 1 / 3),
    'readout': (1, 1 / 4, 4, 1, 1 / 4),
  },
  '9': {
    'input': (1 / 2, 2, 1, 1 / 2, 1 / 2),
    'hidden': (1 / 2, 1, 3 / 4, 1 / 4, 1 / 3),
    'readout': (1 / 2, 1 / 2, 1, 1 / 2, 1 / 2),
  },
}


def same(a, b):
  np.testing.assert_allclose(a, b, rtol=1e-12, atol=0)


@pytest.mark.parametrize('optimizer', multipliers.OPTIMIZERS)
@pytest.mark.parametrize('table', TABLES)
def test_every_number_of_every_table(table, optimizer):
  found = multipliers.multipliers(InfShapes(SHAPES), table, optimizer)
  for kind in SHAPES:
    row = TABLES[table].get('input' if kind == 'bias' else kind, (1,) * 5)
    init, forward, sgd, adam, eps = row
    rate = sgd if optimizer == 'sgd' else adam
    got = [field[kind] for field in found]
    same(got, [init, forward, rate, 1 / rate, eps])


@pytest.mark.parametrize('optimizer', multipliers.OPTIMIZERS)
def test_sp_multiplies_nothing(optimizer):
  found = multipliers.multipliers(InfShapes(SHAPES), 'sp', optimizer)
  assert all(set(field.values()) == {1.0} for field in found)


@pytest.mark.parametrize(
  'law, wanted',
  # What 'constant' is multiplied by: σ at the base over σ here.
  [
    ('fan_in', (1, 2, 2)),
    ('fan_out', (2, 3**0.5, 1)),
    ('fan_avg', ((37 / 13) ** 0.5, (56 / 16) ** 0.5, (35 / 11) ** 0.5)),
  ],
)
def test_starts_of_every_law(law, wanted):
  for kind, factor in zip(('input', 'hidden', 'readout'), wanted, strict=True):
    shape = SHAPES[kind]
    shape = shape._replace(role=shape.role._replace(law=law))
    for table, rows in TABLES.items():
      found = multipliers.init_multiplier(shape, table)
      same(found, factor * rows[kind][0])


def test_a_field_is_of_both_fans():
  """Of a kernel (3, 2, in, out); the fans of an average share it."""
  role = Role((2,), (3,), 'fan_avg')
  shape = InfShape((3, 2, 32, 24), (None, None, 8, 8), role)
  assert shape.fans() == ((48, 48), (192, 144))
  same(multipliers.init_multiplier(shape), (56 / 16) ** 0.5 / 2)


def test_queries_alone_are_divided_once_more():
  """q·k/d: by the root of what the head dimension has grown."""
  role = Role((0,), (1, 2), 'constant')
  key = InfShape((32, 2, 16), (8, None, 4), role)
  query = key._replace(role=role._replace(query=True))
  assert (key.m_head, query.m_head, query.m_out) == (1, 4, 4)
  for table in TABLES:
    found = multipliers.multipliers(
      InfShapes({'key': key, 'query': query}), table
    )
    same(found.forward['query'], found.forward['key'] / 2)
    for field in (found.init, found.lr, found.wd, found.eps):
      assert field['query'] == field['key']


def test_logits_of_attention_in_numbers():
  same(layers.logit_scale(64, 16), 4 / 64)
  q, k = np.random.default_rng(0).normal(size=(2, 1, 3, 1, 9))
  v = np.eye(3)[None, :, None]
  weights = layers.attention_fn(4)(jnp.array(q), jnp.array(k), jnp.array(v))
  logits = np.einsum('bqhd,bkhd->bqk', q, k) * 2 / 9
  want = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  np.testing.assert_allclose(weights[:, :, 0], want, rtol=1e-9, atol=0)


ONES = Multipliers(*({'w': 1.0},) * 5)


def steps(rule, count=3):
  """Weights after steps with gradients w + t on a loss of nobody."""
  w = {'w': jnp.array([0.3, -2.0, 1e-4])}
  state = rule.init(w)
  for t in range(count):
    grads = {'w': w['w'] + t}
    updates, state = rule.update(grads, state, w)
    w = optax.apply_updates(w, updates)
  return w['w']


@pytest.mark.parametrize(
  'mine, theirs',
  [
    (optimizers.mu_sgd(0.1, ONES), optax.sgd(0.1)),
    (optimizers.mu_sgd(0.1, ONES, momentum=0.7), optax.sgd(0.1, 0.7)),
    (
      optimizers.mu_sgd(0.1, ONES, momentum=0.7, nesterov=True),
      optax.sgd(0.1, 0.7, True),
    ),
    (
      optimizers.mu_sgd(0.1, ONES, weight_decay=0.4),
      optax.chain(optax.add_decayed_weights(0.4), optax.sgd(0.1)),
    ),
    (optimizers.mu_adam(0.1, ONES), optax.adam(0.1)),
    (
      optimizers.mu_adam(0.1, ONES, 0.8, 0.9, 0.1, weight_decay=0.4),
      optax.chain(
        optax.add_decayed_weights(0.4), optax.adam(0.1, 0.8, 0.9, 0.1)
      ),
    ),
    (optimizers.mu_adamw(0.1, ONES), optax.adamw(0.1)),
    (
      optimizers.mu_adamw(0.1, ONES, 0.8, 0.9, 0.1, weight_decay=0.4),
      optax.adamw(0.1, 0.8, 0.9, 0.1, weight_decay=0.4),
    ),
  ],
)
def test_at_the_base_they_are_the_rules_of_optax(mine, theirs):
  np.testing.assert_allclose(steps(mine), steps(theirs), rtol=1e-12, atol=1e-15)


def test_rules_multiply_rate_decay_and_epsilon():
  """One step from a known gradient, each multiplier another number."""
  mults = Multipliers(*({'w': x} for x in (7.0, 9.0, 0.5, 3.0, 0.25)))
  w, g = {'w': jnp.array([2.0])}, {'w': jnp.array([0.2])}

  def first(rule):
    return float(rule.update(g, rule.init(w), w)[0]['w'][0])

  rate, decay, eps = 0.1, 0.4, 0.3
  same(first(optimizers.mu_sgd(rate, mults)), -rate * 0.5 * 0.2)
  coupled = 0.2 + decay * 3 * 2
  same(
    first(optimizers.mu_sgd(rate, mults, weight_decay=decay)),
    -rate * 0.5 * coupled,
  )
  for scale, own in ((True, eps * 0.25), (False, eps)):
    how = {'eps': eps, 'scale_eps': scale}
    same(
      first(optimizers.mu_adam(rate, mults, **how)),
      -rate * 0.5 * 0.2 / (0.2 + own),
    )
    same(
      first(optimizers.mu_adam(rate, mults, weight_decay=decay, **how)),
      -rate * 0.5 * coupled / (coupled + own),
    )
    same(
      first(optimizers.mu_adamw(rate, mults, weight_decay=decay, **how)),
      -rate * 0.5 * (0.2 / (0.2 + own) + decay * 3 * 2),
    )
  # Without decay the weights are not asked for.
  for make in (optimizers.mu_sgd, optimizers.mu_adam):
    assert make(rate, mults).update(g, make(rate, mults).init(w))[0]
  # ε is scaled unless asked otherwise; a traced decay is no zero.
  same(
    first(optimizers.mu_adam(rate, mults, eps=eps)),
    -rate * 0.5 * 0.2 / (0.2 + eps * 0.25),
  )
  traced = optimizers.mu_adamw(
    rate, mults, eps=eps, weight_decay=jnp.array(decay)
  )
  plain = optimizers.mu_adamw(rate, mults, eps=eps, weight_decay=decay)
  np.testing.assert_allclose(first(traced), first(plain), rtol=1e-6, atol=0)
