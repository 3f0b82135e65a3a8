import dataclasses

import hypothesis
import numpy as np
import pytest

from framework import config as lib
from framework.config import text as config_text
from tests.config.example import Config, Inner, configs, lines

STEP = 'a finite float > 0 (step size)'
SIGMA = 'a finite float >= 0 (singular values)'
SIZE = 'an integer >= 1 and <= 100 (size)'
INNER = 'Inner with fields k, name'
SPAN = (
  'expected a value, linspace(FIRST, LAST, COUNT) or '
  'logspace(EXPONENT, EXPONENT, COUNT) of 1 to 10000 values'
)


@pytest.mark.parametrize(
  'path, text, value',
  [
    ('n', '20', 20),
    ('n', '1e1', 10),
    ('n', '2_0', 20),
    ('n', '1.5e1', 15),
    ('alpha', '0.3', 0.3),
    ('alpha', '20_000', 20_000.0),
    ('alpha', '1e23', 1e23),
    ('noisy', 'True', True),
    ('noisy', 'false', False),
    ('note', ' none', ' none'),
    ('target', 'None', None),
    ('target', '0.5', 0.5),
    ('sigma', '1,.75,.5', (1.0, 0.75, 0.5)),
    ('sigma', '1, .75', (1.0, 0.75)),
    ('sigma', '', ()),
    ('layers', 'a,b', ('a', 'b')),
    ('inner.k', '5', 5),
    ('sweep', 'n=4,5;eta=.1', {'n': (4, 5), 'eta': (0.1,)}),
    ('sweep', '', {}),
  ],
)
def test_override_reads_the_declared_type(path, text, value):
  config = lib.override(Config(), [(path, text)])
  for name in path.split('.'):
    config = getattr(config, name)
  assert repr(config) == repr(value)


@pytest.mark.parametrize(
  'path, text, wanted',
  [
    (
      'alhpa',
      '1',
      'config.alhpa: unknown field; did you mean config.alpha? valid: alpha, '
      'eta, n,',
    ),
    ('zzz', '1', 'config.zzz: unknown field; valid: alpha, eta, n,'),
    (
      'inner.kk',
      '1',
      'config.inner.kk: unknown field; did you mean config.inner.k? '
      'valid: k, name',
    ),
    (
      'inr.k',
      '1',
      'config.inr: unknown field; did you mean config.inner? valid: alpha,',
    ),
    (
      'eta.x',
      '1',
      'config.eta.x: got 0.5 at config.eta, expected a config there',
    ),
    (
      'other.k',
      '1',
      'config.other.k: got None at config.other, expected a config there',
    ),
    ('n', '1.5', f'config.n: got 1.5, expected {SIZE}'),
    ('n', 'many', f"config.n: got 'many', expected {SIZE}"),
    ('n', '1e23', f'config.n: got 1e+23, expected {SIZE}'),
    ('n', '1e400', f'config.n: got inf, expected {SIZE}'),
    ('eta', 'nan', f'config.eta: got nan, expected {STEP}'),
    ('eta', 'none', f"config.eta: got 'none', expected {STEP}"),
    (
      'noisy',
      'maybe',
      "config.noisy: got 'maybe', expected true or false (noise)",
    ),
    ('sigma', '1,x', f"config.sigma[1]: got 'x', expected {SIGMA}"),
    ('sigma', '1,,2', f"config.sigma[1]: got '', expected {SIGMA}"),
    ('inner', 'x', f"config.inner: got 'x', expected {INNER} (the inner one)"),
    ('sweep', 'n', "config.sweep: got 'n', expected NAME=VALUE"),
  ],
)
def test_override_refuses_in_one_line(path, text, wanted):
  (line,) = lines(lib.override, Config(), [(path, text)])
  assert line.startswith(wanted)


def test_override_takes_the_last_and_collects_all_problems():
  config = lib.override(Config(), [('n', '9'), ('inner.k', '9'), ('n', '10')])
  assert (config.n, config.inner.k, config.inner.name) == (10, 9, 'adam')
  pairs = [('n', '0'), ('alhpa', '1'), ('sweep', 'k=;k'), ('eta', '2')]
  found = lines(lib.override, Config(), pairs)
  assert [line.split(':')[0] for line in found] == [
    'config.n',
    'config.alhpa',
    'config.sweep.k',
    'config.sweep',
  ]


def test_parse_grid_reads_the_best_match():
  grid = lib.parse_grid(
    'alpha=0.1,1; k=4,1e4,5_0 ;on=true,False;setting=full,none;inner.k=1.0'
  )
  assert repr(grid) == repr(
    {
      'alpha': (0.1, 1),
      'k': (4, 10_000, 50),
      'on': (True, False),
      'setting': ('full', 'none'),
      'inner.k': (1,),
    }
  )
  assert lib.parse_grid(' ') == {}


def test_spans_are_accurate_and_include_their_ends():
  grid = lib.parse_grid(
    'a=logspace(-3,0,64);b=linspace(0.1,1,10);c=linspace(3, 8, 6);'
    'd=0,linspace(2,2,1)'
  )
  np.testing.assert_allclose(
    grid['a'], np.logspace(-3, 0, 64), rtol=1e-11, atol=0
  )
  assert (grid['a'][0], grid['a'][-1]) == (0.001, 1.0)
  assert grid['b'] == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
  assert repr(grid['c']) == '(3, 4, 5, 6, 7, 8)'
  assert grid['d'] == (0, 2)


@pytest.mark.parametrize(
  'text, wanted',
  [
    ('alpha', "sweep: got 'alpha', expected NAME=VALUE,VALUE,...;NAME=..."),
    ('=1', "sweep: got '=1', expected NAME="),
    ('a b=1', "sweep: got 'a b=1', expected NAME="),
    ('a=1;', "sweep: got '', expected NAME="),
    ('a=1;a=2', 'sweep.a: got this axis again, expected each axis once'),
    ('a=', "sweep.a: got '', expected a value before and after each comma"),
    ('a=1,,2', "sweep.a: got '1,,2', expected a value before and after"),
    ('a=(1', f"sweep.a: got '(1', {SPAN}"),
    ('a=1)(', f"sweep.a: got '1)(', {SPAN}"),
    ('a=(1,2)', f"sweep.a: got '(1,2)', {SPAN}"),
    ('a=logspce(1,2,3)', f"sweep.a: got 'logspce(1,2,3)', {SPAN}"),
    ('a=linspace(0,1)', f"sweep.a: got 'linspace(0,1)', {SPAN}"),
    ('a=linspace(1)', f"sweep.a: got 'linspace(1)', {SPAN}"),
    ('a=linspace()', f"sweep.a: got 'linspace()', {SPAN}"),
    ('a=linspace(0,1,0)', f"sweep.a: got 'linspace(0,1,0)', {SPAN}"),
    ('a=linspace(0,1,2.5)', f"sweep.a: got 'linspace(0,1,2.5)', {SPAN}"),
    ('a=linspace(0,x,2)', f"sweep.a: got 'linspace(0,x,2)', {SPAN}"),
    ('a=linspace(0,inf,2)', f"sweep.a: got 'linspace(0,inf,2)', {SPAN}"),
    ('a=linspace(0,1,10001)', f"sweep.a: got 'linspace(0,1,10001)', {SPAN}"),
    ('a=linspace(0,1,1' + 30 * '0' + ')', "sweep.a: got 'linspace(0,1,100"),
    ('a=logspace(0,400,3)', f"sweep.a: got 'logspace(0,400,3)', {SPAN}"),
  ],
)
def test_parse_grid_refuses_in_one_line(text, wanted):
  (line,) = lines(lib.parse_grid, text)
  assert line.startswith(wanted)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(configs)
def test_override_reads_what_describe_writes(config):
  kept = {n: getattr(config, n) for n in ('layers', 'other', 'sweep')}
  texts = [
    (path, config_text._text(value))
    for path, value, _ in config_text._leaves(config)
    if path.split('.')[0] not in kept
  ]
  again = lib.override(Config(), texts)
  assert dataclasses.replace(again, **kept) == config


def test_describe_aligns_all_fields():
  config = Config(sweep={'n': (1, 2), 'eta': tuple(range(40))})
  rows = lib.describe(config).splitlines()
  assert rows[0].split() == ['path', 'value', 'unit', 'doc']
  docs = ['scale of the start', 'step size', 'rank', 'perhaps another', 'grid']
  starts = {row.index(doc) for row in rows for doc in docs if row.endswith(doc)}
  assert starts == {rows[0].index('doc')}
  cells = {row.split()[0]: row.split()[1] for row in rows}
  assert (cells['sigma'], cells['other'], cells['inner.k'], cells['noisy']) == (
    '1.0,0.5', 'none', '4', 'false'
  )  # fmt: skip
  assert cells['sweep'] == 'n=1,2;eta=0,1,2,3,4,5,6,7,8,9,10,11,1...'
  assert '1/s' in rows[2]
  nested = lib.describe(Config(other=Inner(k=7))).splitlines()
  assert [row.split()[:2] for row in nested if row.startswith('other')] == [
    ['other.k', '7'], ['other.name', 'adam']
  ]  # fmt: skip
