"""Analogies of word vectors: a is to b as c is to which word?"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

__all__ = ['accuracy', 'answered']


def answered(
  vectors: Float[Array, 'V S'],
  questions: Int[Array, 'N 4'],
  block: int = 256,
) -> Bool[Array, ' N']:
  r"""Which questions a : b = c : d are answered by d.

      d = argmax_{w ≠ a, b, c} ⟨v_w, v_b − v_a + v_c⟩,   v_w = P_w/‖P_w‖

  over the whole vocabulary [1]. A tie is no answer, so that vectors that are
  all orthogonal, as they are at the start of the limit, answer nothing.

  Args:
    vectors: P, a row a word.
    questions: Words a, b, c, d.
    block: Questions that are asked at once: block · V numbers are in memory.

  Returns:
    One truth value a question.

  References:
    [1] Mikolov, Yih, Zweig, "Linguistic Regularities in Continuous Space Word
        Representations", 2013; compute-accuracy.c of word2vec.

  >>> square = jnp.array([[1., 0.], [1., 1.], [-1., 0.], [-1., 1.], [0., 1.]])
  >>> ask = jnp.array([[0, 1, 2, 3], [0, 1, 2, 4]])
  >>> print(answered(square, ask), accuracy(jnp.eye(5), ask))
  [ True False] 0.0
  """
  lengths = jnp.sqrt(jnp.sum(vectors**2, 1, keepdims=True))
  unit = vectors / jnp.where(lengths > 0, lengths, 1)

  def ask(question):
    a, b, c, d = question
    scores = unit @ (unit[b] - unit[a] + unit[c])
    scores = scores.at[question[:3]].set(-jnp.inf)
    return scores[d] > jnp.max(scores.at[d].set(-jnp.inf))

  return jax.lax.map(ask, questions, batch_size=min(block, len(questions)))


def accuracy(
  vectors: Float[Array, 'V S'],
  questions: Int[Array, 'N 4'],
  block: int = 256,
) -> Float[Array, '']:
  """The share of questions that are answered; arguments as of `answered`.

  >>> square = jnp.array([[1., 0.], [1., 1.], [-1., 0.], [-1., 1.], [0., 1.]])
  >>> print(accuracy(square, jnp.array([[0, 1, 2, 3], [0, 1, 2, 4]])))
  0.5
  """
  right = answered(vectors, questions, block)
  return jnp.mean(right, dtype=vectors.dtype)
