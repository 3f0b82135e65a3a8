"""From a config to claims and figures, at sizes that take seconds."""

import dataclasses

import numpy as np
import pytest

from configs.attention_svm import get_config
from experiments.attention_svm import EXPERIMENT
from framework import config as config_lib
from framework.launch.experiment import job_of
from framework.run import results
from tests.run import jobs


@pytest.mark.parametrize('variant', ['quick', 'local'])
def test_claims_and_figures(variant, tmp_path):
  config = dataclasses.replace(
    get_config(variant), n=3, T=3, d=4, seeds=3, steps=2000, records=3
  )
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  claims = EXPERIMENT.claims(config, dataset)
  assert len({c.id for c in claims}) == len(claims) >= 6
  # A wrong direction must not pass: W against the SVM of its opposite.
  turned = dataset.assign(W=-dataset['W'])
  found = {c.id: c.verdict for c in EXPERIMENT.claims(config, turned)}
  name = 'w.alignment' if variant == 'quick' else 'w.frobenius.2000'
  assert found[name] == 'fails'
  figures = EXPERIMENT.figures(config, dataset, claims)
  assert figures and all(caption for _, caption in figures.values())


def test_times_are_round_ones_too():
  times = EXPERIMENT.times(get_config('quick'))
  assert {0, 100, 200, 500, 1000, 2000} <= set(times.tolist())
  assert (np.diff(times) > 0).all()


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'T': 1}, 'config.T: got 1, expected an integer >= 2'),
    ({'m': 0}, 'config.m: got 0, expected an integer >= 1'),
    ({'loss': 'hinge'}, "config.loss: got 'hinge'"),
    ({'norms': ('l3',)}, 'config.norms: got l3'),
    ({'eta': -1.0}, 'config.eta: got -1.0'),
  ],
)
def test_bad_input_is_one_line(fields, line):
  config = dataclasses.replace(get_config('quick'), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1
