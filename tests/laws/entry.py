"""A System that the laws are tried on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from framework.system import System
from framework.testing.laws import Subject


class Entry(NamedTuple):
  """How to build a small one, and what may be asked of it.

  Keep it small: a few numbers of state show what a law is about, and it is
  compiled five times.
  """

  name: str
  builder: Callable[..., System]  # annotated so, in framework/systems
  args: Callable[[Any], tuple]  # dtype -> the builder's arguments
  hp: Any  # a pytree of Python numbers
  data: Any = None
  final: Callable[..., Any] | None = None  # takes the builder's arguments
  final_args: tuple = ()  # and these
  # Fields of hp in which all records have a derivative; those in the others
  # need only be finite.
  differentiable: tuple[str, ...] = ()
  looser: float = 1.0  # factor of the tolerances
  other: Any = None  # another hp; all floats halved when None
  slow: bool = False  # one more variant of what another entry shows

  def subject(self, dtype: Any = np.float64) -> Subject:
    """The System with the laws' view of it."""
    args = self.args(dtype)
    ends = self.final and self.final(*args, *self.final_args)
    double = np.dtype(dtype) == np.float64
    return Subject(
      self.builder(*args),
      typed(self.hp, dtype),
      data=self.data,
      other=self.other and typed(self.other, dtype),
      differentiable=self.differentiable if double else (),
      looser=self.looser,
      final=ends,
    )


def typed(hp, dtype):
  """Floats of one dtype, integers of 32 bits."""
  return jax.tree.map(
    lambda x: np.int32(x) if isinstance(x, int) else np.dtype(dtype).type(x), hp
  )
