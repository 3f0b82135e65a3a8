"""Trajectories of the published algorithm in double precision."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.maths.gaussian import transform
from framework.systems.infinite_width.pi import gradient as gradients
from framework.systems.infinite_width.pi import net as nets
from framework.systems.infinite_width.pi import rows as rows_lib
from framework.systems.infinite_width.pi import sgd

GOLDEN = pathlib.Path(__file__).parents[3] / 'golden' / 'mup_pi_limit.npz'
VARIANTS = 'plain', 'clipper', 'clipglob', 'wdmult', 'wdmult2', 'mom'
RELU = transform('relu')
ALPHAS = nets.Multipliers(1.5, 0.7, 0.5, 0.5)
STEPS, BATCH = 6, 4


@pytest.fixture(scope='module')
def golden():
  with np.load(GOLDEN) as stored:
    return dict(stored)


def near(one, other, what, atol=1e-10):
  np.testing.assert_allclose(one, other, rtol=0, atol=atol, err_msg=what)


def start(golden, dtype):
  def get(name):
    return jnp.asarray(golden[f'pi_init_{name}'], dtype)

  layers = tuple(
    (rows_lib.of(get(f'A{n}'), get(f'B{n}'), get(f'm{n}')),) for n in (2, 3)
  )
  return nets.Net(get('A1'), tuple(get(f'b{n}') for n in (1, 2, 3)), layers)


def loss_of(y):
  def loss(f):
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(f, y))

  return loss


def make_step(clip, decay_scaled, normalised=True):
  @jax.jit
  def step(state, x, y, rates, probe):
    out = nets.apply(RELU, state.net, x, ALPHAS, state.count)
    grads = gradients.gradient(
      RELU, state.net, x, loss_of(y), ALPHAS, state.count
    )
    found = gradients.norms(RELU, grads)
    state = sgd.update(
      RELU, state, grads, rates, clip, decay_scaled=decay_scaled
    )
    after = nets.apply(RELU, state.net, probe, ALPHAS, state.count)
    return state, out, after, found, grads

  return step


@pytest.fixture(scope='module')
def steps():
  """Compiled once for each rule: rates are arguments."""
  made = {}

  def get(clip, decay_scaled):
    key = clip, decay_scaled
    return made.setdefault(key, make_step(*key))

  return get


def rates_of(hp, dtype):
  names = {
    'lr': 'lr',
    'momentum': 'momentum',
    'wd': 'weight_decay',
    'gclip': 'clip',
    'first_layer_lr_mult': 'first_lr',
    'last_layer_lr_mult': 'last_lr',
    'bias_lr_mult': 'bias_lr',
  }
  given = {names[k]: v for k, v in hp.items() if k in names}
  rates = sgd.Rates()._replace(**given)
  return jax.tree.map(lambda x: jnp.asarray(x, dtype), rates)


def run(golden, name, steps, dtype, capacity=24):
  hp = json.loads(str(golden[f'pi_{name}_hp']))
  each = hp.get('gclip_per_param', False)
  step = steps(
    gradients.clip_each if each else gradients.clip_all,
    hp.get('apply_lr_mult_to_wd', True),
  )
  state = sgd.begin(start(golden, dtype), capacity, BATCH)
  if 'momentum' in hp and 'wd' in hp:
    # The published rows of the start begin with the velocity wd, not 0.
    layers = tuple(
      (
        layer[0]._replace(v=jnp.full_like(layer[0].v, hp['wd'])),
        *layer[1:],
      )
      for layer in state.net.layers
    )
    state = state._replace(net=state.net._replace(layers=layers))
  rates, probe = rates_of(hp, dtype), jnp.asarray(golden['pi_probe'], dtype)
  seen = []
  for x, y in zip(golden['pi_X'], golden['pi_Y'], strict=True):
    state, *found = step(state, jnp.asarray(x, dtype), y, rates, probe)
    seen.append(found)
  return state, seen


def check(golden, name, state, seen, atol):
  order = [str(n) for n in golden['pi_gnorm_names']]
  for t, (out, probe, found, _) in enumerate(seen):
    near(out, golden[f'pi_{name}_out'][t], f'out {t}', atol)
    near(probe, golden[f'pi_{name}_probe'][t], f'probe {t}', atol)
    own = {f'bias.{n + 1}': x for n, x in enumerate(found.biases)}
    own |= {f'weight.{n + 2}': x for n, x in enumerate(found.rows)}
    own['weight.1'] = found.first
    norms = [own[n] for n in order]
    near(norms, golden[f'pi_{name}_gnorms'][t], f'norms {t}', atol)
  end = f'pi_{name}_final_'
  near(state.net.first, golden[end + 'A1'], 'A1', atol)
  for n in (1, 2, 3):
    near(state.net.biases[n - 1], golden[f'{end}b{n}'], f'b{n}', atol)
  for n in (2, 3):
    A, B, c = flat(state.net.layers[n - 2], golden[f'{end}m{n}'].size)
    near(A, golden[f'{end}A{n}'], f'A{n}', atol)
    near(B, golden[f'{end}B{n}'], f'B{n}', atol)
    near(c, golden[f'{end}m{n}'], f'm{n}', atol)


def flat(layer, count):
  """A, B and c of a layer, row by row."""
  A = np.concatenate([np.asarray(r.A).reshape(-1, r.A.shape[2]) for r in layer])
  B = np.concatenate(
    [
      np.asarray(r.B).transpose(0, 2, 1).reshape(-1, r.B.shape[1])
      for r in layer
    ]
  )
  c = np.concatenate([np.asarray(r.c).ravel() for r in layer])
  return A[:count], B[:count], c[:count]


@pytest.mark.parametrize('name', VARIANTS)
def test_trajectory(golden, steps, name):
  check(golden, name, *run(golden, name, steps, np.float64), atol=1e-10)


def test_trajectory_in_single_precision(golden):
  """Six steps: a few hundred roundings of 6e-8 of numbers of about 1."""
  steps = make_step(gradients.clip_each, True)
  found = run(golden, 'clipper', lambda *how: steps, np.float32)
  check(golden, 'clipper', *found, atol=1e-5)


def test_the_first_gradient(golden, steps):
  _, seen = run(golden, 'plain', steps, np.float64)
  found = seen[0][-1]
  near(found.first, golden['pi_grad_A1'], 'A1')
  for n in (2, 3):
    near(found.rows[n - 2].A, golden[f'pi_grad_A{n}'], f'A{n}')
    near(found.rows[n - 2].B, golden[f'pi_grad_B{n}'], f'B{n}')
  for n in (1, 2, 3):
    near(found.biases[n - 1], golden[f'pi_grad_b{n}'], f'b{n}')


def test_room_changes_nothing(golden, steps, monkeypatch):
  """More of it than is used, in several segments: the same trajectory."""
  monkeypatch.setattr(rows_lib, '_BLOCK', 8)
  assert rows_lib.segments(32, BATCH) == [(1, 8), (1, 8), (2, 8)]
  one, seen = run(golden, 'mom', steps, np.float64, capacity=32)
  check(golden, 'mom', one, seen, atol=1e-10)
