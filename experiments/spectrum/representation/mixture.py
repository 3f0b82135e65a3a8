"""A mixture: EM on unlabelled data finds the direction, labels its sign."""

import math

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.spectrum import Mixture
from experiments.spectrum.reading import last
from framework.evidence import fits, lanes
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  equals,
  untestable,
)
from framework.launch import Figures, Variant, hp_of, structure_of
from framework.run.job import Arm
from framework.systems.spectrum import pretraining

_PAPER = 'Ge et al. 2023: C_Φ/m + C_Ψ/n'
_AXES = ('m', 'separation')
_ENOUGH = 40  # steps of EM


def arm(config: Mixture) -> Arm:
  """Steps of EM on unlabelled data."""
  structure = structure_of(
    pretraining.MixtureStructure, config, dtype=jnp.dtype(config.precision)
  )
  return Arm(
    pretraining.mixture(structure),
    hp_of(pretraining.MixtureHp, config),
    attributes=pretraining.MIXTURE_ATTRIBUTES,
  )


def times(config: Mixture) -> np.ndarray:
  """Doubling steps of EM, from none to the last."""
  doubling = 2 ** np.arange(int(math.log2(config.steps)) + 1)
  return np.unique([0, *doubling, config.steps]).astype(np.int32)


def _normal(x: float) -> float:
  """Φ(x)."""
  return math.erfc(-x / math.sqrt(2)) / 2


def _clear(config: Mixture, m: float, separation: float) -> float:
  """M s⁴/d: above 1 the direction stands out of m inputs."""
  return m * separation**4 / config.d


def _short(config: Mixture) -> bool:
  """Whether there are too few draws, or steps for EM to end."""
  return config.seeds < 40 or config.steps < _ENOUGH


def claims(config: Mixture, ds: Dataset) -> list[Claim]:
  """Claims on what EM adds to the least error, and where it finds nothing."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    whole = lanes.prepared(own, last(part), _AXES)
    for s in own.axis('separation'):
      name = f'.separation={s}{text}'
      made += [
        _labels(name, own, whole, s),
        _rate(name, own, whole, s),
        _gain(name, own, whole, s),
        _hidden(name, own, whole, s),
      ]
  return made


def _mean(whole: Dataset, name: str, m: int, s: float) -> float:
  return float(lanes.lanes(whole, name, m=m, separation=s).mean())


def _labels(name: str, config: Mixture, whole: Dataset, s: float) -> Claim:
  law = _normal(-(s**2) / math.sqrt(s**2 + config.d / config.n))
  texts = (
    f'labels{name}',
    'the mean of labelled inputs errs as Φ(−s²/(s² + d/n)^½)',
    'derived: the mean is μ and noise of length (d/n)^½',
  )
  if config.seeds < 40 or config.n < 10 or config.d < 20:
    why = 'needs 40 draws, of 10 labels and 20 coordinates'
    return untestable(*texts, why, predicted=law, kind='theorem')
  seen = [_mean(whole, 'supervised', m, s) for m in config.axis('m')]
  return equals(
    *texts,
    law,
    np.array(seen),
    rtol=0.1,
    derivation='1/n is the next order; draws scatter by 0.04, their mean by '
    'less than a tenth of that',
    kind='theorem',
  )


def _rate(name: str, config: Mixture, whole: Dataset, s: float) -> Claim:
  texts = (
    f'rate{name}',
    'what EM adds to the error of the true mean falls as 1/m',
    _PAPER,
  )
  ms = np.sort(config.axis('m'))
  clear = _clear(config, ms[0], s)
  # A wrong sign costs all; labels err with the Bayes rate each.
  wrong = (4 * _normal(-s)) ** (config.n / 2)
  few = len(ms) < 3 or ms[-1] < 4 * ms[0] or ms[0] < 10 * config.d
  if few or clear < 10 or wrong > 0.01 or _short(config):
    why = (
      f'needs three m over a factor of four, from m = 10 d and m s⁴ = 10 d on '
      f'(here {clear:.2g} d), 40 draws, {_ENOUGH} steps, labels for the sign'
    )
    return untestable(*texts, why, headline=True)
  excess = np.array(
    [_mean(whole, 'pretrained', m, s) - _normal(-s) for m in ms]
  )
  known = np.isfinite(excess).all() and (excess > 0).all()
  return equals(
    *texts,
    -1.0,
    fits.power_law(ms, excess).slope if known else np.nan,
    atol=0.25,
    derivation='the next order is d/m of it, a tenth at the beginning, times '
    'what the overlap hides; draws scatter by (2/d)^½ each',
    headline=True,
  )


def _gain(name: str, config: Mixture, whole: Dataset, s: float) -> Claim:
  texts = (
    f'gain{name}',
    'EM and a sign err less than half of what labels alone add to the least '
    'error',
    _PAPER,
  )
  ms = [m for m in config.axis('m') if _clear(config, m, s) >= 10]
  if not ms or config.d < 2 * config.n or _short(config):
    why = (
      f'needs m s⁴ >= 10 d, fewer labels than d/2, 40 draws, {_ENOUGH} steps'
    )
    return untestable(*texts, why)
  bayes = _normal(-s)
  with np.errstate(divide='ignore', invalid='ignore'):
    ratios = [
      (_mean(whole, 'pretrained', m, s) - bayes)
      / (_mean(whole, 'supervised', m, s) - bayes)
      for m in ms
    ]
  return at_most(
    *texts,
    0.5,
    np.array(ratios),
    each=True,
    derivation='ratio of what is added: d/m against d/n, and a sign',
  )


def _hidden(name: str, config: Mixture, whole: Dataset, s: float) -> Claim:
  texts = (
    f'control{name}',
    'control: of components that overlap, unlabelled inputs do not tell the '
    'direction',
    'derived: the leading eigenvector stands out from m s⁴ = d on',
  )
  ms = [m for m in config.axis('m') if _clear(config, m, s) <= 0.2]
  if not ms or _short(config):
    why = f'needs m s⁴ <= d/5, 40 draws, {_ENOUGH} steps'
    return untestable(*texts, why, kind='theorem')
  half = (_normal(-s) + 0.5) / 2
  seen = [_mean(whole, 'pretrained', m, s) for m in ms]
  return at_least(
    *texts,
    half,
    np.array(seen),
    each=True,
    derivation='half way from the least error to chance; what m s⁴/d = 1/5 '
    'leaves is a cosine of a few tenths',
    kind='theorem',
  )


def figures(config: Mixture, ds: Dataset) -> Figures:
  """Error over steps of EM, and over the number of unlabelled inputs."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  whole, t = lanes.prepared(own, part, _AXES), part['time'].values
  s, ms = max(own.axis('separation')), np.sort(own.axis('m'))
  with plotting.style():
    fig, (left, right) = plotting.figure('double', ncols=2)
    left.set(xlabel='steps of EM', ylabel='error rate')
    left.set_xscale('symlog', linthresh=1)
    for m, color in zip(ms, plotting.palette(ms.tolist()), strict=True):
      mean = lanes.lanes(whole, 'pretrained', m=m, separation=s).mean(0)
      left.plot(t, mean, 'o-', ms=3, color=color, label=f'm = {m}')
    alone = lanes.lanes(whole, 'supervised', separation=s).mean()
    left.plot(t, np.full(t.size, alone), color='grey', label='labels alone')
    plotting.law(left, t, np.full(t.size, _normal(-s)), 'the true mean')
    plotting.legend(left)
    right.set(xscale='log', yscale='log', xlabel='unlabelled inputs $m$')
    right.set_ylabel('error above the least')
    right.set_xticks(ms, ms)
    right.set_xticks([], minor=True)
    end = last(whole)
    excess = np.array([_mean(end, 'pretrained', m, s) for m in ms])
    excess = excess - _normal(-s)
    right.plot(ms, excess, 'o-', ms=3)
    plotting.law(right, ms, excess[-1] * ms[-1] / ms, '1/m')
  return {
    'mixture': (
      fig,
      f'Two Gaussians at ±μ, |μ| = {s:g}, d = {own.d}: means over {own.seeds} '
      f'draws. EM on m unlabelled inputs, whose sign {own.n} labels give, '
      'comes to the error of the true mean as 1/m.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
