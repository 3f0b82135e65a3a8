"""Exponents of several systems, estimated by the one fitter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import logspaced, rollout
from framework.evidence import scaling
from framework.systems import matrix_sensing as ms
from framework.systems import spectrum as s

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
