"""word2vec at any width, in its limit and in its kernel limit."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from configs.infinite_width_maml import width_of
from framework.config import Problem, field

SYNTHETIC = 'analogies'
LIMITS = ('limit', 'limit_2v', 'kernel')


@dataclasses.dataclass(frozen=True)
class Config:
  """All that decides the result of a run. Fields of `Hp` can be lanes."""

  variant: str = field(
    'word2vec',
    'which claims and figures are made of the results',
    choices=('word2vec', 'word2vec_text', 'word2vec_paper'),
  )
  # What is fixed in the compiled program.
  corpus: str = field(
    SYNTHETIC,
    'analogies: drawn sentences; or texts such as wiki-0+wiki-1, one after the '
    'other',
  )
  model: str = field(
    'limit',
    'limit, limit_2v (the same in rows of 2V), kernel (frozen), wN (width N)',
  )
  words: int = field(60_000, 'length of drawn sentences', low=17)
  questions: int = field(2000, 'asked about drawn sentences', low=1)
  min_count: int = field(5, 'least occurrences of a word of a text', low=1)
  vocabulary: int = field(
    0, 'most words of a text, the most frequent; 0: all', low=0
  )
  window: int = field(8, 'most words of context on either side', low=1)
  negatives: int = field(25, 'sampled words', low=1)
  subsample: float = field(
    0.0, 'words more frequent are dropped at times; 0: none', low=0
  )
  chunk: int = field(1000, 'words of a step: a sentence', low=2)
  epochs: int = field(2, 'how often the text is read', low=1)
  eval_words: int = field(500, 'words that the loss is observed on', low=1)
  # Hyperparameters: traced, so that every value can be a lane.
  lr: float = field(0.05, 'step size at the first word', low=0)
  weight_decay: float = field(0.001, 'of a row when it is touched', low=0)
  # What is recorded.
  records: int = field(12, 'records over the run', low=1)
  seeds: int = field(3, 'seeds', low=1)
  first_seed: int = field(0, 'the first of them', low=0)
  precision: str = field(
    'float32', 'of all numbers', choices=('float32', 'float64')
  )
  sweep: Mapping[str, tuple] = field({}, 'the grid')

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    if self.model not in LIMITS and width_of(self.model) is None:
      expected = f'{", ".join(LIMITS)} or a width such as w64'
      yield Problem('model', self.model, expected)
    if self.corpus == SYNTHETIC and self.subsample > 0:
      expected = f'0 with corpus={SYNTHETIC}'
      yield Problem('subsample', self.subsample, expected)
    for path in self.sweep:
      if path not in ('model', 'lr', 'weight_decay'):
        expected = 'the axes model, lr and weight_decay'
        yield Problem(f'sweep.{path}', path, expected)


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
  'word2vec': (
    'word analogies over widths, in the limit and with frozen features, on '
    'drawn sentences: minutes',
    {
      'seeds': 5,
      'sweep': {
        'model': (
          *('w16', 'w64', 'w256', 'w1024'),
          *('limit', 'kernel', 'limit_2v'),
        )
      },
    },
  ),
  'word2vec_text': (
    'the same on a text, by the published questions; --config.corpus, '
    '.vocabulary=0, .epochs=15 and .lr as far as there is memory and time',
    {
      'corpus': 'wiki-dense+factbook',
      'vocabulary': 5000,
      'subsample': 1e-4,
      'epochs': 5,
      'records': 5,
      'seeds': 1,
      'sweep': {'model': ('w16', 'w64', 'w256', 'w1024', 'limit', 'kernel')},
    },
  ),
  'word2vec_paper': (
    'the same at the published size: 17 million words, 74,000 of them '
    'different; the limit takes 44 GB',
    {
      'corpus': 'wiki-0+wiki-1+wiki-2+wiki-3',
      'subsample': 1e-4,
      'epochs': 15,
      'records': 15,
      'seeds': 1,
      'sweep': {'model': ('w64', 'w256', 'w1024', 'kernel', 'limit')},
    },
  ),
}
