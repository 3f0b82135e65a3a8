"""Gates: whether a setting can decide a claim, from its config alone.

Nobody has a theorem on when a network groks. What is known was measured at the
settings of the paper, or at the smaller ones of the variants here; a claim that
rests on such a measurement is asked where the run is like the measured one, and
is 'not testable' elsewhere, whatever came out.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from configs.modular_grokking import Config, get_config
from framework.evidence.claims import Claim, at_least, at_most, untestable

__all__ = ['every', 'gated', 'missing', 'unlike']

# These say what is computed for how long, not what a run is like.
_FREE = (
  'variant',
  'method',
  'seeds',
  'first_seed',
  'precision',
  'sweep',
  'steps',
  'records',
)


def gated(
  why: str,
  make: Callable[..., Claim],
  id: str,
  statement: str,
  source: str,
  *numbers: float,
  samples: Callable[[], Any],
  kind: str,
  headline: bool = False,
  **options: Any,
) -> Claim:
  """A claim where the setting can decide it, else why it cannot.

  Args:
    why: Why it cannot; '' if it can.
    make: `at_most`, `at_least`, `equals` or `within`.
    id: As there.
    statement: As there.
    source: As there.
    *numbers: The bound, the number or the two ends.
    samples: Makes the samples; not called where the setting cannot decide.
    kind: As there.
    headline: As there.
    **options: More for `make`.

  Returns:
    The claim.
  """
  if not why:
    given = {'kind': kind, 'headline': headline, **options}
    return make(id, statement, source, *numbers, samples(), **given)
  low = -math.inf if make is at_most else numbers[0]
  high = math.inf if make is at_least else numbers[-1]
  return untestable(
    id,
    statement,
    source,
    why,
    predicted=low if low == high else (low, high),
    kind=kind,
    headline=headline,
  )


def missing(config: Config, *methods: str) -> str:
  """Which of some methods a config does not run; '' if it runs all."""
  there = config.axis('method')
  absent = [method for method in methods if method not in there]
  return f'needs the method {" and ".join(absent)}' if absent else ''


def unlike(config: Config, **allowed: Any) -> str:
  """The first field in which a run is unlike its variant's config, or ''.

  It may be longer, its records denser, its seeds others; for all else a value
  has to be that of the variant's config, or one of those allowed.

  Args:
    config: Of the run.
    **allowed: Fields that may have other values: (low, high) for numbers, else
      a list of values.

  Returns:
    The field and its known values, in words.
  """
  own = get_config(config.variant)
  for f in dataclasses.fields(own):
    if f.name in _FREE:
      continue
    good = allowed.get(f.name, list(own.axis(f.name)))
    for value in config.axis(f.name):
      if isinstance(good, tuple) and not good[0] <= value <= good[1]:
        return (
          f'known for {f.name} from {good[0]:g} to {good[1]:g}, not {value:g}'
        )
      if isinstance(good, list) and value not in good:
        known = ', '.join(map(str, good))
        return f'known for {f.name} = {known}, not {value}'
  if config.steps < own.steps:
    return f'needs {own.steps} steps, there are {config.steps}'
  if every(config) > every(own):
    return f'needs a record every {every(own)} steps, not {every(config)}'
  return ''


def every(config: Config) -> int:
  """Steps between records."""
  return max(1, config.steps // config.records)
