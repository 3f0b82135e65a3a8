"""From a config to the system it describes."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from configs.attention_svm import METHODS, sizes_of
from framework.launch.arms import built
from framework.run.job import Arm
from framework.systems import attention_svm as dynamics
from framework.systems.attention_svm import outcome as dynamics_outcome

__all__ = ['ARMS', 'hp_of', 'norms_of', 'standard', 'structure_of']


def structure_of(config: Any) -> dynamics.Structure:
  """The structure of a config's system.

  Args:
    config: A valid config of one structural setting.

  Returns:
    What is fixed in the compiled program.

  Raises:
    ConfigError: If it cannot be built, in one line.
  """
  method = METHODS[config.method]
  n, T, d = sizes_of(config)
  return built(
    lambda: dynamics.Structure(
      n=n,
      T=T,
      d=d,
      data=config.data,
      queries=config.queries,
      scores=config.scores,
      form=config.form,
      m=config.m,
      head=config.head,
      loss=config.loss,
      gradient=method['gradient'],
      normalise=config.normalise,
      rule=config.rule,
      start=config.start,
      weights=config.weights,
      dtype=_dtype(config),
    )
  )


def _dtype(config: Any) -> Any:
  """That of the method, but never wider than the run's precision."""
  if config.precision == 'float32':
    return jnp.dtype('float32')
  return jnp.dtype(METHODS[config.method]['dtype'])


def hp_of(config: Any) -> dynamics.Hp:
  """The numbers of a config, of its dtype."""
  kind = np.dtype(_dtype(config)).type
  values = {name: kind(getattr(config, name)) for name in dynamics.Hp._fields}
  return dynamics.Hp(**values)


def norms_of(config: Any) -> tuple[str, ...]:
  """In which norms the SVM is solved; `own` by the parametrisation."""
  own = 'nuclear' if config.form == 'kq' else 'frobenius'
  found = [own if norm == 'own' else norm for norm in config.norms]
  return tuple(dict.fromkeys(found))


def standard(config: Any) -> Arm:
  """One attention layer, trained, and the SVM of its tokens."""
  structure = structure_of(config)
  final = dynamics_outcome.final(
    structure, norms_of(config), tokens=config.tokens, b1=config.b1
  )
  return Arm(dynamics.system(structure), hp_of(config), None, final)


# {variant: config -> Arm} of variants whose system is another.
ARMS: dict[str, Callable[[Any], Arm]] = {}
