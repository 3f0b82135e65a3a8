"""Observables of any run: pure functions of parameters, outputs or a loss.

    supervised(..., probes={'sharpness': lambda view: sharpness(
      jax.random.key(0), view.loss, view.params)})

All are written for one run and no time; `jax.vmap` and `rollout` make lanes and
records of them. Spectra are given as singular values, which
`framework.maths.linalg.singular_values` finds.
"""

from framework.maths.norms import norm
from framework.probes.accuracy import accuracy
from framework.probes.cka import cka
from framework.probes.directions import (
  cosine,
  cosines,
  direction,
  norms,
  tensor_names,
)
from framework.probes.gradient_noise import GradientNoise, gradient_noise
from framework.probes.ranks import (
  effective_rank,
  numerical_rank,
  participation_ratio,
  stable_rank,
)
from framework.probes.sharpness import Edges, hessian_edges, hvp, sharpness

__all__ = [
  'Edges',
  'GradientNoise',
  'accuracy',
  'cka',
  'cosine',
  'cosines',
  'direction',
  'effective_rank',
  'gradient_noise',
  'hessian_edges',
  'hvp',
  'norm',
  'norms',
  'numerical_rank',
  'participation_ratio',
  'sharpness',
  'stable_rank',
  'tensor_names',
]
