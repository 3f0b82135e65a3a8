"""The family of convergence: networks of growing width against their limits."""

from typing import Any

import numpy as np

from configs.infinite_width_convergence import VARIANTS
from experiments.infinite_width import convergence_claims, convergence_figures
from experiments.infinite_width.family import Family
from framework import system as system_lib
from framework.launch.arms import built, hp_of
from framework.run.job import Arm
from framework.systems.infinite_width import limits as convergence

__all__ = ['FAMILY', 'arm', 'times']


def arm(config: Any) -> Arm:
  """The system of one structural setting and its hp.

  Args:
    config: A valid config of one structural setting.

  Returns:
    An `Arm`.

  Raises:
    ConfigError: If it cannot be built, in one line.
  """
  structure = built(
    lambda: convergence.Structure(
      limit=config.limit,
      width=config.width,
      steps=config.steps,
      nodes=config.nodes,
      particles=config.particles,
      batches=config.batches,
      dtype=np.dtype(config.precision),
    )
  )
  return Arm(convergence.system(structure), hp_of(convergence.Hp, config))


def times(config: Any) -> np.ndarray:
  """Record times of a config: every step."""
  return system_lib.linspaced(config.steps, 1)


ATTRIBUTES = {
  'error': {'long_name': 'rms of f_n − f_∞ over predictions', 'units': '1'},
  'output': {'long_name': 'rms of f_n over predictions', 'units': '1'},
  'stderr': {'long_name': 'standard error of f_∞, rms', 'units': '1'},
}

FAMILY = Family(
  variants=tuple(VARIANTS),
  hp_fields=convergence.Hp._fields,
  arm=arm,
  times=times,
  claims=convergence_claims.CLAIMS,
  figures=convergence_figures.FIGURES,
  attributes=ATTRIBUTES,
)
