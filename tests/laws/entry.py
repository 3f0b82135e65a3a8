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
  # The builder's arguments and more -> what is observed once, at the end.
  final: Callable[..., Any] | None = None
  final_args: tuple = ()
  # Fields of hp in which all records have a derivative; those in the others
  # need only be finite.
  differentiable: tuple[str, ...] = ()
  looser: float = 1.0  # factor of the tolerances
  other: Any = None  # another hp; all floats halved when None
  slow: bool = False  # one more variant of what another entry shows

  def subject(self, dtype: Any = np.float64) -> Subject:
    """The System with the laws' view of it."""
    double = np.dtype(dtype) == np.float64
    return Subject(
      self.builder(*self.args(dtype)),
      typed(self.hp, dtype),
      data=self.data,
      other=self.other and typed(self.other, dtype),
      differentiable=self.differentiable if double else (),
      looser=self.looser,
      final=self.ends(dtype) if self.final else None,
    )

  def ends(self, dtype: Any = np.float64) -> Callable[..., Any]:
    """What is observed once: (state, problem, hp) -> {name: x}."""
    assert self.final is not None
    return self.final(*self.args(dtype), *self.final_args)


def typed(hp, dtype):
  """Floats of one dtype, integers of 32 bits."""
  return jax.tree.map(
    lambda x: np.int32(x) if isinstance(x, int) else np.dtype(dtype).type(x), hp
  )
