"""One attention layer of a config: what its names stand for."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from configs.attention_svm import Layer
from framework import launch
from framework import system as system_lib
from framework.launch import Arm
from framework.systems import attention_svm as svm
from framework.systems.attention_svm import (
  ensembles,
  heads,
  instances,
  layer,
  losses,
  outcome,
  rules,
)

__all__ = ['arm', 'hp_of', 'norms_of', 'sizes_of', 'structure_of', 'times']

DATA = {
  'sphere': ensembles.sphere,
  'relu': ensembles.relu,
  'orthonormal': ensembles.orthonormal,
  'opposed': ensembles.opposed,
  'shared': ensembles.shared,
}
QUERIES = {
  'cross': instances.cross_attention,
  'self': instances.self_attention,
  'causal': instances.causal,
}
SCORES: dict[str, Callable[..., Any] | None] = {
  'head': None,
  'random': ensembles.random_scores,
  'tied': ensembles.tied_scores,
}
HEADS = {
  'linear': heads.linear,
  'relu': heads.relu,
  'lambda': heads.penalised,
}
LOSSES = {
  'logistic': losses.logistic,
  'exponential': losses.exponential,
  'linear': losses.linear,
}
NORMALISE = {
  'each': rules.each_normalised,
  'whole': rules.whole_normalised,
  'no': rules.not_normalised,
}
RULES = {
  'constant': rules.constant,
  'inverse_sqrt': rules.inverse_sqrt,
  'polyak': rules.polyak,
  'adam': rules.adam,
  'sign': rules.sign,
  'spectral': rules.spectral,
  'coordinate': rules.coordinate,
  'rank_one': rules.rank_one,
}
START = {'uniform': layer.uniform_start, 'zero': layer.zero_start}
TOKENS = {'selected': outcome.selected, 'optimal': outcome.optimal}


def sizes_of(config: Layer) -> tuple[int, int, int]:
  """(n, T, d): of `size` where it is given, else the fields."""
  if not config.size:
    return config.n, config.T, config.d
  n, T, d = (int(x) for x in config.size.split('x'))
  return n, T, d


def dtype_of(config: Layer) -> np.dtype:
  """That of the method, but never wider than the run's precision."""
  single = config.method.endswith('32') or config.precision == 'float32'
  return np.dtype('float32' if single else 'float64')


def structure_of(config: Layer) -> svm.Structure:
  """The structure that a config names."""
  n, T, d = sizes_of(config)
  return svm.Structure(
    n=n,
    T=T,
    d=d,
    draw=DATA[config.data],
    queries=QUERIES[config.queries],
    scores=SCORES[config.scores],
    rank=None if config.form == 'w' else config.m or d,
    head=HEADS[config.head],
    loss=LOSSES[config.loss],
    exact=config.method.startswith('exact'),
    normalise=NORMALISE[config.normalise],
    rule=RULES[config.rule],
    start=START[config.start],
    weights=config.weights,
    dtype=jnp.dtype(dtype_of(config)),
  )


def hp_of(config: Layer) -> svm.Hp:
  """The numbers of a config, of the method's dtype."""
  narrowed = dataclasses.replace(config, precision=dtype_of(config).name)
  return launch.hp_of(svm.Hp, narrowed)


def norms_of(config: Layer) -> tuple[str, ...]:
  """In which norms the SVM is solved; `own` by the parametrisation."""
  own = outcome.own_norm(structure_of(config))
  return tuple(dict.fromkeys(own if x == 'own' else x for x in config.norms))


def arm(config: Layer) -> Arm:
  """One attention layer, trained, and the SVM of its tokens."""
  structure = structure_of(config)
  final = svm.final(
    structure, norms_of(config), tokens=TOKENS[config.tokens], b1=config.b1
  )
  return Arm(
    svm.system(structure),
    hp_of(config),
    final=final,
    attributes=svm.ATTRIBUTES,
  )


def times(config: Layer) -> np.ndarray:
  """Evenly spaced, or evenly in ln t with round ones added."""
  if config.every:
    return system_lib.linspaced(config.steps, config.every)
  even = system_lib.logspaced(config.steps, config.records)
  named = [a * 10**k for k in range(2, 7) for a in (1, 2, 5)]
  named = [t for t in named if t <= config.steps]
  return np.unique([*even, *named]).astype(np.int32)
