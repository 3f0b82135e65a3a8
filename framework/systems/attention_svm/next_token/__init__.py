"""Next-token prediction with one attention layer."""

from framework.systems.attention_svm.next_token.system import (
  Corpus,
  Hp,
  Laws,
  Structure,
  laws,
  loss,
  random_corpus,
  split,
  system,
)

__all__ = [
  'Corpus',
  'Hp',
  'Laws',
  'Structure',
  'laws',
  'loss',
  'random_corpus',
  'split',
  'system',
]
