"""How much to mask: a U in the mask, where it is one.

Both λ_{k+1} = c^j and κ² = (1+c)^d, c = (1−m)(1−2f)², fall with the mask m:
what rises is how much of the target is no longer smooth. At the best ridge a
target of low degree loses nothing; a fixed ridge, or a target of all degrees,
makes a U.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike
from xarray import Dataset

from configs.spectrum import Masking
from experiments.spectrum.reading import falls, last
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, fact, untestable
from framework.launch import Figures, Variant, hp_of
from framework.run.job import Arm
from framework.system import linspaced
from framework.systems.spectrum import augmentation
from framework.systems.spectrum.ridge import search

_PAPER = 'Zhai et al. 2023, on masks'
_AXES = ('target', 'n', 'mask', 'flip')


class Hp(NamedTuple):
  """Hyperparameters of the cube and of the search for a ridge."""

  n: ArrayLike
  ridge: ArrayLike
  noise: ArrayLike
  mask: ArrayLike
  flip: ArrayLike
  k: ArrayLike = 0  # the kernel itself
  relative_noise: ArrayLike = 0.0


def powers(config: Masking) -> np.ndarray:
  """Power of the target at each degree.

  Low: a third each at 0, 1 and 2. All: that of the product Π (1 + x_j/√2),
  whose power on a parity is 2^−degree.
  """
  if config.target == 'low':
    return np.array([1 / 3] * 3 + [0.0] * (config.d - 2))
  degrees = np.arange(config.d + 1)
  out = np.array([math.comb(config.d, s) for s in degrees]) / 2.0**degrees
  return out / out.sum()


def arm(config: Masking) -> Arm:
  """The best ridge on the spectrum of the augmentation kernel."""
  target = powers(config)

  def spectrum(hp):
    return augmentation.spectrum_of(config.d, hp.mask, hp.flip, target)

  structure = search.Structure(
    spectrum=spectrum, dtype=jnp.dtype(config.precision)
  )
  hp = hp_of(Hp, config, n=np.int32, k=np.int32(0), relative_noise=0.0)
  return Arm(search.tuning(structure), hp, attributes=search.ATTRIBUTES)


def times(config: Masking) -> np.ndarray:
  """Every fifth section."""
  return linspaced(config.steps, min(5, config.steps))


def _curve(ds: Dataset, name: str, **where) -> np.ndarray:
  """Over the mask, ascending."""
  found = lanes.over(last(ds), name, ('mask',), **where)
  order = np.argsort(np.atleast_1d(ds['mask'].values))
  return found.reshape(len(found), -1).mean(1)[order]


def claims(config: Masking, ds: Dataset) -> list[Claim]:
  """Claims on the shape of each curve over the mask."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    whole = lanes.prepared(own, part, _AXES)
    for target in own.axis('target'):
      for n in own.axis('n'):
        for flip in own.axis('flip'):
          name = f'target={target}.n={n}' + (
            f'.flip={flip}' if len(own.axis('flip')) > 1 else ''
          )
          where = dict(target=target, n=n, flip=flip)
          made += _claims(f'{name}{text}', own, target, n, whole, where)
  flips = config.axis('flip')
  for id, what, value in (
    ('eigenvalue', 'λ of degree 3', 3),
    ('complexity', 'ln κ²', 0),
  ):
    c = (1 - np.array(sorted(config.axis('mask')))) * (1 - 2 * flips[0]) ** 2
    slope = np.diff(c**3 if value else config.d * np.log1p(c)).max(initial=-1)
    made.append(
      fact(
        f'{id}.falls',
        f'{what} falls with the mask: its largest step',
        'derived: c = (1−m)(1−2f)², λ = c^degree, κ² = (1+c)^d',
        float(slope),
        wanted='below 0; the paper has them move in opposite directions',
      )
    )
  return made


def _claims(
  name: str, config: Masking, target: str, n: int, ds: Dataset, where: dict
) -> list[Claim]:
  masks = sorted(config.axis('mask'))
  best, fixed = (_curve(ds, x, **where) for x in ('test', 'fixed'))
  made = []
  if target == 'low':
    texts = (
      f'monotone.{name}',
      'at the best ridge a target of low degree gains from every mask',
      'derived: exact risks; the top eigenspace does not depend on the mask',
    )
    words = {'kind': 'theorem', 'headline': True}
    # A constant target in the first modes learns little at few samples.
    if len(masks) < 3 or config.noise <= 0 or config.steps < 40:
      made.append(untestable(*texts, 'needs three masks and noise', **words))
    else:
      made.append(
        falls(
          *texts,
          best[None],
          1e-6,
          'rounding of the search, relative',
          **words,
        )
      )
  for what, curve, can in (
    ('fixed', fixed, target == 'low' and config.ridge >= 1 and n <= 300),
    ('best', best, target == 'all' and n >= 2 ** (config.d - 1)),
  ):
    texts = (
      f'U.{what}.{name}',
      f'at the {what} ridge there is a mask that is neither too much nor too '
      'little',
      _PAPER,
    )
    ends = masks[0] <= 0.1 and masks[-1] >= 0.9 and len(masks) >= 5
    if not (can and ends):
      made.append(
        untestable(
          *texts,
          'a U is there at a fixed ridge >= 1 with a target of low degree and '
          'n <= 300, or at the best ridge with one of all degrees and '
          'n >= 2^(d−1); five masks from 0.1 to 0.9 show it',
        )
      )
      continue
    with np.errstate(divide='ignore', invalid='ignore'):
      inner = curve[1:-1].min() if np.isfinite(curve).all() else np.nan
      sides = np.array([curve[0], curve[-1]]) / inner
    made.append(
      at_least(
        *texts,
        1.02,
        sides,
        each=True,
        derivation='either end over the least between: 2 %, far above rounding',
      )
    )
  return made


def figures(config: Masking, ds: Dataset) -> Figures:
  """Risk over the mask."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  whole = lanes.prepared(own, part, _AXES)
  masks, flip = sorted(own.axis('mask')), own.axis('flip')[0]
  targets = own.axis('target')
  names = {'low': 'degrees up to 2', 'all': 'a product: all degrees'}
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(targets), sharey=True, squeeze=False
    )
    colors = plotting.palette(range(len(own.axis('n'))))
    for ax, target in zip(axes[0], targets, strict=True):
      ax.set(xlabel='mask $m$', yscale='log', title=names[target])
      for n, color in zip(own.axis('n'), colors, strict=True):
        where = dict(target=target, n=n, flip=flip)
        best, fixed = (_curve(whole, x, **where) for x in ('test', 'fixed'))
        ax.plot(masks, best, 'o-', ms=3, color=color, label=f'n = {n}, best')
        ax.plot(masks, fixed, 's:', ms=3, color=color, label='fixed ridge')
    axes[0][0].set_ylabel('test risk')
    plotting.legend(axes[0][0])
  return {
    'masking': (
      fig,
      'Exact test risk of kernel ridge regression with the kernel of an '
      f'augmentation that masks, d = {own.d}: at the best ridge, and at '
      f'δ = {own.ridge:g}. Whether there is a U depends on both.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
