"""An encoder finds the top eigenspace of its augmentation."""

import functools

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.spectrum import Contrastive
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant, hp_of
from framework.run.job import Arm
from framework.system import logspaced
from framework.systems.spectrum import augmentation

_PAPER = 'Zhai et al. 2023: the loss is least at the top-k eigenspace'


def arm(config: Contrastive) -> Arm:
  """A perceptron on all views."""
  structure = augmentation.Structure(
    d=config.d,
    k=config.k,
    encoder=functools.partial(augmentation.Encoder, width=config.width),
    dtype=jnp.dtype(config.precision),
  )
  return Arm(
    augmentation.system(structure),
    hp_of(augmentation.Hp, config),
    attributes=augmentation.ATTRIBUTES,
  )


def times(config: Contrastive) -> np.ndarray:
  """Records per decade of steps."""
  return logspaced(config.steps, config.records)


def claims(config: Contrastive, ds: Dataset) -> list[Claim]:
  """Claims on the angle, and on the loss."""
  made = []
  for text, own, part in lanes.apart(config, ds, ('mask', 'flip')):
    end = part.isel(time=-1)
    texts = (
      f'angle{text}',
      'the encoder spans the top eigenspace: largest angle below 0.1 rad',
      _PAPER,
    )
    if own.steps < 1000:
      why = f'{own.steps} steps of training, expected 1000'
      made.append(untestable(*texts, why, headline=True))
    else:
      made.append(
        at_most(
          *texts,
          0.1,
          lanes.lanes(end, 'angle'),
          each=True,
          derivation='a hundredth of the power of each direction is outside',
          headline=True,
        )
      )
    made.append(
      at_least(
        f'bound{text}',
        'no encoder is below the minimum, −Σ λ² of the kept eigenvalues',
        'derived: best approximation of rank k',
        -1e-4,
        lanes.lanes(part, 'loss') - lanes.lanes(part, 'optimum'),
        each=True,
        derivation='rounding of float32',
        kind='theorem',
      )
    )
  return made


def figures(config: Contrastive, ds: Dataset) -> Figures:
  """Angle and loss over steps."""
  from framework.evidence import figures as plotting

  t = ds['time'].values
  with plotting.style():
    fig, (left, right) = plotting.figure('double', ncols=2)
    for ax, label in ((left, 'largest angle (rad)'), (right, 'loss − minimum')):
      ax.set(xscale='log', yscale='log', xlabel='steps', ylabel=label)
    parts = list(lanes.apart(config, ds, ('mask', 'flip')))
    colors = plotting.palette(range(len(parts)))
    for (_, own, part), color in zip(parts, colors, strict=True):
      angle = lanes.lanes(part, 'angle')[:, 1:]
      over = lanes.lanes(part, 'loss') - lanes.lanes(part, 'optimum')
      plotting.lanes(left, t[1:], angle, f'k = {own.k}', color)
      plotting.lanes(right, t[1:], np.maximum(over[:, 1:], 1e-7), '', color)
    plotting.law(left, t[1:], np.full(t.size - 1, 0.1), '0.1 rad')
    plotting.legend(left)
  return {
    'contrastive': (
      fig,
      'Spectral-contrastive training on the cube: the angle of the encoder to '
      'the top eigenspace of the augmentation kernel, and the loss above its '
      'minimum. Bands: all masks and seeds.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
