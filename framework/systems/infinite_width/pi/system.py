r"""Networks that learn features in the π-limit, beside finite ones and kernels.

A `Structure` joins a learner (`limit`, `pinet`, `munet`, `kernel`) and a task;
every learner of a seed is given the same data in the same batches. Observed,
beside losses and accuracies, is the alignment of the feature kernel K with the
kernel of labels Y,

    ⟨HKH, HYH⟩/(‖HKH‖ ‖HYH‖),    H = I − 11ᵀ/n,   Y_ij = [y_i = y_j]

on test points: features that are learnt tell classes apart, those of a kernel
stay what they are. Where the task comes with points of another one (`x_to`,
`y_to`, `x_to_test`, `y_to_test`), they are classified by ridge regression with
the feature kernel: transfer.

References:
  [1] Yang, Santacroce, Hu, "Efficient Computation of Deep Nonlinear
      Infinite-Width Neural Networks that Learn Features", 2022.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from framework.checks import check_sizes
from framework.maths import linalg
from framework.maths.norms import norm, ratio
from framework.system import System
from framework.systems.infinite_width.pi.learners import (
  Hp,
  Learner,
  Sizes,
  limit,
)

__all__ = ['ATTRIBUTES', 'Hp', 'State', 'Structure', 'system']

ATTRIBUTES = {
  'loss': {'long_name': 'loss on training points', 'units': '1'},
  'accuracy': {'long_name': 'accuracy on training points', 'units': '1'},
  'test_loss': {'long_name': 'loss on test points', 'units': '1'},
  'test_accuracy': {'long_name': 'accuracy on test points', 'units': '1'},
  'alignment': {
    'long_name': 'alignment of features with labels, test points',
    'units': '1',
  },
  'transfer': {
    'long_name': 'accuracy on another data set by the feature kernel',
    'units': '1',
  },
  'work': {
    'long_name': 'multiply-adds so far, per sample of a batch',
    'units': '1',
  },
}


class State(NamedTuple):
  """A learner in training."""

  own: PyTree
  t: Int[Array, '']
  work: Float[Array, '']


@dataclasses.dataclass(frozen=True)
class Structure:
  """Fixed in the compiled program.

  Raises:
    ValueError: If a size is out of range.
  """

  task: Callable[..., Any]  # (key, hp[, data]) -> x, y, x_test, y_test
  k: int  # classes
  learner: Callable[[Sizes], Learner] = limit()  # noqa: RUF009
  batch: int = 8
  steps: int = 100  # T, for which there is room
  schedule: Callable[[Array], Array] | None = None  # step -> factor of η
  loss: Callable[..., Array] = (  # (outputs, y) -> one a row
    optax.softmax_cross_entropy_with_integer_labels
  )
  k_to: int = 10  # classes of another task that features are asked for
  judged: int = 200  # points, of training and of test, that are looked at
  chunk: int = 100  # points that are looked at at once
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    names = 'batch', 'steps', 'judged', 'chunk'
    check_sizes(**{name: getattr(self, name) for name in names})
    if self.k < 2:
      raise ValueError(f'k is {self.k}, expected at least 2 classes')


def system(structure: Structure) -> System:
  """The training of a learner on a task, in batches drawn with replacement.

  Args:
    structure: Fixed in the compiled program.

  Returns:
    A `System` over `Hp`. Observations: see `ATTRIBUTES`.

  Raises:
    ValueError: By `init`, if the learner cannot be built: no memory, a rank
      that the data do not have.

  >>> import jax, jax.numpy as jnp
  >>> from framework.system import rollout
  >>> def task(key, hp):
  ...   x = jax.random.normal(key, (200, 4))
  ...   y = (x[:, 0] * x[:, 1] > 0).astype(int)
  ...   return {'x': x[:99], 'y': y[:99], 'x_test': x[99:], 'y_test': y[99:]}
  >>> net = system(Structure(task, k=2, learner=limit(1, 8), steps=100))
  >>> run = jax.jit(lambda hp: rollout(
  ...   net, jax.random.key(0), hp, jnp.array([0, 100]))[1])
  >>> bool(jnp.diff(run(Hp(lr=1.0))['accuracy'])[0] > 0.2)
  True
  """
  s = structure
  own = s.learner(Sizes(s.k, s.batch, s.steps, s.dtype))

  def typed(hp: Hp) -> Hp:
    return jax.tree.map(lambda x: jnp.asarray(x, s.dtype), hp)

  def sample(key: Key[Array, ''], hp: Hp, data: Any = None) -> Any:
    extra = () if data is None else (data,)
    problem = dict(s.task(key, hp, *extra))
    for name in ('x', 'x_test', 'x_to', 'x_to_test'):
      if name not in problem:
        continue
      problem[name] = jnp.asarray(problem[name], s.dtype)
    return problem

  def init(key: Key[Array, ''], problem: Any, hp: Hp) -> State:
    state = own.init(key, problem, typed(hp))
    return State(state, jnp.int32(0), jnp.zeros((), s.dtype))

  def step(key: Key[Array, ''], state: State, problem: Any, hp: Hp) -> State:
    hp = typed(hp)
    if s.schedule is not None:
      hp = hp._replace(lr=hp.lr * jnp.asarray(s.schedule(state.t), s.dtype))
    x, y = problem['x'], problem['y']
    index = jax.random.randint(key, (s.batch,), 0, x.shape[0])
    if s.batch == x.shape[0]:
      index = jnp.arange(s.batch)  # all of them, once
    labels = y[index]

    def loss(f):
      return jnp.mean(s.loss(f, labels))

    work = state.work + own.work(state.own)
    return State(own.step(state.own, x[index], loss, hp), state.t + 1, work)

  def observe(state: State, problem: Any, hp: Hp) -> dict[str, Array]:
    hp = typed(hp)
    found = {'work': state.work}
    for end in ('', '_test'):
      x, y = (problem[name + end][: s.judged] for name in ('x', 'y'))
      f = _chunked(lambda x: own.apply(state.own, x, hp), x, s.chunk)
      losses, hits = s.loss(f, y), jnp.argmax(f, -1) == y
      name = 'test_' if end else ''
      found[name + 'loss'] = jnp.mean(losses)
      found[name + 'accuracy'] = jnp.mean(hits.astype(s.dtype))
    some = slice(None, min(s.judged, _GRAM))
    gram = own.gram(state.own, problem['x_test'][some], hp)
    labels = problem['y_test'][some]
    same = (labels[:, None] == labels[None]).astype(s.dtype)
    found['alignment'] = _alignment(gram, same)
    if 'x_to' in problem:
      found['transfer'] = _transfer(own, state.own, problem, hp, s)
    return found

  return System(sample, init, step, observe)


def _transfer(own: Learner, state: PyTree, problem: Any, hp: Hp, s: Structure):
  """Accuracy of ridge regression with features on points of another task."""
  x, y = problem['x_to'], problem['y_to']
  both = jnp.concatenate([x, problem['x_to_test']])
  K, n = own.gram(state, both, hp), x.shape[0]
  gram, ahead = K[:n, :n], K[n:, :n]
  target = jax.nn.one_hot(y, s.k_to, dtype=s.dtype) - 0.5
  ridge = hp.ridge * jnp.mean(jnp.diagonal(gram)) * jnp.eye(n, dtype=s.dtype)
  f = ahead @ linalg.solve_spd(gram + ridge, target)
  hits = jnp.argmax(f, -1) == problem['y_to_test']
  return jnp.mean(hits.astype(s.dtype))


_GRAM = 200  # points whose Gram matrix is compared with that of labels


def _chunked(
  f: Callable[[Array], Array], x: Float[Array, 'n d'], chunk: int
) -> Float[Array, 'n k']:
  """F of some rows at a time, so that what it keeps stays small."""
  n = x.shape[0]
  if n <= chunk:
    return f(x)
  blocks = -(-n // chunk)
  padded = jnp.pad(x, ((0, blocks * chunk - n), (0, 0)))
  out = jax.lax.map(f, padded.reshape(blocks, chunk, -1))
  return out.reshape(blocks * chunk, -1)[:n]


def _alignment(one: Array, two: Array) -> Float[Array, '']:
  def centred(K):
    K = K - jnp.mean(K, 0, keepdims=True)
    return K - jnp.mean(K, 1, keepdims=True)

  one, two = centred(one), centred(two)
  return ratio(jnp.sum(one * two), norm(one) * norm(two))
