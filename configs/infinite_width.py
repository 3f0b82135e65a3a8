"""Infinite width: one variant a table or figure, in files by what they train.

python -m experiments.infinite_width --config=:VARIANT

Each file in `FAMILIES` has a dataclass `Config` with a field `variant`, and
VARIANTS: {name: (what it reproduces, values of fields)}. A field that is a lane
in one of them may not be structure in another.
"""

from typing import Any

from configs import (
  infinite_width_convergence,
  infinite_width_maml,
  infinite_width_word2vec,
)

FAMILIES = (
  infinite_width_maml,
  infinite_width_word2vec,
  infinite_width_convergence,
)

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
  name: entry for family in FAMILIES for name, entry in family.VARIANTS.items()
}


def get_config(variant: str = 'quick') -> Any:
  """The config of a variant.

  Args:
    variant: One of `VARIANTS`.

  Returns:
    A `Config` of its family.

  Raises:
    ValueError: If there is no such variant.
  """
  for family in FAMILIES:
    if variant in family.VARIANTS:
      return family.Config(variant=variant, **family.VARIANTS[variant][1])
  raise ValueError(f'no variant {variant!r}; there are {", ".join(VARIANTS)}')
