"""What the paper and its linearisation predict, against what was measured."""

from typing import Any

from experiments.matrix_sensing import cures, curses
from experiments.matrix_sensing.measure import prepared
from framework.evidence.claims import Claim, untestable

__all__ = ['claims']

_CLAIMS = {
  'symmetric': curses.symmetric,
  'asymmetric': curses.asymmetric,
  'balanced': cures.balanced,
  'sym_vs_asym': cures.sym_vs_asym,
  'phase': cures.phase,
  'preconditioned': cures.preconditioned,
}


def claims(config: Any, dataset: Any) -> list[Claim]:
  """The claims of a config's variant.

  Args:
    config: The config.
    dataset: Its results.

  Returns:
    Claims, in the order of the argument.
  """
  ready = prepared(config, dataset)
  made = _CLAIMS[config.variant](config, ready)
  if 'ntk_min' in dataset:
    return made
  reason = 'JᵀJ has too many parameters and was not diagonalised'
  return [
    untestable(c.id, c.statement, c.source, reason)
    if c.n == 0 and c.id.endswith(('.ntk', '.rate'))
    else c
    for c in made
  ]
