"""Next-token prediction ends where graph and cyclic subproblem say.

Both laws are checked against scipy, which knows nothing of their solvers.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.csgraph

from framework import rollout
from framework.systems.attention_svm import next_token as nt

STRUCTURE = nt.Structure()
SEEDS = (2, 3, 9)  # cycles in all of them
TIMES = (0, 100, 1000, 10_000)


@pytest.fixture(scope='module')
def runs():
  system = nt.system(STRUCTURE)

  def run(seed):
    key = jax.random.key(seed)
    problem = system.sample(jax.random.split(key, 3)[0], nt.Hp())
    state, seen = rollout(system, key, nt.Hp(), jnp.array(TIMES))
    return problem, state, seen

  return jax.jit(jax.vmap(run))(jnp.array(SEEDS))


def reachable(corpus, k):
  """i reaches j in the graph of k, by scipy's shortest paths."""
  K = len(corpus.E)
  edges = np.zeros((K, K))
  for x, last, y in zip(
    corpus.sequences, corpus.last, corpus.labels, strict=True
  ):
    if last == k:
      edges[y, x[x != y]] = 1
  return np.isfinite(scipy.sparse.csgraph.shortest_path(edges))


def rows_of(corpus):
  """All equations and inequalities, flat, with no thought of saving any."""
  E, equal, more = np.asarray(corpus.E), [], []
  for k in range(len(E)):
    reach = reachable(corpus, k)
    for i, j in zip(*np.nonzero(reach), strict=True):
      row = np.outer(E[i] - E[j], E[k]).ravel()
      (equal if reach[j, i] else more).append(row)
  return np.array(equal), np.array(more)


@pytest.mark.parametrize('lane', range(len(SEEDS)))
def test_the_laws_against_scipy(runs, lane):
  corpus, law = jax.tree.map(lambda x: np.asarray(x[lane]), runs[0])
  equal, more = rows_of(corpus)
  # Off the equations, min ‖W‖ s.t. rows ≥ 1 is NNLS of [Aᵀ; 1ᵀ] on e_last.
  _, sigma, Vt = np.linalg.svd(equal)
  rank = int((sigma > 1e-9).sum())
  basis = Vt[:rank].T
  A = more - more @ basis @ basis.T
  stacked = np.concatenate([A.T, np.ones((1, len(A)))])
  target = np.zeros(len(stacked))
  target[-1] = 1
  u, _ = scipy.optimize.nnls(stacked, target)
  r = target - stacked @ u
  oracle = -r[:-1] / r[-1]
  np.testing.assert_allclose(
    law.direction.ravel(), oracle, atol=1e-6, rtol=1e-7
  )
  # W_fin: the loss itself, of the tokens in the label's component.
  same = np.stack(
    [r & r.T for r in (reachable(corpus, k) for k in range(len(corpus.E)))]
  )
  keep = same[corpus.last[:, None], corpus.labels[:, None], corpus.sequences]
  inside = nt.Corpus(*corpus)._replace(mask=keep)

  @jax.jit
  @jax.value_and_grad
  def loss(c):
    return nt.loss((basis @ c).reshape(8, 8), inside)

  best = scipy.optimize.minimize(
    lambda c: jax.tree.map(np.asarray, loss(c)),
    np.zeros(rank),
    jac=True,
    method='BFGS',
    tol=1e-12,
  )
  np.testing.assert_allclose(
    law.finite.ravel(), basis @ best.x, atol=1e-6, rtol=1e-7
  )
  np.testing.assert_allclose(law.least, best.fun, atol=1e-12, rtol=1e-7)
  assert rank == (np.abs(law.span).sum(0) > 0).sum() > 0
  assert law.feasible and law.gap < 1e-9


def test_descent_ends_there(runs):
  problem, _, seen = runs
  error, size = np.asarray(seen['finite_error']), problem[1].finite
  size = np.sqrt((np.asarray(size) ** 2).sum((1, 2)))
  assert (error[:, -1] < 2e-2 * size).all()
  # As 1/t, the loss above its infimum as well.
  for name in ('finite_error', 'excess'):
    ratio = np.asarray(seen[name])[:, 2] / np.asarray(seen[name])[:, 3]
    assert (np.abs(np.log10(ratio) - 1) < 0.15).all(), name
  turning = np.asarray(seen['direction_error'])
  assert (np.diff(turning, axis=1) < 0).all() and turning[:, -1].max() < 0.03


def test_the_split_is_orthogonal(runs):
  problem, state, _ = runs
  W = state.params['W'][0]
  inside, outside = nt.split(W, problem[1].span[0])
  np.testing.assert_allclose(inside + outside, W, atol=1e-12, rtol=1e-7)
  assert abs(float(jnp.sum(inside * outside))) < 1e-9
  assert abs(float(jnp.sum(problem[1].direction[0] * inside))) < 1e-7


def test_bad_structures_name_the_value():
  with pytest.raises(ValueError, match='d is 4, expected at least K = 6'):
    nt.Structure(d=4)
  with pytest.raises(ValueError, match='queries is 7, expected at most K = 6'):
    nt.Structure(queries=7)
  with pytest.raises(ValueError, match='T is 1, expected an integer >= 2'):
    nt.Structure(T=1)
