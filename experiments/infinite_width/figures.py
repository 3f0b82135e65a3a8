"""The figures of infinite width: those of the config's variant."""

from collections.abc import Mapping
from typing import Any

from experiments.infinite_width.registry import family_of

__all__ = ['figures']


def figures(config: Any, dataset: Any, claims: list) -> Mapping[str, tuple]:
  """The figures of a config's variant.

  Args:
    config: The config.
    dataset: Its results.
    claims: Its claims (figures show the data, not the verdicts).

  Returns:
    {name: (figure, caption)}.
  """
  del claims
  return family_of(config).figures[config.variant](config, dataset)
