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
  'residuals',
]

Distance = Callable[[Array, Array], Array]


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

  def of(theta):
    r = distance(form.model(form.natural(theta), *columns), y)
    if weights is None:
      return r
    w = jnp.asarray(weights, y.dtype)
    return jnp.where(w > 0, jnp.sqrt(w) * r, 0)

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
  y = jnp.asarray(y, found.theta.dtype)
  given = tuple(jnp.asarray(c, y.dtype) for c in columns)
  n = y.size

  def one(key):
    picked = jax.random.randint(key, (n,), 0, n)
    weights = jnp.zeros(n, y.dtype).at[picked].add(1)
    residual = residuals(form, given, y, distance, weights)
    return lm.minimise(residual, found.theta, steps)[0].theta

  thetas = jax.vmap(one)(jax.random.split(key, count))
  return jax.vmap(form.natural)(thetas)


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
