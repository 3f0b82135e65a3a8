"""What the paper predicts for XOR clusters, against what was measured."""

from typing import Any

from experiments.xor_grokking import chance, onset, regimes
from framework.evidence.claims import Claim

__all__ = ['claims']

_CLAIMS = {
  'quick': onset.quick,
  'paper': onset.paper,
  'slow': regimes.slow,
  'theory': regimes.theory,
  'phase': regimes.phase,
  'lost_cluster': chance.lost_cluster,
  'controls': chance.controls,
}


def claims(config: Any, dataset: Any) -> list[Claim]:
  """The claims of a config's variant.

  Args:
    config: The config.
    dataset: Its results.

  Returns:
    Claims, in the order of the argument.
  """
  return _CLAIMS[config.variant](config, dataset)
