"""Networks of one width, parametrisations as lanes."""

import jax.numpy as jnp
import optax

from framework.mup import lattice
from framework.systems.width import Perceptron, dichotomy, transfer
from tests.laws.entry import Entry


def dichotomy_entry(optimizer, slow=False):
  cases = tuple(lattice.cases(optimizer).values())[:3]
  return Entry(
    f'dichotomy, {optimizer}',
    dichotomy.system,
    lambda dtype: (
      dichotomy.Structure(
        width=6,
        cases=cases,
        core=dichotomy.adam if optimizer == 'adam' else optax.identity,
        normalised=optimizer == 'adam',
        dtype=dtype,
      ),
    ),
    dichotomy.Hp(case=1, lr=0.1),
    differentiable=('lr',),
    slow=slow,
  )


def transfer_entry(optimizer, differentiable, slow=False):
  def args(dtype):
    return (
      transfer.Structure(
        width=8,
        base_width=4,
        model=lambda n: Perceptron(n, 3, activation=jnp.tanh, dtype=dtype),
        task=transfer.classes(3, 3, 16, dtype),
        optimizer={'sgd': transfer.sgd, 'adam': transfer.adamw}[optimizer],
        normalised=optimizer == 'adam',
        batch=4,
        evaluated=8,
      ),
    )

  return Entry(
    f'transfer, {optimizer}',
    transfer.system,
    args,
    transfer.Hp(lr=0.1, rule=1, weight_decay=0.1),
    differentiable=differentiable,
    looser=10.0,
    slow=slow,
  )


ENTRIES = [
  dichotomy_entry('sgd'),
  dichotomy_entry('adam', slow=True),
  transfer_entry('adam', ('lr', 'weight_decay'), slow=True),
  transfer_entry('sgd', ('lr', 'weight_decay', 'momentum'), slow=True),
]
