"""Measurements are isotropic; targets have the spectrum asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import ensembles
from framework.systems.matrix_sensing.packing import unsvec


def test_gaussian_is_isotropic():
  A = ensembles.gaussian(jax.random.key(0), 20_000, 3, 2, jnp.float64)
  np.testing.assert_allclose(A.T @ A, np.eye(6), atol=0.05)
  assert A.dtype == jnp.float64


def test_symmetric_gaussian_has_the_law_of_a_symmetrised_one():
  m, n = 20_000, 3
  A = ensembles.symmetric_gaussian(jax.random.key(0), m, n, jnp.float64)
  np.testing.assert_allclose(A.T @ A, np.eye(6), atol=0.05)
  stack = jax.vmap(lambda a: unsvec(a, n))(A)
  B = jax.random.normal(jax.random.key(1), (m, n, n), jnp.float64)
  direct = (B + B.transpose(0, 2, 1)) / 2 / m**0.5
  np.testing.assert_allclose(
    m * jnp.var(stack, axis=0), m * jnp.var(direct, axis=0), atol=0.05
  )


def test_spectrum_takes_a_traced_condition_number():
  linear = jax.jit(lambda kappa: ensembles.spectrum(3, kappa))(2.0)
  np.testing.assert_allclose(linear, [1, 0.75, 0.5], rtol=1e-15)
  geometric = ensembles.spectrum(3, 100.0, 'geometric')
  np.testing.assert_allclose(geometric, [1, 0.1, 0.01], rtol=1e-14)
  np.testing.assert_allclose(ensembles.spectrum(1, 5.0), [1.0])


@pytest.mark.parametrize(
  'arguments,message',
  [
    ((0, 2.0), 'rank is 0'),
    ((3, 0.5), 'kappa is 0.5'),
    ((3, 2.0, 'flat'), "spectrum is 'flat'"),
  ],
)
def test_spectrum_refuses(arguments, message):
  with pytest.raises(ValueError, match=message):
    ensembles.spectrum(*arguments)


@pytest.mark.parametrize('symmetric', [True, False])
def test_low_rank(symmetric):
  sigma = jnp.array([1.0, 0.75, 0.5])
  n2 = 8 if symmetric else 6
  truth = ensembles.low_rank(jax.random.key(0), 8, n2, sigma, symmetric)
  M = ensembles.matrix(truth)
  assert M.shape == (8, n2)
  found = np.linalg.svd(M, compute_uv=False)
  np.testing.assert_allclose(found[:3], sigma, rtol=1e-13)
  assert np.all(found[3:] < 1e-14)
  np.testing.assert_allclose(truth.V.T @ truth.V, np.eye(3), atol=1e-14)
  if symmetric:
    np.testing.assert_allclose(M, M.T, atol=1e-15)
    assert truth.U is truth.V
  else:
    assert not np.allclose(truth.U[:6], truth.V)


def test_low_rank_is_haar():
  # E u u^T = I/n and no preferred sign.
  keys = jax.random.split(jax.random.key(0), 4000)
  one = jnp.ones(1)
  U = jax.vmap(lambda k: ensembles.low_rank(k, 4, 4, one, True).U[:, 0])(keys)
  np.testing.assert_allclose(U.T @ U / 4000, np.eye(4) / 4, atol=0.02)
  np.testing.assert_allclose(U.mean(0), 0, atol=0.03)


def test_low_rank_refuses():
  with pytest.raises(ValueError, match='rank is 3, expected at most 2'):
    ensembles.low_rank(jax.random.key(0), 4, 2, jnp.ones(3), False)
  with pytest.raises(ValueError, match='square, got 4 x 2'):
    ensembles.low_rank(jax.random.key(0), 4, 2, jnp.ones(1), True)


@pytest.mark.parametrize('symmetric', [True, False])
def test_from_matrix_recovers_the_factors(symmetric):
  sigma = jnp.array([2.0, 0.7])
  n2 = 6 if symmetric else 5
  truth = ensembles.low_rank(jax.random.key(0), 6, n2, sigma, symmetric)
  M = np.array(ensembles.matrix(truth))
  again = ensembles.from_matrix(M)
  assert (again.U is again.V) == symmetric
  np.testing.assert_allclose(again.s, sigma, rtol=1e-13)  # rank found: 2
  np.testing.assert_allclose(ensembles.matrix(again), M, atol=1e-14)
  best = ensembles.from_matrix(M, r=1)
  error = np.linalg.norm(np.array(ensembles.matrix(best)) - M)
  np.testing.assert_allclose(error, 0.7, rtol=1e-12)


def test_from_matrix_takes_indefinite_symmetric_matrices_as_general():
  M = np.diag([1.0, -0.5])
  truth = ensembles.from_matrix(M)
  assert truth.U is not truth.V
  np.testing.assert_allclose(ensembles.matrix(truth), M, atol=1e-15)
  np.testing.assert_allclose(truth.s, [1.0, 0.5])


def test_from_matrix_keeps_float32():
  truth = ensembles.from_matrix(np.eye(3, dtype=np.float32))
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
    ensembles.from_matrix(M, **options)
  assert '\n' not in str(error.value)


def test_read_target(tmp_path):
  from matplotlib import image

  M = np.linspace(0, 1, 12).reshape(3, 4)
  np.save(tmp_path / 'a.npy', M)
  np.savetxt(tmp_path / 'a.csv', M, delimiter=',')
  image.imsave(tmp_path / 'a.png', M, cmap='gray', vmin=0, vmax=1)
  image.imsave(tmp_path / 'a.jpg', np.full((8, 8), 0.5), cmap='gray', vmin=0)
  np.testing.assert_array_equal(ensembles.read_target(tmp_path / 'a.npy'), M)
  np.testing.assert_allclose(ensembles.read_target(tmp_path / 'a.csv'), M)
  # Eight bits and a colour map of 256 entries.
  found = ensembles.read_target(str(tmp_path / 'a.png'))
  np.testing.assert_allclose(found, M, atol=1 / 200)
  grey = ensembles.read_target(tmp_path / 'a.jpg')
  assert grey.shape == (8, 8) and 0 <= grey.min() <= grey.max() <= 1


def test_read_target_takes_a_row_of_csv_as_a_matrix(tmp_path):
  (tmp_path / 'row.csv').write_text('1,2,3\n')
  assert ensembles.read_target(tmp_path / 'row.csv').shape == (1, 3)


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
def test_read_target_refuses(tmp_path, name, content, message):
  if content is not None:
    (tmp_path / name).write_bytes(content)
  with pytest.raises(ValueError, match=message) as error:
    ensembles.read_target(tmp_path / name)
  assert '\n' not in str(error.value)


def test_read_target_refuses_stacks_and_pickles(tmp_path):
  np.save(tmp_path / 'stack.npy', np.ones((2, 2, 2)))
  with pytest.raises(ValueError, match=r'shape \(2, 2, 2\), expected a matrix'):
    ensembles.read_target(tmp_path / 'stack.npy')
  np.save(tmp_path / 'p.npy', np.array([{}], object), allow_pickle=True)
  with pytest.raises(ValueError, match='cannot read'):
    ensembles.read_target(tmp_path / 'p.npy')
