"""The System of one attention layer: stored runs, laws, and what it refuses."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths.margin import svm
from framework.system import rollout
from framework.system import start as start_of
from framework.systems import attention_svm as dynamics
from framework.systems.attention_svm import ensembles, heads, rules
from framework.systems.attention_svm.probes import OUTCOMES
from framework.systems.attention_svm.rows import margin_rows

FOLDER = pathlib.Path(__file__).parents[2] / 'golden'
TRAIN = np.load(FOLDER / 'svm_train.npz')
EPS = 2.220446049250313e-16
SNAPS = TRAIN['snaps']


def hp_of(**values):
  return jax.tree.map(jnp.float64, dynamics.Hp(**values))


def given(seed):
  return dynamics.instance(
    *(TRAIN[name][seed] for name in ('X', 'Z', 'Y', 'v')), dtype=jnp.float64
  )


def replay(form, exact, last):
  """Trajectories of W from the stored starts of all seeds."""
  structure = dynamics.Structure(
    n=6,
    T=8,
    d=10,
    rank=10 if form == 'kq' else None,
    exact=exact,
    weights=True,
    dtype=jnp.float64,
  )
  system = dynamics.system(structure)
  starts = {
    'w': lambda s: {'W': jnp.asarray(TRAIN['W0'][s])},
    'kq': lambda s: {
      'K': jnp.asarray(TRAIN['K0'][s].T),
      'Q': jnp.asarray(TRAIN['Q0'][s].T),
    },
  }
  hp = hp_of(epsilon=EPS, lam=EPS if form == 'kq' else 0.0)

  def run(data, start):
    own = system._replace(
      sample=lambda key, hp: system.sample(key, hp, data)._replace(start=start)
    )
    return rollout(own, jax.random.key(0), hp, jnp.asarray(SNAPS[:last]))[1]

  def stack(make):
    return jax.tree.map(lambda *x: jnp.stack(x), *map(make, range(4)))

  return jax.jit(jax.vmap(run))(stack(given), stack(starts[form]))['W']


def relative(got, want):
  size = np.linalg.norm(want, axis=(-1, -2))
  return np.linalg.norm(got - want, axis=(-1, -2)) / size


@pytest.mark.parametrize('exact', [True, False])
def test_W_replays(exact):
  off = relative(replay('w', exact, 11), TRAIN['W_W'][:, :11])
  assert off[:, SNAPS[:11] <= 200].max() < 1e-11
  assert off[:, SNAPS[:11] <= 500].max() < 1e-9


@pytest.mark.parametrize('exact', [True, False])
def test_K_and_Q_replay(exact):
  off = relative(replay('kq', exact, 8), TRAIN['W_KQ'][:, :8])
  assert off[:, SNAPS[:8] <= 20].max() < 1e-12
  assert off.max() < 1e-6


def test_more_than_exp_minus_709_is_not_lost():
  """Where even ‖∇L‖ underflows, normalised steps go on."""
  structure = dynamics.Structure(n=3, T=4, d=5, dtype=jnp.float64)
  system = dynamics.system(structure)
  times = jnp.array([0, 100, 20_000, 40_000])
  hp = hp_of(eta=1.0)
  seen = jax.jit(lambda: rollout(system, jax.random.key(3), hp, times)[1])()
  assert seen['log_gradient'][-1] < -2000
  norm = seen['weight_norm']
  np.testing.assert_allclose(norm[3] / norm[2], 2, atol=0.01, rtol=1e-7)


def test_every_run_ends_at_locally_optimal_tokens():
  """Exact gradients, 10 000 steps: cosine to the SVM and classification."""
  structure = dynamics.Structure(n=4, T=5, d=6, dtype=jnp.float64)
  system = dynamics.system(structure)
  final = dynamics.final(structure, ('frobenius',))

  def run(key):
    state, _ = rollout(system, key, hp_of(), jnp.array([0, 10_000]))
    problem, _ = start_of(system, key, hp_of())
    return final(state, problem, hp_of())

  seen = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 16))
  good = [OUTCOMES.index('global'), OUTCOMES.index('local')]
  assert np.isin(seen['outcome'], good).all()
  assert np.median(1 - seen['alignment_frobenius']) < 2e-4
  assert (seen['margin_ratio_frobenius'] <= 1 + 1e-9).all()


def test_no_stationary_point_where_other_scores_are_equal():
  """⟨∇L(W), W^mm⟩ < 0 for every W if non-optimal scores are equal."""

  def cosine(key, scale, tied):
    structure = dynamics.Structure(
      n=4,
      T=5,
      d=6,
      scores=ensembles.tied_scores if tied else None,
      dtype=jnp.float64,
    )
    system = dynamics.system(structure)
    k_data, k_W = jax.random.split(key)
    problem = system.sample(k_data, hp_of())
    W = scale * jax.random.normal(k_W, (6, 6))
    rows = margin_rows(
      problem.data.X, problem.data.Z, problem.optimal, problem.data.mask
    )
    best = svm(rows).W
    _, (tree, _) = dynamics.gradient_of(structure)(
      {'W': W}, problem.data, hp_of()
    )
    G = tree['W']
    return jnp.sum(G * best) / jnp.sqrt(jnp.sum(G**2) * jnp.sum(best**2))

  keys = jax.random.split(jax.random.key(5), 240)
  scales = jnp.repeat(jnp.array([0.1, 1.0, 10.0, 100.0]), 60)
  run = jax.jit(jax.vmap(cosine, (0, 0, None)), static_argnums=2)
  assert (run(keys, scales, True) < 0).all()
  # Without that condition there are counterexamples, one in sixteen.
  assert (run(keys, scales, False) > 0).any()


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'T': 1}, 'T is 1, expected an integer >= 2'),
    ({'rank': 0}, 'rank is 0, expected an integer >= 1'),
    ({'rule': rules.polyak}, 'polyak needs the least loss'),
    ({'draw': ensembles.relu}, 'instances with ReLU units need'),
    ({'draw': ensembles.opposed, 'T': 2}, 'T is 2, expected at least 3'),
    ({'draw': ensembles.orthonormal, 'n': 5}, 'd is 4, expected at least n'),
    (
      {'head': heads.relu, 'scores': ensembles.tied_scores},
      'scores of their own need the linear head',
    ),
  ],
)
def test_what_cannot_be_built(fields, line):
  values = {'n': 2, 'T': 3, 'd': 4} | fields
  with pytest.raises(ValueError, match=line):
    dynamics.Structure(**values)


def test_data_that_cannot_be_used():
  X, Z = np.ones((2, 3, 4)), np.ones((2, 4))
  Y, v = np.array([1.0, -1.0]), np.ones(4)
  for args, mask, line in (
    ((X, Z, np.array([1.0, 0.5]), v), None, 'Y has 0.5, expected labels'),
    ((X * np.nan, Z, Y, v), None, 'X has nan, expected finite'),
    ((X, Z, Y, v), np.zeros((2, 3), bool), 'mask of sample 0 has no token'),
    ((X, Z, Y, v), np.ones((2, 2), bool), 'mask has shape'),
  ):
    with pytest.raises(ValueError, match=line):
      dynamics.instance(*args, mask=mask)
