"""Limits, MAML on a plane of R^4 and on a table, a text of sixty words."""

import jax.numpy as jnp
import numpy as np

from framework.data import corpus, drawings
from framework.systems.infinite_width import few_shot, limits, word2vec
from framework.systems.infinite_width.few_shot import kernels
from framework.systems.infinite_width.limits import ways
from tests.laws.entry import Entry


def limit(name, way, differentiable=(), looser=10.0, slow=False, lr=0.1):
  return Entry(
    f'limits, {name}',
    limits.system,
    lambda dtype: (limits.Structure(way, width=5, steps=13, dtype=dtype),),
    limits.Hp(lr=lr),
    differentiable=differentiable,
    looser=looser,
    slow=slow,
  )


def maml(name, learner, differentiable, data=None, slow=False, source=None):
  def args(dtype):
    return (
      few_shot.Structure(
        learner,
        source or few_shot.gaussian(4, 2),
        ways=2,
        tasks=2,
        eval_tasks=3,
        eval_steps=2,
        dtype=dtype,
      ),
    )

  return Entry(
    f'few shots, {name}',
    few_shot.system,
    args,
    few_shot.Hp(),
    data,
    differentiable=differentiable,
    looser=10.0,
    slow=slow,
  )


def table():
  """Four classes of three drawings of 2 x 2 pixels, twice."""
  draw = np.random.default_rng(0).integers
  return few_shot.Data(
    *(
      drawings.as_table(draw(0, 256, (4, 3, 4)).astype(np.uint8))
      for _ in range(2)
    )
  )


def text(name, subsample=0.0, slow=False, **options):
  """Seven words of context and noise."""
  codes = np.random.default_rng(0).integers(0, 7, 60).astype(np.int32)
  known = corpus.Vocabulary(tuple('abcdefg'), np.bincount(codes))
  asked = np.array([[0, 1, 2, 3]], np.int32)
  words = corpus.Corpus(
    codes, known, corpus.Questions(asked, ('',), np.zeros(1, np.int32), 0)
  )
  data, span = word2vec.prepared(words, chunk=6, window=2, subsample=subsample)

  def args(dtype):
    return (
      word2vec.Structure(
        words=60,
        V=7,
        span=span,
        chunk=6,
        window=2,
        negatives=3,
        eval_words=4,
        dtype=dtype,
        **options,
      ),
    )

  return Entry(
    f'word2vec, {name}',
    word2vec.system,
    args,
    word2vec.Hp(0.3, 0.05),
    data,
    differentiable=('lr', 'weight_decay'),
    slow=slow,
  )


ENTRIES = [
  limit(
    'deep linear',
    ways.deep_linear(2),
    ('lr', 'sigma1', 'sigma_w', 'sigma_v'),
    slow=True,
  ),
  # At a low rate samples of later steps are nearly those of earlier ones, and
  # rounding decides which bring a Gaussian of their own: √1e-10 of it. At this
  # one covariances are nearly singular still.
  limit(
    'particles',
    ways.particles(jnp.tanh, 2, 100, 2),
    looser=1e4,
    slow=True,
    lr=1.0,
  ),
  maml(
    'limit',
    few_shot.network(order=2),
    ('inner_lr', 'sigma1', 'meta_lr'),
    slow=True,
  ),
  maml(
    'NTK', few_shot.kernel(kernels.ntk, capacity=96), ('meta_lr',), slow=True
  ),
  maml(
    'GP on a table',
    few_shot.kernel(kernels.gp),
    ('meta_lr',),
    table(),
    slow=True,
    source=few_shot.table(4, (4, 4), members=3, turns=4),
  ),
  text('width 3, subsampled', 0.05, start=word2vec.of_width(3)),
  text('limit', slow=True),
]
