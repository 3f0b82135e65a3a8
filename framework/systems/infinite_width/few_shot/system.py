r"""Few-shot learning by MAML, as a `System`: limits, kernels and finite widths.

A `Structure` joins a learner (`network`, `kernel`, `linear_kernel`) and a
source of tasks (`gaussian`, `table`). All learners take the tasks of step t
from the key of (seed, t) and are judged on the same tasks of the seed, so their
curves differ by the learner alone.

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021,
      section 9.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from framework.checks import check_sizes
from framework.system import System
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.few_shot.learners import (
  Learner,
  network,
  typed,
)
from framework.systems.infinite_width.few_shot.sources import (
  Data,
  Sizes,
  Source,
  gaussian,
)

__all__ = ['ATTRIBUTES', 'Hp', 'Problem', 'Structure', 'system']

_CHUNK = 50  # tasks that are judged at once

ATTRIBUTES = {
  'accuracy': {'long_name': 'query accuracy, judged', 'units': '1'},
  'loss': {'long_name': 'query cross entropy, judged', 'units': 'nat'},
  'accuracy_one': {
    'long_name': 'query accuracy after one inner step',
    'units': '1',
  },
  'loss_one': {
    'long_name': 'query cross entropy after one inner step',
    'units': 'nat',
  },
  'signal_share': {
    'long_name': '‖W₁B‖²/‖W₁‖², the part of the features in the subspace',
    'units': '1',
  },
}


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  meta_lr: Float[ArrayLike, ''] = 0.1  # η
  inner_lr: Float[ArrayLike, ''] = 0.4  # η_in
  clip: Float[ArrayLike, ''] = 0.5  # of the norm of the summed gradient
  weight_decay: Float[ArrayLike, ''] = 0.0  # parameters, coefficients: 1 − ηλ
  momentum: Float[ArrayLike, ''] = 0.0  # of networks
  sigma1: Float[ArrayLike, ''] = 1.0
  sigma2: Float[ArrayLike, ''] = 1.0
  alpha: Float[ArrayLike, ''] = 1.0  # multiplier of a network's output
  bias_alpha: Float[ArrayLike, ''] = 1.0  # multiplier of its bias
  var_w: Float[ArrayLike, ''] = 1.0  # of kernels
  var_b: Float[ArrayLike, ''] = 0.0
  var_v: Float[ArrayLike, ''] = 1.0
  signal: Float[ArrayLike, ''] = 1.0  # of Gaussian classes


@dataclasses.dataclass(frozen=True)
class Structure:
  """Fixed in the compiled program.

  Raises:
    ValueError: If a size is out of range, naming it.
  """

  learner: Callable[['Structure'], Learner] = network()  # noqa: RUF009
  source: Source = gaussian()  # noqa: RUF009
  ways: int = 5
  shots: int = 1
  queries: int = 1
  tasks: int = 16  # a step
  eval_tasks: int = 200
  eval_steps: int = 20  # inner steps when it is judged
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    names = 'shots', 'queries', 'tasks', 'eval_tasks', 'eval_steps'
    check_sizes(**{name: getattr(self, name) for name in names})
    if self.ways < 2:
      raise ValueError(f'ways is {self.ways}, expected an integer >= 2')
    self.source.check(self.sizes)

  @property
  def sizes(self) -> Sizes:
    """Of the episodes of a step."""
    return Sizes(self.tasks, self.ways, self.shots, self.queries)


class Problem(NamedTuple):
  """Fixed over time."""

  table: PyTree  # `Data`, or the basis of Gaussian classes
  judged: PyTree  # `Episodes` of the test table, or Gaussian `Tasks`
  parts: PyTree = None  # of a kernel on a table


def system(structure: Structure) -> System:
  """MAML of a learner on tasks of a source.

  Args:
    structure: Fixed in the compiled program.

  Returns:
    A `System` over `Hp`; on drawings `sample` takes `Data`. Observations,
    all on the seed's test tasks: accuracy and loss of the queries after
    `eval_steps` inner steps, accuracy_one and loss_one after one, and for
    Gaussian classes signal_share, the part of the features' square that lies in
    the classes' subspace (rank/d where features stay what they were).

  Raises:
    ValueError: If the learner cannot be built for this structure.
    TypeError: By `sample`, if drawings are to be drawn from no `Data`.

  >>> import jax, jax.numpy as jnp
  >>> from framework import rollout
  >>> small = system(Structure(
  ...   source=gaussian(16, 2), eval_tasks=50, dtype=jnp.float32))
  >>> run = jax.jit(lambda hp: rollout(
  ...   small, jax.random.key(0), hp, jnp.array([0, 60])))
  >>> _, seen = run(Hp(meta_lr=0.5, inner_lr=2.0, sigma2=0.5))
  >>> bool(seen['accuracy'][1] > seen['accuracy'][0])
  True
  """
  s, learner = structure, structure.learner(structure)

  def sample(key: Key[Array, ''], hp: Hp, data: Data | None = None) -> Problem:
    sizes = s.sizes._replace(tasks=s.eval_tasks)
    table, judged = s.source.sample(key, data, sizes, hp, s.dtype)
    return Problem(table, judged, learner.prepare(table))

  def observe(state: PyTree, problem: Problem, hp: Hp) -> dict[str, Array]:
    seen = _judged(s, learner, state, problem, typed(hp, s.dtype))
    if s.source.rank is not None:
      share = jnp.asarray(s.source.rank / s.source.d, s.dtype)
      if learner.share is not None:
        share = learner.share(state, problem.table)
      seen['signal_share'] = share
    return seen

  return System(sample, learner.init, learner.step, observe)


def _judged(
  s: Structure, learner: Learner, state: PyTree, problem: Problem, hp: Hp
) -> dict[str, Array]:
  """Accuracies and losses on the seed's test tasks, a few tasks at a time."""
  most = range(min(_CHUNK, s.eval_tasks), 0, -1)
  chunk = next(c for c in most if s.eval_tasks % c == 0)
  chunks = jax.tree.map(
    lambda x: x.reshape(-1, chunk, *x.shape[1:]), problem.judged
  )

  def judge(chunk):
    tasks, rows = s.source.show(problem.table, chunk, s.sizes, s.dtype)
    found = []
    steps = s.eval_steps, 1
    for logits in learner.logits(state, tasks, rows, hp, steps):
      entropy = optax.softmax_cross_entropy_with_integer_labels(
        logits, tasks.y_query
      )
      found += [maml.accuracy(logits, tasks.y_query), jnp.mean(entropy)]
    return jnp.stack(found)

  means = jnp.mean(jax.lax.map(judge, chunks), 0)
  names = 'accuracy', 'loss', 'accuracy_one', 'loss_one'
  return dict(zip(names, means, strict=True))
