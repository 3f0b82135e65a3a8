"""Both forms against stored trajectories of full-batch gradient descent."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.system import advance
from framework.systems.clusters import xor as dynamics
from framework.systems.clusters.xor import net as xor_net
from framework.systems.clusters.xor.data import Labels, XorData
from framework.systems.clusters.xor.explicit import Explicit
from framework.systems.clusters.xor.facts import facts_of
from framework.systems.clusters.xor.gram import gram_of

GOLDEN = np.load(
  pathlib.Path(__file__).parents[3] / 'golden' / 'grok_xor_gd.npz'
)
# n = 40, p = 400, m = 32; steps of each regime.
REGIMES = {'paperlike': 15, 'small_alpha': 60, 'order_one': 40}
FORMS = {
  'explicit': dynamics.explicit_problem,
  'gram': dynamics.gram_problem,
}
# Relative to the largest entry.
TOLERANCE = {'f32': 5e-6, 'f64': 1e-13}


def follow(regime, precision, form):
  """(outputs, unit projections, loss) at every step, from the stored start."""
  dtype = jnp.float32 if precision == 'f32' else jnp.float64

  def stored(name):
    return jnp.asarray(GOLDEN[f'{regime}_{name}'], dtype)

  x, y, clean, a, W0 = (stored(n) for n in ('X', 'y', 'yclean', 'a', 'W0'))
  data = XorData(x, Labels(jnp.zeros(len(y), jnp.int32), clean, y))
  hp = dynamics.Hp(alpha=dtype(GOLDEN[f'{regime}_alpha']))
  gd = dynamics.system(
    dynamics.Structure(
      n=40,
      n_test=40,
      m=32,
      draw=FORMS[form],
      p=400,
      dtype=dtype,
    )
  )
  if form == 'explicit':
    facts = facts_of(data, data, a, x @ W0)
    problem, params = Explicit(facts, x, x, jnp.zeros(2)), {'W': W0}
  else:
    problem = gram_of(data, data, W0, a)
    params = {'B': jnp.zeros((40, 32), dtype)}

  def observe(state, problem, hp):
    seen = dynamics.view(state, problem)
    f = xor_net.outputs(seen.Z, a)
    same = xor_net.outputs(seen.T, a)
    return {
      'f': f,
      'test': same,
      'proj': seen.P,
      'loss': jnp.mean(jax.nn.softplus(-y * f)),
    }

  gd = gd._replace(observe=observe)

  @jax.jit
  def run(params, problem):
    key = jax.random.key(0)
    words = jax.random.key_data(key)
    if form == 'explicit':
      problem = problem._replace(start=words)
    state = gd.init(key, problem, hp)._replace(params=params)
    times = np.arange(REGIMES[regime] + 1)
    return advance(gd, key, problem, hp, state, 0, times)[1]

  return jax.tree.map(np.asarray, run(params, problem))


def assert_close(found, stored, tolerance):
  scale = np.abs(stored).max()
  np.testing.assert_allclose(found, stored, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize('form', ['explicit', 'gram'])
@pytest.mark.parametrize('precision', ['f32', 'f64'])
@pytest.mark.parametrize('regime', list(REGIMES))
def test_trajectory(regime, precision, form):
  seen = follow(regime, precision, form)
  name, tolerance = f'{regime}_{precision}', TOLERANCE[precision]
  assert_close(seen['f'], GOLDEN[f'{name}_f'], tolerance)
  assert_close(seen['test'], GOLDEN[f'{name}_f'], tolerance)
  norm = float(GOLDEN[f'{regime}_mu_norm'])
  assert_close(norm * seen['proj'], GOLDEN[f'{name}_proj'], tolerance)
  assert_close(seen['loss'], GOLDEN[f'{name}_loss'], tolerance)
