"""Graphs of priorities: edges, relations, and each row of their SVM."""

import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.attention_svm.next_token import (
  graph_rows,
  graph_svm,
  priority_graph,
  relations,
)

E = jnp.asarray(
  np.diag(np.arange(1.0, 6))
)  # five tokens, told apart by their lengths


def test_edges_go_from_the_label_to_the_other_tokens_that_there_are():
  sequences = jnp.array([[0, 1, 2], [3, 0, 2], [1, 1, 4]])
  mask = jnp.array([[True] * 3, [True, False, True], [True] * 3])
  last, labels = jnp.array([2, 2, 4]), jnp.array([1, 3, 1])
  graph = np.asarray(priority_graph(sequences, last, labels, 5, mask))
  assert {tuple(map(int, x)) for x in np.argwhere(graph)} == {
    (2, 1, 0),
    (2, 1, 2),
    (2, 3, 2),
    (4, 1, 4),
  }


@pytest.mark.parametrize('K', [2, 3, 5, 8, 9])
def test_a_chain_is_an_order_however_long(K):
  graph = np.zeros((K, K, K), bool)
  graph[1, range(K - 1), range(1, K)] = True
  found = relations(jnp.asarray(graph))
  np.testing.assert_array_equal(found.above[1], np.triu(np.ones((K, K)), 1))
  np.testing.assert_array_equal(found.same[1], np.eye(K))
  assert not found.above[0].any()


def rows_of(size=None):
  """{0, 1} share; 0 → 2 → 3 → 4: of last token 3."""
  graph = np.zeros((5, 5, 5), bool)
  for i, j in ((0, 1), (1, 0), (1, 2), (2, 3), (3, 4)):
    graph[3, i, j] = True
  given = relations(jnp.asarray(graph))
  return given, graph_rows(E, given, size)


@pytest.mark.parametrize('size', [None, 7, 10])
def test_one_token_stands_for_each_component(size):
  _, rows = rows_of(size)
  assert int(rows.present.sum()) == 7 and len(rows.D) == (size or 7)
  found, points = set(), np.asarray(E)
  for D, Z, bound, equal, there in zip(*map(np.asarray, rows), strict=True):
    if not there:
      assert not D.any() and not Z.any() and not bound and not equal
      continue
    np.testing.assert_array_equal(Z, points[3])
    (i,), (j,) = np.flatnonzero(D > 0), np.flatnonzero(D < 0)
    np.testing.assert_array_equal(D, points[i] - points[j])
    found.add((int(i), int(j), float(bound), bool(equal)))
  pairs = ((0, 2), (0, 3), (0, 4), (2, 3), (2, 4), (3, 4))
  assert found == {(0, 1, 0.0, True)} | {(i, j, 1.0, False) for i, j in pairs}


def test_the_direction_has_every_margin():
  given, _ = rows_of()
  found = graph_svm(E, given)
  logits = np.asarray(E) @ np.asarray(found.W) @ np.asarray(E)[3]
  np.testing.assert_allclose(logits[0], logits[1], rtol=1e-7, atol=1e-9)
  steps = -np.diff(logits[[0, 2, 3, 4]])
  assert (steps > 1 - 1e-7).all()
  assert found.certificate.gap < 1e-7


def test_no_priorities_ask_for_nothing():
  with pytest.raises(ValueError, match='relations are empty, expected at'):
    graph_svm(E, relations(np.zeros((5, 5, 5), bool)))
