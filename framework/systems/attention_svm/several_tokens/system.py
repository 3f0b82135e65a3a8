"""Several tokens kept: a trained W against W_fin + C W_dir.

With a nonlinear head attention may keep more than one token of a sample. Let
O_i be those it keeps and s_i its softmax on them. Then, as W grows,

    W ≈ W_fin + C W_dir,

W_fin the least matrix that reproduces the ratios of s_i within O_i, and W_dir
the least one that is indifferent within O_i and prefers it to the rest by a
margin of 1 (`general_svm`). Compared with it are W_dir alone, and the SVM of
the one token that each sample attends to most, which ignores the others.

A run counts only where it is clear what was kept: no share between `low` and
`high`, at least one below, and at least one label −1 (all of them +1 leave
nothing to decide). How many do not count is part of the result.

To see how it came there, the run is repeated, deterministic as it is, once the
three are known: `curves`.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898, and its code's thresholds.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from framework.maths.margin import svm
from framework.probes import cosine
from framework.system import System
from framework.systems.attention_svm import layer
from framework.systems.attention_svm.rows import margin_rows
from framework.systems.attention_svm.several_tokens.svm import (
  general_svm,
  select_tokens,
  svm_equivalent,
)
from framework.systems.attention_svm.system import (
  Hp,
  Problem,
  State,
  Structure,
)
from framework.systems.attention_svm.system import (
  init as one_token_init,
)
from framework.systems.attention_svm.system import (
  system as one_token,
)

__all__ = ['ATTRIBUTES', 'HIGH', 'LOW', 'NAMES', 'accepted', 'final', 'system']

HIGH, LOW = 1e-3, 1e-6  # kept from there on; lost up to there
NAMES = ('equivalent', 'direction', 'single')
ATTRIBUTES = {
  'accepted': {'long_name': 'it is clear which tokens are kept', 'units': '1'},
  'kept': {'long_name': 'tokens kept, mean over samples', 'units': '1'},
  'masked': {'long_name': 'largest softmax of a lost token', 'units': '1'},
  'curves': {
    'long_name': f'cosines of W with {", ".join(NAMES)} over times',
    'units': '1',
  },
}


def system(structure: Structure) -> System:
  """One attention layer, whose start is part of the problem.

  Args:
    structure: What is fixed in the compiled program; W itself is trained.

  Returns:
    A `System` as of `attention_svm.system`.

  Raises:
    ValueError: If K and Q are trained: W is what the prediction is of.

  >>> system(Structure(rank=2))
  Traceback (most recent call last):
  ValueError: rank is 2, expected None: the prediction is of W
  """
  if structure.rank is not None:
    raise ValueError(
      f'rank is {structure.rank}, expected None: the prediction is of W'
    )
  own = one_token(structure)

  def sample(key: Key[Array, ''], hp: Hp) -> Problem:
    problem = own.sample(key, hp)
    start = own.init(jax.random.fold_in(key, 1), problem, hp).params
    return problem._replace(start=start)

  return own._replace(sample=sample)


def accepted(
  share: Float[Array, 'n T'], Y: Float[Array, ' n'], mask: Bool[Array, 'n T']
) -> tuple[Bool[Array, 'n T'], Bool[Array, '']]:
  """The kept tokens, and whether the run counts.

  Args:
    share: Softmax of each sample.
    Y: Labels.
    mask: Which tokens there are.

  Returns:
    (O as a mask, whether it is clear, some token is lost and some label −1).

  >>> share = jnp.array([[0.6, 0.4, 1e-9], [1.0, 1e-4, 0.0]])
  >>> kept, counts = accepted(share, jnp.array([1.0, -1.0]), share > -1)
  >>> print(kept.sum(), counts)
  3 False
  """
  kept, clear = select_tokens(share, mask, HIGH, LOW)
  lost = jnp.any(mask & (share <= LOW))
  return kept, clear & lost & jnp.any(Y < 0)


def final(
  structure: Structure, times: tuple[int, ...]
) -> Callable[..., dict[str, Array]]:
  """The end of a run: kept tokens, and how near W is to each candidate.

  Args:
    structure: What is fixed in the compiled program.
    times: Increasing steps at which `curves` are, the last one the run's end;
      if it is the only one, nothing is repeated.

  Returns:
    (state, problem, hp) -> {accepted, kept: tokens a sample, masked: the
    largest softmax of a lost token, curves: (3, times) cosines of W with each
    of `NAMES`, NaN unless accepted}.
  """
  step = one_token(structure).step
  gaps = jnp.diff(jnp.array((0, *times)))

  def observe(state: State, problem: Problem, hp: Hp) -> dict[str, Array]:
    data = problem.data
    W = state.params['W']
    share = layer.attention(W, data.X, data.Z, data.mask)
    kept, counts = accepted(share, data.Y, data.mask)
    # A run that does not count has no rows: its solvers stop at once.
    rows = data.mask & counts
    both = general_svm(data.X, data.Z, share, kept & rows, rows)
    finite = jnp.where(counts, both.finite.W, 0)
    direction = both.direction.W
    top = jnp.argmax(share, -1)
    single = svm(margin_rows(data.X, data.Z, top, rows), queries=len(top))
    targets = svm_equivalent(W, finite, direction), direction, single.W

    def cosines(W):
      return jnp.stack([cosine(W, V) for V in targets])

    def advance(state, gap):
      state = jax.lax.fori_loop(
        0, gap, lambda _, now: step(unused, now, problem, hp), state
      )
      return state, cosines(state.params['W'])

    unused = jax.random.key(0)
    if len(times) == 1:
      curves = cosines(W)[None]
    else:
      start = one_token_init(structure, unused, problem, hp)
      _, curves = jax.lax.scan(advance, start, gaps)
    masked = jnp.where(kept | ~data.mask, 0, share)
    return {
      'accepted': counts,
      'kept': jnp.mean(jnp.sum(kept, -1).astype(share.dtype)),
      'masked': jnp.max(masked),
      'curves': jnp.where(counts, curves.T, jnp.nan),
    }

  return observe
