"""Hard-margin attention of random instances, without any training.

For the optimal tokens of `ensembles.sphere`: is there a W that separates them,
and of what rank is the one of least norm? The row space of a solution lies in
the span of the queries, so rank W ≤ min(n, d) in either norm. An instance of d
dimensions is one of more, with zeros in the rest: d is a hyperparameter.

A rank is a count of singular values, and so a matter of the threshold and of
how accurate the solution is. `rank_loose` counts as the published code does,
at 1e-7 absolute, a nuclear solution that is as accurate as its solver's, 1e-5:
that is min(n, d) whatever the rank is.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.maths import linalg
from framework.maths.margin import svm
from framework.probes import numerical_rank
from framework.system import System
from framework.systems.attention_svm import layer, probes
from framework.systems.attention_svm.ensembles import normal, sphere
from framework.systems.attention_svm.instances import Instance
from framework.systems.attention_svm.rows import margin_rows

__all__ = ['ATTRIBUTES', 'THRESHOLDS', 'Hp', 'Problem', 'Structure', 'system']

ATTRIBUTES = {
  'rank_loose': {
    'long_name': 'singular values above 1e-7 of a solution known to 1e-5',
    'units': '1',
  },
  'b1': {'long_name': 'every other token supports W', 'units': '1'},
} | {
  f'{name}_{norm}': {'long_name': f'{text}, {norm} SVM', 'units': '1'}
  for norm in ('frobenius', 'nuclear')
  for name, text in (
    ('feasible', 'solution found'),
    ('infeasible', 'proved to have none'),
    ('norm', '‖W_svm‖'),
    ('gap', '(primal − dual)/primal'),
    ('rank', 'singular values above 1e-4, 1e-5, 1e-6 of the largest'),
    ('rows', '‖W(I − P_Z)‖/‖W‖'),
  )
}
THRESHOLDS = (1e-4, 1e-5, 1e-6)  # of the largest singular value
LOOSE, PUBLISHED = 1e-5, 1e-7  # error of a loose solver, absolute threshold


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  dims: Int[ArrayLike, ''] = 10  # in use, at most d of `Structure`


@dataclasses.dataclass(frozen=True)
class Structure:
  """Sizes and norms: each of them compiles a program of its own.

  Raises:
    ValueError: If a size is out of range, naming it.
  """

  n: int = 5  # samples
  T: int = 5  # tokens of each
  d: int = 20  # dimensions that there is room for
  norms: tuple[str, ...] = ('frobenius', 'nuclear')
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name, low in (('n', 1), ('T', 2), ('d', 1)):
      value = getattr(self, name)
      if value < low:
        raise ValueError(f'{name} is {value}, expected an integer >= {low}')


class Problem(NamedTuple):
  """The instance, and noise of the size of a loose solver's error."""

  data: Instance
  noise: Float[Array, 'd d']


def system(structure: Structure) -> System:
  """Nothing moves: all is observed of the instance.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`. Observations: b1 (every other token supports W) and,
    for each norm, feasible_, infeasible_ (proved), norm_, gap_, rows_ (the part
    of W outside the span of the queries), rank_<norm> at each of `THRESHOLDS`;
    rank_loose of the nuclear norm. Ranks are NaN where nothing was found.

  >>> run = system(Structure(n=2, T=2, d=3, dtype=jnp.float32))
  >>> problem = jax.jit(run.sample)(jax.random.key(0), Hp(2))
  >>> seen = jax.jit(run.observe)((), problem, Hp(2))
  >>> print(seen['feasible_frobenius'], seen['rank_frobenius'])
  True [2. 2. 2.]
  """
  s = structure
  return System(
    lambda key, hp: _sample(s, key, hp),
    lambda key, problem, hp: (),
    lambda key, state, problem, hp: state,
    lambda state, problem, hp: _observe(s, problem),
  )


def _sample(s: Structure, key: Key[Array, ''], hp: Hp) -> Problem:
  """`ensembles.sphere` in hp.dims dimensions, zeros in the others."""
  key_data, key_noise = jax.random.split(key)
  data = sphere(key_data, s.n, s.T, s.d, s.dtype)

  def within(x):
    used = jnp.broadcast_to(jnp.arange(s.d) < hp.dims, x.shape)
    x = jnp.where(used, x, 0)
    return x / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True))

  X, Z, v = (within(x) for x in (data.X, data.Z, data.v))
  gamma = layer.scores(X, data.Y, v)
  # A solver errs where its problem is: between the spans of X and Z.
  E = normal(key_noise, (s.n, s.d), s.dtype)
  noise = jnp.where((jnp.arange(s.d) < hp.dims)[:, None], E.T @ Z, 0)
  return Problem(data._replace(X=X, Z=Z, v=v, gamma=gamma), noise)


def _observe(s: Structure, problem: Problem) -> dict[str, Array]:
  data, noise = problem
  best = layer.optimal_tokens(data.gamma, data.mask)
  rows = margin_rows(data.X, data.Z, best, data.mask)
  inside = _projector(data.Z)
  seen = {}
  for norm in s.norms:
    W, _, found = svm(rows, norm, queries=s.n)
    there = jnp.where(found.feasible, W, 0)
    nan = jnp.where(found.feasible, 0, jnp.nan).astype(s.dtype)
    size = jnp.sqrt(jnp.sum(there**2))
    outside = there - there @ inside
    sigma = linalg.singular_values(there)
    ranks = [numerical_rank(sigma, x) for x in THRESHOLDS]
    seen |= {
      f'feasible_{norm}': found.feasible,
      f'infeasible_{norm}': found.infeasible,
      f'norm_{norm}': found.primal,
      f'gap_{norm}': found.gap,
      f'rows_{norm}': jnp.sqrt(jnp.sum(outside**2))
      / jnp.where(size > 0, size, 1),
      f'rank_{norm}': jnp.stack(ranks) + nan,
    }
    if norm == 'nuclear':
      off = LOOSE * size * noise / jnp.sqrt(jnp.sum(noise**2))
      sigma = linalg.singular_values(there + jnp.where(size > 0, off, 0))
      count = jnp.sum(sigma > PUBLISHED).astype(s.dtype)
      # As published: what was not solved has rank one.
      seen['rank_loose'] = jnp.where(found.feasible, count, 1)
    if norm == 'frobenius':
      near = probes.support_tokens(there, rows, best, s.T)
      every = probes.all_support(near, best, data.mask)
      seen['b1'] = every & found.feasible
  return seen


def _projector(Z: Float[Array, 'n d']) -> Float[Array, 'd d']:
  """Onto the span of the queries."""
  _, sigma, Vt = linalg.svd(Z)
  needed = sigma > 1e-6 * sigma[0]
  V = jnp.where(needed[:, None], Vt[: len(sigma)], 0)
  return V.T @ V
