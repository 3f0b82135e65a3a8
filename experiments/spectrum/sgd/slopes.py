"""One pass on power laws falls as t^−(β−1)/α."""

import numpy as np
from xarray import Dataset

from configs.spectrum import Sgd
from experiments.spectrum.sgd import runs
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, equals, untestable, within
from framework.launch import Figures, Variant
from framework.maths.double import in_double
from framework.systems import spectrum as s

_AXES = ('alpha', 'beta')
_SOURCE = 'derived: modes with ηλt < 1 are not learnt, and have that power'


@in_double
def _touched(config: Sgd, alpha: float) -> float:
  """2ηλT of the last kept mode: how far it is learnt at the end."""
  law = s.power_law(alpha, 2.0, config.modes, tail=config.tail)
  return float(2 * config.eta * config.steps * law.lam[-1] / s.trace(law))


@in_double
def _clock(config: Sgd, alpha: float) -> float:
  """The step size η."""
  return config.eta / float(s.trace(s.power_law(alpha, 2.0, 1000)))


def claims(config: Sgd, ds: Dataset) -> list[Claim]:
  """Claims on the slope over the last decade, whole and truncated."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    t = part['time'].values
    whole = lanes.prepared(own, part, _AXES)
    for alpha in own.axis('alpha'):
      for beta in own.axis('beta'):
        seen = lanes.lanes(whole, 'excess', alpha=alpha, beta=beta)
        slope = fits.power_law(t, seen, fits.last_decade(t)).slope
        # A fit leaves out what is not finite: without the last, no slope.
        slope = np.where(np.isfinite(seen[:, -1]), slope, np.nan)
        name = f'alpha={alpha}.beta={beta}{text}'
        made.append(_claim(name, own, alpha, beta, slope))
  return made


def _claim(
  name: str, config: Sgd, alpha: float, beta: float, slope: np.ndarray
) -> Claim:
  law = -(beta - 1) / alpha
  texts = (f'slope.{name}', f'the excess risk falls as t^{law:.3g}', _SOURCE)
  words = {'kind': 'theorem', 'headline': True}
  touched = _touched(config, alpha)
  if config.noise > 0:
    return untestable(*texts, 'noise has a slope of its own', **words)
  if not -law < 2 - 1 / alpha:
    why = f'the noise of SGD itself falls as t^{1 / alpha - 2:.3g}, no faster'
    return untestable(*texts, why, **words)
  if touched <= 0.05 and config.tail:
    # SGD's own noise remembers 1/t^(1−1/α) of the past.
    clock = _clock(config, alpha)
    relative = (clock * config.steps / 10) ** -(1 - 1 / alpha)
    return equals(
      *texts,
      law,
      slope,
      rtol=relative,
      derivation='fit over the last decade; the next order, (ηt)^−(1−1/α), at '
      'its beginning',
      **words,
    )
  control = {'kind': 'theorem'}
  if touched >= 1 and not config.tail:
    return within(
      f'steep.{name}',
      'control: a truncated spectrum falls faster, as its last modes are '
      'learnt',
      _SOURCE,
      -50.0,
      1.1 * law,
      slope,
      derivation=f'2ηλT = {touched:.2g} at the last mode',
      **control,
    )
  if touched >= 1:
    return within(
      f'flat.{name}',
      'control: a model of too few modes flattens at what it misses',
      _SOURCE,
      0.9 * law,
      0.0,
      slope,
      derivation=f'2ηλT = {touched:.2g} at the last mode',
      **control,
    )
  why = (
    f'2ηλT is {touched:.2g} at the last mode: neither below 0.05 nor above 1'
  )
  if touched <= 0.05:
    why = 'without its tail the spectrum loses power that shows'
  return untestable(*texts, why, **words)


def figures(config: Sgd, ds: Dataset) -> Figures:
  """Excess risk over steps of each arm, and the slope of the law."""
  from framework.evidence import figures as plotting

  parts = list(lanes.apart(config, ds, _AXES))
  names = {True: 'infinite', False: 'truncated'}
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(parts), sharey=True, squeeze=False
    )
    for ax, (_, own, part) in zip(axes[0], parts, strict=True):
      t = part['time'].values
      ax.set(xscale='log', yscale='log', xlabel='steps')
      ax.set_title(f'{own.modes} modes, {names[own.tail]}')
      whole = lanes.prepared(own, part, _AXES)
      pairs = [(a, b) for a in own.axis('alpha') for b in own.axis('beta')]
      colors = plotting.palette(range(len(pairs)))
      law = None
      for (alpha, beta), color in zip(pairs, colors, strict=True):
        seen = lanes.lanes(whole, 'excess', alpha=alpha, beta=beta)
        ax.plot(
          t[1:], seen[0, 1:], color=color, label=f'α={alpha:g}, β={beta:g}'
        )
        if own.tail and _touched(own, alpha) <= 0.05:
          late = t >= t[-1] / 30
          line = (t[late] / t[-1]) ** (-(beta - 1) / alpha) * seen[0, -1]
          law = plotting.law(ax, t[late], line)
      if law is not None:
        law.set_label('slope −(β−1)/α')
        plotting.legend(ax, handles=[law])
    axes[0][0].set_ylabel('excess risk')
    plotting.legend(axes[0][0])
  return {
    'slopes': (
      fig,
      'Exact excess risk of one pass on power laws λ = i^−α, v² = i^−β without '
      'noise. Dashed: slope −(β−1)/α. A spectrum that ends falls too fast once '
      'its last mode is learnt; a model of few modes in an infinity of them '
      'flattens.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
