"""What theory and the published runs predict, against what was measured."""

from collections.abc import Callable
from typing import Any

from experiments.attention_svm import convergence, more
from experiments.attention_svm.measure import prepared
from framework.evidence.claims import Claim

__all__ = ['CLAIMS', 'claims']

CLAIMS: dict[str, Callable[[Any, Any], list[Claim]]] = {
  'quick': convergence.quick,
  'local': convergence.local,
}


def claims(config: Any, dataset: Any) -> list[Claim]:
  """The claims of a config's variant.

  Args:
    config: The config.
    dataset: Its results.

  Returns:
    Claims, in the order of the argument.
  """
  if config.variant in more.MODULES:
    return more.MODULES[config.variant].claims(config, dataset)
  return CLAIMS[config.variant](config, prepared(config, dataset))
