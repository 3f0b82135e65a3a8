"""Forms of a law: what falls, and in which way.

A form has named parameters, each positive, negative or free, and a model. Its
bounds are kept by what is fitted: a positive parameter is e^θ. Columns are the
arguments of the model, named in its signature.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = [
  'COVERAGE',
  'EQUAL',
  'ERROR_OF_LOSS',
  'OVERTRAIN',
  'POWER',
  'POWER_FLOOR',
  'POWER_MEAN',
  'RISING',
  'UNEQUAL',
  'Form',
  'without_floor',
]

Parameters = Mapping[str, Float[Array, '']]


@dataclasses.dataclass(frozen=True)
class Form:
  """A law with named parameters.

  `signs` has '+', '-' or '' for each parameter; `guess` draws a start:
  (key, columns, y) -> parameters.

  Raises:
    ValueError: If names and signs do not match.

  >>> POWER.model({'a': 2.0, 'b': 1.0}, jnp.array([1.0, 4.0])).tolist()
  [2.0, 0.5]
  """

  name: str
  formula: str
  columns: tuple[str, ...]
  names: tuple[str, ...]
  signs: tuple[str, ...]
  model: Callable[..., Float[Array, ' n']]
  guess: Callable[..., Parameters]

  def __post_init__(self):
    """Refuses what cannot be fitted."""
    if len(self.names) != len(self.signs):
      raise ValueError(f'{self.name}: {self.names} have signs {self.signs}')

  def natural(self, theta: Float[Array, ' p']) -> dict[str, Array]:
    """Parameters of what is fitted."""
    out = {}
    for i, (name, sign) in enumerate(zip(self.names, self.signs, strict=True)):
      x = theta[i]
      out[name] = jnp.exp(x) if sign == '+' else -jnp.exp(x) if sign else x
    return out

  def fitted(self, parameters: Parameters) -> Float[Array, ' p']:
    """The fitted function of the parameters."""
    out = []
    for name, sign in zip(self.names, self.signs, strict=True):
      x = jnp.asarray(parameters[name])
      out.append(jnp.log(jnp.abs(x)) if sign else x)
    return jnp.stack(out)


def without_floor(form: Form, floor: str = 'E') -> Form:
  """The same form with its floor held at zero.

  Args:
    form: A form.
    floor: The parameter that is held.

  Returns:
    The form with one parameter less.

  >>> without_floor(UNEQUAL).names
  ('a', 'x', 'b', 'y')
  """
  kept = [i for i, name in enumerate(form.names) if name != floor]
  zero = {floor: 0.0}

  def guess(key, columns, y):
    drawn = form.guess(key, columns, y)
    return {form.names[i]: drawn[form.names[i]] for i in kept}

  return dataclasses.replace(
    form,
    name=f'{form.name}, {floor} = 0',
    names=tuple(form.names[i] for i in kept),
    signs=tuple(form.signs[i] for i in kept),
    model=lambda p, *columns: form.model({**zero, **p}, *columns),
    guess=guess,
  )


def _log_uniform(key, low, high, dtype):
  u = jax.random.uniform(key, (), dtype)
  return jnp.exp(np.log(low) + u * (np.log(high) - np.log(low)))


def _amplitude(key, x, y, exponent):
  """Of a x^−exponent, about as large as y in the middle of x."""
  middle = jnp.exp(jnp.mean(jnp.log(x)))
  share = _log_uniform(key, 0.02, 2.0, y.dtype)
  return share * jnp.mean(jnp.abs(y)) * middle**exponent


def _floor(key, y):
  """Anywhere from a little below zero to the least value."""
  u = jax.random.uniform(key, (), y.dtype)
  return jnp.min(y) * (1.05 * u - 0.1)


def _power_guess(key, columns, y):
  keys = jax.random.split(key, 3)
  b = _log_uniform(keys[0], 0.05, 2.0, y.dtype)
  return {
    'a': _amplitude(keys[1], columns[0], y - jnp.min(y) * 0.5, b),
    'b': b,
    'c': _floor(keys[2], y),
  }


def _rising_guess(key, columns, y):
  keys = jax.random.split(key, 3)
  b = _log_uniform(keys[0], 0.05, 3.0, y.dtype)
  above = _log_uniform(keys[2], 1e-3, 1.0, y.dtype)
  spread = jnp.max(y) - jnp.min(y) + jnp.finfo(y.dtype).eps
  return {
    'c': jnp.max(y) + above * spread,
    'a': spread
    * jnp.min(columns[0]) ** b
    * _log_uniform(keys[1], 0.1, 10.0, y.dtype),
    'b': b,
  }


def _two_guess(names):
  def guess(key, columns, y):
    keys = jax.random.split(key, 6)
    n, d = columns
    x = _log_uniform(keys[0], 0.05, 2.0, y.dtype)
    z = _log_uniform(keys[1], 0.05, 2.0, y.dtype)
    z = x if 'y' not in names else z
    drawn = {
      'E': _floor(keys[4], y),
      'a': _amplitude(keys[2], n, y, x),
      'x': x,
      'b': _amplitude(keys[3], d, y, z),
      'y': z,
      's': _log_uniform(keys[5], 0.7, 6.0, y.dtype),
    }
    return {name: drawn[name] for name in names}

  return guess


def _overtrain_guess(key, columns, y):
  keys = jax.random.split(key, 4)
  c, m = columns
  eta = _log_uniform(keys[0], 0.02, 0.5, y.dtype)
  level = jnp.mean(jnp.abs(y)) * jnp.exp(jnp.mean(jnp.log(c))) ** eta
  middle = jnp.exp(jnp.mean(jnp.log(m))) ** eta
  return {
    'E': _floor(keys[3], y),
    'a': _log_uniform(keys[1], 0.02, 1.0, y.dtype) * level / middle,
    'b': _log_uniform(keys[2], 0.02, 1.0, y.dtype) * level * middle,
    'eta': eta,
  }


def _error_guess(key, columns, y):
  keys = jax.random.split(key, 3)
  (loss,) = columns
  gamma = _log_uniform(keys[0], 0.1, 3.0, y.dtype) / (jnp.mean(loss) + 1e-6)
  spread = jnp.max(y) - jnp.min(y)
  k = spread * jnp.exp(gamma * jnp.min(loss))
  return {
    'eps': jnp.max(y) + _log_uniform(keys[2], 1e-3, 1, y.dtype) * spread,
    'k': k * _log_uniform(keys[1], 0.3, 3.0, y.dtype),
    'gamma': gamma,
  }


def _coverage_guess(key, columns, y):
  keys = jax.random.split(key, 2)
  (k,) = columns
  b = _log_uniform(keys[0], 0.05, 1.5, y.dtype)
  middle = jnp.exp(jnp.mean(jnp.log(k)))
  level = -jnp.log(jnp.clip(jnp.mean(y), 1e-6, 1 - 1e-6))
  scale = _log_uniform(keys[1], 0.3, 3.0, y.dtype)
  return {'a': -scale * level * middle**b, 'b': -b}


def _power(x: Array, b: Array) -> Array:
  """x^b, x > 0: an exponential is a vector's work, a power one by one."""
  return jnp.exp(b * jnp.log(x))


POWER_FLOOR = Form(
  'power law with a floor',
  'c + a x^−b',
  ('x',),
  ('a', 'b', 'c'),
  ('+', '+', ''),
  lambda p, x: p['c'] + p['a'] * _power(x, -p['b']),
  _power_guess,
)
POWER = dataclasses.replace(
  without_floor(POWER_FLOOR, 'c'), name='power law', formula='a x^−b'
)
RISING = Form(
  'learning curve',
  'c − a x^−b',
  ('x',),
  ('a', 'b', 'c'),
  ('+', '+', ''),
  lambda p, x: p['c'] - p['a'] * _power(x, -p['b']),
  _rising_guess,
)
EQUAL = Form(
  'equal exponents',
  'E + a N^−x + b D^−x',
  ('N', 'D'),
  ('E', 'a', 'b', 'x'),
  ('', '+', '+', '+'),
  lambda p, n, d: (
    p['E'] + p['a'] * _power(n, -p['x']) + p['b'] * _power(d, -p['x'])
  ),
  _two_guess(('E', 'a', 'b', 'x')),
)
UNEQUAL = Form(
  'unequal exponents',
  'E + a N^−x + b D^−y',
  ('N', 'D'),
  ('E', 'a', 'x', 'b', 'y'),
  ('', '+', '+', '+', '+'),
  lambda p, n, d: (
    p['E'] + p['a'] * _power(n, -p['x']) + p['b'] * _power(d, -p['y'])
  ),
  _two_guess(('E', 'a', 'x', 'b', 'y')),
)


def _power_mean(p: Parameters, n: Array, d: Array) -> Array:
  """In logarithms, so that s may be large."""
  one = p['s'] * (jnp.log(p['a']) - p['x'] * jnp.log(n))
  two = p['s'] * (jnp.log(p['b']) - p['y'] * jnp.log(d))
  return p['E'] + jnp.exp(jnp.logaddexp(one, two) / p['s'])


POWER_MEAN = Form(
  'power mean',
  'E + [(a N^−x)^s + (b D^−y)^s]^(1/s)',
  ('N', 'D'),
  ('E', 'a', 'x', 'b', 'y', 's'),
  ('', '+', '+', '+', '+', '+'),
  _power_mean,
  _two_guess(('E', 'a', 'x', 'b', 'y', 's')),
)
OVERTRAIN = Form(
  'over-training',
  'E + (a M^η + b M^−η) C^−η,  C = 6ND, M = D/N',
  ('C', 'M'),
  ('E', 'a', 'b', 'eta'),
  ('', '+', '+', '+'),
  lambda p, c, m: (
    p['E']
    + (p['a'] * _power(m, p['eta']) + p['b'] * _power(m, -p['eta']))
    * _power(c, -p['eta'])
  ),
  _overtrain_guess,
)
ERROR_OF_LOSS = Form(
  'error of loss',
  'ε − k exp(−γL)',
  ('L',),
  ('eps', 'k', 'gamma'),
  ('+', '+', '+'),
  lambda p, loss: p['eps'] - p['k'] * jnp.exp(-p['gamma'] * loss),
  _error_guess,
)
COVERAGE = Form(
  'coverage',
  'exp(a k^b), a, b < 0',
  ('k',),
  ('a', 'b'),
  ('-', '-'),
  lambda p, k: jnp.exp(p['a'] * _power(k, p['b'])),
  _coverage_guess,
)
