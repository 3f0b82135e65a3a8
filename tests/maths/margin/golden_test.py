"""Solutions of independent solvers, and what every solution has to prove."""

import functools
import pathlib

import jax
import numpy as np
import pytest

from framework.maths.margin import margins
from framework.maths.margin import solve as svm
from framework.systems.attention_svm.rows import margin_rows

GOLDEN = pathlib.Path(__file__).parents[2] / 'golden'
DATA = dict(np.load(GOLDEN / 'svm_solutions.npz'))


@functools.partial(jax.jit, static_argnums=3)
def solutions(X, Z, ids, norm):
  rows = margin_rows(X, Z, ids)
  # Six queries: the problem shrinks to their span, which holds the rows of W.
  return rows, svm.svm(rows, norm, queries=6)


def solved(seed, which, norm):
  return solutions(*(DATA[x][seed] for x in ('X', 'Z', which)), norm)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('run', ['W', 'KQ'])
def test_frobenius(seed, run):
  rows, found = solved(seed, f'ids_{run}', 'frobenius')
  want = DATA[f'fro_{run}'][seed]
  assert found.certificate.feasible
  assert np.linalg.norm(found.W - want) < 1e-8 * np.linalg.norm(want)
  assert abs(np.min(margins(found.W, rows)) - 1) < 1e-9
  square = np.sum(np.square(found.W))
  assert abs(square - np.sum(found.multipliers)) < 1e-8 * square
  _row_space(found.W, DATA['Z'][seed])


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('run', ['W', 'KQ'])
def test_nuclear(seed, run):
  rows, found = solved(seed, f'ids_{run}', 'nuclear')
  want = DATA[f'nuc_{run}'][seed]
  s, wanted = (np.linalg.svd(x, compute_uv=False) for x in (found.W, want))
  assert found.certificate.feasible
  assert abs(s.sum() / wanted.sum() - 1) < 1e-7
  assert np.linalg.norm(found.W - want) < 1e-5 * np.linalg.norm(want)
  assert np.min(margins(found.W, rows)) > 1 - 1e-8
  rank = int((wanted > 1e-4 * wanted[0]).sum())
  assert s[rank - 1] > 1e-4 * s[0] and s[rank] < 1e-6 * s[0]
  _row_space(found.W, DATA['Z'][seed])


def _row_space(W, Z):
  """Rows of W lie in the span of the queries."""
  P = np.linalg.pinv(Z) @ Z
  assert np.linalg.norm(W - W @ P) < 1e-9 * np.linalg.norm(W)
