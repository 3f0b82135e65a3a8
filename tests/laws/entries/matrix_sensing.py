"""Over-parametrised; no padding, where observations have no derivative."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from framework.optimizers import tracked_quantile
from framework.systems import matrix_sensing as sensing
from framework.systems.matrix_sensing import operators
from framework.systems.matrix_sensing.convex import ConvexHp, nuclear_norm
from framework.systems.matrix_sensing.deep import DeepHp, DeepStructure, deep
from framework.systems.matrix_sensing.streaming import (
  StreamingHp,
  StreamingStructure,
  streaming,
)
from tests.laws.entry import Entry


class RobustHp(NamedTuple):
  """Of the sub-gradient method; floats that may be halved."""

  k: int = 3
  eta: float = 0.2
  level: float = 0.5
  alpha: float = 0.1
  kappa: float = 4.0
  outliers: float = 0.2
  size: float = 10.0


def robust(dtype):
  """The absolute loss with the tracked quantile, from a spectral start."""
  return (
    sensing.Structure(
      n1=4,
      n2=4,
      r=2,
      k_max=2,
      m=31,
      operator=operators.svec,
      loss=sensing.mean_residual(jnp.abs),
      optimizer=lambda hp: tracked_quantile(hp.eta, hp.level),
      noise=sensing.robust.noise.outliers,
      start=sensing.starts.spectral(),
      dtype=dtype,
    ),
  )


def known_entries():
  """A matrix of rank one, half of which is known."""
  M = np.outer([1.0, 2.0, -1.0], [1.0, 0.5, 2.0])
  rows, columns = np.nonzero(np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]]))
  op = operators.structured.entries(rows, columns, (3, 3))
  y = op.scale * M[rows, columns]
  return sensing.Problem(
    op, None, np.asarray(M), np.asarray(np.sum(y**2)), y=np.asarray(y)
  )


def entry(name, differentiable, symmetric=True, slow=False, m=None,
          optimizer=optax.sgd, **hp):  # fmt: skip
  def args(dtype):
    return (
      sensing.Structure(
        n1=4,
        n2=4,
        r=2,
        k_max=3,
        m=m,
        symmetric=symmetric,
        optimizer=optimizer,
        dtype=dtype,
      ),
    )

  return Entry(
    name,
    sensing.system,
    args,
    sensing.Hp(k=3, **hp),
    final=lambda structure: sensing.final,
    differentiable=differentiable,
    slow=slow,
  )


ENTRIES = [
  entry('gram', ('eta', 'alpha', 'kappa'), m=20),
  entry(
    'balanced',
    ('eta', 'alpha', 'ratio', 'beta2', 'kappa'),
    symmetric=False,
    optimizer=sensing.optimizers.balanced,
    alpha=0.7,
    trigger=0.8,
    slow=True,
  ),
  entry('population', ('eta', 'alpha', 'kappa'), slow=True),
  entry(
    'precgd',
    ('eta', 'alpha', 'loss_damping', 'kappa'),
    optimizer=lambda hp: sensing.optimizers.precgd(hp.eta, hp.loss_damping),
    slow=True,
  ),
  Entry(
    'robust',
    sensing.system,
    robust,
    RobustHp(),
    final=lambda structure: sensing.final,
    slow=True,
  ),
  Entry(
    'deep',
    deep,
    lambda dtype: (DeepStructure(n=3, r=1, depth=3, dtype=dtype),),
    DeepHp(alpha=0.8),
    differentiable=('eta', 'alpha'),  # at r = 1 kappa says nothing
    slow=True,
  ),
  Entry(
    'streaming',
    streaming,
    lambda dtype: (
      StreamingStructure(n=3, r=1, k_max=2, batch=5, dtype=dtype),
    ),
    StreamingHp(k=2),
    differentiable=('eta', 'alpha', 'noise'),
    slow=True,
  ),
  Entry(
    'convex',
    nuclear_norm,
    lambda dtype: (sensing.convex.absolute, dtype),
    ConvexHp(0.5, 0.2, 1.0),
    data=known_entries(),
    slow=True,
  ),
]
