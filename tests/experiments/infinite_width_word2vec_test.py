"""From a config of word2vec to claims and figures, in seconds."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from configs.infinite_width import get_config
from experiments.infinite_width import EXPERIMENT, word2vec
from framework import config as config_lib
from framework.data import store, text
from framework.launch.experiment import job_of
from framework.run import results
from tests.run import jobs

TINY = dict(
  seeds=2, words=400, questions=20, chunk=50, eval_words=10, records=2
)


def claims_of(config, dataset):
  return EXPERIMENT.variant(config).claims(config, dataset)


def small(variant='word2vec', **fields):
  return dataclasses.replace(get_config(variant), **(TINY | fields))


def test_claims_and_figures(tmp_path):
  models = ('w4', 'w8', 'w16', 'limit', 'kernel', 'limit_2v')
  config = small(sweep={'model': models}, window=2, negatives=2)
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  claims = {c.id: c for c in claims_of(config, dataset)}
  # What is exact holds at any size; the order of widths needs the real one.
  exact = 'start', 'kernel', 'kernel.norm', 'double.accuracy', 'double.loss'
  assert all(claims[id].verdict == 'holds' for id in exact)
  assert {'w4.w8', 'w8.w16', 'w16.limit', 'gap', 'features'} <= set(claims)
  figures = EXPERIMENT.variant(config).figures(config, dataset)
  assert figures and all(caption for _, caption in figures.values())


def test_claims_can_fail():
  """Where nothing is learnt the claims say so."""
  models = ('w16', 'w64', 'w256', 'limit', 'kernel', 'limit_2v')
  config = dataclasses.replace(
    get_config('word2vec'), sweep={'model': models}, seeds=2
  )
  names = 'accuracy', 'loss', 'norm_in', 'norm_out'
  dims, shape = ('model', 'seed', 'time'), (len(models), 2, 3)
  stuck = xr.Dataset(
    {name: (dims, np.full(shape, 0.0)) for name in names},
    {'model': list(models), 'time': [0, 60, 120]},
  )
  stuck = stuck.assign(
    loss=stuck['loss'] + np.log(2), norm_in=stuck['norm_in'] + 1
  )
  found = {c.id: c.verdict for c in claims_of(config, stuck)}
  fail = 'w16.w64', 'w64.w256', 'w256.limit', 'features', 'kernel.trains', 'gap'
  assert {id: found[id] for id in fail} == dict.fromkeys(fail, 'fails')
  # By one word in a thousand each is exact no more.
  for name, id in (
    ('accuracy', 'kernel'),
    ('norm_in', 'kernel.norm'),
    ('loss', 'start'),
  ):
    off = claims_of(config, stuck.assign({name: stuck[name] + 1e-3}))
    assert {c.id: c.verdict for c in off}[id] == 'fails'
  off = stuck['accuracy'].where(stuck['model'] != 'limit_2v', 0.01)
  found = claims_of(config, stuck.assign(accuracy=off))
  assert {c.id: c.verdict for c in found}['double.accuracy'] == 'fails'


@pytest.mark.parametrize(
  'fields, reason',
  [
    ({}, ''),
    ({'epochs': 3}, ''),
    ({'lr': 0.03}, ''),
    ({'words': 90_000}, ''),
    ({'lr': 0.0}, 'needs lr'),
    ({'lr': 1.0}, 'needs lr'),
    ({'words': 1000}, 'needs 60000 words'),
    ({'epochs': 30}, 'needs 60000 words'),
    ({'epochs': 1}, 'needs 60000 words'),
    ({'window': 1}, 'needs a window'),
    ({'negatives': 1}, 'needs a window'),
    ({'corpus': 'factbook', 'words': 1000}, ''),
  ],
)
def test_the_setting_says_what_it_cannot_show(fields, reason):
  config = dataclasses.replace(get_config('word2vec'), **fields)
  found = word2vec.missing(config)
  assert reason in found if reason else not found


@pytest.mark.slow
def test_wider_is_better_and_the_limit_best(tmp_path):
  """At its real size, one seed: w16 < w64 < w256 < limit after two epochs."""
  models = ('w16', 'w64', 'w256', 'limit', 'kernel')
  config = dataclasses.replace(
    get_config('word2vec'), seeds=1, sweep={'model': models}
  )
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  claims = claims_of(config, dataset)
  assert {'w16.w64', 'w64.w256', 'w256.limit', 'gap'} <= {c.id for c in claims}
  assert [c.id for c in claims if c.verdict != 'holds'] == []
  last = dataset['accuracy'].isel(time=-1).mean('seed')
  # Two deviations of a difference of two shares of 2000 questions: 0.032.
  assert np.all(np.diff(last.sel(model=list(models[:4]))) > 0.032)
  assert last.sel(model='kernel') == 0


def test_record_times_are_those_of_the_epochs():
  config = get_config('word2vec')
  assert word2vec.times(config).tolist() == list(range(0, 121, 10))


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'model': 'wide'}, 'config.model: got wide, expected limit, limit_2v'),
    ({'subsample': 1e-4}, 'config.subsample: got 0.0001, expected 0 with'),
    ({'sweep': {'window': (2, 3)}}, 'config.sweep.window: got window'),
    ({'words': 5}, 'config.words: got 5'),
  ],
)
def test_bad_input_is_one_line(fields, line):
  config = dataclasses.replace(get_config('word2vec'), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1


def test_missing_text_is_one_line(monkeypatch, tmp_path):
  monkeypatch.setenv(store.VARIABLE, str(tmp_path))
  for corpus, line in (('wiki-0', 'questions-words.txt'), ('x', 'corpus x')):
    config = dataclasses.replace(get_config('word2vec_text'), corpus=corpus)
    with pytest.raises(config_lib.ConfigError, match=line) as caught:
      job_of(EXPERIMENT, config)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
def test_a_text(tmp_path):
  if not store.there(text.CORPORA['factbook']):
    pytest.skip(f'no text in {store.folder()}')
  config = dataclasses.replace(
    get_config('word2vec_text'),
    **dict(corpus='factbook', vocabulary=500, epochs=1, records=1),
    negatives=5,
    sweep={'model': ('w4', 'limit', 'kernel')},
  )
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  claims = claims_of(config, dataset)
  verdict = {c.id: c.verdict for c in claims}
  assert verdict['kernel'] == verdict['features'] == 'holds'
  assert verdict['text8'] == 'not testable'
  assert np.all(dataset['epoch'].values[..., -1] > 0.9)
