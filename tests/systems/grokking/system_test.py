"""The training run against one written in numpy, and what it refuses."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths.norms import norm
from framework.system import rollout, start
from framework.systems import grokking as dynamics
from framework.systems.grokking import tasks

PATH = pathlib.Path(__file__).parents[2] / 'golden' / 'grok_splits_seed42.npz'
KEY = jax.random.key(0)
TIMES = np.array([0, 1, 4], np.int32)


def hp(dtype=np.float64, **values):
  found = jax.tree.map(dtype, dynamics.Hp(**values))
  return found._replace(intervene_at=np.int32(values.get('intervene_at', 0)))


def structure(**options):
  own = {'modulus': 7, 'widths': (12, 11), 'dtype': jnp.float64}
  own |= {'compute_dtype': 'float64'}
  return dynamics.Structure(**(own | options))


def light(s):
  """Compiled in a fraction of the time of all that may be observed."""
  net = dynamics.network(s)

  def observe(state, problem, hp):
    z = net.apply({'params': state.params}, problem.x)
    return {
      'train_loss': dynamics.mean_loss(s, z, problem.y, hp),
      'norm': norm(state.params),
    }

  return observe


def run(s, h, data=None, times=TIMES, full=False):
  system = dynamics.system(s)
  if not full:
    system = system._replace(observe=light(s))
  extra = () if data is None else (data,)
  begin = jax.jit(lambda: start(system, KEY, h, *extra))
  problem, state = begin()
  end, seen = jax.jit(lambda: rollout(system, KEY, h, times, *extra))()
  return problem, state, end, seen


class Numpy:
  """A ReLU network without biases, its loss, gradient and rules: by hand."""

  def __init__(self, params, problem, stable=False):
    self.w = [np.array(params[f'layer_{i}']['kernel']) for i in range(3)]
    p = len(self.w[0]) // 2
    eye = np.eye(p)
    pairs = np.asarray(problem.x)
    self.x = np.concatenate([eye[pairs[:, 0]], eye[pairs[:, 1]]], 1)
    self.y = eye[np.asarray(problem.y)]
    self.stable = stable
    self.m = [np.zeros_like(w) for w in self.w]
    self.v = [np.zeros_like(w) for w in self.w]
    self.t = 0

  def grad(self):
    inputs = [self.x]
    for w in self.w[:-1]:
      inputs.append(np.maximum(inputs[-1] @ w, 0))
    z = inputs[-1] @ self.w[-1]
    if self.stable:
      s = np.where(z >= 0, z + 1, 1 / (1 - np.minimum(z, 0)))
      slope = np.where(z >= 0, 1.0, s**2)
      share = s / s.sum(1, keepdims=True)
      loss = -np.log((share * self.y).sum(1)).mean()
      d = slope / s * (share - self.y) / len(z)
    else:
      e = np.exp(z - z.max(1, keepdims=True))
      share = e / e.sum(1, keepdims=True)
      loss = -np.log((share * self.y).sum(1)).mean()
      d = (share - self.y) / len(z)
    grads = []
    for w, h in zip(self.w[::-1], inputs[::-1], strict=True):
      grads.append(h.T @ d)
      d = (d @ w.T) * (h > 0)
    return loss, grads[::-1]

  def adamw(self, lr, b1, b2, eps, decay, perp=False):
    _, grads = self.grad()
    self.t += 1
    for i, g in enumerate(grads):
      w = self.w[i]
      if perp:
        rest = g - np.vdot(w, g) / np.vdot(w, w) * w
        g = rest * np.linalg.norm(g) / np.linalg.norm(rest)
      self.m[i] = b1 * self.m[i] + (1 - b1) * g
      self.v[i] = b2 * self.v[i] + (1 - b2) * g**2
      m = self.m[i] / (1 - b1**self.t)
      v = self.v[i] / (1 - b2**self.t)
      self.w[i] = w - lr * (m / (np.sqrt(v) + eps) + decay * w)


@pytest.mark.parametrize('gradient', ['raw', 'perp'])
@pytest.mark.parametrize('loss', ['softmax', 'stablemax'])
def test_steps_are_those_of_a_network_written_by_hand(gradient, loss):
  s = structure(gradient=gradient, loss=loss)
  h = hp(lr=0.02, beta2=0.95, eps=1e-6, weight_decay=0.3)
  problem, state, end, seen = run(s, h)
  peer = Numpy(state.params, problem, loss == 'stablemax')
  losses = []
  for t in range(5):
    if t in TIMES:
      losses.append(peer.grad()[0])
    if t < 4:
      peer.adamw(0.02, 0.9, 0.95, 1e-6, 0.3, gradient == 'perp')
  np.testing.assert_allclose(seen['train_loss'], losses, rtol=1e-12)
  for i, w in enumerate(peer.w):
    found = end.params[f'layer_{i}']['kernel']
    np.testing.assert_allclose(found, w, rtol=0, atol=1e-11)


def test_a_float64_loss_leaves_parameters_in_float32():
  s = structure(loss='stablemax', dtype=jnp.float32)
  _, _, end, _ = run(s, hp(np.float32))
  kinds = {x.dtype for x in jax.tree.leaves((end.params, end.opt_state))}
  assert kinds == {jnp.dtype('float32'), jnp.dtype('int32')}


def test_the_logit_scale_divides_the_learning_rate():
  """Under plain descent: −lr/c² times the gradient of L(c z)."""
  s = structure(optimizer='sgd')
  found = {}
  for c in (1.0, 0.5):
    rule = dynamics.rule(s, hp(lr=0.01, logit_scale=c))
    found[c] = float(
      rule.update(jnp.ones(1), rule.init(jnp.ones(1)), jnp.ones(1))[0][0]
    )
  np.testing.assert_allclose(found[1.0], -0.01)
  np.testing.assert_allclose(found[0.5], -0.04)
  z, y = jnp.array([[1.0, 0.0]]), jnp.array([0])
  scaled = dynamics.mean_loss(structure(), z, y, hp(logit_scale=3.0))
  np.testing.assert_allclose(scaled, np.log1p(np.exp(-3.0)))


def test_an_intervention_acts_from_its_step_on():
  s = structure(widths=(12,))
  touched = structure(widths=(12,), intervention='stop')
  times = np.arange(5, dtype=np.int32)
  plain = run(s, hp(lr=0.05), times=times)[3]['norm']
  late = run(touched, hp(lr=0.05, intervene_at=2), times=times)[3]['norm']
  np.testing.assert_array_equal(plain[:3], late[:3])
  assert np.all(plain[3:] != late[3:])


def test_matched_steps_have_the_length_of_raw_ones():
  s = structure(gradient='grokfast_ema', matched=True)
  raw = structure()
  one, two = (
    run(x, hp(lr=0.05, lamb=5.0), times=np.array([0, 1], np.int32))
    for x in (s, raw)
  )

  def length(found):
    _, before, after, _ = found
    return float(norm(jax.tree.map(jnp.subtract, after.params, before.params)))

  np.testing.assert_allclose(length(one), length(two), rtol=1e-12)


def test_every_seed_draws_its_own_split_and_no_row_is_lost():
  system = dynamics.system(structure(train_fraction=0.6))
  draw = jax.jit(lambda key: start(system, key, hp())[0])
  one, two = draw(jax.random.key(1)), draw(jax.random.key(2))
  rows = np.concatenate([one.x, one.x_test])
  assert len({tuple(r) for r in rows.tolist()}) == 49 and len(one.x) == 29
  assert np.any(np.asarray(one.x) != two.x)
  np.testing.assert_array_equal(one.x.sum(1) % 7, one.y)


def test_a_stored_split_is_used():
  split = tasks.stored_split(str(PATH), 'add_mod', 113**2)
  s = structure(modulus=113, train_fraction=0.4, widths=(4,))
  problem = jax.jit(
    lambda: start(dynamics.system(s), KEY, hp(), dynamics.Data(None, split))[0]
  )()
  x = tasks.modular_table(113).x
  np.testing.assert_array_equal(problem.x, x[split.train])
  np.testing.assert_array_equal(problem.x_test, x[split.test])


def test_a_table_given_as_data():
  x = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
  table = tasks.Table(x, np.arange(30) % 3)
  s = structure(task='table', classes=3, train=8, train_from=20, bias=True)
  problem, _, _, seen = run(s, hp(), dynamics.Data(table), full=True)
  assert problem.x.shape == (8, 5) and problem.x_test.shape == (10, 5)
  assert dynamics.names(s)[0] == 'layer_0.bias'
  assert seen['nlm_tensor'].shape == (3, 6)


@pytest.mark.parametrize(
  'options',
  [
    {'model': 'nanda', 'encoding': 'token'},
    {'model': 'transformer', 'encoding': 'token', 'dropout': 0.1},
    {'task': 'parity', 'parity_bits': 8, 'rows': 40, 'bias': True},
    {'encoding': 'binary', 'gradient': 'grokfast_ma', 'window': 2},
  ],
)
def test_every_kind_of_run_trains(options):
  s = structure(**options)
  full = options.get('model') == 'transformer'
  _, _, end, seen = run(s, hp(lr=0.003), full=full)
  assert all(np.isfinite(x).all() for x in seen.values())
  assert seen['train_loss'][-1] != seen['train_loss'][0]
  assert len(dynamics.names(s)) == len(jax.tree.leaves(end.params))


@pytest.mark.parametrize(
  'options, wanted',
  [
    ({'modulus': 1}, 'modulus is 1, expected an integer in [2, 32768)'),
    ({'operation': 'divide'}, "operation is 'divide', expected one of add"),
    ({'train_fraction': 1.0}, 'leaves 49 to train on and 0 to test'),
    ({'task': 'parity', 'parity_k': 50}, 'parity k is 50, expected 1 <= k'),
    ({'encoding': 'token'}, 'encoding token with model mlp: transformers'),
    ({'model': 'nanda'}, 'encoding one_hot with model nanda: transformers'),
    ({'gradient': 'flat'}, "gradient is 'flat', expected one of raw, perp"),
    ({'task': 'table', 'train': 9, 'train_from': 8}, 'train is 9, expected 1'),
  ],
)
def test_what_cannot_be_built_is_refused(options, wanted):
  with pytest.raises(ValueError) as caught:
    structure(**options)
  assert wanted in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1
