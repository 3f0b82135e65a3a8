"""Settings that can show a claim: decided from the config, before any run.

Each gate returns why a setting cannot show it, in one line, or ''. An axis that
is swept counts with all of its values: the claim is of all lanes.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from configs.attention_svm import EPS, VARIANTS, Layer
from experiments.attention_svm.layer.arm import sizes_of
from framework.evidence.claims import Claim, untestable

__all__ = [
  'as_measured',
  'enough_columns',
  'gated',
  'of_dimension',
  'published_kq',
  'separable',
  'settled',
  'sizes',
]

# Fields that a measurement of ours does not depend on, or gets better with.
_FREE = ('variant', 'seeds', 'first_seed', 'records', 'sweep', 'steps')


def gated(
  reason: str,
  claim: Callable[..., Claim],
  id: str,
  statement: str,
  source: str,
  value: float | tuple[float, float],
  samples: Callable[[], Any],
  *,
  kind: str = 'paper',
  headline: bool = False,
  **options: Any,
) -> Claim:
  """A claim, or that the setting cannot show it.

  Args:
    reason: Of a gate; '' where it can.
    claim: `equals`, `within`, `at_most` or `at_least`.
    id: Short and stable name.
    statement: One sentence.
    source: Where it is claimed.
    value: The prediction or bound; the interval of `within`.
    samples: Reads the measured values; not called where there is a reason.
    kind: What the prediction rests on.
    headline: Whether the figure stands or falls with it.
    **options: Of the claim: derivation, each, atol, ...

  Returns:
    The `Claim`.
  """
  words: dict[str, Any] = {'kind': kind, 'headline': headline}
  if reason:
    return untestable(id, statement, source, reason, **words)
  values = value if isinstance(value, tuple) else (value,)
  # A quotient with nothing is no number, and no success.
  with np.errstate(divide='ignore', invalid='ignore'):
    measured = samples()
  return claim(id, statement, source, *values, measured, **words, **options)


def as_measured(config: Any, *free: str, seeds: int = 0) -> str:
  """For a number that we measured: only at the variant's own setting.

  Args:
    config: The config.
    *free: Fields that may differ from the variant's own.
    seeds: At least so many.

  Returns:
    The first field that differs, or ''.
  """
  own = VARIANTS[config.variant][1]
  for field in dataclasses.fields(own):
    if field.name in (*_FREE, *free):
      continue
    known, found = own.axis(field.name), config.axis(field.name)
    other = [x for x in found if x not in known]
    if other:
      return f'measured at {field.name} = {_named(known)}, this has {other[0]}'
  if config.steps < own.steps:
    return f'measured with {own.steps} steps, there are {config.steps}'
  if config.seeds < seeds:
    return f'needs {seeds} seeds, there are {config.seeds}'
  return ''


def _named(values: tuple[Any, ...]) -> str:
  return ', '.join(map(str, values))


def sizes(config: Layer) -> list[tuple[int, int, int]]:
  """(n, T, d) of each setting of a sweep."""
  every = [
    dataclasses.replace(config, n=n, T=T, d=d, size=size)
    for n in config.axis('n')
    for T in config.axis('T')
    for d in config.axis('d')
    for size in config.axis('size')
  ]
  return list(dict.fromkeys(map(sizes_of, every)))


def of_dimension(config: Layer, least: int) -> str:
  """Solutions in two norms, or of two ranks, can differ: min(n, d) is large."""
  few = min(min(n, d) for n, _, d in sizes(config))
  return '' if few >= least else f'needs min(n, d) ≥ {least}, this is {few}'


def separable(config: Layer) -> str:
  """Almost all data have an SVM, whatever the tokens: d ≥ max(n, T − 1)."""
  for n, T, d in sizes(config):
    n = n * T if 'causal' in config.axis('queries') else n
    if d < max(n, T - 1):
      return f'needs d ≥ max(n, T − 1) = {max(n, T - 1)}, this is d = {d}'
  return ''


def settled(config: Layer, length: float = 100.0) -> str:
  """Steps of length η reach ‖W‖ = η t, far enough to point anywhere.

  The angle to the SVM is about 3 ‖W_svm‖/‖W‖, and ‖W_svm‖ about 3 at all sizes
  of the papers: at ‖W‖ = 100 that is 1 − cos = 0.004.

  Args:
    config: The config.
    length: η t that is needed.

  Returns:
    What is missing, or ''.
  """
  if config.axis('rule') != ('constant',) or 'no' in config.axis('normalise'):
    return 'needs normalised steps of constant length'
  if config.axis('head') != ('linear',):
    return f'needs the linear head, this is {_named(config.axis("head"))}'
  if max(config.axis('decay')) > 0:
    return 'needs steps without weight decay'
  path = min(config.axis('eta')) * config.steps
  if path < length:
    return f'needs η t = {length:g}, this is {path:g}'
  if max(config.axis('init_scale')) > 3:
    return 'needs a start of the usual size'
  return ''


def published_kq(config: Layer) -> str:
  """(K, Q) have no theorem: they do as published with λ = 2.2e-16."""
  lams, balance = config.axis('lam'), config.axis('balance')
  if not (min(lams) >= 0.1 * EPS and max(lams) <= 10 * EPS):
    return f'needs λ = {EPS:.2g}, as published'
  if not 0.1 <= min(balance) <= max(balance) <= 10:
    return 'needs K and Q of about the same size at the start'
  return enough_columns(config)


def enough_columns(config: Layer) -> str:
  """As many columns of K and Q as a solution can have directions."""
  for n, _, d in sizes(config):
    if any(m is not None and m < min(n, d) for m in config.axis('m')):
      return f'needs min(n, d) = {min(n, d)} columns'
  return ''
