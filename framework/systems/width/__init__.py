"""Width: what transfers over it, and what a parametrisation makes of it.

transfer    training at one width in SP or muP; learning rates and rules are
            lanes: `transfer.system`, `Structure`, `Hp`
dichotomy   every abc-parametrisation as a lane, against its classification:
            `dichotomy.system`, `Structure`, `Hp`

lr_sweep    one program for all learning rates and seeds of any System
best        the place of the least loss on a grid of rates
drift       by how many places the best rate moves over widths
Perceptron, Transformer   two networks without a word of muP in them

Both are finite networks; their limits are in `framework.systems.infinite_width`
and the rules themselves in `framework.mup`. `help(width.transfer)` and
`help(width.dichotomy)` list the rest.

>>> import jax, jax.numpy as jnp
>>> from framework import rollout
>>> from framework.systems import width
>>> rows = width.transfer.classes(inputs=4, rows=64)
>>> net = width.transfer.system(
...   width.transfer.Structure(width=16, base_width=8, task=rows))
>>> hp, times = width.transfer.Hp(lr=jnp.float32(0.01)), jnp.array([0, 5])
>>> run = jax.jit(rollout, static_argnums=0)
>>> run(net, jax.random.key(0), hp, times)[1]['loss'].shape
(2,)
"""

from framework.systems.width import dichotomy, transfer
from framework.systems.width.transfer.lr_sweep import best, drift, lr_sweep
from framework.systems.width.transfer.models import Perceptron, Transformer

__all__ = [
  'Perceptron',
  'Transformer',
  'best',
  'dichotomy',
  'drift',
  'lr_sweep',
  'transfer',
]
