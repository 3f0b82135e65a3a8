"""Rows of attention's margin problem: which differences, in which order."""

import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths.margin import margins, svm
from framework.systems import attention_svm
from framework.systems.attention_svm.rows import (
  margin_rows,
  multipliers_by_token,
)

RNG = np.random.default_rng(0)
X, Z = RNG.standard_normal((3, 4, 5)), RNG.standard_normal((3, 5))
TOKENS = np.array([2, 0, 3])


def test_every_row_is_the_selected_token_less_another():
  W = RNG.standard_normal((5, 5))
  rows = margin_rows(X, Z, TOKENS, bound=np.array([1.0, 2.0, 3.0]))
  a = np.einsum('ntd,dq,nq->nt', X, W, Z)
  wanted = [
    a[i, TOKENS[i]] - a[i, t]
    for i in range(3)
    for t in range(4)
    if t != TOKENS[i]
  ]
  np.testing.assert_allclose(margins(W, rows), wanted, rtol=1e-12, atol=1e-12)
  np.testing.assert_array_equal(rows.bound, np.repeat([1.0, 2.0, 3.0], 3))
  by_token = multipliers_by_token(jnp.asarray(wanted), TOKENS, 4)
  np.testing.assert_allclose(
    by_token, a[np.arange(3), TOKENS][:, None] - a, rtol=1e-12, atol=1e-12
  )


def test_what_does_not_exist_asks_nothing():
  mask = np.ones((3, 4), bool)
  mask[0, 1] = mask[1, 0] = False  # another token; a selected one
  there = np.asarray(margin_rows(X, Z, TOKENS, mask).present).reshape(3, 3)
  np.testing.assert_array_equal(
    there, [[True, False, True], [False] * 3, [True] * 3]
  )


@pytest.mark.parametrize('norm', ['frobenius', 'nuclear'])
def test_solve_is_the_svm_of_these_rows(norm):
  found = attention_svm.solve(X, Z, TOKENS, norm)
  wanted = svm(margin_rows(X, Z, TOKENS), norm)
  np.testing.assert_allclose(
    found.certificate.primal, wanted.certificate.primal, rtol=1e-7, atol=0
  )
  a = np.einsum('ntd,dq,nq->nt', X, found.W, Z)
  assert (a.argmax(1) == TOKENS).all() and found.certificate.gap < 1e-7


def test_bad_input_is_refused():
  with pytest.raises(ValueError, match='T is 1, expected at least 2 tokens'):
    margin_rows(X[:, :1], Z, TOKENS)
  with pytest.raises(ValueError, match=r'mask has shape \(3, 3\), expected'):
    margin_rows(X, Z, TOKENS, np.ones((3, 3), bool))
  with pytest.raises(ValueError, match='of 3, 2, 3 inputs'):
    margin_rows(X, Z[:2], TOKENS)
  with pytest.raises(ValueError, match='have shapes'):
    margin_rows(X[0], Z, TOKENS)
