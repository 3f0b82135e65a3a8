"""word2vec: networks of any width, the limit, frozen features.

system      the System of one text
Structure   what is fixed in its program: start, sizes of a step, epochs
Hp          what is traced: step size and weight decay
ATTRIBUTES  units and long names of what it records

limit       the start of the limit in muP
of_width    the start of a network of some width
prepared    a text on the device's terms, and the words read for a step
steps_of    steps in which so many epochs are read
contexts    words around each of a sentence
drawn       draws of a distribution of words

model       the update of one token, sequential as word2vec.c has it
analogy     questions a : b = c : ?
"""

from framework.systems.infinite_width.word2vec import analogy, model
from framework.systems.infinite_width.word2vec.system import (
  ATTRIBUTES,
  Data,
  Hp,
  Problem,
  State,
  Structure,
  contexts,
  drawn,
  limit,
  of_width,
  prepared,
  steps_of,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'Data',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'analogy',
  'contexts',
  'drawn',
  'limit',
  'model',
  'of_width',
  'prepared',
  'steps_of',
  'system',
]
