"""Laws that hold at any setting: where rows collapse, and Euler's identity."""

import dataclasses
import math

import numpy as np
from xarray import DataArray, Dataset

from configs.modular_grokking import Config
from experiments.modular_grokking.gates import gated
from experiments.modular_grokking.reading import PAPER
from experiments.modular_grokking.runs import resolved
from framework.evidence.claims import Claim, at_most
from framework.evidence.lanes import lanes

__all__ = ['BITS', 'classes', 'euler', 'gap_law']

BITS = {'float16': 11, 'float32': 24, 'float64': 53}  # of a significand
_QUANTILES = np.array([0.05, 0.5, 0.95])  # of the gaps that are recorded


def classes(config: Config) -> int:
  """Number of classes of a run."""
  return {'mnist': 10, 'parity': 2}.get(config.task, config.modulus)


def gap_law(config: Config, ds: Dataset) -> Claim:
  """A row collapses where its gap says so, whatever the run does.

  A row whose logit is G ahead, as the loss sees it, has collapsed once
  (C − 1) e^−G < 2^−t and cannot have before e^−G < 2^−t. So quantiles of the
  gaps bound the share of collapsed rows from both sides; a row that is
  misclassified may have collapsed or not.
  """
  swept = [f for f in ('loss', 'compute_dtype') if f in config.sweep]
  softmax = [
    m for m in config.axis('method') if _own(config, m).loss == 'softmax'
  ]
  why = f'{swept[0]} is swept' if swept else ''
  if not softmax:
    why = 'no method has exponentials in its loss'
  return gated(
    why,
    at_most,
    'gap_law',
    'rows collapse where their gap says so: share of collapsed rows beyond '
    'what the quantiles of the gaps allow',
    f'{PAPER}, section 3; derived: Σ exp(z − max z) rounds to 1 once '
    '(C − 1) e^−G < 2^−t, and not before e^−G < 2^−t',
    0.0,
    samples=lambda: np.concatenate([_beyond(config, ds, m) for m in softmax]),
    each=True,
    derivation='a row more or less a quantile, misclassified rows, and gaps '
    'known to 0.1 and the rounding of a logit are allowed for',
    kind='theorem',
  )


def _own(config: Config, method: str) -> Config:
  return resolved(dataclasses.replace(config, method=method))


def _value(config: Config, ds: Dataset, method: str, name: str):
  """A hyperparameter: swept, set by the method, or the config's."""
  if name in config.sweep:
    return ds[name]
  return DataArray(float(getattr(_own(config, method), name)))


def _beyond(config: Config, ds: Dataset, method: str) -> np.ndarray:
  """By how much each lane is worst outside the bounds; <= 0 where it is not."""
  t = BITS[_own(config, method).compute_dtype]
  scale = _value(config, ds, method, 'logit_scale')
  scale = scale / _value(config, ds, method, 'temperature')
  names = 'gaps', 'logit_rms'
  seen = Dataset({n: (scale * ds[n]).transpose(*ds[n].dims) for n in names})
  gaps = lanes(seen, 'gaps', method=method)
  rms = lanes(seen, 'logit_rms', method=method)[..., None]
  share = lanes(ds, 'collapse', method=method)
  wrong = 1 - lanes(ds, 'train_accuracy', method=method)
  # Logits are rounded before they are subtracted; none is 30 times their rms.
  slack = 0.1 + 2.0 ** (1 - t) * 30 * rms
  never, must = t * math.log(2), t * math.log(2) + math.log(classes(config) - 1)
  above = 1 - _QUANTILES
  row = 1 / _rows(config)
  least = np.where(gaps >= must + slack, above - row, 0.0).max(-1)
  most = np.where(gaps < never - slack, above + row, 1.0).min(-1) + wrong
  beyond = np.maximum(least - share, share - most)
  # Comparisons forget what is not known.
  unknown = np.isnan(gaps).any(-1) | np.isnan(rms[..., 0])
  return np.where(unknown, np.nan, beyond).max(-1)


def _rows(config: Config) -> int:
  """Training rows, of the smallest part where that is swept."""
  if config.task == 'mnist':
    return config.mnist_train
  whole = (config.modulus - config.lowest) ** 2
  if config.task == 'parity':
    whole = config.rows
  return int(min(config.axis('train_fraction')) * whole)


def euler(config: Config, ds: Dataset) -> Claim:
  """Homogeneity in every layer: <w_l, ∂L/∂w_l> is one number."""
  why = ''
  if config.model != 'mlp' or any(config.axis('bias')):
    why = 'a network with biases or norms is not homogeneous in its layers'
  return gated(
    why,
    at_most,
    'euler',
    '<w_l, ∂L/∂w_l> is the same number in every layer: spread over ‖w‖ ‖∇L‖',
    'derived: Euler, for a ReLU network without biases',
    1e-5,
    samples=lambda: _spread(ds),
    each=True,
    derivation='float32 sums of about 10^5 products: 100 machine epsilons',
    kind='theorem',
  )


def _spread(ds: Dataset) -> np.ndarray:
  size = lanes(ds, 'norm') * lanes(ds, 'gradient_norm')
  spread = np.ptp(lanes(ds, 'euler'), axis=-1)
  # Where the gradient is 0 so are all products.
  return (spread / np.where(size == 0, 1, size)).max(-1)
