"""Fits from the command line: tables of one's own, and claims elsewhere."""

import dataclasses

import numpy as np
import pytest

from configs.scaling_law import get_config
from experiments.scaling_law import EXPERIMENT, data
from framework.config import ConfigError
from framework.evidence import lanes
from framework.launch import Study

SETTINGS = [
  ('overtraining', dict(noise=0.001, seeds=2, steps=60, starts=8)),
  ('overtraining', dict(noise=0.05, seeds=2, steps=5, starts=2)),
  ('one_pass', dict(split=3e4, widest=64, steps=10, starts=2)),
  ('random_features', dict(split=256.0, widest=64, steps=4, starts=2)),
  ('coverage', dict(problems=300, steps=100, seeds=4, sweep={'a': (0.6,)})),
  ('coverage', dict(problems=200, steps=60, a=1.0, b=1.0, k=10, sweep={})),
  ('majority', dict(problems=300, steps=200, seeds=2, sweep={})),
  ('majority', dict(problems=300, steps=50, answers=3, sweep={})),
  ('learning_curve', dict(points=64, seeds=3)),
  ('learning_curve', dict(points=32, noise=0.5, seeds=2)),
  ('learning_curve', dict(points=96, exponent=1.0, seeds=2)),
  ('learning_curve', dict(points=16, noise=0.0, seeds=1)),
]


@pytest.mark.slow
@pytest.mark.parametrize('variant, fields', SETTINGS)
def test_no_false_alarm_at_other_settings(variant, fields, tmp_path):
  config = dataclasses.replace(get_config(variant), **fields)
  study = Study(EXPERIMENT, config, str(tmp_path))
  study.run(progress='none')
  failed = [c for c in study.claims() if c.verdict == 'fails']
  assert not failed, [(c.id, c.measured, c.predicted, c.reason) for c in failed]


def write(path, rows, header='N,D,loss'):
  path.write_text('\n'.join([header, *rows]) + '\n')
  return str(path)


def planted():
  n, d = np.meshgrid(2.0 ** np.arange(4, 10), 2.0 ** np.arange(6, 13))
  loss = 0.7 + 3 * n**-0.4 + 5 * d**-0.3
  table = zip(n.ravel(), d.ravel(), loss.ravel(), strict=True)
  return [f'{a},{b},{c}' for a, b, c in table]


def test_a_table_of_ones_own_is_fitted(tmp_path):
  file = write(tmp_path / 'runs.csv', planted())
  config = dataclasses.replace(
    get_config('table'), runs=file, split=1e5, starts=8, steps=60
  )
  study = Study(EXPERIMENT, config, str(tmp_path / 'out'))
  study.run(progress='none')
  end = study.results().isel(time=-1)
  found = {x: lanes.lanes(end, f'unequal_{x}')[0] for x in 'Exy'}
  np.testing.assert_allclose(
    [found['E'], found['x'], found['y']], [0.7, 0.4, 0.3], rtol=1e-4, atol=0
  )
  claims = {c.id: c for c in study.claims()}
  assert claims['extrapolates'].verdict == 'holds'
  assert claims['unequal.E'].verdict == 'fact'


@pytest.mark.parametrize(
  'rows, header, message',
  [
    (['1,2,3'], 'N,D,L', 'columns N, D, loss and a row a run'),
    ([], 'N,D,loss', 'columns N, D, loss and a row a run'),
    (['1,2,x'], 'N,D,loss', "loss of run 1 is 'x', expected a number > 0 in"),
    (['1,2,3', '1,-2,3'], 'N,D,loss', "D of run 2 is '-2'"),
    (['1,2'], 'N,D,loss', 'loss of run 1 is None'),
  ],
)
def test_a_table_that_is_none_is_refused(tmp_path, rows, header, message):
  file = write(tmp_path / 'runs.csv', rows, header)
  with pytest.raises(ConfigError, match=message):
    data.read(file)


def test_a_split_with_nothing_beyond_is_refused(tmp_path):
  file = write(tmp_path / 'runs.csv', planted())
  config = dataclasses.replace(get_config('table'), runs=file, split=1e9)
  with pytest.raises(ConfigError, match='one beyond: there are 42 and 0'):
    Study(EXPERIMENT, config, 'nowhere').job  # noqa: B018


def test_without_a_table_it_says_what_is_missing():
  with pytest.raises(ConfigError, match='got none, expected a CSV file'):
    Study(EXPERIMENT, get_config('table'), 'nowhere').job  # noqa: B018
