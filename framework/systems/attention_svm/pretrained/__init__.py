"""Heads of trained language models as margin problems.

system         training a head on what it attends to, as a System
Structure, Hp  heads a layer, queries a passage; which head
problem_of     the margin problem of one head on one text
head_matrix    biases and scale of a head in one matrix W
reduce         coordinates in the spans that a text has
Data           weights of layers, and what goes into them
Problem, Reduced      types
ATTRIBUTES     units of the observations
"""

from framework.systems.attention_svm.pretrained.system import (
  ATTRIBUTES,
  Data,
  Hp,
  Problem,
  Reduced,
  Structure,
  head_matrix,
  problem_of,
  reduce,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'Data',
  'Hp',
  'Problem',
  'Reduced',
  'Structure',
  'head_matrix',
  'problem_of',
  'reduce',
  'system',
]
