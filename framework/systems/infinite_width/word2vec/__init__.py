"""word2vec: widths, the limit, its kernel."""

from framework.systems.infinite_width.word2vec.system import (
  MODELS,
  Data,
  Hp,
  Problem,
  State,
  Structure,
  contexts,
  drawn,
  prepared,
  steps_of,
  system,
)

__all__ = [
  'MODELS',
  'Data',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'contexts',
  'drawn',
  'prepared',
  'steps_of',
  'system',
]
