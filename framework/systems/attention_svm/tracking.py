"""Following the SVM of a live run: solved anew only where tokens switched.

The SVM depends on W through the selected tokens alone. A solve costs hundreds
of training steps, tokens change a few times and then never again, and what is
left, an alignment, is one inner product. So a batch of runs keeps its
solutions, and between two stretches of training the host looks which tokens
changed: a program under `vmap` would solve all of them either way.

    followed = follow(data)
    for ... :
      states = train(states)          # some steps of all runs, one program
      followed = update(followed, data, tokens)
      cosines = jax.vmap(cosine)(W, followed.W)

What is solved together is filled up to a power of two, so that a run of any
length compiles few programs.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from framework.maths.margin import norm_named, svm
from framework.systems.attention_svm.instances import Instance
from framework.systems.attention_svm.rows import margin_rows

__all__ = ['Followed', 'follow', 'update']


class Followed(NamedTuple):
  """The SVMs of the tokens that a batch of runs last had."""

  tokens: Int[np.ndarray, 'runs n']  # −1: not solved yet
  W: Float[Array, 'runs d q']  # NaN where there is no solution
  primal: Float[Array, ' runs']  # ‖W‖; inf where there is none
  feasible: Bool[Array, ' runs']
  solved: int  # problems, since `follow`


def follow(data: Instance) -> Followed:
  """Nothing solved yet.

  Args:
    data: Instances of all runs: `Instance` with a leading axis.

  Returns:
    A `Followed` for `update`.

  Raises:
    ValueError: If there is no leading axis of runs.
  """
  if data.X.ndim != 4:
    raise ValueError(
      f'X has shape {data.X.shape}, expected (runs, n, T, d): a batch'
    )
  runs, n, _, d = data.X.shape
  dtype = data.X.dtype
  return Followed(
    np.full((runs, n), -1),
    jnp.full((runs, d, data.Z.shape[-1]), jnp.nan, dtype),
    jnp.full(runs, jnp.inf, dtype),
    jnp.zeros(runs, bool),
    0,
  )


def update(
  followed: Followed,
  data: Instance,
  tokens: Int[Array, 'runs n'],
  norm: str = 'frobenius',
) -> Followed:
  """Solves the runs whose tokens are not those of the last time.

  Args:
    followed: Of the last time.
    data: Instances of all runs.
    tokens: What each run selects now.
    norm: In which the SVM is solved, always the same one.

  Returns:
    Solutions for `tokens`, the same as if all had been solved.

  Raises:
    ValueError: If there is no such norm, or shapes do not fit.

  >>> from framework.systems.attention_svm import ensembles
  >>> draw = jax.vmap(lambda key: ensembles.sphere(key, 2, 3, 4))
  >>> data = draw(jax.random.split(jax.random.key(0), 5))
  >>> now = np.zeros((5, 2), int)
  >>> one = update(follow(data), data, now)
  >>> now[3, 1] = 2
  >>> one.solved, update(one, data, now).solved - one.solved
  (5, 1)
  """
  norm_named(norm)
  now = np.asarray(tokens)
  if now.shape != followed.tokens.shape:
    raise ValueError(
      f'tokens have shape {now.shape}, expected {followed.tokens.shape}'
    )
  changed = np.flatnonzero((now != followed.tokens).any(1))
  if not changed.size:
    return followed
  # The last one again, up to a power of two.
  room = 1 << (len(changed) - 1).bit_length()
  lanes = np.concatenate(
    [changed, np.full(room - len(changed), changed[-1], changed.dtype)]
  )
  part = (data.X[lanes], data.Z[lanes], data.mask[lanes])
  W, primal, feasible = _solve(norm)(*part, jnp.asarray(now[lanes]))
  return Followed(
    now.copy(),
    followed.W.at[lanes].set(W),
    followed.primal.at[lanes].set(primal),
    followed.feasible.at[lanes].set(feasible),
    followed.solved + len(changed),
  )


@functools.lru_cache
def _solve(norm: str):
  """(X, Z, mask, tokens) of a batch -> (W, primal, feasible)."""

  def one(X, Z, mask, tokens):
    W, _, found = svm(margin_rows(X, Z, tokens, mask), norm, len(Z))
    return W, found.primal, found.feasible

  return jax.jit(jax.vmap(one))
