"""Over-parametrised; no padding, where observations have no derivative."""

import optax

from framework.systems import matrix_sensing as sensing
from tests.laws.entry import Entry


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
  ),
  entry('population', ('eta', 'alpha', 'kappa'), slow=True),
  entry(
    'precgd',
    ('eta', 'alpha', 'loss_damping', 'kappa'),
    optimizer=lambda hp: sensing.optimizers.precgd(hp.eta, hp.loss_damping),
    slow=True,
  ),
]
