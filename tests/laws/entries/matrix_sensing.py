"""Over-parametrised; no padding, where observations have no derivative."""

from framework.systems import matrix_sensing as sensing
from framework.systems.matrix_sensing.system import final
from tests.laws.entry import Entry


def entry(name, differentiable, symmetric=True, slow=False, m=None,
          optimizer='gd', **hp):  # fmt: skip
  def args(dtype):
    return (
      sensing.Structure(
        n1=4,
        n2=4,
        r=2,
        k_max=3,
        m=m,
        symmetric=symmetric,
        symmetric_truth=symmetric,
        symmetric_ensemble=symmetric,
        optimizer=optimizer,
        dtype=dtype,
      ),
    )

  return Entry(
    name,
    sensing.system,
    args,
    sensing.Hp(k=3, **hp),
    final=final,
    differentiable=differentiable,
    slow=slow,
  )


ENTRIES = [
  entry('gram', ('eta', 'alpha', 'kappa'), m=20),
  entry(
    'balanced',
    ('eta', 'alpha', 'ratio', 'beta2', 'kappa'),
    symmetric=False,
    optimizer='balanced',
    alpha=0.7,
    trigger=0.8,
  ),
  entry('population', ('eta', 'alpha', 'kappa'), slow=True),
  entry(
    'precgd',
    ('eta', 'alpha', 'loss_damping', 'kappa'),
    optimizer='precgd',
    slow=True,
  ),
]
