"""Exponents of several systems, estimated by the one fitter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import logspaced, rollout
from framework.evidence import scaling
from framework.mup.parametrisations import parametrisation
from framework.probes import cosine
from framework.systems import attention_svm as svm
from framework.systems import matrix_sensing as ms
from framework.systems import spectrum as s
from framework.systems.clusters import xor
from framework.systems.width import dichotomy

FIT = dict(distance=scaling.log_ratio, starts=8)


def exponent(x, y):
  """(b, its standard error) of y = a x^−b."""
  found = scaling.fit(scaling.forms.POWER, (x,), y, **FIT)
  return float(found.parameters['b']), float(found.stderr['b'])


@pytest.mark.slow
def test_too_many_columns_in_matrix_sensing():
  gd = ms.system(ms.Structure(n1=10, n2=10, r=2, k_max=3))
  hp = jax.tree.map(jnp.asarray, ms.Hp(k=3, alpha=0.5))
  t = logspaced(20_000, 10)
  seen = jax.jit(lambda h: rollout(gd, jax.random.key(0), h, t))(hp)[1]
  late = t >= 2000
  b, error = exponent(t[late].astype(float), seen['squared_error'][late])
  assert abs(b - 2) < 0.03 and error < 0.01


@pytest.mark.slow
def test_attention_turns_to_its_svm():
  """1 − cos(W, W_svm) falls as t^−2 with steps of one length."""
  structure = svm.Structure(n=3, T=4, d=5, weights=True, dtype=jnp.float64)
  layer, hp = svm.system(structure), svm.Hp()
  t, key = logspaced(20_000, 8), jax.random.key(0)
  seen = jax.jit(lambda: rollout(layer, key, hp, t))()[1]
  data = layer.sample(jax.random.split(key, 3)[0], hp).data
  W = svm.solve(data.X, data.Z, seen['tokens'][-1]).W
  off = 1 - jax.vmap(lambda own: cosine(own, W))(seen['W'])
  late = t >= 1000
  b, error = exponent(t[late].astype(float), off[late])
  assert abs(b - 2) < 0.1 and error < 0.03


@pytest.mark.slow
def test_features_stand_still_in_the_kernel_parametrisation():
  """Hidden coordinates move by n^−1/2 in NTP."""
  hp = dichotomy.Hp(case=jnp.int32(0), lr=jnp.float32(0.3))
  keys = jax.random.split(jax.random.key(0), 64)

  def moves(width):
    case = parametrisation('ntp', 2)
    net = dichotomy.system(dichotomy.Structure(width=width, cases=(case,)))
    run = lambda k: rollout(net, k, hp, jnp.array([10]))[1]['moves'][0, 1]  # noqa: E731
    return float(jax.jit(jax.vmap(run))(keys).mean())

  widths = np.array([64, 128, 256, 512, 1024])
  b, error = exponent(widths.astype(float), np.array([*map(moves, widths)]))
  assert abs(b - 0.5) < 0.05 and error < 0.03


@pytest.mark.slow
def test_neurons_of_xor_clusters_share_the_readout():
  """Positive ones reach α‖μ‖²t/8√m along their mean: m^−1/2 at one time."""
  hp, keys = xor.Hp(p=4000.0, eta=0.0), jax.random.split(jax.random.key(0), 16)

  def reach(m):
    net = xor.system(xor.Structure(n=40, n_test=4, m=m, dtype=jnp.float64))
    run = lambda k: rollout(net, k, hp, jnp.array([20]))[1]['projection'][0]  # noqa: E731
    return float(jax.jit(jax.vmap(run))(keys).mean(0)[0].max())

  widths = np.array([64, 128, 256, 512, 1024])
  b, error = exponent(widths.astype(float), np.array([*map(reach, widths)]))
  # The signs of the readout are drawn: means of 16 seeds scatter by a percent.
  assert abs(b - 0.5) < 0.02 and error < 0.01


def test_one_pass_of_sgd():
  law = s.power_law(1.5, 1.8, 3000)
  t = np.rint(np.geomspace(50, 500, 8)).astype(np.int32)
  problem = s.sgd.merged(law, s.sgd.Hp(noise=0.0))
  b, error = exponent(t.astype(float), s.sgd.merged_risk(problem, t))
  assert abs(b - 0.8 / 1.5) < 0.02 and error < 0.005


def test_a_kernel_over_its_samples():
  law = s.power_law(1.5, 1.6, 3000)
  n = np.geomspace(50, 800, 8)
  y = jax.vmap(lambda n: s.krr_risk(law, 0.0, n, 0.0).test)(n)
  b, error = exponent(n, y)
  assert abs(b - 0.6) < 0.02 and error < 0.005
