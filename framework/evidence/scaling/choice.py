"""Which form to believe: the one that extrapolates, not the one that fits.

Points are split by compute (or any other size): forms are fitted to the small
ones and judged by the relative error on the large ones. A good fit says nothing
about what lies beyond: a form with a floor of its own may invent one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

from framework.evidence.scaling.fit import Distance, Fit, fit, log_ratio
from framework.evidence.scaling.forms import Form

__all__ = ['Candidate', 'choose', 'extrapolation']


class Candidate(NamedTuple):
  """A form, fitted to the small points and judged by the large ones."""

  form: Form
  fit: Fit
  median: float  # relative error on what was held out
  worst: float


def extrapolation(
  form: Form,
  found: Fit,
  columns: tuple[Float[ArrayLike, ' m'], ...],
  y: Float[ArrayLike, ' m'],
) -> Float[Array, ' m']:
  """Relative errors of a fit on other points.

      |model/y − 1|

  Args:
    form: The law.
    found: Its fit.
    columns: Its arguments at the other points.
    y: Data there.

  Returns:
    (m,).
  """
  y = jnp.asarray(y)
  columns = tuple(jnp.asarray(c) for c in columns)
  return jnp.abs(form.model(found.parameters, *columns) / y - 1)


def choose(
  forms: Sequence[Form],
  columns: tuple[Float[np.ndarray, ' n'], ...],
  y: Float[np.ndarray, ' n'],
  size: Float[np.ndarray, ' n'],
  split: float,
  key: Key[Array, ''] | None = None,
  *,
  distance: Distance = log_ratio,
  starts: int = 64,
) -> list[Candidate]:
  """Forms by the median error at what was held out, the best first.

  Args:
    forms: Laws of the same columns.
    columns: Their arguments.
    y: Data.
    size: What to extrapolate in, such as compute.
    split: Points above it are held out.
    key: Of the starts.
    distance: Of model and data.
    starts: Searches for each form.

  Returns:
    A `Candidate` for each form.

  Raises:
    ValueError: If no point is held out.

  >>> from framework.evidence.scaling import forms as f
  >>> x = np.arange(1.0, 40.0)
  >>> best = choose([f.POWER, f.POWER_FLOOR], (x,), 1 + 1 / x, x, 20.0)[0]
  >>> best.form.name
  'power law with a floor'
  """
  size = np.asarray(size)
  small = size <= split
  if small.all() or not small.any():
    raise ValueError(
      f'split is {split}, expected sizes on both sides: they go from '
      f'{size.min()} to {size.max()}'
    )
  made = []
  for form in forms:
    given = tuple(np.asarray(c)[small] for c in columns)
    search = jax.jit(
      lambda c, v, form=form: fit(
        form, c, v, key, distance=distance, starts=starts
      )
    )
    found = search(given, np.asarray(y)[small])
    rest = tuple(np.asarray(c)[~small] for c in columns)
    error = np.asarray(extrapolation(form, found, rest, np.asarray(y)[~small]))
    made.append(
      Candidate(form, found, float(np.median(error)), float(error.max()))
    )
  return sorted(made, key=lambda c: c.median)
