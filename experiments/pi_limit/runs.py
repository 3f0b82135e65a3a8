"""A config of `Train` as a run: its task, its learner, its record times."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from configs.pi_limit import Train
from framework import system as system_lib
from framework.config import ConfigError, Problem
from framework.data import cifar10, mnist, omniglot, store
from framework.launch import Arm, hp_of
from framework.maths.gaussian import transform
from framework.systems.clusters import xor
from framework.systems.infinite_width import pi

__all__ = ['NAMES', 'arm', 'learner', 'times']

NAMES = {
  'limit': 'π-limit',
  'pinet': 'π-net',
  'munet': 'µ-net',
  'particles': 'µP limit, one layer, by particles',
  'ntk': 'NTK',
  'nngp': 'NNGP',
}
_STARTS = {'gaussian': pi.net.gaussian, 'identities': pi.net.identities}


def arm(config: Train) -> Arm:
  """The system of one structural setting, its hp and its data.

  Raises:
    ValueError: If it cannot be built.
    ConfigError: If data are missing, in one line.
  """
  c, dtype = config, jnp.dtype(config.precision)
  task, k, data = _task(c, dtype)
  structure = pi.Structure(
    task,
    k,
    learner(c),
    c.batch,
    c.steps,
    _schedule(c),
    judged=c.tests,
    dtype=dtype,
  )
  own, made = hp_of(pi.Hp, c), pi.system(structure)
  if c.task != 'xor':
    return Arm(made, own, data, attributes=pi.ATTRIBUTES)
  hp = {**own._asdict(), 'mu': dtype.type(c.mu)}
  return Arm(_with_mu(made), hp, attributes=pi.ATTRIBUTES)


def _with_mu(made: system_lib.System) -> system_lib.System:
  """The system whose hp have μ of the data beside the learner's."""

  def own(hp: dict[str, Any]) -> pi.Hp:
    return pi.Hp(**{k: v for k, v in hp.items() if k != 'mu'})

  return system_lib.System(
    lambda key, hp: made.sample(key, hp),
    lambda key, problem, hp: made.init(key, problem, own(hp)),
    lambda key, state, problem, hp: made.step(key, state, problem, own(hp)),
    lambda state, problem, hp: made.observe(state, problem, own(hp)),
  )


def learner(c: Train) -> Callable[..., pi.Learner]:
  """The learner that a config names."""
  phi = transform(c.activation)
  start = _STARTS[c.start]()

  def adam(hp):
    return optax.adam(hp.lr)

  rule = adam if c.rule == 'adam' else None
  if c.model == 'limit':
    each = pi.gradient.clip_each if c.clip_each else pi.gradient.clip_all
    return pi.limit(
      c.depth, c.rank, phi, start=start, clip=each,
      rows=None if c.rows == 'as_run' else jnp.bfloat16,
      normalised=c.normalised, decay_scaled=c.decay_scaled, rule=rule,
    )  # fmt: skip
  if c.model == 'pinet':
    return pi.pinet(c.width, c.depth, c.rank, phi, start=start, rule=rule)
  if c.model == 'munet':
    return pi.munet(c.width, c.depth, phi, rule=rule)
  if c.model == 'particles':
    return pi.munet(c.particles, 1, phi, rule=rule)
  return pi.kernel(c.model, c.depth, phi)


def times(config: Train) -> np.ndarray:
  """Record times of a config."""
  return system_lib.linspaced(
    config.steps, max(1, config.steps // config.records)
  )


def _schedule(c: Train) -> Callable[[Array], Array] | None:
  if c.drop_at >= 1:
    return None
  at = int(c.drop_at * c.steps)
  return lambda t: jnp.where(t < at, 1.0, c.drop)


def _task(c: Train, dtype: Any) -> tuple[Callable[..., Any], int, Any]:
  """(task, classes, data)."""
  if c.task == 'xor':
    return _xor(c, dtype), 2, None
  if c.task == 'modular':
    return _modular(c), c.modulus, None
  try:
    return _real(c)
  except store.DataError as error:
    raise ConfigError([Problem('config.task', str(error), '')]) from None


def _xor(c: Train, dtype: Any) -> Callable[..., Any]:
  """XOR clusters of unit noise, over √d."""

  def task(key, hp):
    found = {}
    keys = jax.random.split(key)
    for name, own, count in (
      ('', keys[0], c.points),
      ('_test', keys[1], c.tests),
    ):
      made = xor.xor_cluster(own, count, c.d, hp['mu'], 0.0, dtype=dtype)
      found['x' + name] = made.x / jnp.sqrt(jnp.asarray(c.d, dtype))
      found['y' + name] = (made.labels.clean > 0).astype(jnp.int32)
    return found

  return task


def _modular(c: Train) -> Callable[..., Any]:
  """Pairs (x, y) as two one-hot vectors, of norm √2 over √2."""
  p = c.modulus
  pairs = np.stack(np.meshgrid(np.arange(p), np.arange(p)), -1).reshape(-1, 2)
  x = np.eye(p)[pairs].reshape(-1, 2 * p) / np.sqrt(2)
  y = (pairs.sum(1) % p).astype(np.int32)

  def task(key, hp):
    del hp
    order = jax.random.permutation(key, p * p)
    train, test = order[: c.examples], order[c.examples :]
    both = jnp.asarray(x), jnp.asarray(y)
    return {
      'x': both[0][train], 'y': both[1][train],
      'x_test': both[0][test], 'y_test': both[1][test],
    }  # fmt: skip

  return task


def _real(c: Train) -> tuple[Callable[..., Any], int, Any]:
  if c.task == 'cifar10':
    found = cifar10.lossless(train=c.points)
    return _stored, 10, _scaled(found, c.tests)
  if c.task == 'cifar10_jpeg':
    found = cifar10.all_images(train=c.points, test=min(c.tests, 5000))
    return _stored, 10, _scaled(found, c.tests)
  drawn, digits = omniglot.load(), mnist.load(train=c.points, test=c.tests)
  x, x_test = (
    part[: c.characters].reshape(-1, 784).astype(np.float32) / 255
    for part in (drawn.train, drawn.train)
  )
  y = np.repeat(np.arange(c.characters), 20).astype(np.int32)
  # Three of twenty drawings of a character are judged on.
  held = np.arange(len(y)) % 20 >= 17
  scale = np.float32(1 / np.sqrt(np.mean(x**2) * 784))
  data = {
    'x': x[~held] * scale, 'y': y[~held],
    'x_test': x_test[held] * scale, 'y_test': y[held],
    'x_to': digits.x_train * scale, 'y_to': digits.y_train,
    'x_to_test': digits.x_test * scale, 'y_to_test': digits.y_test,
  }  # fmt: skip
  return _stored, c.characters, data


def _scaled(found: cifar10.Cifar10, tests: int) -> dict[str, np.ndarray]:
  """Rows of norm about 1."""
  d = found.x_train.shape[1] ** 0.5
  return {
    'x': found.x_train / d, 'y': found.y_train,
    'x_test': found.x_test[:tests] / d, 'y_test': found.y_test[:tests],
  }  # fmt: skip


def _stored(key, hp, data):
  """The same points for every seed."""
  del key, hp
  return {name: jnp.asarray(x) for name, x in data.items()}
