"""π-limits of two units a layer, and a π-net, on three points."""

import jax.numpy as jnp
import numpy as np

from framework.maths.gaussian import transform
from framework.systems.infinite_width import pi
from tests.laws.entry import Entry


def task(key, hp):
  """Six points, whatever the seed."""
  del key, hp
  x = np.random.default_rng(0).standard_normal((6, 2))
  y = jnp.array([0, 1, 1, 0, 1, 0], jnp.int32)
  return {'x': x[:3], 'y': y[:3], 'x_test': x[3:], 'y_test': y[3:]}


def entry(name, learner, differentiable, slow=False, **hp):
  def args(dtype):
    own = pi.Structure(task, 2, learner, batch=2, steps=20, dtype=dtype)
    return (own,)

  return Entry(
    f'π-limit, {name}',
    pi.system,
    args,
    pi.Hp(lr=0.3, bias_alpha=0.5, **hp),
    differentiable=differentiable,
    looser=10.0,
    slow=slow,
  )


RATES = {'momentum': 0.5, 'weight_decay': 0.01, 'clip': 1.0}
ENTRIES = [
  entry('one layer', pi.limit(1, 2), ('lr', 'first_alpha'), slow=True, **RATES),
  entry('deep', pi.limit(2, 2), ('lr', 'first_alpha'), slow=True, **RATES),
  entry(
    'erf', pi.limit(1, 2, transform('erf')), ('lr', 'last_alpha'), slow=True
  ),
  entry('π-net', pi.pinet(5, 2, 2), ('lr', 'bias_lr'), slow=True),
]
