"""Claims on infinite width: those of the config's variant."""

from typing import Any

from experiments.infinite_width.registry import family_of
from framework.evidence.claims import Claim

__all__ = ['claims']


def claims(config: Any, dataset: Any) -> list[Claim]:
  """The claims of a config's variant.

  Args:
    config: The config.
    dataset: Its results.

  Returns:
    Claims.
  """
  return family_of(config).claims[config.variant](config, dataset)
