"""Claims and figures that both variants make of what was recovered."""

import os
from typing import Any

import numpy as np
from xarray import Dataset

from configs.robust_recovery import Picture as Config
from experiments.robust_recovery.images.data import Data, load
from experiments.robust_recovery.images.runs import (
  Recovered,
  mse,
  psnr,
  recovered,
)

__all__ = ['NAMES', 'damaged', 'flagged', 'pictures', 'quality', 'take_home']

NAMES = {
  'subgradient': 'sub-gradient, factors',
  'least_squares': 'least squares, factors',
  'nuclear': 'nuclear norm',
  'convex': 'nuclear norm + ℓ1',
}


def damaged(data: Data) -> np.ndarray:
  """The known part of a picture; other entries are the mean of the known."""
  shown = np.full(data.shape, float(np.mean(data.y)))
  shown[data.rows, data.columns] = data.y
  return shown


def quality(config: Config, ds: Dataset, method: str) -> np.ndarray:
  """PSNR of each lane, in dB."""
  data = load(config)
  return np.array(
    [psnr(mse(data, found.matrix)) for found in recovered(config, ds, method)]
  )


def flagged(found: Recovered) -> np.ndarray:
  """Measurements that look like outliers: |e| above five deviations.

  The deviation is that of the median of |e|, which outliers do not move.
  """
  size = np.abs(found.residuals)
  return size > 5 * np.median(size) / 0.6745


def pictures(config: Config, ds: Dataset) -> tuple[Any, str]:
  """The picture, what was known of it, and what each method makes of it."""
  from framework.evidence import figures as plotting

  data = load(config)
  shown = [('the picture', data.M), ('what was known', damaged(data))]
  for method in config.axis('method'):
    found = recovered(config, ds, method)[0]
    shown.append((NAMES[method], np.clip(found.matrix, 0, 1)))
  fig, axes = plotting.figure('double', ncols=len(shown), height=1.9)
  for ax, (name, matrix) in zip(np.atleast_1d(axes), shown, strict=True):
    ax.imshow(matrix, cmap='gray', vmin=0, vmax=1, interpolation='nearest')
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
      side.set_visible(False)
    level = psnr(mse(data, matrix)) if matrix is not data.M else np.inf
    text = f'{level:.1f} dB' if np.isfinite(level) else ''
    ax.set_title(name, fontsize=7)
    ax.set_xlabel(text)
  n1, n2 = data.shape
  words = (
    f'{n1} x {n2} pixels, {100 * config.observed:.0f} % known, '
    f'{100 * config.outliers:.0f} % of these black or white; k = {config.k}. '
    'PSNR beside each.'
  )
  return fig, words


def take_home(config: Config, ds: Dataset) -> None:
  """Writes the matrix that was found to `config.out`, if that is asked for."""
  if config.out is None:
    return
  found = recovered(config, ds, config.axis('method')[0])[0]
  size = np.abs(found.residuals)
  levels = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
  part = f'{config.out}.part'
  with open(part, 'wb') as file:
    np.savez(
      file,
      F=found.F,
      G=found.G,
      residuals=found.residuals,
      levels=levels,
      residual_quantiles=np.quantile(size, levels),
      outliers=flagged(found),
    )
  os.replace(part, config.out)  # whole or not at all
