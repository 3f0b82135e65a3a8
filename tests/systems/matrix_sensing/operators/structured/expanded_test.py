import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing.operators import forms
from framework.systems.matrix_sensing.operators import structured as st

KEY = jax.random.key(0)


def drawn(m, n, draw=st.draw_pairs, symmetric=True):
  return draw(KEY, m, (n, n), symmetric, jnp.float64)


@pytest.mark.parametrize('symmetric', [True, False])
def test_all_forms_are_the_same_map(symmetric):
  operator = drawn(12, 3, symmetric=symmetric)
  Z = np.arange(9.0).reshape(3, 3)
  Z = Z + Z.T if symmetric else Z
  kind = forms.Svec if symmetric else forms.Dense
  # So many columns that rows of p numbers are less work.
  rows, why = st.quickest(operator, 3, lanes=1000)
  assert isinstance(rows, kind) and why.startswith(kind.__name__.lower())
  gram, _ = st.quickest(operator, 3, residuals=False)
  assert isinstance(gram, forms.Gram)
  law = operator.normal(jnp.array(Z))
  for form in (rows, gram):
    np.testing.assert_allclose(form.normal(jnp.array(Z)), law, rtol=1e-10,
                               atol=1e-12)  # fmt: skip


def test_the_form_is_by_cost():
  def kind(m, n, k, **given):
    return type(st.quickest(drawn(m, n, st.draw_rank_one), k, **given)[0])

  assert kind(400, 12, 2) is st.RankOne
  assert kind(400, 12, 12, lanes=50) is forms.Svec  # 4 m n k against 2 m n²
  assert kind(400, 12, 2, residuals=False) is forms.Gram
  # Built from m rows, it does not pay off in one step, or does not fit.
  assert kind(400, 12, 2, residuals=False, steps=1) is st.RankOne
  assert kind(400, 12, 2, residuals=False, memory_bytes=1e5) is st.RankOne
  with pytest.raises(ValueError, match='k is 0'):
    kind(4, 2, 0)


def test_costs_are_those_of_the_arithmetic():
  """Of so many lanes nothing but multiply-adds counts, two operations each."""
  m, n, k = 400, 12, 2
  p = n * (n + 1) // 2
  operator = drawn(m, n, st.draw_rank_one)
  _, why = st.quickest(operator, k, lanes=10**6, residuals=False)
  us = {
    what: float(t) for what, t in re.findall(r'([a-z ]+) ([\d.e+]+) us', why)
  }
  us = {what.split('step ')[-1].strip(): t for what, t in us.items()}
  assert us['rank one'] / us['gram'] == pytest.approx(
    4 * m * n * k / (2 * p * p), rel=0.02
  )
  assert us['svec'] / us['gram'] == pytest.approx(
    4 * m * p / (2 * p * p), rel=0.02
  )
