"""Training dynamics in JAX: a run is a dynamical system, a theorem is a claim.

Read `framework.system` first. What everything is called: a *System* is four
pure functions; *hp* is a pytree of traced scalars; a *problem* is what is fixed
over time, a *state* what a checkpoint holds, an *observation* what a person
wants to see; *lanes* are runs side by side (seeds x grid of hp); *results* are
labelled arrays on disk; a *claim* says predicted, measured, holds or not; a
*study* is an experiment with a config and a work directory.

    System                a training run as four functions
    rollout               runs it and observes it at given steps
    linspaced, logspaced  steps to observe at
    descent               init and step from a loss and an optax rule
    supervised            a System from labelled rows and a flax module
    Study                 an experiment: run, results, claims, figures, report

Rooms, each with a face of its own:

    systems       one folder a family: matrix_sensing, attention_svm, ...
    mup           maximal update parametrisation of any flax module
    optimizers    optax transformations
    probes        observables of any run
    maths         linear algebra, kernels, margin problems
    data          loaders of real data sets
    run           jobs, lanes, records, checkpoints
    config        typed configs
    evidence      fits, claims, figures
    launch        experiments and the command line
    testing       the laws of every System, for your own tests
"""

import importlib
from typing import Any

from framework.descent import descent
from framework.supervised import supervised
from framework.system import System, linspaced, logspaced, rollout

__all__ = [
  'Study',
  'System',
  'descent',
  'linspaced',
  'logspaced',
  'rollout',
  'supervised',
]

_ROOMS = (
  'config',
  'data',
  'evidence',
  'launch',
  'maths',
  'mup',
  'optimizers',
  'probes',
  'run',
  'systems',
  'testing',
)


def __getattr__(name: str) -> Any:
  """Rooms and `Study` on first use: importing the framework stays light."""
  if name == 'Study':
    return importlib.import_module('framework.launch').Study
  if name in _ROOMS:
    return importlib.import_module(f'framework.{name}')
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  return sorted({*__all__, *_ROOMS})
