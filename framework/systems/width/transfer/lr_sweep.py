"""Learning rates side by side: one program for all rates and seeds.

muTransfer is a statement about the minimum of the loss over the learning rate:
in muP its place settles as width grows, and its depth only gains.

References:
  TP5: Yang, Hu, Babuschkin, Sidor, et al., "Tensor Programs V", 2022, Figure 1.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from framework import leaves
from framework.system import System, rollout

__all__ = ['best', 'drift', 'lr_sweep']


def lr_sweep(
  system: System,
  hp: PyTree,
  rates: Sequence[float] | Float[Array, ' rates'],
  seeds: int,
  times: Int[Array, ' records'],
  data: PyTree = None,
  name: str = 'lr',
) -> dict[str, Array]:
  """Runs a system at every learning rate from every seed.

  Pure: jit it, with `rates` and `times` as arrays, for one compiled program.

  Args:
    system: The run.
    hp: Any pytree of scalars with a leaf `name`; rates get its type.
    rates: Learning rates.
    seeds: How many seeds.
    times: Steps to record at.
    data: Shared arrays of the system.
    name: Of the leaf that is the learning rate, its path joined with dots.

  Returns:
    {observation: (rate, seed, record, ...)}.

  Raises:
    ValueError: If `hp` has no such leaf, or its type cannot hold a rate.

  >>> decay = System(lambda k, hp: (), lambda k, p, hp: jnp.float32(1),
  ...   lambda k, x, p, hp: x * (1 - hp['lr']), lambda x, p, hp: {'x': x})
  >>> hp, times = {'lr': jnp.float32(0)}, jnp.array([0, 1])
  >>> found = lr_sweep(decay, hp, (0.5, 1.0), 3, times)
  >>> found['x'].shape, found['x'][:, 0, 1].tolist()
  ((2, 3, 2), [0.5, 0.0])
  """
  grid = leaves.like(hp, name, rates)

  def run(rate, key):
    own = leaves.replaced(hp, {name: rate})
    return rollout(system, key, own, times, data)[1]

  keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
  over_seeds = jax.vmap(run, (None, 0))
  return jax.vmap(over_seeds, (0, None))(jnp.asarray(grid), keys)


def best(
  loss: Float[np.ndarray, '*lanes rate'],
) -> Int[np.ndarray, '*lanes']:
  """The place of the least loss; a run that diverged is worse than any.

  Args:
    loss: At every rate of the grid; NaN or infinite where a run diverged.

  Returns:
    Places on the grid; -1 where every run diverged, which is no place: look
    for it before you index.

  >>> best(np.array([[3.0, 1.0, np.nan], [0.5, 1.0, 2.0]])).tolist()
  [1, 0]
  >>> best(np.array([np.nan, np.inf])).item()
  -1
  """
  loss = np.asarray(loss, float)
  finite = np.isfinite(loss)
  place = np.argmin(np.where(finite, loss, np.inf), axis=-1)
  return np.where(finite.any(-1), place, -1)


def drift(places: Int[np.ndarray, ' widths']) -> float:
  """How many steps of the grid the best rate moves over widths.

  The range, max - min, whichever the direction and wherever the extremes are.

  Args:
    places: As of `best`.

  Returns:
    A whole number >= 0; NaN if at some width every run diverged.

  >>> drift(np.array([4, 4, 3, 2])), drift(np.array([4, -1]))
  (2.0, nan)
  """
  if np.any(np.asarray(places) < 0):
    return np.nan
  return float(np.max(places) - np.min(places))
