"""The systems that every law is tried on: append an `Entry` to `ENTRIES`.

Keep them small: a few numbers of state and about twenty steps show what a law
is about, and every entry is compiled many times over, in both precisions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.system import System
from tests import toy


class Case(NamedTuple):
  """What `rollout` takes, but for the key."""

  system: System
  hp: Any  # a NamedTuple of numpy scalars of fixed dtype
  data: Any
  times: np.ndarray  # int32, at least three record times, the last >= 5


class Entry(NamedTuple):
  """A named case in either precision, and what may be asked of it."""

  name: str
  make: Callable[[Any], Case]  # dtype (float32 or float64) -> Case
  # The float fields of hp in which the last records are differentiable; the
  # forward-mode derivative in all others need only be finite.
  differentiable: tuple[str, ...] = ()
  # Relative to the largest entry of each record, in units of sqrt(eps) for the
  # derivative and of eps * steps * 100 for lanes.
  looser: float = 1.0


TIMES = np.array([0, 1, 4, 5, 12], np.int32)


def _shared(dtype):
  operator = jax.random.uniform(jax.random.key(1), (4, 3), dtype, -1)
  hp = toy.typed(toy.LinearHp(), dtype)
  return Case(toy.shared(3, dtype), hp, np.asarray(operator), TIMES)


def _linear(dtype):
  hp = toy.typed(toy.LinearHp(), dtype)
  return Case(toy.linear(3, dtype=dtype), hp, None, TIMES)


def _walk(dtype):
  return Case(toy.walk(dtype), toy.typed(toy.WalkHp(), dtype), None, TIMES)


def _cubic(dtype):
  return Case(toy.cubic(dtype), toy.typed(toy.CubicHp(), dtype), None, TIMES)


def _net(batch):
  def make(dtype):
    hp = toy.typed(toy.NetHp(), dtype)
    return Case(toy.net(batch, dtype=dtype), hp, None, TIMES)

  return make


ENTRIES: list[Entry] = [
  Entry('linear', _linear, ('eta', 'scale', 'noise')),
  Entry('shared operator', _shared, ('eta', 'scale')),
  Entry('walk with a key', _walk, ('drift',)),
  Entry('cubic', _cubic, ('eta', 'noise')),
  Entry('network, full batch', _net(None), ('lr',)),
  Entry('network, minibatch', _net(3), ('lr',)),
]

DTYPES = {'float32': jnp.float32, 'float64': jnp.float64}
