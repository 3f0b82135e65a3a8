"""No claim holds on nothing, no figure's headline on anything.

And what is predicted is what `predictions` has written down.
"""

import functools
import importlib
from collections import Counter

import pytest

from experiments.__main__ import EXPERIMENTS
from framework.config import ConfigError
from framework.launch import Study
from tests.experiments import adversary, predictions

ALL = [
  (name, variant)
  for name in EXPERIMENTS
  for variant in importlib.import_module(
    f'experiments.{name}'
  ).EXPERIMENT.configs
]


@functools.lru_cache(maxsize=1)
def study_of(name: str, variant: str) -> Study:
  experiment = importlib.import_module(f'experiments.{name}').EXPERIMENT
  study = Study(experiment, variant, 'nowhere')
  try:
    study.job  # noqa: B018
  except (ConfigError, OSError) as error:
    pytest.skip(f'real data: {error}')
  return study


def tell(claims):
  return '; '.join(f'{c.id}: {c.verdict} {c.reason}' for c in claims)


@pytest.mark.parametrize('name, variant', ALL)
def test_claims_of_made_up_records(name, variant):
  study = study_of(name, variant)
  made = {
    (fill, seed): adversary.claims_of(
      study, adversary.made_up(study, fill, seed)
    )
    for fill in adversary.FILLS
    for seed in range({'stuck': 2, 'random': 4}.get(fill, 1))
  }
  untestable, lucky = None, Counter()
  for (fill, seed), claims in made.items():
    where = f'{fill} records, seed {seed}'
    if fill in ('nan', 'first'):
      holding = [c for c in claims if c.verdict == 'holds']
      assert not holding, f'{where}: {tell(holding)}'
    headlines = [c for c in claims if c.headline]
    assert headlines, 'no claim is a headline'
    if fill in ('stuck', 'random'):
      holding = [c for c in headlines if c.verdict == 'holds']
      if fill == 'random':
        # An order among a few runs comes up by chance, though not often.
        lucky.update(c.id for c in holding)
      else:
        assert not holding, f'{where}: {tell(holding)}'
        assert any(c.verdict == 'fails' for c in headlines), tell(headlines)
    # The setting decides what can be tested, not what came out.
    found = {c.id for c in claims if c.verdict == 'not testable'}
    untestable = found if untestable is None else untestable
    assert found == untestable, f'{where}: {found ^ untestable}'
  assert all(times <= 1 for times in lucky.values()), lucky
  written = {fill: made[fill, 0] for fill in predictions.FILLS}
  predictions.check(name, variant, written)
