"""A fit as a training run: every search of every form, one step at a time.

The problem is a table of data, a part of which is held out; the state are the
searches of `maths.levenberg_marquardt` from many starts; what is recorded is
the best of each form: how it fits, and how it extrapolates.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.checks import check_sizes
from framework.evidence.scaling.fit import Distance, log_ratio, residuals
from framework.evidence.scaling.forms import Form
from framework.maths import levenberg_marquardt as lm
from framework.system import System

__all__ = ['Structure', 'Table', 'attributes', 'searching']


class Table(NamedTuple):
  """Data to fit, and data to extrapolate to."""

  columns: tuple[Float[Array, ' n'], ...]
  y: Float[Array, ' n']
  far_columns: tuple[Float[Array, ' m'], ...]
  far_y: Float[Array, ' m']


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: what is fitted to what.

  Raises:
    ValueError: If there is no form, or a size is no positive integer.
  """

  forms: tuple[tuple[str, Form], ...]  # names of observations, and forms
  table: Callable[..., Table]  # (key, hp) -> data
  distance: Distance = log_ratio
  starts: int = 32

  def __post_init__(self):
    """Refuses what cannot be fitted."""
    check_sizes(starts=self.starts)
    if not self.forms:
      raise ValueError('no form to fit, expected at least one')


def attributes(structure: Structure) -> dict[str, Mapping[str, str]]:
  """Units and long names of what is recorded.

  Args:
    structure: What is fitted.

  Returns:
    {observation: words}.
  """
  found: dict[str, Mapping[str, str]] = {
    'loss': {'long_name': 'what is fitted', 'units': '1'}
  }
  for name, form in structure.forms:
    found[f'{name}_rms'] = {
      'long_name': f'{form.name}: residual, root mean square',
      'units': '1',
    }
    found[f'{name}_median'] = {
      'long_name': f'{form.name}: median relative error of what was held out',
      'units': '1',
    }
    found[f'{name}_worst'] = {
      'long_name': f'{form.name}: largest of them',
      'units': '1',
    }
    for parameter in form.names:
      found[f'{name}_{parameter}'] = {
        'long_name': f'{form.name}: {parameter}',
        'units': '1',
      }
      found[f'{name}_{parameter}_error'] = {
        'long_name': f'{form.name}: standard error of {parameter}',
        'units': '1',
      }
  return found


def searching(structure: Structure) -> System:
  """Searches for the least squares of each form, one step of all at a time.

  Args:
    structure: What is fitted to what.

  Returns:
    A `System`; its hp are those of the table.

  >>> from framework import rollout
  >>> from framework.evidence.scaling import forms
  >>> def table(key, hp):
  ...   x = jnp.arange(1.0, 20.0)
  ...   y = 3 * x ** -hp['b']
  ...   return Table((x[:9],), y[:9], (x[9:],), y[9:])
  >>> fits = searching(Structure((('power', forms.POWER),), table, starts=4))
  >>> times = jnp.array([0, 20])
  >>> seen = rollout(fits, jax.random.key(0), {'b': 0.5}, times)[1]
  >>> [f'{x:.3f}' for x in seen['power_b'][1:]]
  ['0.500']
  """

  def residual(form: Form, table: Table):
    return residuals(form, table.columns, table.y, structure.distance)

  def init(key, table, hp):
    del hp
    states = {}
    for i, (name, form) in enumerate(structure.forms):
      keys = jax.random.split(jax.random.fold_in(key, i), structure.starts)

      def start(key, form=form):
        theta = form.fitted(form.guess(key, table.columns, table.y))
        return lm.begin(residual(form, table), theta)

      states[name] = jax.vmap(start)(keys)
    return states

  def step(key, states, table, hp):
    del key, hp
    return {
      name: jax.vmap(
        lambda state, form=form: lm.step(residual(form, table), state)
      )(states[name])
      for name, form in structure.forms
    }

  def observe(states, table, hp):
    del hp
    seen = {'loss': table.y}
    for name, form in structure.forms:
      theta = states[name].theta[jnp.argmin(states[name].sse)]
      sse = jnp.min(states[name].sse)
      # A start may be where the model is not defined: large, but a number.
      large = jnp.asarray(jnp.finfo(sse.dtype).max ** 0.5, sse.dtype)
      seen[f'{name}_rms'] = jnp.sqrt(jnp.minimum(sse, large) / table.y.size)
      natural = form.natural(theta)
      far = form.model(natural, *table.far_columns)
      error = jnp.abs(far / table.far_y - 1)
      error = jnp.where(jnp.isfinite(error), error, large)
      seen[f'{name}_median'] = jnp.median(error)
      seen[f'{name}_worst'] = jnp.max(error)
      errors = _errors(form, table, structure.distance, natural)
      for i, parameter in enumerate(form.names):
        seen[f'{name}_{parameter}'] = natural[parameter]
        seen[f'{name}_{parameter}_error'] = jnp.where(
          jnp.isfinite(errors[i]), jnp.minimum(errors[i], large), large
        )
    return seen

  return System(structure.table, init, step, observe)


def _errors(
  form: Form, table: Table, distance: Distance, natural: dict[str, Any]
) -> Float[Array, ' p']:
  """Standard errors of the parameters, by the scatter of the residuals."""
  plain = dataclasses.replace(form, signs=('',) * len(form.names))
  values = jnp.stack([natural[name] for name in form.names])
  count = jnp.asarray(table.y.size, table.y.dtype)
  own = residuals(plain, table.columns, table.y, distance)
  return jnp.sqrt(jnp.diagonal(lm.covariance(own, values, count)))
