"""What an experiment is: a system with claims and figures.

To write one: a config file with a frozen dataclass (see configs/), a function
that builds the `Arm` of a config, one that makes claims of the results and one
that draws them; put them into an `Experiment` and call `launch.main` with it.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from framework import config as config_lib
from framework.run import results
from framework.run.job import Arm, Job

__all__ = ['Experiment', 'job_of']


class Experiment(NamedTuple):
  """All that the launcher needs to know."""

  name: str
  title: str  # one line, with the paper
  config_file: str
  variants: Mapping[str, tuple[str, Any]]  # {name: (what it reproduces, ...)}
  hp_fields: tuple[str, ...]  # config fields that can be lanes
  arm: Callable[[Any], Arm]  # config of one structural setting -> Arm
  times: Callable[[Any], np.ndarray]  # config -> record times
  claims: Callable[[Any, Any], list]  # (config, dataset) -> claims
  figures: Callable[[Any, Any, list], Mapping]  # -> {name: (figure, caption)}
  attributes: Mapping[str, Mapping[str, str]]  # units, long names


def job_of(experiment: Experiment, config: Any) -> Job:
  """The whole computation of a config.

  Args:
    experiment: The experiment.
    config: A valid config.

  Returns:
    A `Job` for `framework.run.runner.run`.

  Raises:
    ConfigError: If a structural setting is not a valid config.
  """
  config = config_lib.normalise(config)
  hp = {k: v for k, v in config.sweep.items() if k in experiment.hp_fields}
  structure = {k: v for k, v in config.sweep.items() if k not in hp}
  layout = results.Layout(
    structure,
    hp,
    tuple(range(config.first_seed, config.first_seed + config.seeds)),
    experiment.times(config),
  )
  arms = []
  for setting in layout.structures:
    one = dataclasses.replace(config, **setting, sweep=hp)
    config_lib.validate(one)
    arms.append(experiment.arm(one))
  return Job(arms, layout, experiment.attributes)
