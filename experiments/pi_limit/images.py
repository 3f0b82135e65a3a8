"""Real images: CIFAR-10 by limit, networks and kernels; features that transfer.

What the paper reports of 50 epochs on all images stands beside what is measured
here; it is tested at that size alone.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from configs.pi_limit import Train
from experiments.pi_limit.features import curves, scatter, was_trained
from experiments.pi_limit.runs import NAMES, arm, times
from framework.evidence import lanes
from framework.evidence.claims import (
  Claim,
  at_least,
  equals,
  untestable,
)
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['CIFAR10', 'PUBLISHED', 'TRANSFER']

_SOURCE = 'Yang, Santacroce, Hu 2022, table 1'
# Test accuracy after 50 epochs of all images; that of the NTK is of a kernel
# which is not the NTK (its derivative is taken of the activations).
PUBLISHED = {
  'nngp': 0.5892,
  'ntk': 0.5963,
  'munet': 0.6131,
  'pinet': 0.6064,
  'limit': 0.6150,
}


def _full(c: Train) -> str:
  """The condition that the size of the paper lacks, or nothing."""
  epochs = c.steps * c.batch / max(1, c.points)
  if c.task != 'cifar10_jpeg' or c.points < 50_000 or epochs < 50:
    return (
      f'needs 50 epochs of 50,000 images, there are {epochs:.3g} of {c.points}'
    )
  return ''


def claims(config: Train, ds: 'Dataset') -> list[Claim]:
  """The limit learns; the published accuracies at the published size."""
  made = []
  for text, own, part in lanes.apart(config, ds, ('model',)):
    made += _learnt(own, part, text)
    made += _published(own, part, text)
  return made


def _learnt(c: Train, ds: 'Dataset', text: str) -> list[Claim]:
  what = (
    f'learns{text}',
    'test accuracy of the limit: at the end less at the start',
    _SOURCE,
  )
  how: dict[str, Any] = {'headline': True}
  epochs = c.steps * c.batch / c.points
  reason = ''
  if 'limit' not in c.axis('model'):
    reason = f'needs the limit, there are {", ".join(c.axis("model"))}'
  elif epochs < 1 or c.lr <= 0:
    reason = f'needs an epoch, there are {epochs:.2g}, and η > 0'
  if reason:
    return [untestable(*what, reason, **how)]
  accuracy = lanes.lanes(ds, 'test_accuracy', model='limit')
  aligned = lanes.lanes(ds, 'alignment', model='limit')
  gain = np.where(
    aligned[:, -1] > aligned[:, 0], accuracy[:, -1] - accuracy[:, 0], np.nan
  ) * was_trained(ds)
  return [
    at_least(
      *what,
      max(0.1, scatter(c)),
      gain,
      each=True,
      derivation='as much again as chance, 0.1; and features are nearer to '
      'labels than at the start',
      **how,
    )
  ]


def _published(c: Train, ds: 'Dataset', text: str) -> list[Claim]:
  made = []
  for model in c.axis('model'):
    if model not in PUBLISHED:
      continue
    what = (
      f'published.{model}{text}',
      f'{NAMES[model]}: test accuracy on CIFAR-10',
      _SOURCE,
    )
    reason, value = _full(c), PUBLISHED[model]
    if reason:
      made.append(untestable(*what, reason, predicted=value))
      continue
    found = lanes.lanes(ds, 'test_accuracy', model=model)[:, -1]
    made.append(
      equals(
        *what,
        value,
        found,
        atol=0.02,
        derivation='two standard errors of 5,000 test images, 0.014, and the '
        'coding of the images',
      )
    )
  return made


def figures(config: Train, ds: 'Dataset') -> Figures:
  """Accuracies over steps."""
  from framework.evidence import figures as plotting

  _, config, ds = next(lanes.apart(config, ds, ('model',)))
  fig, axes = plotting.figure('double', height=2.9, ncols=2)
  left, right = axes
  curves(config, ds, left, 'test_accuracy')
  curves(config, ds, right, 'alignment')
  left.set(xlabel='steps $t$', ylabel='test accuracy')
  right.set(xlabel='steps $t$', ylabel='alignment of features with labels')
  fig.legend(
    *left.get_legend_handles_labels(), loc='outside lower center', ncols=3
  )
  epochs = config.steps * config.batch / config.points
  return {
    'accuracy': (
      fig,
      f'CIFAR-10, {config.points} images, {epochs:.3g} epochs, r = '
      f'{config.rank}, batches of {config.batch}.',
    )
  }


def transfer_claims(config: Train, ds: 'Dataset') -> list[Claim]:
  """Features of the limit serve another data set better than at the start."""
  made = []
  for text, own, part in lanes.apart(config, ds, ('model',)):
    what = (
      f'transfer{text}',
      'accuracy on digits by the feature kernel of the limit: after training '
      'on characters less before',
      'Yang, Santacroce, Hu 2022, section 6.3: learnt features transfer',
    )
    how: dict[str, Any] = {'headline': True}
    reason = ''
    if 'limit' not in own.axis('model'):
      reason = f'needs the limit, there are {", ".join(own.axis("model"))}'
    elif own.steps * own.batch < 10 * own.examples or own.lr <= 0:
      reason = f'needs 10 epochs of {own.examples} drawings, and η > 0'
    if reason:
      made.append(untestable(*what, reason, **how))
      continue
    found = lanes.lanes(part, 'transfer', model='limit')
    source = lanes.lanes(part, 'test_accuracy', model='limit')
    trained = np.where(source[:, -1] > source[:, 0], was_trained(part), np.nan)
    made.append(
      at_least(
        *what,
        scatter(own) / 2,
        (found[:, -1] - found[:, 0]) * trained,
        each=True,
        derivation='a standard error of the test points: both are of the same',
        **how,
      )
    )
  return made


def transfer_figures(config: Train, ds: 'Dataset') -> Figures:
  """Accuracy on the source and on the target, over steps on the source."""
  from framework.evidence import figures as plotting

  _, config, ds = next(lanes.apart(config, ds, ('model',)))
  fig, axes = plotting.figure('double', height=2.9, ncols=2)
  left, right = axes
  curves(config, ds, left, 'test_accuracy')
  curves(config, ds, right, 'transfer')
  left.set(xlabel='steps $t$ on Omniglot', ylabel='accuracy on characters')
  right.set(xlabel='steps $t$ on Omniglot', ylabel='accuracy on MNIST')
  fig.legend(
    *left.get_legend_handles_labels(), loc='outside lower center', ncols=3
  )
  return {
    'transfer': (
      fig,
      f'Trained on {config.characters} characters of Omniglot; MNIST digits by '
      f'ridge regression with the feature kernel on {config.points} images.',
    )
  }


CIFAR10 = Variant(arm, times, claims, figures)
TRANSFER = Variant(arm, times, transfer_claims, transfer_figures)
