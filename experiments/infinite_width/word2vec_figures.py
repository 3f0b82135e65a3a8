"""The figure of word2vec."""

from collections.abc import Callable
from typing import Any

import numpy as np

from configs.infinite_width_maml import width_of
from experiments.infinite_width.maml_claims import curves, models

__all__ = ['FIGURES']

STYLES = {
  'limit': ('µP limit', 'black', '--'),
  'kernel': ('GP, NTK: frozen', '#9a9a9a', ':'),
}


def accuracy(config: Any, ds: Any) -> dict[str, tuple]:
  """Accuracy over epochs, and at the end over width."""
  from framework.evidence import figures as plotting

  fig, axes = plotting.figure('double', height=2.9, ncols=2, sharey=True)
  left, right = axes
  left.set(xlabel='epoch', ylabel='analogies answered')
  left.set_title('On the same stream of words')
  right.set(xlabel='width $S$')
  right.set_title(f'After {config.epochs} epochs')
  widths = sorted(
    (m for m in models(config) if width_of(m)), key=lambda m: width_of(m) or 0
  )
  sizes = [width_of(m) or 1 for m in widths]
  if sizes:
    right.set_xscale('log', base=2)
    right.set_xlim(sizes[0] / 2, sizes[-1] * 2)
    right.set_xticks(sizes, [str(n) for n in sizes])
  shades = plotting.palette([float(n) for n in sizes])
  colors = dict(zip(widths, shades, strict=True))
  for m in (*widths, *(m for m in STYLES if m in models(config))):
    y = curves(config, ds, m, 'accuracy')
    if not np.isfinite(y).any():
      continue
    n = width_of(m)
    if n:
      label, color, line = f'width {n}', colors[m], '-'
    else:
      label, color, line = STYLES[m]
    epoch = np.nanmean(curves(config, ds, m, 'epoch'), 0)
    plotting.lanes(left, epoch, y, label, color).set(linestyle=line)
    last = y[:, -1]
    if n:
      spread = [[last.mean() - last.min()], [last.max() - last.mean()]]
      right.errorbar([n], [last.mean()], spread, fmt='o', ms=4, color=color)
    else:
      right.axhline(last.mean(), color=color, linestyle=line)
      if m == 'limit' and len(last) > 1:
        right.axhspan(last.min(), last.max(), color=color, alpha=0.12, lw=0)
  plotting.legend(left)
  seeds = ds.sizes['seed']
  return {
    'word2vec': (
      fig,
      f'Word analogies that are answered, {seeds} seeds (median on the left, '
      'mean on the right, least to greatest). The wider the network the more, '
      'up to the limit; where features do not move, none.',
    )
  }


FIGURES: dict[str, Callable[[Any, Any], dict]] = {
  'word2vec': accuracy,
  'word2vec_text': accuracy,
  'word2vec_paper': accuracy,
}
