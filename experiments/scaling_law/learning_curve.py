"""Asymptotes of a growing learning curve, and when to stop."""

import jax
import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.scaling_law import Growing
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_most, fact, untestable
from framework.evidence.scaling import growing, trace
from framework.evidence.scatter import quantile
from framework.launch import Figures, Variant
from framework.run.job import Arm

_PAPER = 'Vilares et al. 2017, "Modeling of learning curves"'
_FIRST = 5


def arm(config: Growing) -> Arm:
  """A curve c − a x^−b with noise, refitted at each of its points."""
  points = config.points

  def curve(key, hp):
    x = jnp.arange(1, points + 1, dtype=jnp.dtype(config.precision))
    noise = hp['noise'] * jax.random.normal(key, x.shape, x.dtype)
    y = hp['limit'] - hp['height'] * x ** -hp['exponent'] + noise
    return growing.Curve(x, y)

  hp = {
    name: np.dtype(config.precision).type(getattr(config, name))
    for name in ('limit', 'exponent', 'height', 'noise')
  }
  structure = growing.Structure(curve, dtype=jnp.dtype(config.precision))
  return Arm(growing.growing(structure), hp, attributes=growing.ATTRIBUTES)


def times(config: Growing) -> np.ndarray:
  """Every point from the fifth on."""
  return np.arange(_FIRST, config.points + 1, dtype=np.int32)


def deviation(config: Growing, points: int) -> float:
  """Of the asymptote fitted to the first points, to first order in noise."""
  x = np.arange(1.0, points + 1)
  power = x**-config.exponent
  J = np.stack([-power, config.height * power * np.log(x), np.ones(points)], 1)
  _, R = np.linalg.qr(J)
  return float(config.noise * np.linalg.norm(np.linalg.inv(R)[2]))


def claims(config: Growing, ds: Dataset) -> list[Claim]:
  """Claims on the asymptote at parts of the data, and on stopping there."""
  made = []
  for text, own, part in lanes.apart(config, ds, ()):
    made += _claims(text, own, part)
  return made


def _claims(text: str, config: Growing, ds: Dataset) -> list[Claim]:
  t, made = ds['time'].values, []
  seen = lanes.lanes(ds, 'asymptote')
  parts = [p for p in (4, 2, 1) if config.points // p >= 16]
  many = quantile(len(parts) * len(seen), 10**6)
  scores, wide = [], 0.0
  for p in parts:
    points = config.points // p
    error = deviation(config, points)
    wide = max(wide, error)
    at = int(np.flatnonzero(t == points)[0])
    with np.errstate(divide='ignore', invalid='ignore'):
      scores.append(np.abs(seen[:, at] - config.limit) / error)
  texts = (
    f'asymptote{text}',
    'the asymptote is known from a quarter of the data, from half, from all: '
    'as well as noise allows',
    _PAPER,
  )
  if not 0 < wide < 0.05 * config.height:
    why = (
      f'the asymptote of the fewest points scatters by {wide:.2g}, expected '
      'below a twentieth of the height, and not 0'
    )
    made.append(untestable(*texts, why, kind='theorem', headline=True))
  else:
    made.append(
      at_most(
        *texts,
        1.3 * many,
        np.concatenate(scores),
        each=True,
        derivation=f'over deviations to first order, {wide:.2g} at the fewest '
        f'points: {many:.1f} of them for all, a third more for the next order',
        kind='theorem',
        headline=True,
      )
    )
  tau = config.height * (config.points / 4) ** -config.exponent
  traces = _traces(ds)
  stops = [trace.proximity_stop(x, tau) for x in traces]
  texts = (
    f'stop{text}',
    'the proximity condition stops where the curve is within τ of its limit',
    _PAPER,
  )
  if not 0 < wide < 0.1 * tau:
    why = f'τ = {tau:.2g} is not ten deviations of the asymptote, {wide:.2g}'
    made.append(untestable(*texts, why))
  else:
    early = [
      abs(s / (config.points / 4) - 1) if s > 0 else np.nan for s in stops
    ]
    made.append(
      at_most(
        *texts,
        0.25,
        early,
        each=True,
        derivation='relative to a quarter of the points, where τ is met; a '
        'deviation of a tenth of τ moves it by 0.1/b',
      )
    )
  levels = [trace.prediction_level(x) for x in traces]
  made.append(
    fact(
      f'level{text}',
      'share of curves with a prediction level before the last tenth: noise '
      'leaves none, so that it is no gate for the stop',
      _PAPER,
      float(np.mean([0 < x < 0.9 * config.points for x in levels])),
      wanted='0 with noise',
    )
  )
  return made


def _traces(ds: Dataset) -> list[trace.Trace]:
  c, fitted = (lanes.lanes(ds, x) for x in ('asymptote', 'fitted'))
  t = ds['time'].values
  return [
    trace.Trace(t, *pair, np.zeros(t.size))
    for pair in zip(c, fitted, strict=True)
  ]


def figures(config: Growing, ds: Dataset) -> Figures:
  """The curve and its asymptote as it grows."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, ()))
  t = part['time'].values
  with plotting.style():
    fig, (left, right) = plotting.figure('double', ncols=2)
    score = lanes.lanes(part, 'score')
    c = lanes.lanes(part, 'asymptote')
    plotting.lanes(left, t, score, 'score', 'grey')
    plotting.lanes(left, t, c, 'asymptote', band=(0.1, 0.9))
    limit = own.limit
    spread = own.height * (own.points / 4) ** -own.exponent
    left.set_ylim(limit - 2.5 * spread, limit + 0.7 * spread)
    plotting.law(left, t, np.full(t.size, limit), 'limit')
    left.set(xlabel='points', ylabel='score')
    plotting.legend(left)
    right.set(xscale='log', yscale='log', xlabel='points')
    right.set_ylabel('asymptote off by')
    late = t >= 10
    plotting.lanes(right, t[late], np.abs(c - limit)[:, late], 'fits')
    law = [deviation(own, int(n)) for n in t[late]]
    plotting.law(right, t[late], np.array(law), 'first order')
  return {
    'learning_curve': (
      fig,
      'A learning curve c − a x^−b with noise, and the asymptote refitted at '
      'every point: median and spread over draws. Right: how far it is off, '
      'dashed the deviation that noise allows.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
