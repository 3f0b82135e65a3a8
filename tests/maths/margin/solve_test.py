import functools
import pathlib

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths.margin import (
  certify,
  concatenate,
  constraints,
  least_norm,
  margins,
  neighbours,
  svm,
)
from framework.maths.margin import norms as svm_norms
from framework.systems.attention_svm.rows import (
  margin_rows,
  multipliers_by_token,
)
from tests.maths.margin import oracles

GOLDEN = pathlib.Path(__file__).parents[2] / 'golden'
NORMS = tuple(svm_norms.NORMS)


@functools.cache
def _solver(norm, queries=None):
  """Solutions of many problems (X, Z, tokens, mask), compiled once a shape."""

  def one(X, Z, tokens, mask):
    return svm(margin_rows(X, Z, tokens, mask), norm, queries)

  return jax.jit(jax.vmap(one))


def _solve(X, Z, tokens, norm='frobenius', mask=None, queries=None):
  if mask is None:
    mask = np.ones(X.shape[:3], bool)
  return _solver(norm, queries)(X, Z, tokens, mask)


def _relative(a, b):
  return np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b)


@pytest.fixture(scope='module')
def golden():
  return dict(np.load(GOLDEN / 'svm_solutions.npz'))


@pytest.mark.parametrize('run', ['W', 'KQ'])
def test_frobenius_golden(golden, run):
  X, Z, tokens = golden['X'], golden['Z'], golden[f'ids_{run}']
  solution = _solve(X, Z, tokens)
  for W, expected in zip(solution.W, golden[f'fro_{run}'], strict=True):
    assert _relative(W, expected) <= 1e-8
  certificate = solution.certificate
  assert np.all(certificate.feasible) and not np.any(certificate.infeasible)
  assert np.all(np.abs(certificate.margin - 1) <= 1e-9)
  square = certificate.primal**2
  assert np.all(np.abs(square - solution.multipliers.sum(1)) <= 1e-8 * square)
  by_token = jax.vmap(lambda a, t: multipliers_by_token(a, t, 8))(
    solution.multipliers, tokens
  )
  np.testing.assert_allclose(
    by_token,
    golden[f'dualfro_{run}'],
    atol=1e-7 * float(square.max()),
    rtol=1e-7,
  )


@pytest.mark.parametrize('run', ['W', 'KQ'])
def test_nuclear_golden(golden, run):
  X, Z, tokens = golden['X'], golden['Z'], golden[f'ids_{run}']
  solution = _solve(X, Z, tokens, 'nuclear', queries=6)
  assert np.all(solution.certificate.gap <= 1e-7)
  ranks = []
  for W, expected in zip(solution.W, golden[f'nuc_{run}'], strict=True):
    values = np.linalg.svd(W, compute_uv=False)
    least = np.linalg.svd(expected, compute_uv=False).sum()
    assert abs(values.sum() - least) <= 1e-7 * least
    assert _relative(W, expected) <= 1e-5
    ranks.append(np.sum(values > 1e-6 * values[0]))
    # No value between: the rank does not hang on the threshold.
    assert ranks[-1] == np.sum(values > 1e-3 * values[0])
  if run == 'W':
    assert ranks == [2, 3, 4, 4]


def test_pictures():
  pictures = np.load(GOLDEN / 'svm_visual.npz')
  for name in ('vis1', 'vis2'):
    given = [pictures[f'{name}_{part}'][None] for part in ('X', 'Z', 'opt')]
    fro = _solve(*given).W[0]
    nuc = _solve(*given, 'nuclear').W[0]
    # The stored ones are good to solver's default accuracy.
    assert _relative(fro, pictures[f'{name}_svm_fro']) <= 1e-4
    assert _relative(nuc, pictures[f'{name}_svm_nuc']) <= 1e-3


def test_nonnegative_least_squares_agrees():
  for shape in ((6, 8, 10), (15, 5, 4), (5, 5, 2)):
    X, Z, tokens = oracles.instances(24, *shape)
    solution = _solve(X, Z, tokens)
    kinds = set()
    for i in range(24):
      w = oracles.least_distance(oracles.matrices(X[i], Z[i], tokens[i]))
      kinds.add(w is None)
      feasible = bool(solution.certificate.feasible[i])
      assert bool(solution.certificate.infeasible[i]) == (not feasible)
      assert feasible == (w is not None)
      if w is not None:
        assert _relative(solution.W[i].ravel(), w) <= 1e-7
      else:
        assert np.all(np.isnan(solution.W[i]))
        assert solution.certificate.primal[i] == np.inf
    assert shape == (6, 8, 10) or kinds == {True, False}


@pytest.mark.parametrize('norm', ['l1', 'linf'])
def test_linear_programs_agree(norm):
  for shape in ((4, 4, 5), (5, 5, 2)):
    X, Z, tokens = oracles.instances(8, *shape)
    solution = _solve(X, Z, tokens, norm)
    for i in range(8):
      A = oracles.matrices(X[i], Z[i], tokens[i])
      least = oracles.linear_program(A, norm)
      certificate = jax.tree.map(lambda x: x[i], solution.certificate)  # noqa: B023
      assert bool(certificate.feasible) == (least is not None)
      assert bool(certificate.infeasible) == (least is None)
      if least is not None:
        assert certificate.primal == pytest.approx(least, rel=1e-7)
        assert certificate.gap <= 1e-7


@pytest.mark.parametrize('norm', NORMS)
def test_conic_programs_agree(norm):
  """With the extra `oracles`: another method, in every norm."""
  pytest.importorskip('cvxpy')
  for d in (2, 5):
    X, Z, tokens = oracles.instances(6, 5, 5, d)
    certificate = _solve(X, Z, tokens, norm).certificate
    for i in range(len(X)):
      A = oracles.matrices(X[i], Z[i], tokens[i])
      least = oracles.conic(A, d, norm)
      assert bool(certificate.feasible[i]) == (least is not None)
      if least is not None:
        assert certificate.primal[i] == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize('norm', NORMS)
def test_proved_by_its_own_certificate(norm):
  X, Z, tokens = oracles.instances(16, 6, 8, 10)
  solution = _solve(X, Z, tokens, norm)
  # Half of the draws are ragged away in a second run: other sizes, one program.
  mask = np.random.default_rng(0).random((16, 6, 8)) < 0.6
  mask |= np.arange(8) == tokens[..., None]
  ragged = _solve(X, Z, tokens, norm, mask)
  for certificate in (solution.certificate, ragged.certificate):
    assert np.all(certificate.feasible)
    assert np.all(certificate.gap <= 1e-7)
    assert np.all(certificate.gap >= -1e-12)
    assert np.all(np.abs(certificate.margin - 1) <= 1e-9)
  # What is asked of fewer tokens takes less.
  assert np.all(
    ragged.certificate.primal <= solution.certificate.primal * (1 + 1e-9)
  )
  # Recomputed with numpy, from W and the multipliers alone.
  dual = {
    'frobenius': np.linalg.norm,
    'nuclear': lambda M: np.linalg.norm(M, 2),
    'spectral': lambda M: np.linalg.norm(M, 'nuc'),
    'l1': lambda M: np.abs(M).max(),
    'linf': lambda M: np.abs(M).sum(),
  }[norm]
  for i in range(16):
    A = oracles.matrices(X[i], Z[i], tokens[i])
    lam = np.array(solution.multipliers[i])
    assert lam.min() >= 0
    assert np.min(A @ np.ravel(solution.W[i])) >= 1 - 1e-12
    bound = lam.sum() / dual((lam @ A).reshape(10, 10))
    assert bound == pytest.approx(float(solution.certificate.dual[i]))
    margin = A @ np.ravel(solution.W[i])
    assert np.max(lam * (margin - 1)) <= 1e-6 * lam.max()


@pytest.mark.parametrize('norm', ['frobenius', 'nuclear'])
def test_rows_in_the_span_of_queries(norm):
  X, Z, tokens = oracles.instances(16, 6, 8, 10)
  # Without telling how many queries there are.
  W = np.asarray(_solve(X, Z, tokens, norm).W)
  for Wi, Zi in zip(W, Z, strict=True):
    basis = np.linalg.svd(Zi, full_matrices=False)[2]
    outside = Wi - Wi @ basis.T @ basis
    assert np.linalg.norm(outside) <= 1e-9 * np.linalg.norm(Wi)
    assert np.linalg.matrix_rank(Wi, 1e-6) <= 6


def test_feasible_share():
  shares = {}
  for d in (1, 2, 3, 5):
    X, Z, _ = oracles.instances(200, 5, 5, d)
    tokens = np.random.default_rng(d).integers(5, size=(200, 5))
    certificate = _solve(X, Z, tokens).certificate
    assert np.all(certificate.feasible ^ certificate.infeasible)
    shares[d] = float(np.mean(certificate.feasible))
  assert shares[1] == 0 and shares[5] == 1
  assert 0.1 <= shares[2] <= 0.45
  assert shares[3] >= 0.85


def test_infeasible_is_never_rank_one():
  table = dict(np.load(GOLDEN / 'svm_rank.npz'))
  rows = dict(zip(map(tuple, table['config']), table['table'], strict=True))
  for d in (3, 4):
    X, Z, tokens = oracles.instances(100, 15, 5, d)
    for norm in ('frobenius', 'nuclear'):
      solution = _solve(X, Z, tokens, norm)
      certificate = solution.certificate
      assert np.all(certificate.feasible | certificate.infeasible)
      expected = rows[15, 5, d][0]
      expected = 0.0 if np.isnan(expected) else expected
      assert abs(np.mean(certificate.feasible) - expected) <= 0.1
      lost = ~np.asarray(certificate.feasible)
      assert np.all(np.isnan(np.asarray(solution.W)[lost]))


def test_rank_table():
  table = dict(np.load(GOLDEN / 'svm_rank.npz'))
  rows = dict(zip(map(tuple, table['config']), table['table'], strict=True))
  shape = (5, 5, 10)
  X, Z, tokens = oracles.instances(100, *shape)
  for norm, column, tolerance in (('frobenius', 1, 0.15), ('nuclear', 2, 0.25)):
    W = _solve(X, Z, tokens, norm, queries=5).W
    values = np.linalg.svd(W, compute_uv=False)
    means = [
      np.mean(np.sum(values > rtol * values[:, :1], 1))
      for rtol in (1e-4, 1e-5, 1e-6)
    ]
    assert np.ptp(means) <= 0.02
    assert abs(means[0] - rows[shape][column]) <= tolerance


@pytest.mark.parametrize('norm', NORMS)
def test_vmap_is_a_loop(norm):
  X, Z, tokens = oracles.instances(3, 4, 4, 5)
  many = _solve(X, Z, tokens, norm)
  for i in range(3):
    rows = margin_rows(X[i], Z[i], tokens[i])
    one = svm(rows, norm)
    np.testing.assert_allclose(many.W[i], one.W, atol=1e-6, rtol=1e-7)
    assert one.certificate.primal == pytest.approx(
      float(many.certificate.primal[i]), rel=1e-8
    )


@pytest.mark.parametrize('norm', NORMS)
@hypothesis.settings(max_examples=8, deadline=None)
@hypothesis.given(
  seed=st.integers(0, 2**31),
  scale=st.floats(0.01, 100),
  query=st.floats(0.1, 9),
)
def test_scale_order_and_padding(norm, seed, scale, query):
  X, Z, tokens = (part[None] for part in oracles.instance(seed, 4, 4, 5))
  plain = _solve(X, Z, tokens, norm)
  hypothesis.assume(bool(plain.certificate.feasible[0]))
  least = float(plain.certificate.primal[0])
  hypothesis.assume(least < 1e4)

  scaled = _solve(scale * X, query * Z, tokens, norm).certificate.primal[0]
  assert scaled == pytest.approx(least / scale / query, rel=1e-7)

  rng = np.random.default_rng(seed)
  order, within = rng.permutation(4), rng.permutation(4)
  moved = np.argsort(within)[tokens[0]][order]
  permuted = _solve(
    X[:, order][:, :, within], Z[:, order], moved[None], norm
  ).certificate.primal[0]
  assert permuted == pytest.approx(least, rel=1e-7)

  # Garbage in tokens and inputs that do not exist.
  wide = np.full((1, 6, 7, 5), np.nan)
  wide[:, :4, :4] = X
  queries = np.full((1, 6, 5), np.inf)
  queries[:, :4] = Z
  mask = np.zeros((1, 6, 7), bool)
  mask[:, :4, :4] = True
  selected = np.zeros((1, 6), int)
  selected[:, :4] = tokens
  padded = _solve(wide, queries, selected, norm, mask)
  assert padded.certificate.primal[0] == pytest.approx(least, rel=1e-7)
  assert np.all(np.isfinite(padded.W))


def test_repeated_rows_change_nothing():
  X, Z, tokens = oracles.instance(0, 4, 4, 5)
  rows = margin_rows(X, Z, tokens)
  twice = concatenate(rows, rows)
  for norm in NORMS:
    one, two = svm(rows, norm), svm(twice, norm)
    assert two.certificate.gap <= 1e-7
    assert two.certificate.primal == pytest.approx(
      float(one.certificate.primal), rel=1e-7
    )


@pytest.mark.parametrize('norm', NORMS)
def test_equations(norm):
  X, Z, tokens = oracles.instance(3, 3, 4, 6)
  rows = margin_rows(X, Z, tokens)
  equality = np.zeros(9, bool)
  equality[[0, 4]] = True
  bound = np.where(equality, 0.0, 1.0)
  rows = rows._replace(equality=jnp.array(equality), bound=jnp.array(bound))
  # The same equation twice: multipliers are not unique, W is.
  rows = concatenate(rows, jax.tree.map(lambda x: x[:1], rows))
  solution = jax.jit(svm, static_argnums=1)(rows, norm)
  certificate = solution.certificate
  assert certificate.feasible
  assert certificate.gap <= 1e-6
  margin = np.asarray(margins(solution.W, rows))
  assert np.max(np.abs(margin[[0, 4, 9]])) <= 1e-8
  assert margin[[1, 2, 3, 5, 6, 7, 8]].min() >= 1 - 1e-8
  if norm == 'frobenius':  # equations projected out by hand
    A = oracles.matrices(X, Z, tokens)
    free = np.linalg.svd(A[equality])[2][2:]
    w = oracles.least_distance(A[~equality] @ free.T) @ free
    assert _relative(solution.W.ravel(), w) <= 1e-8


def test_equations_that_contradict():
  D, Z = jnp.array([[1.0, 0.0], [1.0, 0.0]]), jnp.ones((2, 1))
  rows = constraints(D, Z, jnp.array([0.0, 1.0]), jnp.array([True, False]))
  for norm in NORMS:
    solution = svm(rows, norm)
    assert not solution.certificate.feasible, norm
    assert solution.certificate.infeasible, norm
    assert np.all(np.isnan(solution.W))


def test_nothing_to_ask():
  X, Z, tokens = oracles.instances(1, 4, 4, 5)
  for norm in NORMS:
    solution = _solve(X, Z, tokens, norm, np.zeros((1, 4, 4), bool))
    assert np.all(solution.W == 0)
    assert solution.certificate.feasible[0]
    assert solution.certificate.primal[0] == 0 == solution.certificate.gap[0]


@pytest.mark.parametrize(
  'norm, gap, error',
  [
    ('frobenius', 2e-6, 2e-6),
    ('nuclear', 3e-4, 1e-3),
    ('spectral', 1e-5, None),
    ('l1', 5e-5, None),
    ('linf', 5e-5, None),
  ],
)
def test_float32(norm, gap, error):
  X, Z, tokens = oracles.instances(16, 6, 8, 10)
  exact = _solve(X, Z, tokens, norm, queries=6)
  single = _solve(
    X.astype(np.float32), Z.astype(np.float32), tokens, norm, queries=6
  )
  assert single.W.dtype == np.float32
  assert np.all(single.certificate.feasible)
  # What it is worth it says itself: no gap is less than what is missing.
  off = single.certificate.primal / exact.certificate.primal - 1
  assert np.all(off <= single.certificate.gap + 1e-6) and np.all(off >= -1e-6)
  assert np.median(single.certificate.gap) <= gap
  assert np.max(single.certificate.gap) <= 5e-3
  if error:
    errors = list(map(_relative, single.W, exact.W))
    assert np.median(errors) <= error
    assert np.max(errors) <= 10 * error


def test_float32_infeasible():
  X, Z, tokens = oracles.instances(24, 15, 5, 4)
  exact = _solve(X, Z, tokens).certificate
  single = _solve(X.astype(np.float32), Z.astype(np.float32), tokens)
  # Nothing wrong is claimed; near the edge nothing may be.
  assert not np.any(exact.feasible & single.certificate.infeasible)
  assert not np.any(exact.infeasible & single.certificate.feasible)
  assert np.mean(single.certificate.infeasible) > 0.5


def test_derivative_of_the_solution():
  X, Z, tokens = oracles.instance(1, 4, 4, 5)
  rng = np.random.default_rng(0)
  dX, dZ = rng.standard_normal(X.shape), rng.standard_normal(Z.shape)
  weight = rng.standard_normal((5, 5))

  def solution(X, Z):
    return svm(margin_rows(X, Z, tokens)).W

  _, dW = jax.jit(lambda: jax.jvp(solution, (X, Z), (dX, dZ)))()
  h = 1e-6
  ahead, behind = (solution(X + s * h * dX, Z + s * h * dZ) for s in (1, -1))
  np.testing.assert_allclose(
    dW,
    (ahead - behind) / (2 * h),
    atol=1e-6 * float(jnp.abs(dW).max()),
    rtol=1e-7,
  )
  gradient = jax.grad(lambda X, Z: jnp.sum(weight * solution(X, Z)), (0, 1))
  gX, gZ = gradient(X, Z)
  assert jnp.sum(gX * dX) + jnp.sum(gZ * dZ) == pytest.approx(
    float(jnp.sum(weight * dW)), rel=1e-8
  )
  # Twice, and under vmap.
  second = jax.jvp(
    lambda X: jax.jvp(solution, (X, Z), (dX, dZ))[1], (X,), (dX,)
  )[1]
  first = [jax.jvp(solution, (X + s * h * dX, Z), (dX, dZ))[1] for s in (1, -1)]
  np.testing.assert_allclose(
    second,
    (first[0] - first[1]) / (2 * h),
    atol=1e-5 * float(jnp.abs(second).max()),
    rtol=1e-7,
  )
  stacked = jax.vmap(gradient)(np.stack([X, X]), np.stack([Z, Z]))
  np.testing.assert_allclose(stacked[0][1], gX, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('norm', NORMS)
def test_derivative_of_the_least_norm(norm):
  X, Z, tokens = oracles.instance(1, 4, 4, 5)
  dX = np.random.default_rng(0).standard_normal(X.shape)

  def least(X):
    return least_norm(margin_rows(X, Z, tokens), norm)

  gradient = jax.grad(least)(jnp.array(X))
  h = 1e-5
  difference = (least(X + h * dX) - least(X - h * dX)) / (2 * h)
  assert jnp.sum(gradient * dX) == pytest.approx(float(difference), rel=1e-4)
  assert least(X) == pytest.approx(
    float(svm(margin_rows(X, Z, tokens), norm).certificate.primal)
  )


def test_no_derivative_of_other_solutions():
  X, Z, tokens = oracles.instance(1, 4, 4, 5)
  with pytest.raises(NotImplementedError, match='least_norm'):
    jax.grad(lambda X: svm(margin_rows(X, Z, tokens), 'l1').W.sum())(X)


def test_neighbours_are_the_rows_with_multipliers():
  X, Z, tokens = oracles.instance(2, 6, 8, 10)
  rows = margin_rows(X, Z, tokens)
  solution = svm(rows)
  np.testing.assert_array_equal(
    neighbours(solution.W, rows), solution.multipliers > 1e-6
  )


def test_certificate_does_not_trust():
  X, Z, tokens = oracles.instance(2, 4, 4, 5)
  rows = margin_rows(X, Z, tokens)
  W, lam, _ = svm(rows)
  # Twice the size is put back; another direction is feasible, with a gap.
  assert certify(2 * W, lam, rows, 'frobenius').certificate.gap <= 1e-9
  other = certify(svm(rows, 'linf').W, lam, rows, 'frobenius').certificate
  assert other.feasible and other.gap > 1e-3
  # A direction that does not separate is no solution, nor a proof of none.
  wrong = certify(-W, lam, rows, 'frobenius')
  assert np.all(np.isnan(wrong.W))
  assert not wrong.certificate.feasible and not wrong.certificate.infeasible
  # Negative multipliers prove nothing.
  lies = certify(W, -lam, rows, 'frobenius').certificate
  assert lies.dual == 0


def test_bad_input_is_refused():
  X, Z, tokens = oracles.instance(0, 3, 4, 5)
  rows = margin_rows(X, Z, tokens)
  with pytest.raises(
    ValueError, match="norm is 'l2', expected one of frobeniu"
  ):
    svm(rows, 'l2')
  with pytest.raises(ValueError, match='queries is 0, expected'):
    svm(rows, queries=0)
  with pytest.raises(ValueError, match='have shapes'):
    constraints(X, Z)
  with pytest.raises(ValueError, match='rows are 0'):
    svm(jax.tree.map(lambda x: x[:0], rows))
