"""What holds for every operator with structure, against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import ensembles
from framework.systems.matrix_sensing.operators import structured as st

RNG = np.random.default_rng(0)
M, N1, N2 = 12, 5, 4
A, B, C = RNG.normal(size=(M, N1)), RNG.normal(size=(M, N2)), None
PLACES = np.sort(RNG.choice(N1 * N2, M, replace=False))
SQUARE = np.sort(RNG.choice(N1 * N1, M, replace=False))
SCALE = (N1 * N2 / M) ** 0.5


def outer(a, b):
  return np.einsum('mi,mj->mij', a, b)


def units(places, shape):
  stack = np.zeros((len(places), shape[0] * shape[1]))
  stack[np.arange(len(places)), places] = (
    shape[0] * shape[1] / len(places)
  ) ** 0.5
  return stack.reshape(-1, *shape)


def halves(stack):
  return (stack + stack.transpose(0, 2, 1)) / 2


def places_of(places, shape):
  return places // shape[1], places % shape[1]


RECT, SQ = (N1, N2), (N1, N1)
OTHER = RNG.normal(size=(M, N1))
# {name: (operator, its A_i)}
CASES = {
  'rank_one': (st.rank_one(jnp.array(A)), outer(A, A)),
  'pairs': (st.rank_one(jnp.array(A), jnp.array(B)), outer(A, B)),
  'symmetric pairs': (
    st.rank_one(jnp.array(A), jnp.array(OTHER), True),
    halves(outer(A, OTHER)),
  ),
  'entries': (
    st.entries(*places_of(PLACES, RECT), RECT),
    units(PLACES, RECT),
  ),
  'masked': (st.masked(*places_of(PLACES, RECT), RECT), units(PLACES, RECT)),
  'symmetric entries': (
    st.entries(*places_of(SQUARE, SQ), SQ, True),
    halves(units(SQUARE, SQ)),
  ),
  'symmetric masked': (
    st.masked(*places_of(SQUARE, SQ), SQ, True),
    halves(units(SQUARE, SQ)),
  ),
}


def close(found, law, tolerance=1e-12):
  scale = float(np.max(np.abs(law)))
  np.testing.assert_allclose(found, law, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize('name', CASES)
def test_definition(name):
  """A, A*, A*A and all products of factors, against the stack of A_i."""
  operator, stack = CASES[name]
  n1, n2 = operator.shape
  rng = np.random.default_rng(1)
  X, z = rng.normal(size=(n1, n2)), rng.normal(size=M)
  F, G = rng.normal(size=(n1, 2)), rng.normal(size=(n2, 2))
  truth = ensembles.Truth(
    *(jnp.array(x) for x in (F[:, :1], np.ones(1), G[:, :1]))
  )

  @jax.jit
  def all_of(op, X, z, F, G):
    return {
      'forward': op.forward(X),
      'adjoint': op.adjoint(z),
      'normal': op.normal(X),
      'energy': op.energy(X),
      'factors': op.forward_factors(F, G),
      'products': op.adjoint_products(z, F, G),
      'residual': op.residual(F, G, truth),
    }

  seen = all_of(operator, *map(jnp.array, (X, z, F, G)))
  # If A_i are symmetric, of a matrix that is not its symmetric part counts.
  whole = (X + X.T) / 2 if operator.symmetric else X
  if 'rank_one' in name or operator.symmetric:
    X = whole
    seen |= all_of(operator, *map(jnp.array, (X, z, F, G)))
  y = np.einsum('mij,ij->m', stack, X)
  D = np.einsum('m,mij->ij', z, stack)
  close(seen['forward'], y)
  close(seen['adjoint'], D)
  close(np.vdot(y, z), np.vdot(X, D))
  close(seen['normal'], np.einsum('m,mij->ij', y, stack))
  close(seen['energy'], y @ y)
  DG, DtF = seen['products']
  close(DG, D @ G)
  close(DtF, D.T @ F)
  E = F @ G.T - F[:, :1] @ G[:, :1].T
  if operator.symmetric:
    return  # FGᵀ is not symmetric: see the test of XXᵀ
  close(seen['factors'], np.einsum('mij,ij->m', stack, F @ G.T))
  e = np.einsum('mij,ij->m', stack, E)
  D = np.einsum('m,mij->ij', e, stack)
  close(seen['residual'].energy, e @ e)
  close(seen['residual'].DG, D @ G)
  close(seen['residual'].DtF, D.T @ F)


@pytest.mark.parametrize(
  'name', ['rank_one', 'symmetric pairs', 'symmetric entries',
           'symmetric masked']
)  # fmt: skip
def test_one_factor(name):
  """XXᵀ, where both factors are one array."""
  operator, stack = CASES[name]
  X = RNG.normal(size=(N1, 3))
  z = RNG.normal(size=M)

  @jax.jit
  def both(op, X, z):
    return op.forward_factors(X, X), op.adjoint_products(z, X, X)

  y, (DG, DtF) = both(operator, jnp.array(X), jnp.array(z))
  close(y, np.einsum('mij,ij->m', stack, X @ X.T))
  D = np.einsum('m,mij->ij', z, stack)
  close(DG, D @ X)
  close(DtF, D @ X)


@pytest.mark.parametrize(
  'draw', [st.draw_pairs, st.draw_quadratic, st.draw_rademacher, st.draw_rows]
)
def test_isometry_in_the_mean(draw):
  """E ‖A(Z)‖² = ‖Z‖² of a symmetric Z; sizes scatter by √(2κ/m)."""
  Z = np.diag([1.0, -0.5, 0.25, 0.0, 0.0])
  operator = draw(jax.random.key(3), 4000, (5, 5), True, jnp.float64)
  energy = float(operator.energy(jnp.array(Z)))
  assert abs(energy / np.sum(Z**2) - 1) < 0.15


def test_rank_one_sees_the_trace():
  operator = st.draw_rank_one(
    jax.random.key(0), 4000, (5, 5), True, jnp.float64
  )
  energy = float(operator.energy(jnp.eye(5)))
  assert abs(energy / ((2 * 5 + 25) / 3) - 1) < 0.15


def test_quadratic_is_a_difference_of_squares():
  operator = st.draw_quadratic(jax.random.key(0), 3, (5, 5), True, jnp.float64)
  a, b = jax.random.normal(jax.random.key(0), (2, 3, 5), jnp.float64)
  X = RNG.normal(size=(5, 5))
  law = np.sum((a @ X) * a, 1) - np.sum((b @ X) * b, 1)
  close(operator.forward(jnp.array(X + X.T)), 2 * law / (2 * 3**0.5))


def test_rows_of_many_entries():
  """A full row among short ones, more columns than one pass sums: still A*."""
  n1, n2, k = 4, 1100, 18
  shape = n1, n2
  places = np.concatenate([[5], n2 + np.arange(n2), 2 * n2 + np.arange(40)])
  operator = st.entries(*places_of(places, shape), shape)
  assert len(operator.by_row.places) == 3  # lists of lists of lists
  assert max(x.size for x in operator.by_row.places) < 2 * len(places)
  z = RNG.normal(size=len(places))
  F, G = RNG.normal(size=(n1, k)), RNG.normal(size=(n2, k))
  known = np.zeros(shape)
  known.flat[places] = z * (n1 * n2 / len(places)) ** 0.5
  given = jnp.array(z), jnp.array(F), jnp.array(G)
  (DG, DtF), (dDG, _) = jax.jit(
    lambda z, F, G: jax.jvp(operator.adjoint_products, (z, F, G), (z, F, G))
  )(*given)
  close(DG, known @ G)
  close(DtF, known.T @ F)
  close(dDG, 2 * known @ G)  # bilinear in z and G
  law = (F @ G.T).flat[places] * (n1 * n2 / len(places)) ** 0.5
  close(operator.forward_factors(*given[1:]), law)


def test_factors_suffice():
  """No n × n array is made in a step on factors."""
  n, k = 300, 2
  rows, columns = places_of(np.arange(0, n * n, 97), (n, n))
  a = jnp.ones((11, n))
  for operator in (st.rank_one(a), st.entries(rows, columns, (n, n))):
    X = jnp.ones((n, k))

    def step(X, op=operator):
      return op.adjoint_products(op.forward_factors(X, X), X, X)

    sizes = [
      v.aval.size
      for eqn in jax.make_jaxpr(step)(X).jaxpr.eqns
      for v in eqn.outvars
    ]
    assert max(sizes) < n * n / 4


@pytest.mark.parametrize(
  'rows, columns, match',
  [
    ([0, 0], [1, 1], 'none twice'),
    ([1, 0], [0, 0], 'order of rows'),
    ([0, 5], [0, 0], 'outside'),
    ([0, 1], [0, -1], 'outside'),
    ([], [], 'expected one'),
  ],
)
def test_places_are_checked(rows, columns, match):
  for make in (st.entries, st.masked):
    with pytest.raises(ValueError, match=match):
      make(np.array(rows, int), np.array(columns, int), (5, 4))


def test_vectors_are_checked():
  with pytest.raises(ValueError, match='one m >= 1'):
    st.rank_one(jnp.ones((3, 2)), jnp.ones((4, 2)))
  with pytest.raises(ValueError, match='square'):
    st.rank_one(jnp.ones((3, 2)), jnp.ones((3, 4)), True)
  for draw in (st.draw_rank_one, st.draw_quadratic):
    with pytest.raises(ValueError, match='symmetric matrices'):
      draw(jax.random.key(0), 3, (4, 4), False)


def test_the_choice_is_by_density():
  many = np.arange(20)
  dense, why = st.completion(*places_of(many, (5, 5)), (5, 5))
  assert isinstance(dense, st.Masked) and '80 %' in why
  few = np.arange(0, 400, 30)
  sparse, why = st.completion(*places_of(few, (20, 20)), (20, 20))
  assert isinstance(sparse, st.Entries) and '3.5 %' in why
