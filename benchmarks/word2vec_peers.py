"""word2vec token by token as others would write it, in rows of the limit's 2V.

    u = (1/m) Σ_i P_{c_i},  e = 0;
    for each target:    g = η (label − σ(⟨u, Q_t⟩)),
                        e ← e + g Q_t,  Q_t ← (1 − ηλ) Q_t + g u;
    for each c_i:       P_{c_i} ← (1 − ηλ) P_{c_i} + e/m

Every contestant takes the same tokens and the same start, and returns the first
V columns of both tables at its end.
"""

import ctypes
import importlib.util
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from benchmarks.timing import Contestant
from framework.data import corpus
from framework.systems.infinite_width import word2vec as dynamics
from framework.systems.infinite_width.word2vec import model as word2vec
from framework.systems.infinite_width.word2vec.system import _tokens

__all__ = [
  'CHUNK',
  'Run',
  'Task',
  'c_loop',
  'c_missing',
  'check_agreement',
  'draw',
  'gensim',
  'gensim_missing',
  'ours',
  'torch_loop',
  'torch_missing',
  'torch_rows',
]

Run = Callable[[int], Float[np.ndarray, '2 V V']]
CHUNK = 1000  # tokens of a step
_CHUNKS = 2  # before they come again
_WINDOW = 8  # words on a side at most
LR, DECAY = 0.05, 1 - 0.05 * 1e-3
_FLAGS = ('-O3', '-march=native', '-funroll-loops')  # of word2vec's makefile


class Task(NamedTuple):
  """Tokens, −1 where there is none."""

  context: Int[np.ndarray, 'chunks CHUNK C']
  targets: Int[np.ndarray, 'chunks CHUNK K']
  V: int


def draw(negatives: int = 25, window: int = _WINDOW) -> Task:
  """Tokens of the synthetic corpus, V = 939."""
  text = corpus.analogies(words=_CHUNKS * CHUNK)
  data, span = dynamics.prepared(text, chunk=CHUNK, window=window)
  V = len(text.vocabulary.words)
  structure = dynamics.Structure(
    len(text.codes), V, span, chunk=CHUNK, window=window, negatives=negatives
  )
  words = jnp.asarray(text.codes.reshape(_CHUNKS, CHUNK))
  keys = jax.random.split(jax.random.key(0), _CHUNKS)
  drawn = jax.vmap(
    lambda key, words: _tokens(structure, key, words, data.noise)
  )(keys, words)
  context, targets = (np.array(x, np.int32) for x in drawn)
  return Task(context, targets, V)


def check_agreement(
  field: Sequence[Contestant], tolerance: float, steps: int = 3
) -> None:
  """Raises unless all end with the same tables.

  Args:
    field: Contestants.
    tolerance: Largest difference of an entry.
    steps: Steps to compare after.

  Raises:
    RuntimeError: If one of them does not.
  """
  expected = None
  for contestant in field:
    tables = contestant.run(steps)
    expected = tables if expected is None else expected
    error = np.abs(tables - expected).max()
    if not error < tolerance:
      raise RuntimeError(f'{contestant.name} is off by {error:.3g}')


def ours(task: Task, S: int | None = None) -> Run:
  """`word2vec.model.updates` with rows of length S, V when None.

  Args:
    task: Tokens.
    S: Length of a row; below V a network of width S.

  Returns:
    steps -> tables.
  """
  V = task.V
  if S is None or S >= V:
    start = word2vec.limit(V, S)
  else:
    start = word2vec.finite(jax.random.key(0), V, S)

  def chunk(tables, context, targets):
    return word2vec.updates(tables, context, targets, LR, 1e-3)[0]

  return _in_jax(task, start, chunk)


def _in_jax(task: Task, start: word2vec.Tables, chunk) -> Run:
  context, targets = jnp.asarray(task.context), jnp.asarray(task.targets)

  @jax.jit
  def go(tables, steps):
    def one(i, tables):
      return chunk(tables, context[i % _CHUNKS], targets[i % _CHUNKS])

    return jax.lax.fori_loop(0, steps, one, tables)

  def run(steps: int) -> np.ndarray:
    P, Q = jax.block_until_ready(go(start, steps))
    return np.stack([P[:, : task.V], Q[:, : task.V]])

  return run


def torch_missing() -> str:
  """Why torch is not measured, if it is not."""
  found = importlib.util.find_spec('torch') is not None
  return '' if found else 'not installed'


def _lists(task: Task) -> list[list[tuple[list[int], list[int]]]]:
  """Tokens without what is not there."""
  return [
    [
      (c[c >= 0].tolist(), t[t >= 0].tolist())
      for c, t in zip(*chunk, strict=True)
    ]
    for chunk in zip(task.context, task.targets, strict=True)
  ]


def _in_torch(task: Task, token) -> Run:
  import torch

  V, lists = task.V, _lists(task)

  def run(steps: int) -> np.ndarray:
    P, Q = torch.eye(V, 2 * V), torch.zeros(V, 2 * V)
    for i in range(steps):
      for context, targets in lists[i % _CHUNKS]:
        token(P, Q, context, targets)
    return torch.stack([P[:, :V], Q[:, :V]]).numpy()

  return run


def _torch_token(P, Q, context, targets) -> None:
  import torch

  u = P[context].mean(0)
  e = torch.zeros_like(u)
  for j, t in enumerate(targets):
    row = Q[t]
    g = LR * (float(j == 0) - torch.sigmoid(row @ u))
    e.add_(g * row)
    row.mul_(DECAY).add_(g * u)
  for c in context:
    P[c].mul_(DECAY).add_(e, alpha=1 / len(context))


def torch_loop(task: Task) -> Run:
  """The equations line by line, in rows of length 2V."""
  return _in_torch(task, _torch_token)


def torch_rows(task: Task) -> Run:
  """A token at once where no word is twice in it, in rows of length 2V."""
  import torch

  def token(P, Q, context, targets):
    if any(len(set(x)) < len(x) for x in (context, targets)):
      _torch_token(P, Q, context, targets)
      return
    inputs, rows = P[context], Q[targets]
    u = inputs.mean(0)
    label = torch.zeros(len(targets))
    label[0] = 1
    g = LR * (label - torch.sigmoid(rows @ u))
    e = g @ rows
    Q[targets] = torch.addr(rows, g, u, beta=DECAY)
    P[context] = DECAY * inputs + e / len(context)

  return _in_torch(task, token)


def gensim_missing() -> str:
  """Why gensim cannot be measured; '' where it can."""
  return '' if importlib.util.find_spec('gensim') else 'not installed'


def gensim(task: Task, S: int) -> Run:
  """CBOW of gensim by one worker: compiled code, numbers of its own drawing.

  It draws windows and negatives itself, so it makes other tables; the work of a
  token is the same on average.

  Args:
    task: Whose centres are its text.
    S: Length of a row.

  Returns:
    steps -> its rows of words, (V, S).
  """
  from gensim.models import Word2Vec

  texts = [[str(w) for w in chunk] for chunk in task.targets[:, :, 0]]
  model = Word2Vec(
    vector_size=S,
    window=_WINDOW,
    negative=task.targets.shape[-1] - 1,
    sg=0,
    sample=0,
    min_count=1,
    workers=1,
    alpha=LR,
    min_alpha=LR,
  )
  model.build_vocab(texts)

  def run(steps: int) -> np.ndarray:
    some = [texts[i % len(texts)] for i in range(steps)]
    model.train(some, total_examples=steps, epochs=1)
    return model.wv.vectors

  return run


def c_missing() -> str:
  """Why C is not measured, if it is not."""
  return '' if shutil.which('cc') else 'no compiler `cc`'


_SOURCE = r"""
#include <math.h>
void tokens(float *P, float *Q, long S, const int *context, long C,
            const int *targets, long K, long n, float lr, float decay,
            float *restrict u, float *restrict e) {
  for (long i = 0; i < n; i++, context += C, targets += K) {
    long m = 0;
    for (long s = 0; s < S; s++) u[s] = e[s] = 0;
    for (long c = 0; c < C; c++) {
      if (context[c] < 0) continue;
      const float *row = P + context[c] * S;
      for (long s = 0; s < S; s++) u[s] += row[s];
      m++;
    }
    if (!m) continue;
    for (long s = 0; s < S; s++) u[s] /= m;
    for (long j = 0; j < K; j++) {
      if (targets[j] < 0) continue;
      float *restrict row = Q + targets[j] * S, f = 0;
      for (long s = 0; s < S; s++) f += u[s] * row[s];
      float g = lr * ((j == 0) - 1 / (1 + expf(-f)));
      for (long s = 0; s < S; s++) e[s] += g * row[s];
      for (long s = 0; s < S; s++) row[s] = decay * row[s] + g * u[s];
    }
    for (long c = 0; c < C; c++) {
      if (context[c] < 0) continue;
      float *restrict row = P + context[c] * S;
      for (long s = 0; s < S; s++) row[s] = decay * row[s] + e[s] / m;
    }
  }
}
"""


def c_loop(task: Task, S: int, *flags: str) -> Run:
  """The equations line by line in C, as the published program has them.

  Args:
    task: Tokens.
    S: Length of a row, at least V.
    *flags: More for the compiler than the published program gives it.

  Returns:
    steps -> tables.
  """
  with tempfile.TemporaryDirectory() as place:
    source = pathlib.Path(place, 'word2vec.c')
    library = pathlib.Path(place, 'word2vec.so')
    source.write_text(_SOURCE)
    subprocess.run(
      ['cc', *_FLAGS, *flags, '-shared', '-fPIC', '-o', library, source, '-lm'],
      check=True,
    )
    function = ctypes.CDLL(str(library)).tokens
  function.restype = None

  def at(x: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.ctypes.data)

  V, C, K = task.V, task.context.shape[-1], task.targets.shape[-1]
  size = ctypes.c_long
  u, e = np.empty(S, np.float32), np.empty(S, np.float32)

  def run(steps: int) -> np.ndarray:
    P, Q = np.eye(V, S, dtype=np.float32), np.zeros((V, S), np.float32)
    for i in range(steps):
      function(
        *(at(P), at(Q), size(S)),
        *(at(task.context[i % _CHUNKS]), size(C)),
        *(at(task.targets[i % _CHUNKS]), size(K), size(CHUNK)),
        *(ctypes.c_float(LR), ctypes.c_float(DECAY), at(u), at(e)),
      )
    return np.stack([P[:, :V], Q[:, :V]])

  return run
