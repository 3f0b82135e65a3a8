"""A small experiment with all that a run leaves: `python -m` this file."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework import System, linspaced
from framework.config import Run, field
from framework.evidence import claims, figures
from framework.launch import Arm, Experiment, Variant, hp_of, main


class Hp(NamedTuple):
  eta: float


SYSTEM = System(
  sample=lambda key, hp: (),
  init=lambda key, problem, hp: jnp.ones_like(hp.eta),
  step=lambda key, x, problem, hp: (
    x - hp.eta * (x + jax.random.uniform(key, (), x.dtype))
  ),
  observe=lambda x, problem, hp: {'squared': x**2},
)


@dataclasses.dataclass(frozen=True)
class Config(Run):
  eta: float = field(0.1, 'step size', low=0, high=2, low_open=True)
  steps: int = field(3000, 'steps', low=100)
  seeds: int = field(2, 'seeds', low=1)
  bound: float = field(1.0, 'what x² is claimed to stay below')


def make_claims(config, results):
  return [
    claims.at_most(
      'start',
      'x² is never larger than at the start',
      'the recursion is a mean of 1 and of numbers below 1',
      config.bound,
      results['squared'].values.ravel(),
      each=True,
      derivation='exact',
      kind='theorem',
      headline=True,
    )
  ]


def make_figures(config, results):
  fig, ax = figures.figure()
  ax.plot(results['time'], results['squared'].isel(seed=0))
  return {'squared': (fig, 'x² over time.')}


EXPERIMENT = Experiment(
  name='small',
  title='A small experiment',
  configs={'quick': ('x²', Config())},
  variants=Variant(
    lambda config: Arm(SYSTEM, hp_of(Hp, config)),
    lambda config: linspaced(config.steps, config.steps // 50),
    make_claims,
    make_figures,
  ),
)

if __name__ == '__main__':
  main(EXPERIMENT)
