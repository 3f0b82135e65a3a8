"""The family of word2vec: widths and limits on the same stream of words."""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np

from configs.infinite_width_maml import width_of
from configs.infinite_width_word2vec import SYNTHETIC, VARIANTS
from experiments.infinite_width import word2vec_claims, word2vec_figures
from experiments.infinite_width.family import Family
from framework import system as system_lib
from framework.data import corpus as corpus_lib
from framework.launch.arms import built, hp_of
from framework.run.job import Arm
from framework.systems.infinite_width import word2vec as dynamics

__all__ = ['FAMILY', 'arm', 'structure_of', 'times']


def _text(config: Any) -> corpus_lib.Corpus:
  c = config
  if c.corpus == SYNTHETIC:
    return corpus_lib.analogies(0, c.words, c.questions)
  return _read(c.corpus, c.min_count, c.vocabulary)


@functools.lru_cache(maxsize=1)
def _read(names: str, min_count: int, vocabulary: int) -> corpus_lib.Corpus:
  """Once for record times and all arms."""
  return corpus_lib.load(
    names.split('+'), min_count=min_count, limit=vocabulary or None
  )


def structure_of(
  config: Any,
) -> tuple[dynamics.Structure, dynamics.Data, corpus_lib.Corpus]:
  """The structure of a config's system, and what it is trained on.

  Args:
    config: A valid config of one structural setting.

  Returns:
    (what is fixed in the compiled program, its data, the text).

  Raises:
    ConfigError: If it cannot be built or a text is missing, in one line.
  """
  return built(lambda: _structure_of(config), 'config.corpus')


def _structure_of(config: Any) -> tuple:
  text = _text(config)
  data, span = dynamics.prepared(
    text,
    chunk=config.chunk,
    window=config.window,
    subsample=config.subsample,
  )
  V = len(text.vocabulary.words)
  width = width_of(config.model)
  return (
    dynamics.Structure(
      words=len(text.codes),
      V=V,
      span=span,
      model='finite' if width else config.model.removesuffix('_2v'),
      width=2 * V if config.model == 'limit_2v' else width,
      chunk=config.chunk,
      window=config.window,
      negatives=config.negatives,
      epochs=config.epochs,
      eval_words=config.eval_words,
      dtype=jnp.dtype(config.precision),
    ),
    data,
    text,
  )


def arm(config: Any) -> Arm:
  """The system of one structural setting, its hp and its data.

  Args:
    config: A valid config of one structural setting.

  Returns:
    An `Arm`.

  Raises:
    ConfigError: If it cannot be built or a text is missing, in one line.
  """
  structure, data, text = structure_of(config)
  asked = len(text.questions.rows)
  notes = {
    'text': f'{structure.words} words, a vocabulary of {structure.V}',
    'questions': f'{asked}; {text.questions.dropped} others have words that '
    'are not in it',
  }
  return Arm(
    dynamics.system(structure), hp_of(dynamics.Hp, config), data, None, notes
  )


def times(config: Any) -> np.ndarray:
  """Record times of a config."""
  structure, data, _ = structure_of(config)
  steps = dynamics.steps_of(data, structure.words, config.chunk, config.epochs)
  return system_lib.linspaced(steps, max(1, steps // config.records))


ATTRIBUTES = {
  'accuracy': {'long_name': 'analogies that are answered', 'units': '1'},
  'loss': {'long_name': '−ln σ, mean over targets', 'units': 'nat'},
  'norm_in': {'long_name': 'rms length of rows of P', 'units': '1'},
  'norm_out': {'long_name': 'rms length of rows of Q', 'units': '1'},
  'epoch': {'long_name': 'how often the text was read', 'units': '1'},
  'diverged_at': {'long_name': 'first non-finite record', 'units': 'step'},
  'time': {'long_name': 'steps', 'units': 'step'},
}

FAMILY = Family(
  variants=tuple(VARIANTS),
  hp_fields=dynamics.Hp._fields,
  arm=arm,
  times=times,
  claims=word2vec_claims.CLAIMS,
  figures=word2vec_figures.FIGURES,
  attributes=ATTRIBUTES,
)
