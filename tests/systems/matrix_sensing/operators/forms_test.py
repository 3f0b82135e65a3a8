"""All forms of an operator are one map, and its products are gradients."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.test_util import check_grads

from framework.systems.matrix_sensing import (
  Structure,
  ensembles,
  operators,
  targets,
)

GOLDEN = pathlib.Path(__file__).parents[3] / 'golden'
FORMS = {
  'dense': operators.dense,
  'svec': operators.svec,
  'gram': operators.gram,
  'blocks': functools.partial(operators.blocks, block_rows=12),
}
SYMMETRIC = ['dense', 'svec', 'gram', 'blocks']
GENERAL = ['dense', 'gram', 'blocks']
TOLERANCE = {jnp.float64: 1e-12, jnp.float32: 1e-5}
BOTH = [(kind, True) for kind in SYMMETRIC] + [
  (kind, False) for kind in GENERAL
]


@functools.cache
def make(kind, symmetric, dtype=jnp.float64):
  """An operator with 50 measurements of 7 x 7 or 7 x 5 matrices."""
  shape = (7, 7) if symmetric else (7, 5)
  p = 28 if symmetric else 35
  A = np.random.default_rng(0).normal(size=(50, p)) / 50**0.5
  return built(kind, A.astype(dtype), shape)


def built(kind, A, shape):
  return jax.jit(lambda A: FORMS[kind](A, shape))(A)


def draw(operator, k=3, dtype=jnp.float64):
  """Two factors, different even if the operator is symmetric, and a truth."""
  n1, n2 = operator.shape
  random = np.random.default_rng(1)
  F, G = random.normal(size=(n1, k)), random.normal(size=(n2, k))
  U, V = (np.linalg.qr(random.normal(size=(n, 2)))[0] for n in (n1, n2))
  V = U if operator.symmetric else V
  F, G, U, s, V = (np.array(x, dtype) for x in (F, G, U, [1.0, 0.5], V))
  return F, G, ensembles.Truth(U, s, V)


products_of = jax.jit(
  lambda operator, F, G, truth: operator.residual_products(F, G, truth)
)


@functools.cache
def said(kind, symmetric, dtype):
  """All that an operator says of one draw, by one program."""
  operator = make(kind, symmetric, dtype)
  z = np.arange(operator.size, dtype=dtype) - 20

  @jax.jit
  def says(operator, F, G, truth, z):
    Z = F @ G.T
    said = {
      'normal': operator.normal(Z),
      'energy': operator.energy(Z),
      'products': operator.residual_products(F, G, truth),
    }
    if kind != 'gram':
      said['forward'] = operator.forward(Z)
      said['factors'] = operator.forward_factors(F, G)
      said['adjoint'] = operator.adjoint(z)
    return said

  given = draw(operator, dtype=dtype)
  return *given, z, jax.device_get(says(operator, *given, z))


def assert_close(actual, expected, tolerance):
  scale = np.max(np.abs(expected))
  np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize('dtype', list(TOLERANCE))
@pytest.mark.parametrize('kind,symmetric', BOTH)
def test_adjoint(kind, symmetric, dtype):
  if kind == 'gram':
    pytest.skip('keeps A*A only')
  F, G, _, z, found = said(kind, symmetric, dtype)
  Z = F @ G.T  # its skew part is not seen by symmetric measurements
  forward, adjoint = found['forward'], found['adjoint']
  assert forward.dtype == adjoint.dtype == dtype
  scale = np.linalg.norm(forward) * np.linalg.norm(z)
  gap = np.vdot(forward, z) - np.vdot(Z, adjoint)
  assert abs(gap) <= TOLERANCE[dtype] * scale


@pytest.mark.parametrize('symmetric', [True, False])
def test_identity_is_its_own_adjoint(symmetric):
  operator = operators.Identity((4, 4), symmetric)
  Z = np.arange(16.0).reshape(4, 4)

  @jax.jit
  def says(Z):
    z = operator.forward(Z)
    return z, operator.normal(Z), operator.adjoint(z), operator.energy(Z)

  z, normal, adjoint, energy = jax.device_get(says(Z))
  seen = (Z + Z.T) / 2 if symmetric else Z
  np.testing.assert_allclose(normal, seen, rtol=1e-14, atol=0)
  np.testing.assert_allclose(adjoint, seen, rtol=1e-14, atol=0)
  np.testing.assert_allclose(energy, z @ z, rtol=1e-14, atol=0)
  assert operator.size == z.size
  assert operator.bytes_per_normal == operator.flops_per_normal == 0


@pytest.mark.parametrize('dtype', list(TOLERANCE))
@pytest.mark.parametrize('kind,symmetric', BOTH)
def test_forms_are_one_map(kind, symmetric, dtype):
  F, G, truth, _, found = said(kind, symmetric, dtype)
  Z, tolerance = F @ G.T, TOLERANCE[dtype]
  assert found['normal'].dtype == dtype
  A = np.asarray(make('dense', symmetric, dtype).A, np.float64)
  expected = (A.T @ (A @ Z.reshape(-1))).reshape(Z.shape)
  assert_close(found['normal'], expected, tolerance)
  assert_close(found['energy'], np.vdot(Z, expected), tolerance)
  M = truth.U * truth.s @ truth.V.T
  D = (A.T @ (A @ (Z - M).reshape(-1))).reshape(Z.shape)
  DG, DtF = found['products']
  assert_close(DG, D @ G, 5 * tolerance)
  assert_close(DtF, D.T @ F, 5 * tolerance)
  if kind != 'gram':
    assert_close(found['forward'], A @ Z.reshape(-1), tolerance)
    assert_close(found['factors'], found['forward'], tolerance)


@pytest.mark.parametrize('kind', SYMMETRIC)
def test_one_factor_twice_takes_the_short_cut(kind):
  operator = make(kind, symmetric=True)
  F, _, truth = draw(operator)
  short = jax.jit(lambda o, F, truth: o.residual_products(F, F, truth)[0])
  full, _ = products_of(operator, F, F, truth)  # traced as two
  assert_close(short(operator, F, truth), full, 1e-13)


@pytest.mark.parametrize('kind', ['dense', 'blocks', 'identity'])
def test_residual_products_are_the_gradient(kind):
  if kind == 'identity':
    operator = operators.Identity((7, 5))
  else:
    operator = make(kind, symmetric=False)
  F, G, truth = draw(operator)

  def loss(F, G):
    residual = operator.forward(F @ G.T - ensembles.matrix(truth))
    return jnp.vdot(residual, residual) / 2

  gradients = jax.jit(jax.grad(loss, (0, 1)))(F, G)
  for product, gradient in zip(
    products_of(operator, F, G, truth), gradients, strict=True
  ):
    assert_close(product, gradient, 1e-12)


@pytest.mark.parametrize('kind', [*SYMMETRIC, 'identity'])
def test_symmetric_products_are_the_gradient_of_the_quarter_loss(kind):
  if kind == 'identity':
    operator = operators.Identity((7, 7), symmetric=True)
  else:
    operator = make(kind, symmetric=True)
  X, Y, truth = draw(operator)

  def quarter(X):
    return operator.energy(X @ X.T - ensembles.matrix(truth)) / 4

  def half(X, Y):  # of two factors, of whose product it sees half
    return operator.energy(X @ Y.T - ensembles.matrix(truth)) / 2

  @jax.jit
  def both(X, Y):
    one = operator.residual_products(X, X, truth)[:1]
    two = operator.residual_products(X, Y, truth)
    gradients = jax.grad(quarter)(X), *jax.grad(half, (0, 1))(X, Y)
    return (*one, *two), gradients

  for product, expected in zip(*both(X, Y), strict=True):
    assert_close(product, expected, 1e-12)


@pytest.mark.parametrize('kind', SYMMETRIC)
@pytest.mark.parametrize('k', [2, 4])
def test_golden_symmetric(kind, k):
  data = np.load(GOLDEN / 'ms_sym_gd.npz')
  operator = built(kind, data['A_svec'], (8, 8))
  truth = targets.from_matrix(data['M'], r=2)
  path, errors = descend(operator, data, (f'X_k{k}',), truth)
  for X, expected in zip(path, data[f'X_k{k}'], strict=False):
    assert_close(X[0], expected, 1e-11)
  np.testing.assert_allclose(errors, data[f'err2_k{k}'][:7], rtol=1e-10, atol=0)


@pytest.mark.parametrize('k', [2, 4])
def test_golden_population(k):
  data = np.load(GOLDEN / 'ms_sym_gd.npz')
  truth = targets.from_matrix(data['M'], r=2)
  operator = operators.Identity((8, 8), symmetric=True)
  path, _ = descend(operator, data, (f'Xpop_k{k}',), truth)
  for X, expected in zip(path, data[f'Xpop_k{k}'], strict=False):
    assert_close(X[0], expected, 1e-11)


@pytest.mark.parametrize('kind', GENERAL)
def test_golden_asymmetric(kind):
  data = np.load(GOLDEN / 'ms_asym_gd.npz')
  operator = built(kind, data['A'].reshape(80, -1), (8, 6))
  truth = ensembles.Truth(*(jnp.array(data[x]) for x in ('U', 'sigma', 'V')))
  path, errors = descend(operator, data, ('F', 'G'), truth)
  for (F, G), wanted_F, wanted_G in zip(
    path, data['F'], data['G'], strict=False
  ):
    assert_close(F, wanted_F, 1e-11)
    assert_close(G, wanted_G, 1e-11)
  np.testing.assert_allclose(errors, data['err2'][:7], rtol=1e-10, atol=0)


def descend(operator, data, names, truth):
  """Gradient descent to step 100 from a stored start."""
  eta = float(data['eta'])

  @jax.jit
  def run(factors, steps):
    def step(_, factors):
      F, G = (factors * 2)[:2]
      changes = operator.residual_products(F, G, truth)
      return tuple(
        x - eta * dx for x, dx in zip(factors, changes, strict=False)
      )

    return jax.lax.fori_loop(0, steps, step, factors)

  start = tuple(jnp.array(data[name][0]) for name in names)
  path = [run(start, int(t)) for t in data['steps'] if t <= 100]
  M = data['M']
  errors = [np.sum((np.array(x[0]) @ np.array(x[-1]).T - M) ** 2) for x in path]
  return path, errors


def test_golden_packing():
  data = np.load(GOLDEN / 'ms_sym_gd.npz')
  operator = operators.dense(data['A_svec'], (8, 8), True)
  np.testing.assert_allclose(
    operator.A.reshape(-1, 8, 8), data['A'], rtol=1e-14, atol=1e-16
  )
  gram = operators.gram(jnp.array(data['A_svec']), (8, 8))
  np.testing.assert_allclose(gram.H, data['gram'], rtol=0, atol=1e-14)


@pytest.mark.parametrize('kind,symmetric', BOTH)
def test_padding_stays_exactly_zero(kind, symmetric):
  operator = make(kind, symmetric)
  F, G, truth = draw(operator)
  padded = [np.pad(x, ((0, 0), (0, 2))) for x in (F, G)]
  *_, found = said(kind, symmetric, jnp.float64)
  for wide, narrow in zip(
    jax.device_get(products_of(operator, *padded, truth)),
    found['products'],
    strict=True,
  ):
    assert np.all(wide[:, 3:] == 0)
    assert_close(wide[:, :3], narrow, 1e-12)


@pytest.mark.parametrize('kind,symmetric', BOTH)
def test_lanes_share_one_matrix_product(kind, symmetric):
  operator = make(kind, symmetric)
  F, G, truth = draw(operator)
  lanes = np.stack([F, 2 * F, -F])

  def product(operator, F):
    return operator.residual_products(F, G, truth)[0]

  many = jax.vmap(product, (None, 0))
  alone = jax.jit(product)
  found = np.asarray(jax.jit(many)(operator, lanes))
  for lane, F in zip(found, lanes, strict=True):
    assert_close(lane, alone(operator, F), 1e-12)
  arrays = {x.shape for x in jax.tree.leaves(operator)}
  seen = 0
  for equation in jax.make_jaxpr(many)(operator, lanes).eqns:
    shapes = {v.aval.shape for v in equation.invars}
    if equation.primitive.name == 'dot_general' and shapes & arrays:
      _, batch = equation.params['dimension_numbers']
      assert batch == ((), ())
      seen += 1
  assert seen == {'gram': 1, 'blocks': 10}.get(kind, 2)


def test_operators_are_pytrees_with_static_sizes():
  for kind, symmetric in BOTH:
    operator = make(kind, symmetric)
    leaves, tree = jax.tree.flatten(operator)
    again = jax.tree.unflatten(tree, leaves)
    assert again.shape == operator.shape and again.size == 50
    assert again.symmetric == symmetric

  p = 28
  per_normal = {
    kind: (o.bytes_per_normal, o.flops_per_normal)
    for kind in SYMMETRIC
    for o in [make(kind, symmetric=True)]
  }
  assert per_normal == {
    'dense': (2 * 50 * 49 * 8, 4 * 50 * 49),
    'svec': (2 * 50 * p * 8, 4 * 50 * p),
    'gram': (p * p * 8, 2 * p * p),
    'blocks': (50 * p * 8, 4 * 50 * p),
  }


def test_gram_has_no_measurements():
  operator = make('gram', symmetric=True)
  with pytest.raises(TypeError, match=r'keeps A\*A only'):
    operator.forward(jnp.eye(7))
  with pytest.raises(TypeError, match=r'keeps A\*A only'):
    operator.adjoint(jnp.ones(50))
  with pytest.raises(TypeError, match=r'keeps A\*A only'):
    operator.forward_factors(jnp.eye(7), jnp.eye(7))


@pytest.mark.parametrize(
  'form,arguments,options,message',
  [
    (operators.svec, (jnp.ones((2, 9)), (3, 3)), {}, 'take dense'),
    (
      operators.gram,
      (jnp.ones((2, 5)), (3, 3)),
      {},
      r'\(2, 5\), expected \(m >= 1, 9',
    ),
    (operators.gram, (jnp.ones((0, 9)), (3, 3)), {}, r'shape \(0, 9\)'),
    (
      operators.dense,
      (jnp.ones((2, 6)), (3, 2)),
      {'symmetric': True},
      'square',
    ),
    (
      operators.blocks,
      (jnp.ones((2, 6)), (3, 3)),
      {'block_rows': 0},
      'block_rows is 0',
    ),
  ],
)
def test_forms_refuse(form, arguments, options, message):
  with pytest.raises(ValueError, match=message):
    form(*arguments, **options)


def test_differentiable_and_lowers_everywhere():
  operator = make('gram', symmetric=True)
  F, _, truth = draw(operator)

  def f(operator, F):
    return operator.residual_products(F, F, truth)[0]

  check_grads(
    jax.jit(lambda F: f(operator, F)), (F,), order=1, modes=('fwd', 'rev')
  )
  exported = export.export(jax.jit(f), platforms=['cpu', 'cuda', 'tpu'])
  assert exported(operator, F).platforms == ('cpu', 'cuda', 'tpu')


def test_a_gram_in_single_precision_has_the_same_fixed_point():
  n, eta = 6, 0.2
  rng = np.random.default_rng(0)
  A = jnp.array(rng.normal(size=(60, 21)) / 60**0.5)
  x = jnp.linalg.qr(jnp.array(rng.normal(size=(n, 2))))[0]
  M, X0 = x @ x.T, jnp.array(0.3 * rng.normal(size=(n, 2)))

  @jax.jit
  def descend(operator):
    def step(_, X):
      return X - eta * operator.normal(X @ X.T - M) @ X

    early = jax.lax.fori_loop(0, 20, step, X0)
    return early, jax.lax.fori_loop(0, 3000, step, early)

  exact, single = (
    form(A, (n, n)) for form in (operators.gram, operators.gram_single)
  )
  assert single.H.dtype == jnp.float32
  (early, last), (early_single, last_single) = map(descend, (exact, single))
  # Not the same path: the product really is in single precision.
  off = float(jnp.abs(early - early_single).max())
  assert 1e-10 < off < 1e-5
  for X in (last, last_single):
    assert X.dtype == jnp.float64
    np.testing.assert_allclose(X @ X.T, M, rtol=0, atol=1e-13)


def test_single_precision_keeps_no_measurements():
  form = operators.gram_single
  assert not Structure(m=30, operator=form).kept
