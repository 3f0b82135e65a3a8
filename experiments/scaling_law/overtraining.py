"""A planted over-training law, found again from noisy losses."""

import jax
import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.scaling_law import Fit
from experiments.scaling_law import data, fits
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_most, untestable
from framework.evidence.scaling.forms import OVERTRAIN
from framework.evidence.scatter import quantile
from framework.launch import Figures, Variant
from framework.maths.double import in_double

_PAPER = (
  'Gadre et al. 2024, "Language models scale reliably with over-training"'
)
_NAMES = OVERTRAIN.names


@in_double
def expected_errors(config: Fit) -> tuple[np.ndarray, float]:
  """Deviations of the parameters, and of the held-out loss, to first order.

  Args:
    config: Points and noise.

  Returns:
    (one a parameter in the order of the form, the largest relative deviation of
    a held-out prediction).
  """
  points = data.grid_of(config)
  c, m = 6 * points.n * points.d, points.d / points.n
  truth = jnp.asarray([data.PLANTED[name] for name in _NAMES])

  def log_loss(values, c, m):
    return jnp.log(
      OVERTRAIN.model(dict(zip(_NAMES, values, strict=True)), c, m)
    )

  slopes = jax.jit(jax.jacfwd(log_loss))
  near, far = points.near, ~points.near
  J = np.asarray(slopes(truth, jnp.asarray(c[near]), jnp.asarray(m[near])))
  # Of scaled columns, for its condition.
  scale = np.linalg.norm(J, axis=0)
  _, R = np.linalg.qr(J / scale)
  half = np.linalg.inv(R) / scale[:, None] * config.noise
  ahead = np.asarray(slopes(truth, jnp.asarray(c[far]), jnp.asarray(m[far])))
  beyond = np.linalg.norm(ahead @ half, axis=1)
  return np.linalg.norm(half, axis=1), float(beyond.max())


def claims(config: Fit, ds: Dataset) -> list[Claim]:
  """Claims on the parameters, and on what lies far beyond."""
  made = []
  for text, own, part in lanes.apart(config, ds, ()):
    made += _claims(text, own, part)
  return made


def _claims(text: str, config: Fit, ds: Dataset) -> list[Claim]:
  texts = (
    f'recovered{text}',
    'E, a, b and η are found again within what the noise allows',
    f'{_PAPER}: L = E + (aM^η + bM^−η) C^−η',
  )
  far = (
    f'beyond{text}',
    'the fit extrapolates to a thousand times the compute',
    _PAPER,
  )
  words = {'kind': 'theorem', 'headline': True}
  if not 0 < config.noise <= 0.01:
    why = (
      f'noise is {config.noise}: the deviations are first order, for <= 0.01'
    )
    return [
      untestable(*texts, why, **words),
      untestable(*far, why, kind='theorem'),
    ]
  errors, beyond = expected_errors(config)
  scores = []
  for name, error in zip(_NAMES, errors, strict=True):
    seen = fits.found(ds, 'overtrain', name)
    scores.append((seen - data.PLANTED[name]) / error)
  many = quantile(len(_NAMES) * len(scores[0]), 10**6)
  return [
    at_most(
      *texts,
      1.25 * many,
      np.abs(np.concatenate(scores)),
      each=True,
      derivation=f'deviations from the truth over those to first order; '
      f'{many:.1f} of {scores[0].size * len(_NAMES)} Gaussians, a quarter more '
      'for the second order',
      **words,
    ),
    at_most(
      *far,
      1.25 * quantile(5 * len(scores[0]), 10**6) * beyond,
      fits.found(ds, 'overtrain', 'worst'),
      each=True,
      derivation=f'first order: a prediction scatters by {beyond:.2g}',
      kind='theorem',
    ),
  ]


def figures(config: Fit, ds: Dataset) -> Figures:
  """Losses over compute at each ratio, and the law that was found."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, ()))
  points = data.grid_of(own)
  c, m = 6 * points.n * points.d, points.d / points.n
  loss = lanes.lanes(part.isel(time=-1), 'loss')[0]
  values = {
    name: float(np.median(fits.found(part, 'overtrain', name)))
    for name in _NAMES
  }
  near = points.near
  with plotting.style():
    fig, ax = plotting.figure('single')
    ax.set(xscale='log', yscale='log', xlabel='compute $C$ (flop)')
    ax.set_ylabel('$L - E$')
    ratios = np.unique(np.round(m, 6)).tolist()
    for ratio, color in zip(ratios, plotting.palette(ratios), strict=True):
      here = np.isclose(m[near], ratio)
      ax.plot(
        c[near][here], loss[here] - values['E'], 'o', ms=3, color=color,
        label=f'M = {ratio:.3g}',
      )  # fmt: skip
      line = np.geomspace(1e16, 1e22, 30)
      fitted = OVERTRAIN.model(values, line, ratio) - values['E']
      plotting.law(ax, line, np.asarray(fitted))
    ax.lines[-1].set_label('the fit')
    plotting.legend(ax)
  return {
    'overtraining': (
      fig,
      'Planted losses with noise, less the floor that was found, over compute '
      'at ratios M = D/N. Dashed: the fit. Lines are parallel, of slope −η.',
    )
  }


VARIANT = Variant(fits.arm, fits.times, claims, figures)
