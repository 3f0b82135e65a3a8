import jax
import numpy as np
import pytest

from framework import probes


def tree(seed, scale=1.0):
  rng = np.random.default_rng(seed)
  draw = lambda *shape: scale * rng.standard_normal(shape)  # noqa: E731
  return {'a': draw(3, 2), 'b': {'kernel': draw(4)}}


def flat(tree):
  return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


@pytest.mark.parametrize('scale', [1.0, 1e-200, 1e200])
def test_they_are_those_of_the_flat_vectors(scale):
  one, two = tree(0, scale), tree(1)
  x, y = flat(one) / scale, flat(two)
  size = np.linalg.norm(x)
  close = dict(rtol=1e-12, atol=0)
  np.testing.assert_allclose(probes.norm(one), size * scale, **close)
  np.testing.assert_allclose(flat(probes.direction(one)), x / size, **close)
  want = x @ y / size / np.linalg.norm(y)
  np.testing.assert_allclose(probes.cosine(one, two), want, **close)
  each, together = probes.cosines(one, two)
  np.testing.assert_allclose(together, want, **close)
  for i, part in enumerate(('a', 'b')):
    u, v = flat(one[part]) / scale, flat(two[part])
    lengths = np.linalg.norm(u), np.linalg.norm(v)
    np.testing.assert_allclose(each[i], u @ v / np.prod(lengths), **close)
    np.testing.assert_allclose(
      probes.norms(one)[i], lengths[0] * scale, **close
    )
  assert probes.tensor_names(one) == ['a', 'b.kernel']


def test_nothing_has_no_direction():
  zero = jax.tree.map(np.zeros_like, tree(0))
  assert not flat(probes.direction(zero)).any()
  assert probes.cosine(zero, tree(0)) == 0
  slope = jax.jit(jax.grad(lambda w: probes.cosine(w, tree(1))))(zero)
  assert np.all(np.isfinite(flat(slope)))


def test_a_step_along_the_direction_keeps_it():
  w = tree(0)
  longer = jax.tree.map(lambda x, d: x + 2 * d, w, probes.direction(w))
  np.testing.assert_allclose(probes.cosine(longer, w), 1, rtol=1e-12, atol=0)
  np.testing.assert_allclose(
    probes.norm(longer), probes.norm(w) + 2, rtol=1e-12, atol=0
  )
