"""Figures of where a trained attention layer points: `quick` and `local`."""

from typing import Any

import numpy as np

from experiments.attention_svm.measure import FORMS, cosines, lanes, only

__all__ = ['convergence']

_NORMS = {'frobenius': 'Frobenius SVM', 'nuclear': 'nuclear SVM'}


def convergence(config: Any, ds: Any) -> dict[str, tuple]:
  """Softmax and cosines over steps; how far from the SVM at the end."""
  from framework.evidence import figures as plotting

  t = ds['time'].values
  later = t > 0
  forms = list(ds['form'].values)
  fig, axes = plotting.figure('double', height=2.7, ncols=len(forms) + 1)
  for ax, form in zip(axes, forms, strict=False):
    part = only(ds, form=form)
    ax.set(xscale='log', xlabel='gradient steps $t$', ylim=(-0.3, 1.05))
    ax.set_title(f'training {FORMS[form]}')
    plotting.lanes(
      ax, t[later], lanes(part, 'share')[:, later], 'largest softmax', 'C2'
    )
    for colour, (norm, title) in zip(('C0', 'C1'), _NORMS.items(), strict=True):
      found = cosines(part, norm)[:, later]
      plotting.lanes(ax, t[later], found, f'cosine, {title}', colour)
  axes[0].set_ylabel('softmax, cosine')
  ax = axes[-1]
  ax.set(xscale='log', yscale='log', xlabel='gradient steps $t$')
  ax.set_title(r'$1 - \cos$ to its own SVM')
  ends = []
  for colour, form in zip(('C0', 'C1'), forms, strict=False):
    norm = 'nuclear' if form == 'kq' else 'frobenius'
    off = np.maximum(1 - cosines(only(ds, form=form), norm)[:, later], 1e-16)
    plotting.lanes(ax, t[later], off, FORMS[form], colour, band=(0.1, 0.9))
    ends.append(np.median(off[:, -1]))
  if config.method.startswith('exact'):
    tail = t[t >= t[-1] / 10]
    law = ends[0] * (tail / t[-1]) ** -2.0
    plotting.law(ax, tail, law, r'$t^{-2}$')
  plotting.legend(ax)
  fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc='outside lower center',
    ncols=3,
  )
  return {
    'convergence': (
      fig,
      'Attention settles on one token a sample, and then only the direction of '
      'the weights moves: W turns to the Frobenius SVM of these tokens, KQᵀ to '
      'the nuclear one. Median over seeds; bands from the least to the largest '
      '(right: from 10 to 90 %).',
    )
  }
