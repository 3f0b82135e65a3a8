"""Second-order MAML of the π-limit: Omniglot, and Gaussian classes."""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from configs.pi_limit import Maml
from framework import system as system_lib
from framework.config import ConfigError, Problem
from framework.data import drawings, omniglot, store
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, equals, untestable
from framework.launch import Arm, Figures, Variant
from framework.systems.infinite_width import few_shot, pi

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['PUBLISHED', 'VARIANT', 'arm', 'times']

_SOURCE = 'Yang, Santacroce, Hu 2022, table 1'
PUBLISHED = {'limit': 0.9146, 'pinet': 0.9221, 'munet': 0.9122}
_NAMES = {
  'limit': 'π-limit',
  'pinet': 'π-net',
  'munet': 'µ-net',
  'ntk': 'NTK',
  'gp': 'GP',
}
_COLORS = {
  'limit': 'black',
  'pinet': 'C3',
  'munet': 'C1',
  'ntk': 'C0',
  'gp': 'C2',
}
_KERNELS = 'ntk', 'gp'


def arm(config: Maml) -> Arm:
  """The system of one structural setting, its hp and its data.

  Raises:
    ConfigError: If data are missing, in one line.
  """
  c, data = config, None
  if c.task == 'omniglot':
    try:
      found = omniglot.load()
    except store.DataError as error:
      raise ConfigError([Problem('config.task', str(error), '')]) from None
    classes = len(found.train), len(found.test)
    source = few_shot.table(784, classes, members=20, turns=4)
    data = few_shot.Data(*map(drawings.as_table, (found.train, found.test)))
  else:
    source = few_shot.gaussian(c.d, c.signal_rank)
  structure = few_shot.Structure(
    _learner(c), source, c.ways, c.shots, c.queries, c.tasks, c.eval_tasks,
    c.eval_steps, jnp.dtype(c.precision),
  )  # fmt: skip
  number = np.dtype(c.precision).type
  hp = few_shot.Hp(
    meta_lr=c.meta_lr, inner_lr=c.inner_lr, clip=c.clip, alpha=c.alpha,
    bias_alpha=c.bias_alpha,
  )  # fmt: skip
  return Arm(
    few_shot.system(structure),
    few_shot.Hp(*map(number, hp)),
    data,
    attributes=few_shot.ATTRIBUTES,
  )


def _learner(c: Maml) -> Any:
  how = {'first_lr': c.first_lr, 'inner_steps': c.inner_steps}
  own = {**how, 'anneal': c.cosine, 'steps': c.steps, 'depth': c.depth}
  if c.model == 'limit':
    return pi.maml.learner(rank=c.rank, **own)
  if c.model in ('pinet', 'munet'):
    rank = c.rank if c.model == 'pinet' else None
    return pi.maml.network(c.width, rank=rank, **own)
  kind = {'ntk': few_shot.kernels.ntk, 'gp': few_shot.kernels.gp}[c.model]
  need = c.steps * c.tasks * c.ways * c.queries
  capacity = 0 if c.task == 'omniglot' else need
  return few_shot.kernel(kind, capacity=capacity, inner_steps=c.inner_steps)


def times(config: Maml) -> np.ndarray:
  """Record times of a config."""
  every = max(1, config.steps // config.records)
  return system_lib.linspaced(config.steps, every)


def _scatter(c: Maml) -> float:
  """Two standard errors of an accuracy, at most, of a seed's queries."""
  return max(0.02, (c.eval_tasks * c.ways * c.queries) ** -0.5)


def _untrained(c: Maml) -> str:
  if 'limit' not in c.axis('model'):
    return f'needs the limit, there are {", ".join(c.axis("model"))}'
  if c.steps < 100 or c.meta_lr * c.clip < 0.25:
    return 'needs 100 outer steps and meta_lr · clip >= 0.25'
  if c.inner_lr <= 0:
    return 'needs inner_lr > 0'
  return ''


def claims(config: Maml, ds: 'Dataset') -> list[Claim]:
  """The limit gains by training; the published accuracies."""
  made = []
  for text, own, part in lanes.apart(config, ds, ('model',)):
    made += _gain(own, part, text)
    made += _published(own, part, text)
  return made


def _gain(c: Maml, ds: 'Dataset', text: str) -> list[Claim]:
  what = (
    f'gain{text}',
    'query accuracy of the limit: at the end less the better of its start and '
    'of what kernels start with, in every seed',
    'Yang, Santacroce, Hu 2022: MAML learns features in the π-limit',
  )
  how: dict[str, Any] = {'headline': True}
  reason = _untrained(c)
  if reason:
    return [untestable(*what, reason, **how)]
  found = lanes.lanes(ds, 'accuracy', model='limit')
  loss = lanes.lanes(ds, 'loss', model='limit')
  start = found[:, 0]
  for model in _KERNELS:
    if model in c.axis('model'):
      kernel = lanes.lanes(ds, 'accuracy', model=model)
      start = np.maximum(start, kernel[:, 0])
  # It is by a smaller loss that accuracy is learnt, from the first record on.
  falls = np.all(loss[:, 1:] < loss[:, :1], 1) & np.all(
    found[:, 1:] > found[:, :1], 1
  )
  gain = np.where(falls, found[:, -1] - start, np.nan)
  return [
    at_least(
      *what,
      _scatter(c),
      gain,
      each=True,
      derivation='two standard errors of the queries, the same for all; and '
      'the loss has fallen',
      **how,
    )
  ]


def _published(c: Maml, ds: 'Dataset', text: str) -> list[Claim]:
  made = []
  for model in c.axis('model'):
    if model not in PUBLISHED or c.task != 'omniglot':
      continue
    what = (
      f'published.{model}{text}',
      f'{_NAMES[model]}: Omniglot {c.ways}-way {c.shots}-shot accuracy',
      _SOURCE,
    )
    value = PUBLISHED[model]
    if c.steps < 50_000 or (c.ways, c.shots) != (5, 1):
      reason = f'needs 50,000 outer steps of 5 ways 1 shot, there are {c.steps}'
      made.append(untestable(*what, reason, predicted=value))
      continue
    end = lanes.lanes(ds, 'accuracy', model=model)[:, -1]
    made.append(
      equals(
        *what,
        value,
        end,
        atol=0.03,
        derivation='two standard errors of the queries, 0.014; and the test '
        'characters that are here are a little harder than all',
      )
    )
  return made


def figures(config: Maml, ds: 'Dataset') -> Figures:
  """Accuracy over outer steps, a line a model."""
  from framework.evidence import figures as plotting

  _, config, ds = next(lanes.apart(config, ds, ('model',)))
  fig, ax = plotting.figure()
  for model in sorted(config.axis('model'), key=lambda m: m == 'limit'):
    y = lanes.lanes(ds, 'accuracy', model=model)
    if not np.isfinite(y).any():
      continue
    line = plotting.lanes(
      ax, ds['time'].values, y, _NAMES[model], _COLORS[model]
    )
    if model in _KERNELS:
      line.set_linestyle(':')
  if config.task == 'omniglot':
    ax.axhline(
      PUBLISHED['limit'], color='C7', lw=0.8, ls='--', label='limit, published'
    )
  ax.set(xlabel='outer steps $t$', ylabel='query accuracy')
  plotting.legend(ax)
  return {
    'accuracy': (
      fig,
      f'{config.ways}-way {config.shots}-shot accuracy after '
      f'{config.eval_steps} inner steps on {config.eval_tasks} test tasks, the '
      'same for every model'
      + (
        '; grey: published of the limit after 50,000 outer steps.'
        if config.task == 'omniglot'
        else '.'
      ),
    )
  }


VARIANT = Variant(arm, times, claims, figures)
