"""A target of one's own becomes factors, or is refused in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import ensembles, targets


@pytest.mark.parametrize('symmetric', [True, False])
def test_from_matrix_recovers_the_factors(symmetric):
  sigma = jnp.array([2.0, 0.7])
  n2 = 6 if symmetric else 5
  truth = ensembles.low_rank(jax.random.key(0), 6, n2, sigma, symmetric)
  M = np.array(ensembles.matrix(truth))
  again = targets.from_matrix(M)
  assert (again.U is again.V) == symmetric
  np.testing.assert_allclose(
    again.s, sigma, rtol=1e-13, atol=0
  )  # rank found: 2
  np.testing.assert_allclose(ensembles.matrix(again), M, atol=1e-14, rtol=0)
  best = targets.from_matrix(M, r=1)
  error = np.linalg.norm(np.array(ensembles.matrix(best)) - M)
  np.testing.assert_allclose(error, 0.7, rtol=1e-12, atol=0)


def test_from_matrix_takes_indefinite_symmetric_matrices_as_general():
  M = np.diag([1.0, -0.5])
  truth = targets.from_matrix(M)
  assert truth.U is not truth.V
  np.testing.assert_allclose(ensembles.matrix(truth), M, atol=1e-15, rtol=0)
  np.testing.assert_allclose(truth.s, [1.0, 0.5], rtol=1e-7, atol=0)


def test_from_matrix_keeps_float32():
  truth = targets.from_matrix(np.eye(3, dtype=np.float32))
  assert {x.dtype for x in truth} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
  'M,options,message',
  [
    (np.diag([1.0, -0.25]), {'symmetric': True}, 'most negative .* is -0.25$'),
    (np.triu(np.ones((2, 2))), {'symmetric': True}, 'reaches 1'),
    (np.ones((2, 3)), {'symmetric': True}, 'square, got 2 x 3'),
    (np.ones(3), {}, r'shape \(3,\)'),
    (np.array([[np.nan, 1.0]]), {}, '1 entries that are not finite'),
    (np.eye(2), {'r': 3}, 'rank is 3, expected 1 to 2'),
  ],
)
def test_from_matrix_refuses(M, options, message):
  with pytest.raises(ValueError, match=message) as error:
    targets.from_matrix(M, **options)
  assert '\n' not in str(error.value)


def test_read(tmp_path):
  from matplotlib import image

  M = np.linspace(0, 1, 12).reshape(3, 4)
  np.save(tmp_path / 'a.npy', M)
  np.savetxt(tmp_path / 'a.csv', M, delimiter=',')
  image.imsave(tmp_path / 'a.png', M, cmap='gray', vmin=0, vmax=1)
  image.imsave(tmp_path / 'a.jpg', np.full((8, 8), 0.5), cmap='gray', vmin=0)
  np.testing.assert_array_equal(targets.read(tmp_path / 'a.npy'), M)
  np.testing.assert_allclose(
    targets.read(tmp_path / 'a.csv'), M, rtol=1e-7, atol=0
  )
  # Eight bits and a colour map of 256 entries.
  found = targets.read(str(tmp_path / 'a.png'))
  np.testing.assert_allclose(found, M, atol=1 / 200, rtol=0)
  grey = targets.read(tmp_path / 'a.jpg')
  assert grey.shape == (8, 8) and 0 <= grey.min() <= grey.max() <= 1


def test_read_takes_a_row_of_csv_as_a_matrix(tmp_path):
  (tmp_path / 'row.csv').write_text('1,2,3\n')
  assert targets.read(tmp_path / 'row.csv').shape == (1, 3)


@pytest.mark.parametrize(
  'name,content,message',
  [
    ('absent.npy', None, 'cannot read .*absent.npy'),
    ('broken.npy', b'not numpy', 'cannot read'),
    ('broken.csv', b'1,2\n3,x\n', 'cannot read'),
    ('broken.png', b'not an image', 'cannot read'),
    ('a.mat', b'', r"expected one of \['.csv'"),
    ('a.csv', b'1,nan\n', '1 entries that are not finite'),
  ],
)
def test_read_refuses(tmp_path, name, content, message):
  if content is not None:
    (tmp_path / name).write_bytes(content)
  with pytest.raises(ValueError, match=message) as error:
    targets.read(tmp_path / name)
  assert '\n' not in str(error.value)


def test_read_refuses_stacks_and_pickles(tmp_path):
  np.save(tmp_path / 'stack.npy', np.ones((2, 2, 2)))
  with pytest.raises(ValueError, match=r'shape \(2, 2, 2\), expected a matrix'):
    targets.read(tmp_path / 'stack.npy')
  np.save(tmp_path / 'p.npy', np.array([{}], object), allow_pickle=True)
  with pytest.raises(ValueError, match='cannot read'):
    targets.read(tmp_path / 'p.npy')
