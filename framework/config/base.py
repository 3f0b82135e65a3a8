"""The fields that every config has: subclass `Run` and add your own.

>>> import dataclasses
>>> from framework.config import field, variants
>>> @dataclasses.dataclass(frozen=True)
... class Config(Run):
...   eta: float = field(0.1, 'step size', low=0)
...   steps: int = field(100, 'steps T', low=1)
>>> VARIANTS = {
...   'quick': ('one rate', Config()),
...   'rates': ('three rates', Config(sweep={'eta': (0.1, 0.2, 0.3)}))}
>>> get_config = variants(VARIANTS)
>>> get_config('rates').variant
'rates'
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from framework.config.fields import Problem, field, nearest

__all__ = ['Run', 'Variants', 'variants']

Variants = Mapping[str, tuple[str, Any]]  # {name: (its figure, its config)}


@dataclasses.dataclass(frozen=True)
class Run:
  """What every run has, whatever it computes.

  A subclass names in `fixed` those of its own fields that cannot be an axis of
  a sweep: as a rule those that decide when is recorded, not what is computed.
  """

  variant: str = field('', 'which claims and figures are made of the results')
  seeds: int = field(1, 'seeds: independent draws of all that is random', low=1)
  first_seed: int = field(0, 'the first of them', low=0)
  precision: str = field(
    'float32', 'of all numbers', choices=('float32', 'float64')
  )
  sweep: Mapping[str, tuple[Any, ...]] = field(
    {}, 'grid: hyperparameters become lanes, structure loops'
  )
  # A sweep along these would do nothing, or would not fit into one table.
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'records')

  def check(self) -> Iterable[Problem]:
    """Rules across fields; a subclass adds its own to these."""
    own = ('variant', 'seeds', 'first_seed', 'precision', 'sweep')
    for path in (*own, *self.fixed):
      if path in self.sweep:
        yield Problem(f'sweep.{path}', path, f'an axis other than {path}')

  def axis(self, name: str) -> tuple[Any, ...]:
    """The values of a field in this run: swept, or the one it has."""
    return tuple(self.sweep.get(name, (getattr(self, name),)))


def variants(table: Variants) -> Callable[..., Any]:
  """The `get_config` of a config file.

  Args:
    table: {name: (what its figure shows, its config)}; the first is the
      default.

  Returns:
    A function from a name to its config, which carries that name. It raises
    ValueError where there is no such variant.
  """

  def get_config(variant: str = '') -> Any:
    """The config of a variant; of the first one without a name."""
    variant = variant or next(iter(table))
    if variant not in table:
      near = nearest(variant, table)
      hint = f' (did you mean {near}?)' if near else ''
      names = ', '.join(table)
      raise ValueError(f'no variant {variant!r}{hint}; there are {names}')
    return dataclasses.replace(table[variant][1], variant=variant)

  return get_config
