"""Trained heads as margin problems: nothing is lost on the way to one W."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from framework import rollout
from framework.maths.margin import svm
from framework.systems.attention_svm import pretrained as pt
from framework.systems.attention_svm.layer import logits
from framework.systems.attention_svm.rows import margin_rows

D, H, T = 12, 4, 6


def layers(key=0):
  """Two layers of three heads of four, and three passages."""
  keys = jax.random.split(jax.random.key(key), 5)
  shapes = ((2, D, D), (2, D, D), (2, D), (2, D), (2, 3, T, D))
  return pt.Data(
    *(
      jax.random.normal(k, s, jnp.float64)
      for k, s in zip(keys, shapes, strict=True)
    )
  )


def head_of(data, layer, i):
  rows = slice(i * H, (i + 1) * H)
  return (
    data.Wq[layer, rows],
    data.Wk[layer, rows],
    data.bq[layer, rows],
    data.bk[layer, rows],
  )


problem_of = jax.jit(pt.problem_of, static_argnames='causal')


@pytest.fixture(scope='module')
def case():
  return jax.device_get(jax.jit(drawn)())


def drawn():
  data = layers()
  Wq, Wk, bq, bk = head_of(data, 1, 2)
  hidden, places = data.hidden[1, 0], jnp.array([5, 0, 3])
  direct = (hidden[places] @ Wq.T + bq[None]) @ (hidden @ Wk.T + bk[None]).T
  W = pt.head_matrix(Wq, Wk, bq, bk)
  return hidden, places, W, jax.nn.softmax(direct / H**0.5, -1)


def test_one_matrix_says_all_of_biases_and_scale(case):
  hidden, places, W, wanted = case
  one = np.pad(hidden, ((0, 0), (0, 1)), constant_values=1)
  a = one[places] @ W.T @ one.T
  np.testing.assert_allclose(softmax(a, -1), wanted, rtol=1e-10, atol=0)
  assert np.linalg.matrix_rank(W) == H


def test_reduction_keeps_attention(case):
  hidden, places, W, wanted = case
  small = pt.reduce(hidden, hidden[places], W)
  X = jnp.broadcast_to(small.X[None], (3, *small.X.shape))
  share = jax.nn.softmax(logits(small.W, X, small.Z), -1)
  np.testing.assert_allclose(share, wanted, rtol=1e-9, atol=0)


def test_reduction_keeps_least_norms(case):
  hidden, places, W, _ = case
  problem = pt.problem_of(hidden, places, W)
  # The least norm in all coordinates, but for the two lengths divided by.
  one = jnp.pad(hidden, ((0, 0), (0, 1)), constant_values=1)
  whole = jnp.broadcast_to(one[None], (3, *one.shape))
  rows = margin_rows(whole, one[places], problem.tokens)
  centred = hidden - hidden.mean(0, keepdims=True)
  x, z = (jnp.sqrt((F**2).sum(1).mean()) for F in (centred, one[places]))
  found = svm(rows).certificate.primal
  np.testing.assert_allclose(problem.least, found * x * z, rtol=1e-6, atol=0)
  assert problem.feasible and problem.gap < 1e-8 and 0 < problem.visible < 1


def test_a_causal_mask_hides_what_comes_later(case):
  hidden, places, W, wanted = case
  problem = problem_of(hidden, places, W, causal=True)
  tokens, mask = np.asarray(problem.tokens), np.asarray(problem.mask)
  for i, place in enumerate(places):
    seen = wanted[i, : int(place) + 1]
    assert int(tokens[i]) == np.argmax(seen)
    assert mask[i].sum() == int(place) + 1
  # Position 0 sees itself alone and asks nothing; the last one asks all.
  present = np.asarray(problem.rows.present).reshape(3, T - 1).sum(1)
  assert present.tolist() == [5, 0, 3]
  assert problem.feasible


def test_training_on_from_a_head_turns_to_the_svm():
  system = pt.system(pt.Structure(heads=3, queries=3))
  data = layers()

  def run(head, null):
    hp = pt.Hp(eta=0.1, head_index=head, null=null)
    times = jnp.array([0, 3000])
    return rollout(system, jax.random.key(1), hp, times, data)[1]

  seen = jax.jit(jax.vmap(run))(
    jnp.array([0, 5, 5], jnp.int32), jnp.array([0.0, 0.0, 1.0])
  )
  assert (seen['alignment'][:, 1] > 0.995).all()
  assert (seen['margin_ratio'][:, 1] > 0.97).all()
  assert ((seen['margin_ratio'] <= 1 + 1e-9) & (seen['kept'] == 1)).all()
  assert (seen['margin_ratio'][:, 0] > 0).all()
  # Heads of two layers, and random weights, are three problems.
  assert len(np.unique(np.asarray(seen['alignment'][:, 0]).round(6))) == 3


def test_bad_structures_name_the_value():
  with pytest.raises(ValueError, match='queries is 0, expected an integer'):
    pt.Structure(queries=0)
