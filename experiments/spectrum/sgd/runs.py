"""From a config to SGD: expected, on fresh samples, or on repeated ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from configs.spectrum import Sgd
from framework.launch import hp_of, structure_of
from framework.maths.double import in_double
from framework.run.job import Arm
from framework.system import logspaced
from framework.systems import spectrum as s
from framework.systems.spectrum import sgd

__all__ = ['PAPER', 'arm', 'at_step', 'law', 'times']

PAPER = 'Komatsuzaki 2019, "One Epoch Is All You Need"'
_SYSTEMS = {
  'expected': sgd.expected,
  'fresh': sgd.sampled,
  'repeated': sgd.sampled,
}


def arm(config: Sgd) -> Arm:
  """SGD on what `data` names."""
  repeated = config.data == 'repeated'
  structure = structure_of(
    sgd.Structure,
    config,
    rows_max=max(config.axis('rows')) if repeated else None,
    spectrum=None,
    dtype=jnp.dtype(config.precision),
  )
  return Arm(
    _SYSTEMS[config.data](structure),
    hp_of(sgd.Hp, config, width=np.int32, rows=np.int32),
    attributes=sgd.ATTRIBUTES,
  )


def times(config: Sgd) -> np.ndarray:
  """Records per decade of steps."""
  return logspaced(config.steps, config.records)


@in_double
def law(config: Sgd, steps: np.ndarray, **hp: float) -> np.ndarray:
  """The exact excess risk of one pass, whatever was recorded.

  Args:
    config: Modes, tail and batch; hp that are not given.
    steps: Steps.
    **hp: Fields of `sgd.Hp`.

  Returns:
    (steps,).
  """
  fields = {name: getattr(config, name) for name in sgd.Hp._fields} | hp
  values = sgd.Hp(**{k: jnp.asarray(v) for k, v in fields.items()})
  out = _law(
    values, jnp.asarray(steps), config.modes, config.tail, config.batch
  )
  return np.asarray(out)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _law(hp, steps, modes, tail, batch):
  spectrum = s.power_law(hp.alpha, hp.beta, modes, tail=tail)
  return sgd.one_pass_risk(sgd.problem_of(spectrum, hp), steps, batch)


def at_step(t: np.ndarray, values: np.ndarray, step: float) -> np.ndarray:
  """The record nearest to a step, along the last axis."""
  return values[..., int(np.argmin(np.abs(t - step)))]
