"""All families, and which of them a config belongs to: append yours here."""

from typing import Any

from experiments.infinite_width import convergence, maml, word2vec
from experiments.infinite_width.family import Family

__all__ = ['FAMILIES', 'family_of']

FAMILIES: tuple[Family, ...] = (
  maml.FAMILY,
  word2vec.FAMILY,
  convergence.FAMILY,
)


def family_of(config: Any) -> Family:
  """The family of a config's variant.

  Args:
    config: A config of any family.

  Returns:
    Its `Family`.

  Raises:
    KeyError: If no family has that variant.
  """
  for family in FAMILIES:
    if config.variant in family.variants:
      return family
  raise KeyError(config.variant)
