"""Fits of a form to data: many starts, bounds, standard errors, bootstrap.

    min_p Σ w r²,   r = model − y, or ln model − ln y

One search is `maths.levenberg_marquardt`; here it is mapped over starts, and
over data sets, in one program.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.evidence.scaling.forms import Form
from framework.maths import levenberg_marquardt as lm

__all__ = [
  'Fit',
  'bootstrap',
  'difference',
  'fit',
  'log_ratio',
  'refit',
  'refits',
  'residuals',
]

Distance = Callable[[Array, Array], Array]
_BLOCK = 64  # fits side by side: what a core holds close by


class Fit(NamedTuple):
  """The best of many searches."""

  parameters: dict[str, Float[Array, '']]
  stderr: dict[str, Float[Array, '']]  # from the scatter of the residuals
  covariance: Float[Array, 'p p']  # of the parameters, in their order
  sse: Float[Array, '']  # Σ w r²
  rms: Float[Array, '']  # (sse/n)^½
  theta: Float[Array, ' p']  # what was searched over
  hits: Int[Array, '']  # starts that ended within 1e-6 of it


def difference(model: Array, y: Array) -> Array:
  """The plain residual, model − y."""
  return model - y


def log_ratio(model: Array, y: Array) -> Array:
  """The logarithmic residual, ln model − ln y; NaN where the model is not > 0.

  >>> print(f'{log_ratio(jnp.array(2.0), jnp.array(1.0)):.4f}')
  0.6931
  """
  safe = jnp.where(model > 0, model, 1)
  return jnp.where(model > 0, jnp.log(safe), jnp.nan) - jnp.log(y)


def residuals(
  form: Form,
  columns: tuple[Array, ...],
  y: Float[Array, ' n'],
  distance: Distance = difference,
  weights: Float[ArrayLike, ' n'] | None = None,
) -> Callable[[Float[Array, ' p']], Float[Array, ' n']]:
  """The residuals of a form as a function of what is searched over.

  Args:
    form: The law.
    columns: Its arguments, (n,) each.
    y: Data.
    distance: `difference` or `log_ratio`.
    weights: w >= 0; 0 leaves a point out.

  Returns:
    θ -> w^½ r.
  """
  if weights is None:
    return lambda theta: distance(form.model(form.natural(theta), *columns), y)
  w = jnp.asarray(weights, y.dtype)
  root = jnp.sqrt(w)

  def of(theta):
    r = distance(form.model(form.natural(theta), *columns), y)
    return jnp.where(w > 0, root * r, 0)

  return of


def fit(
  form: Form,
  columns: tuple[Float[ArrayLike, ' n'], ...],
  y: Float[ArrayLike, ' n'],
  key: Key[Array, ''] | None = None,
  *,
  distance: Distance = difference,
  weights: Float[ArrayLike, ' n'] | None = None,
  starts: int = 64,
  steps: int = 200,
) -> Fit:
  """Fits a form from many random starts, and takes the best.

  Args:
    form: The law.
    columns: Its arguments, (n,) each, > 0.
    y: Data; > 0 for `log_ratio`.
    key: Of the starts; a fixed one when None.
    distance: Of model and data.
    weights: w >= 0; 0 leaves a point out.
    starts: How many searches.
    steps: At most so many steps each.

  Returns:
    A `Fit`.

  Raises:
    ValueError: If there are no more points than parameters, or columns are
      missing.

  >>> from framework.evidence.scaling import forms
  >>> x = jnp.arange(1.0, 30.0)
  >>> found = fit(forms.POWER_FLOOR, (x,), 0.5 + 2 / x, starts=8)
  >>> print(f'{found.parameters["c"]:.3f}')
  0.500
  """
  y = jnp.asarray(y, jnp.result_type(float))
  given = tuple(jnp.asarray(c, y.dtype) for c in columns)
  _check(form, given, y)
  key = jax.random.key(0) if key is None else key
  drawn = jax.vmap(lambda k: form.fitted(form.guess(k, given, y)))(
    jax.random.split(key, starts)
  )
  residual = residuals(form, given, y, distance, weights)
  states, _ = jax.vmap(lambda start: lm.minimise(residual, start, steps))(drawn)
  best = jnp.argmin(states.sse)
  sse = states.sse[best]
  hits = jnp.sum(states.sse <= sse * (1 + 1e-6))
  return _finish(form, given, y, distance, weights, states.theta[best], hits)


def refit(
  form: Form,
  columns: tuple[Float[Array, ' n'], ...],
  y: Float[Array, ' n'],
  theta: Float[Array, ' p'],
  *,
  distance: Distance = difference,
  weights: Float[ArrayLike, ' n'] | None = None,
  steps: int = 50,
) -> Fit:
  """Fits a form from one start, such as the fit to nearly the same data.

  Args:
    form: The law.
    columns: Its arguments.
    y: Data.
    theta: The start, as of `Fit.theta`.
    distance: Of model and data.
    weights: w >= 0.
    steps: At most so many.

  Returns:
    A `Fit`.
  """
  residual = residuals(form, columns, y, distance, weights)
  state, _ = lm.minimise(residual, theta, steps)
  hits = jnp.ones((), jnp.int32)
  return _finish(form, columns, y, distance, weights, state.theta, hits)


def refits(
  form: Form,
  columns: tuple[Float[ArrayLike, ' n'], ...],
  y: Float[ArrayLike, ' n'],
  theta: Float[Array, ' p'],
  weights: Float[Array, 'count n'],
  *,
  distance: Distance = difference,
  steps: int = 50,
  tolerance: float = 1e-8,
) -> dict[str, Float[Array, ' count']]:
  """Parameters fitted to the same points under many weights, from one start.

  Args:
    form: The law.
    columns: Its arguments, (n,) each.
    y: Data.
    theta: The start, as of `Fit.theta`.
    weights: w >= 0 of each fit; 0 leaves a point out.
    distance: Of model and data.
    steps: At most so many steps each.
    tolerance: Relative fall of Σ w r² at which a fit ends: its parameters are
      then within the square root of it of their standard errors.

  Returns:
    {parameter: (count,)}.

  >>> from framework.evidence.scaling import forms
  >>> x, w = jnp.array([1.0, 2.0, 4.0]), jnp.array([[1.0, 1, 0], [0, 1, 1]])
  >>> y, start = jnp.array([1.0, 0.5, 0.125]), jnp.zeros(2)
  >>> print(refits(forms.POWER, (x,), y, start, w)['b'].round(3))
  [1. 2.]
  """
  y = jnp.asarray(y, theta.dtype)[:, None]
  given = tuple(jnp.asarray(c, y.dtype)[:, None] for c in columns)
  count, n = weights.shape
  block = min(_BLOCK, count)
  blocks = -(-count // block)
  # What fills the last block up is fitted to all points.
  padded = jnp.ones((blocks * block, n), y.dtype).at[:count].set(weights)
  start = jnp.broadcast_to(theta[:, None, None], (len(theta), 1, block))

  def some(weights):
    residual = residuals(form, given, y, distance, weights.T)
    state, _ = lm.minimise(residual, start, steps, tolerance)
    return form.natural(state.theta)

  found = jax.lax.map(some, padded.reshape(blocks, block, n))
  return {name: v.reshape(-1)[:count] for name, v in found.items()}


def bootstrap(
  form: Form,
  columns: tuple[Float[ArrayLike, ' n'], ...],
  y: Float[ArrayLike, ' n'],
  found: Fit,
  key: Key[Array, ''],
  count: int = 1000,
  *,
  distance: Distance = difference,
  steps: int = 50,
) -> dict[str, Float[Array, ' count']]:
  """Parameters fitted to data sets whose points are drawn from the data.

  Args:
    form: The law.
    columns: Its arguments, (n,) each.
    y: Data.
    found: The fit to them, where each search starts.
    key: Of the draws.
    count: Data sets.
    distance: As it was for the fit.
    steps: At most so many steps each.

  Returns:
    {parameter: (count,)}.
  """
  n = jnp.asarray(y).size

  def drawn(key):
    picked = jax.random.randint(key, (n,), 0, n)
    return jnp.zeros(n, found.theta.dtype).at[picked].add(1)

  weights = jax.vmap(drawn)(jax.random.split(key, count))
  return refits(
    form, columns, y, found.theta, weights, distance=distance, steps=steps
  )


def _finish(form, columns, y, distance, weights, theta, hits) -> Fit:
  p = len(form.names)
  natural = form.natural(theta)
  values = jnp.stack([natural[name] for name in form.names])
  plain = _unbounded(form)
  residual = residuals(plain, columns, y, distance, weights)
  count = jnp.asarray(y.size, y.dtype)
  if weights is not None:
    count = jnp.sum(jnp.asarray(weights, y.dtype))
  covariance = lm.covariance(residual, values, count)
  sse = jnp.sum(residual(values) ** 2)
  errors = jnp.sqrt(jnp.diagonal(covariance))
  return Fit(
    natural,
    {name: errors[i] for i, name in zip(range(p), form.names, strict=True)},
    covariance,
    sse,
    jnp.sqrt(sse / count),
    theta,
    hits,
  )


def _unbounded(form: Form) -> Form:
  """The form with no bounds, so that what is searched are its parameters."""
  return dataclasses.replace(form, signs=('',) * len(form.names))


def _check(form: Form, columns: tuple[Array, ...], y: Array) -> None:
  if len(columns) != len(form.columns):
    raise ValueError(
      f'{form.name}: got {len(columns)} columns, expected '
      f'{", ".join(form.columns)}'
    )
  if y.ndim != 1 or any(c.shape != y.shape for c in columns):
    shapes = [c.shape for c in columns]
    raise ValueError(f'columns have shapes {shapes}, expected (n,) as y')
  if y.size <= len(form.names):
    raise ValueError(
      f'{form.name}: {y.size} points for {len(form.names)} parameters, wanted '
      'more points'
    )
