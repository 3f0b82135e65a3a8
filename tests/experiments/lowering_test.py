"""What an experiment runs lowers for every platform and calls nobody back."""

import importlib

import jax
import pytest

from experiments.__main__ import EXPERIMENTS
from framework import config as config_lib
from framework import system as system_lib
from framework.launch.experiment import job_of
from framework.system import rollout
from framework.testing.lowering import lowered
from framework.testing.subject import to_words


def jobs(which):
  """(experiment, variant) pairs."""
  return [
    (name, variant)
    for name in EXPERIMENTS
    for variant in list(
      importlib.import_module(f'experiments.{name}').EXPERIMENT.variants
    )[which]
  ]


def lower(name: str, variant: str) -> None:
  """Exports step and rollout of every arm; computes nothing."""
  experiment = importlib.import_module(f'experiments.{name}').EXPERIMENT
  config = importlib.import_module(f'configs.{name}').get_config(variant)
  try:
    job = job_of(experiment, config)
  except (config_lib.ConfigError, OSError) as error:
    pytest.skip(f'real data: {error}')
  key = jax.random.key_data(jax.random.key(0))
  for arm in job.arms:

    def run(words, hp, times, data, arm=arm):
      key = jax.random.wrap_key_data(words)
      state, seen = rollout(arm.system, key, hp, times, data)
      return to_words(state), seen

    def step(words, hp, data, arm=arm):
      key = jax.random.wrap_key_data(words)
      problem, state = system_lib.start(arm.system, key, hp, data)
      return to_words(arm.system.step(key, state, problem, hp))

    lowered(run, key, arm.hp, job.layout.times, arm.data)
    lowered(step, key, arm.hp, arm.data)


@pytest.mark.parametrize('name, variant', jobs(slice(1)))
def test_a_default_lowers_everywhere(name, variant):
  lower(name, variant)


@pytest.mark.slow
@pytest.mark.parametrize('name, variant', jobs(slice(1, None)))
def test_every_variant_lowers_everywhere(name, variant):
  lower(name, variant)
