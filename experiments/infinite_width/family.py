"""A family of variants that train the same thing: what an experiment needs."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from framework.run.job import Arm

__all__ = ['Family']


class Family(NamedTuple):
  """The parts of an `Experiment` that differ between families."""

  variants: tuple[str, ...]
  hp_fields: tuple[str, ...]  # config fields that can be lanes
  arm: Callable[[Any], Arm]
  times: Callable[[Any], np.ndarray]
  claims: Mapping[str, Callable[[Any, Any], list]]  # of each variant
  figures: Mapping[str, Callable[[Any, Any], Mapping]]  # of each variant
  attributes: Mapping[str, Mapping[str, str]]
