"""The figures of attention as a support vector machine."""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.attention_svm import more, pictures
from experiments.attention_svm.measure import prepared

__all__ = ['FIGURES', 'figures']

FIGURES: dict[str, Callable[[Any, Any], Mapping[str, tuple]]] = {
  'quick': pictures.convergence,
  'local': pictures.convergence,
}


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
  if config.variant in more.MODULES:
    return more.MODULES[config.variant].figures(config, dataset)
  return FIGURES[config.variant](config, prepared(config, dataset))
