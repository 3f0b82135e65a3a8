"""The training run against one written in numpy, and what it refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import optimizers, probes
from framework.maths.norms import norm
from framework.supervised import supervised
from framework.system import rollout, start
from framework.systems import grokking
from framework.systems.grokking.objective import CrossEntropy, mean_loss

KEY = jax.random.key(0)
TIMES = np.array([0, 1, 4], np.int32)
PERP = grokking.filtered(lambda hp: optimizers.perp_grad())
EMA = functools.partial(optimizers.grokfast_ema, 0.98)


def hp(dtype=np.float64, **values):
  found = jax.tree.map(dtype, grokking.Hp(**values))
  return found._replace(intervene_at=np.int32(values.get('intervene_at', 0)))


def mlp(*widths, modulus=7, dtype=jnp.float64):
  return grokking.MLP((*widths, modulus), modulus, bias=False, dtype=dtype)


def structure(net=None, loss=None, rule=grokking.adamw, task=None):
  return grokking.Structure(
    task or grokking.modular(7),
    net or mlp(12, 11),
    loss or grokking.softmax('float64'),
    rule,
  )


def light(s):
  """Compiled in a fraction of the time of all that may be observed."""

  def observe(state, problem, hp):
    z = s.net.apply({'params': state.params}, problem['x'])
    return {
      'train_loss': mean_loss(s.loss, z, problem['y'], hp),
      'norm': norm(state.params),
    }

  return observe


def run(s, h, data=None, times=TIMES, full=False):
  system = grokking.system(s)
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
    pairs = np.asarray(problem['x'])
    self.x = np.concatenate([eye[pairs[:, 0]], eye[pairs[:, 1]]], 1)
    self.y = eye[np.asarray(problem['y'])]
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


@pytest.mark.parametrize('rule', [grokking.adamw, PERP])
@pytest.mark.parametrize('loss', [grokking.softmax, grokking.stablemax])
def test_steps_are_those_of_a_network_written_by_hand(rule, loss):
  s = structure(rule=rule, loss=loss('float64'))
  h = hp(lr=0.02, beta2=0.95, eps=1e-6, weight_decay=0.3)
  problem, state, end, seen = run(s, h)
  peer = Numpy(state.params, problem, loss is grokking.stablemax)
  losses = []
  for t in range(5):
    if t in TIMES:
      losses.append(peer.grad()[0])
    if t < 4:
      peer.adamw(0.02, 0.9, 0.95, 1e-6, 0.3, rule is PERP)
  np.testing.assert_allclose(seen['train_loss'], losses, rtol=1e-12, atol=0)
  for i, w in enumerate(peer.w):
    found = end.params[f'layer_{i}']['kernel']
    np.testing.assert_allclose(found, w, rtol=0, atol=1e-11)


def test_momentum_and_decay_of_plain_descent_by_hand():
  s = structure(rule=grokking.sgd)
  h = hp(lr=0.05, momentum=0.8, weight_decay=0.1)
  problem, state, end, _ = run(s, h)
  peer = Numpy(state.params, problem)
  speed = [np.zeros_like(w) for w in peer.w]
  for _ in range(4):
    for i, g in enumerate(peer.grad()[1]):
      speed[i] = 0.8 * speed[i] + g + 0.1 * peer.w[i]
    for i, v in enumerate(speed):
      peer.w[i] = peer.w[i] - 0.05 * v
  for i, w in enumerate(peer.w):
    found = end.params[f'layer_{i}']['kernel']
    np.testing.assert_allclose(found, w, rtol=0, atol=1e-13)


def test_a_float64_loss_leaves_parameters_in_float32():
  s = structure(mlp(12, 11, dtype=jnp.float32), grokking.stablemax())
  _, _, end, _ = run(s, hp(np.float32))
  kinds = {x.dtype for x in jax.tree.leaves((end.params, end.opt_state))}
  assert kinds == {jnp.dtype('float32'), jnp.dtype('int32')}


def test_the_logit_scale_divides_the_learning_rate():
  """Under plain descent: −lr/c² times the gradient of L(c z)."""
  found = {}
  for c in (1.0, 0.5):
    rule = grokking.sgd(hp(lr=0.01, logit_scale=c))
    found[c] = float(
      rule.update(jnp.ones(1), rule.init(jnp.ones(1)), jnp.ones(1))[0][0]
    )
  np.testing.assert_allclose(found[1.0], -0.01, rtol=1e-7, atol=0)
  np.testing.assert_allclose(found[0.5], -0.04, rtol=1e-7, atol=0)
  z, y = jnp.array([[1.0, 0.0]]), jnp.array([0])
  scaled = mean_loss(CrossEntropy('float64'), z, y, hp(logit_scale=3.0))
  np.testing.assert_allclose(scaled, np.log1p(np.exp(-3.0)), rtol=1e-7, atol=0)


def test_weights_start_at_a_multiple_of_the_networks_own():
  one, two = (run(structure(), hp(init_scale=c))[1].params for c in (1, 3))
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(3 * x, y, rtol=1e-12, atol=0),
    one,
    two,
  )


def test_an_intervention_acts_from_its_step_on():
  net = mlp(12)
  touched = structure(net, grokking.softmax('float64', stop=1.0))
  times = np.arange(5, dtype=np.int32)
  plain = run(structure(net), hp(lr=0.05), times=times)[3]['norm']
  late = run(touched, hp(lr=0.05, intervene_at=2), times=times)[3]['norm']
  np.testing.assert_array_equal(plain[:3], late[:3])
  assert np.all(plain[3:] != late[3:])


def test_matched_steps_have_the_length_of_raw_ones():
  s = structure(rule=grokking.matched(lambda hp: EMA(hp.lamb)))
  one, two = (
    run(x, hp(lr=0.05, lamb=5.0), times=np.array([0, 1], np.int32))
    for x in (s, structure())
  )

  def length(found):
    _, before, after, _ = found
    return float(norm(jax.tree.map(jnp.subtract, after.params, before.params)))

  np.testing.assert_allclose(length(one), length(two), rtol=1e-12, atol=0)


def test_any_loss_rule_and_module_will_do():
  """Those of optax, and a rule that is no function of hp."""
  optax_loss = optax.softmax_cross_entropy_with_integer_labels
  own = run(structure(mlp(9)), hp(lr=0.03, beta2=0.999, eps=1e-8))
  other = run(structure(mlp(9), optax_loss, optax.adam(0.03)), hp(), full=True)
  found, wanted = other[3], own[3]
  np.testing.assert_allclose(
    found['train_loss'], wanted['train_loss'], rtol=1e-9, atol=0
  )
  # Where it collapses is known of a cross entropy of ours alone.
  assert 'exp_collapse' in found and 'collapse' not in found


def test_a_probe_of_ones_own_is_observed():
  s = grokking.Structure(
    grokking.modular(7),
    mlp(9),
    grokking.softmax('float64'),
    probes={'twice': lambda view: 2 * view.loss(view.params)},
  )
  seen = run(s, hp(), full=True)[3]
  np.testing.assert_allclose(
    seen['twice'], 2 * seen['train_loss'], rtol=1e-12, atol=0
  )


def test_tasks_and_losses_fit_the_general_trainer():
  """The same run from `supervised`, which knows nothing of grokking."""
  s = structure(mlp(9))
  general = supervised(s.task, s.net, s.loss, s.rule)
  h = hp(lr=0.03)
  _, seen = jax.jit(lambda: rollout(general, KEY, h, TIMES))()
  wanted = run(s, h)[3]['train_loss']
  np.testing.assert_allclose(seen['loss'], wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
  'task, net, rule',
  [
    (grokking.modular(7), grokking.nanda(7, 7), grokking.adamw),
    (
      grokking.modular(7),
      grokking.reference(7, 7, dropout=0.1),
      grokking.adamw,
    ),
    (
      grokking.parity(3, 8, 40),
      grokking.MLP((12, 2), bias=True),
      grokking.adamw,
    ),
    (
      grokking.modular(7, encoding='binary'),
      grokking.MLP((12, 7), bias=False),
      grokking.filtered(lambda hp: optimizers.grokfast_ma(2, hp.lamb)),
    ),
  ],
)
def test_every_kind_of_run_trains(task, net, rule):
  s = structure(net, task=task, rule=rule)
  full = net.__class__.__name__ == 'Transformer' and net.dropout
  _, _, end, seen = run(s, hp(np.float32, lr=0.003), full=full)
  assert all(np.isfinite(x).all() for x in seen.values())
  assert seen['train_loss'][-1] != seen['train_loss'][0]
  if full:
    names = probes.tensor_names(end.params)
    assert seen['nlm_tensor'].shape == (3, len(names))


def test_dropout_is_drawn_anew_in_every_step():
  s = structure(grokking.reference(7, 7, width=8, hidden=8, dropout=0.5))
  system = grokking.system(s)
  h = hp(np.float32)

  @jax.jit
  def ends(one, two):
    problem, state = start(system, KEY, h)
    return [system.step(key, state, problem, h).params for key in (one, two)]

  first, second = ends(jax.random.key(1), jax.random.key(2))
  assert any(
    np.any(x != y)
    for x, y in zip(*map(jax.tree.leaves, (first, second)), strict=True)
  )


def test_an_unknown_precision_of_the_loss_is_refused():
  with pytest.raises(ValueError, match='compute dtype is int8, expected'):
    grokking.softmax('int8')
