"""What the paper and earlier measurements predict, against what was measured.

Tolerances are those of an independent implementation (mod 41, 5 seeds a row)
with the head-room that its seeds left.
"""

from typing import Any

from experiments.modular_grokking import regularised, softmax
from experiments.modular_grokking.measure import prepared
from framework.evidence.claims import Claim

__all__ = ['claims']

_CLAIMS = {
  'quick': regularised.quick,
  'collapse': softmax.collapse,
  'stablemax': softmax.stablemax,
  'perp_grad': regularised.perp_grad,
  'weight_decay': regularised.weight_decay,
  'interventions': softmax.interventions,
  'time_to_grok': regularised.time_to_grok,
  'matched': regularised.matched,
  'sparse_parity': softmax.sparse_parity,
  'mnist': softmax.mnist,
  'transformer': regularised.transformer,
  'paper': softmax.paper,
  'paper_perp': regularised.paper_perp,
  'paper_stablemax': softmax.paper_stablemax,
}


def claims(config: Any, dataset: Any) -> list[Claim]:
  """The claims of a config's variant.

  Args:
    config: The config.
    dataset: Its results.

  Returns:
    Claims, in the order of the argument; only of methods that were run.
  """
  return _CLAIMS[config.variant](config, prepared(config, dataset))
