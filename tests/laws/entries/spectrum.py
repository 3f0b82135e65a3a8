"""Exact risks and their drawn twins."""

import functools

import jax
import numpy as np

from framework.systems.spectrum import (
  augmentation,
  features,
  inductive_bias,
  pretraining,
  ridge,
  sgd,
)
from framework.systems.spectrum.ridge import averaged
from tests.laws.entry import Entry


def small(kind, **fields):
  return lambda dtype: (kind(dtype=dtype, **fields),)


def few_points():
  x = np.linspace(0, 1, 6)[:, None]
  return ridge.parts.Data(np.exp(-((x - x.T) ** 2)), np.sin(5 * x))


def normal_risks(dtype):
  def draw(key, problem, hp):
    return hp * problem + jax.random.normal(key, 2, dtype)

  return lambda key, hp: jax.random.normal(key, 2, dtype), draw, dtype


ENTRIES = [
  Entry('means over draws', averaged.averaged, normal_risks, 0.3),
  Entry(
    'ridge, drawn',
    ridge.sampled,
    small(ridge.Structure, n_max=4, k_max=3, modes=6),
    ridge.Hp(n=3, k=2),
    other=ridge.Hp(n=4, k=0, ridge=0.3),
    differentiable=('ridge', 'noise', 'alpha', 'beta'),
    looser=100.0,
    slow=True,
  ),
  Entry(
    'ridge, tuned',
    ridge.search.tuning,
    small(ridge.search.Structure, modes=30, tail=True),
    ridge.search.Hp(n=6, k=4),
    other=ridge.search.Hp(n=5, k=0, noise=0.3, ridge=0.1),
    looser=1e4,
    slow=True,
  ),
  Entry(
    'SGD, expected',
    sgd.expected,
    small(sgd.Structure, modes=5, tail=True),
    sgd.Hp(width=4, decay=0.1),
    differentiable=('eta', 'noise', 'decay', 'alpha', 'beta'),
  ),
  Entry(
    'SGD, drawn',
    sgd.sampled,
    small(sgd.Structure, modes=5, rows_max=4, batch=2),
    sgd.Hp(width=4, rows=3, decay=0.1),
    differentiable=('eta', 'noise', 'decay', 'alpha', 'beta'),
    slow=True,
  ),
  Entry(
    'contrastive',
    augmentation.system,
    small(
      augmentation.Structure,
      d=2,
      k=3,
      encoder=functools.partial(augmentation.Encoder, width=4),
    ),
    augmentation.Hp(mask=0.3, flip=0.1, lr=0.01),
    looser=1e4,
    slow=True,
  ),
  Entry(
    'bounded features',
    features.bandlimited,
    small(features.Structure, points=6, batch=3),
    features.Hp(ridge=0.01),
    differentiable=('bandwidth', 'frequency', 'ridge'),
    looser=100.0,
    slow=True,
  ),
  Entry(
    'inductive bias',
    inductive_bias.system,
    small(inductive_bias.Structure, n_max=14, tests=4, d_max=3),
    inductive_bias.Hp(d=2, eps=0.3, jitter=1e-2),
    other=inductive_bias.Hp(d=3, eps=0.2, length=1.5, jitter=2e-2),
    looser=1e5,
    slow=True,
  ),
  Entry(
    'inductive bias, networks',
    inductive_bias.networks,
    small(
      inductive_bias.NetworkStructure,
      n_max=4,
      tests=3,
      d_max=2,
      hypotheses=3,
      network=functools.partial(inductive_bias.Perceptron, 3),
    ),
    inductive_bias.NetworkHp(d=2, n=3, fit=9.0),
    other=inductive_bias.NetworkHp(d=1, n=4, fit=9.0, eps=0.1),
    looser=1e4,
    slow=True,
  ),
  Entry(
    'pretraining, factor',
    pretraining.factor,
    small(pretraining.Structure, d=5, r=2, n=5, batch=3),
    pretraining.Hp(),
    looser=1e5,
    slow=True,
  ),
  Entry(
    'pretraining, mixture',
    pretraining.mixture,
    small(pretraining.MixtureStructure, d=3, m=12, n=4),
    pretraining.MixtureHp(),
    looser=100.0,
    slow=True,
  ),
  Entry(
    'ridge, parts of data',
    ridge.parts.resampled,
    small(ridge.parts.PartStructure, n_max=4),
    ridge.parts.PartHp(n=3),
    data=few_points(),
    slow=True,
  ),
]
