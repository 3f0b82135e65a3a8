"""At the best ridge more data and more features never hurt."""

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.spectrum import Tuning
from experiments.spectrum.reading import falls, last
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant, hp_of, structure_of
from framework.run.job import Arm
from framework.system import linspaced
from framework.systems.spectrum.ridge import search

PAPER = 'Simon, Karkada, Ghosh, Belkin 2023'
_AXES = ('n', 'k', 'noise', 'relative_noise', 'ridge', 'alpha', 'beta')


def arm(config: Tuning) -> Arm:
  """The search for the best ridge, on the exact risk."""
  structure = structure_of(
    search.Structure,
    config,
    spectrum=None,
    dtype=jnp.dtype(config.precision),
  )
  return Arm(
    search.tuning(structure),
    hp_of(search.Hp, config, n=np.int32, k=np.int32),
    attributes=search.ATTRIBUTES,
  )


def times(config: Tuning) -> np.ndarray:
  """Every fifth section."""
  return linspaced(config.steps, min(5, config.steps))


def rounding(config: Tuning) -> tuple[float, str]:
  """The relative rise that is none: what the bracket leaves open."""
  width = 38 * 0.6180339887498949**config.steps
  return (
    max(2 * width, 1e-9),
    f'ln δ is known to {width:.1g} after {config.steps} sections, and '
    '|d ln E/d ln δ| <= 2; rounding 1e-9',
  )


def _table(config: Tuning, ds: Dataset, name: str) -> np.ndarray:
  """(n, k ascending with ∞ last, everything else)."""
  order = _order(config)
  found = lanes.over(last(ds), name, _AXES)
  return found.reshape(*found.shape[:2], -1)[:, order]


def _order(config: Tuning) -> list[int]:
  k = config.axis('k')
  return sorted(range(len(k)), key=lambda i: k[i] or np.inf)


def claims(config: Tuning, ds: Dataset) -> list[Claim]:
  """Claims on the whole table of risks."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    made += _claims(text, own, part)
  return made


def _claims(text: str, config: Tuning, ds: Dataset) -> list[Claim]:
  tolerance, why = rounding(config)
  best = _table(config, ds, 'test')
  with np.errstate(divide='ignore', invalid='ignore'):
    over_fixed = best / _table(config, ds, 'fixed')
  made = []
  for axis, table, what in (
    ('k', np.moveaxis(best, 1, -1), 'features'),
    ('n', np.moveaxis(best[np.argsort(config.axis('n'))], 0, -1), 'samples'),
  ):
    texts = (
      f'monotone.{axis}{text}',
      f'at the best ridge the test risk does not rise with {what}',
      f'{PAPER}, Theorem 1: more is better at the best ridge',
    )
    words = {'kind': 'theorem', 'headline': True}
    if table.shape[-1] < 2:
      why_not = f'a single value of {axis}'
      made.append(untestable(*texts, why_not, **words))
    else:
      made.append(falls(*texts, table, tolerance, why, **words))
  made.append(
    at_most(
      f'below{text}',
      'no ridge is better than the best one',
      'derived: a minimum',
      1 + tolerance,
      over_fixed,
      each=True,
      derivation=why,
      kind='theorem',
    )
  )
  made.append(_peak(text, config, ds))
  return made


def _peak(text: str, config: Tuning, ds: Dataset) -> Claim:
  """At a small fixed ridge the risk peaks at k = n."""
  ks = [config.axis('k')[i] for i in _order(config)]
  fixed = _table(config, ds, 'fixed')
  heights = []
  for i, n in enumerate(config.axis('n')):
    if {n // 2, n, 2 * n} <= set(ks):
      around = [ks.index(n // 2), ks.index(2 * n)]
      with np.errstate(divide='ignore', invalid='ignore'):
        heights.append(fixed[i, ks.index(n)] / fixed[i, around].max(0))
  texts = (
    f'peak{text}',
    'at the fixed ridge the risk peaks at as many features as samples',
    f'{PAPER}: double descent where the ridge is not tuned',
  )
  if not heights or max(config.axis('ridge')) > 1e-3:
    return untestable(
      *texts, 'needs k = n/2, n and 2n, and a fixed ridge of at most 1e-3'
    )
  return at_least(
    *texts,
    1.0,
    np.concatenate(heights),
    each=True,
    strict=True,
    derivation='over the higher of its neighbours',
  )


def figures(config: Tuning, ds: Dataset) -> Figures:
  """Risk over features at the best ridge, and at the fixed one."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  order = _order(own)
  ks = [own.axis('k')[i] for i in order]
  x = [k or 2 * max(ks) for k in ks]
  noise = own.axis('noise')[min(1, len(own.axis('noise')) - 1)]
  with plotting.style():
    fig, axes = plotting.figure('double', ncols=2, sharey=True)
    ns = own.axis('n')
    for ax, name, title in zip(
      axes,
      ('fixed', 'test'),
      (f'fixed ridge δ = {own.axis("ridge")[0]:g}', 'best ridge'),
      strict=True,
    ):
      ax.set(xscale='log', yscale='log', title=title)
      table = lanes.over(last(part), name, _AXES, noise=noise)
      table = table.reshape(len(ns), len(ks), -1)[:, order, 0]
      for n, row, color in zip(ns, table, plotting.palette(ns), strict=True):
        ax.plot(x, row, 'o-', ms=3, color=color, label=f'$n={n}$')
        ax.axvline(n, color=color, lw=0.5, alpha=0.4)
      shown = [*range(len(ks))][::-2][::-1]  # with the last
      ax.set_xticks([x[i] for i in shown], [ks[i] or '∞' for i in shown])
      ax.minorticks_off()
      ax.set_xlabel('random features $k$')
    axes[0].set_ylabel('exact test risk')
    plotting.legend(axes[0])
  return {
    'tuning': (
      fig,
      f'Exact test risk over the number of random features, noise σ² = '
      f'{noise:g}. The peak at k = n (thin lines) is gone at the best ridge, '
      'where more features and more samples always help.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
