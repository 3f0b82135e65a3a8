import dataclasses
import hashlib
import json
import math
import pickle
import subprocess
import sys
import textwrap
import typing
from collections.abc import Mapping
from typing import Literal

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from framework import config as lib
from framework.config import ConfigError, Problem, field


@dataclasses.dataclass(frozen=True)
class Inner:
  k: int = field(4, 'rank', low=1)
  name: str = field('adam', 'optimizer', choices=('sgd', 'adam'))

  def check(self):
    if self.k == 13:
      yield Problem('k', self.k, 'a luckier number')


@dataclasses.dataclass(frozen=True)
class Config:
  alpha: float = field(0.1, 'scale of the start', low=0)
  eta: float = field(0.5, 'step size', unit='1/s', low=0, low_open=True)
  n: int = field(8, 'size', low=1, high=100)
  noisy: bool = field(False, 'noise')
  setting: str = field('full', 'data', choices=('full', 'sensing'))
  mode: Literal['a', 'b'] = field('a', 'mode')
  target: float | None = field(None, 'stop here', low=0, high=1)
  note: str = field('', 'free text')
  sigma: tuple[float, ...] = field((1.0, 0.5), 'singular values', low=0)
  layers: tuple[str, ...] = field(('relu',), 'layers')
  shape: tuple[int, str] = field((3, 'x'), 'a pair')
  horizon: float = field(1.0, 'time', low=0, high=math.inf)
  inner: Inner = field(Inner(), 'the inner one')  # noqa: RUF009
  other: Inner | None = field(None, 'perhaps another')  # noqa: RUF009
  sweep: Mapping[str, tuple] = field({}, 'grid')

  def check(self):
    if self.inner.k > self.n:
      yield Problem('inner.k', self.inner.k, f'at most n = {self.n}')


STEP = 'a finite float > 0 (step size)'
SCALE = 'a finite float >= 0 (scale of the start)'
SIGMA = 'a finite float >= 0 (singular values)'
SIGMAS = f'a tuple, each {SIGMA}'
TIME = 'a float in [0, inf] (time)'
SIZE = 'an integer in [1, 100] (size)'
INNER = 'Inner with fields k, name'
FILE = 'a Python file that defines get_config'


def lines(call, *args):
  with pytest.raises(ConfigError) as caught:
    call(*args)
  text = str(caught.value)
  assert len(text.splitlines()) == len(caught.value.problems)
  return text.splitlines()


def test_defaults_are_valid_and_mutable_ones_are_not_shared():
  lib.validate(Config())
  assert Config().sweep == {} and Config().sweep is not Config().sweep


@pytest.mark.parametrize(
  'options, words',
  [
    (dict(low=1, high=0), 'low is 1, expected at most high = 0'),
    (dict(choices=()), r'choices is \(\)'),
    (dict(doc=' '), 'doc is'),
  ],
)
def test_field_refuses_a_contradiction(options, words):
  with pytest.raises(ValueError, match=words):
    field(1, **({'doc': 'a doc'} | options))


def test_an_annotation_that_no_config_can_hold_is_refused():
  @dataclasses.dataclass(frozen=True)
  class Bad:
    x: int | str = 1

  with pytest.raises(TypeError, match=r'^Bad\.x: annotation int \| str, exp'):
    lib.validate(Bad())


@pytest.mark.parametrize(
  'changes, wanted',
  [
    ({'eta': math.nan}, f'config.eta: got nan, expected {STEP}'),
    ({'eta': 0}, f'config.eta: got 0, expected {STEP}'),
    ({'eta': math.inf}, f'config.eta: got inf, expected {STEP}'),
    ({'alpha': -1.0}, f'config.alpha: got -1.0, expected {SCALE}'),
    ({'alpha': True}, f'config.alpha: got True, expected {SCALE}'),
    ({'alpha': '1'}, f"config.alpha: got '1', expected {SCALE}"),
    ({'horizon': -math.inf}, f'config.horizon: got -inf, expected {TIME}'),
    ({'horizon': math.nan}, f'config.horizon: got nan, expected {TIME}'),
    ({'n': 101}, f'config.n: got 101, expected {SIZE}'),
    ({'n': 8.0}, f'config.n: got 8.0, expected {SIZE}'),
    ({'n': None}, f'config.n: got None, expected {SIZE}'),
    ({'noisy': 1}, 'config.noisy: got 1, expected true or false (noise)'),
    (
      {'setting': 'sensng'},
      "config.setting: got 'sensng', expected one of full, sensing (data); "
      'did you mean sensing?',
    ),
    ({'mode': 'c'}, "config.mode: got 'c', expected one of a, b (mode)"),
    (
      {'target': 2.0},
      'config.target: got 2.0, expected a finite float in [0, 1] or none '
      '(stop here)',
    ),
    ({'sigma': (1.0, -2.0)}, f'config.sigma[1]: got -2.0, expected {SIGMA}'),
    ({'sigma': [1.0]}, f'config.sigma: got [1.0], expected {SIGMAS}'),
    (
      {'shape': (1,)},
      'config.shape: got (1,), expected a tuple (an integer, a string) '
      '(a pair)',
    ),
    (
      {'inner': Inner(k=0)},
      'config.inner.k: got 0, expected an integer >= 1 (rank)',
    ),
    (
      {'other': Inner(k=0)},
      'config.other.k: got 0, expected an integer >= 1 (rank)',
    ),
    (
      {'other': 3},
      f'config.other: got 3, expected {INNER} or none (perhaps another)',
    ),
    (
      {'sweep': {'n': (math.nan,)}},
      'config.sweep.n[0]: got nan, expected a finite number, true, false or '
      'a string (grid)',
    ),
    (
      {'sweep': {1: (2,)}},
      'config.sweep: got {1: (2,)}, expected a grid '
      'NAME=VALUE,VALUE,...;NAME=... (grid)',
    ),
    (
      {'alpha': 10**400},
      f'config.alpha: got 1{76 * "0"}..., expected {SCALE}',
    ),
  ],
)
def test_validate_names_the_field(changes, wanted):
  assert lines(lib.validate, Config(**changes)) == [wanted]


def test_validate_accepts_what_is_allowed():
  lib.validate(Config(horizon=math.inf, alpha=0, target=1, eta=5e-324))
  lib.validate(Config(other=Inner(), sigma=(), sweep={'sigma': ((1, 2), ())}))


def test_validate_tells_fields_and_rules_together():
  found = lines(lib.validate, Config(eta=-1.0, inner=Inner(k=13), n=0))
  # The rule of Config is silent, for n and eta are unsound; that of Inner is
  # not, for Inner is sound.
  assert [line.split(':')[0] for line in found] == [
    'config.eta',
    'config.n',
    'config.inner.k',
  ]
  assert lines(lib.validate, Config(inner=Inner(k=13), n=10)) == [
    'config.inner.k: got 13, expected a luckier number',
    'config.inner.k: got 13, expected at most n = 10',
  ]


def test_a_subclass_is_refused_for_it_would_not_come_back():
  class Deeper(Inner):
    pass

  (line,) = lines(lib.validate, Config(inner=Deeper()))
  assert line.startswith('config.inner: got ')
  assert line.endswith(f'expected {INNER} (the inner one)')


def test_validate_refuses_what_is_no_config():
  assert lines(lib.validate, Config) == [
    f'config: got {Config!r}, expected a dataclass'
  ]


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
    ('horizon', 'inf', math.inf),
    ('noisy', 'Yes', True),
    ('noisy', '0', False),
    ('note', ' none', ' none'),
    ('target', 'None', None),
    ('target', '0.5', 0.5),
    ('mode', 'b', 'b'),
    ('sigma', '1,.75,.5', (1.0, 0.75, 0.5)),
    ('sigma', '(1, .75, .5)', (1.0, 0.75, 0.5)),
    ('sigma', '[1,]', (1.0,)),
    ('sigma', '()', ()),
    ('layers', 'a,b', ('a', 'b')),
    ('shape', '2,y', (2, 'y')),
    ('inner.k', '5', 5),
    ('sweep', 'n=4,5;eta=.1', {'n': (4, 5), 'eta': (0.1,)}),
    ('sweep', '', {}),
  ],
)
def test_override_reads_the_declared_type(path, text, value):
  config = lib.override(Config(), [(path, text)])
  for name in path.split('.'):
    config = getattr(config, name)
  assert config == value
  assert type(config) is type(value)
  if isinstance(value, tuple):
    assert [*map(type, config)] == [*map(type, value)]


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
      'k',
      '1',
      'config.k: unknown field; did you mean config.inner.k? valid: alpha,',
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
    (
      'sigma',
      '1,,2',
      "config.sigma: got '1,,2', expected a tuple, each a finite float >= 0",
    ),
    (
      'sigma',
      '(1,2',
      "config.sigma: got '(1,2', expected a tuple, each a finite float >= 0",
    ),
    ('inner', 'x', f"config.inner: got 'x', expected {INNER} (the inner one)"),
    ('sweep', 'n', "config.sweep: got 'n', expected NAME=VALUE"),
    (
      'sweep',
      'n=4,4',
      'config.sweep.n: got 4 2 times, expected each value once',
    ),
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


def test_what_post_init_refuses_is_a_problem():
  @dataclasses.dataclass(frozen=True)
  class Strict:
    n: int = 1

    def __post_init__(self):
      if self.n == 7:
        raise ValueError('n is 7,\nexpected luck')

  wanted = ['config.n: n is 7,; expected luck']
  assert lines(lib.override, Strict(), [('n', '7')]) == wanted
  assert lines(lib.from_dict, Strict, {'n': 7})[0].startswith('config: n is 7')
  (line,) = lines(lib.check_grid, Strict(), {'n': (6, 7)})
  assert line == 'config: n is 7,; expected luck (at sweep point n=7)'


def test_parse_grid_reads_the_best_match():
  grid = lib.parse_grid(
    'alpha=0.1,1; k=4,1e4,5_0 ;on=true,False;setting=full,none;inner.k=1.0;'
    's=(1,.5),()'
  )
  assert grid == {
    'alpha': (0.1, 1),
    'k': (4, 10_000, 50),
    'on': (True, False),
    'setting': ('full', 'none'),
    'inner.k': (1.0,),
    's': ((1, 0.5), ()),
  }
  assert [*map(type, grid['k'])] == [int] * 3
  assert type(grid['inner.k'][0]) is float
  assert [*grid] == ['alpha', 'k', 'on', 'setting', 'inner.k', 's']
  assert lib.parse_grid(' ') == {}


def test_spans_are_accurate_and_include_their_ends():
  grid = lib.parse_grid(
    'a=logspace(-3,0,64);b=linspace(0.1,1,10);c=range(3,9);d=range(6,0,-2);'
    'e=0,linspace(2,2,1)'
  )
  np.testing.assert_allclose(grid['a'], np.logspace(-3, 0, 64), rtol=1e-15)
  assert (grid['a'][0], grid['a'][-1]) == (0.001, 1.0)
  assert grid['b'] == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
  assert (grid['c'], grid['d'], grid['e']) == (
    (3, 4, 5, 6, 7, 8), (6, 4, 2), (0, 2.0)
  )  # fmt: skip


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
    ('a=1,2,1.0', 'sweep.a: got 1 2 times, expected each value once'),
    ('a=x,x', "sweep.a: got 'x' 2 times, expected each value once"),
    ('a=(1', "sweep: got 'a=(1', expected brackets that match"),
    ('a=1)(', "sweep: got 'a=1)(', expected brackets that match"),
    ('a=1)', "sweep: got 'a=1)', expected brackets that match"),
    (
      'a=logspce(1,2,3)',
      "sweep.a: got 'logspce(1,2,3)', expected a value or one of "
      'linspace(FIRST, LAST, COUNT), ',
    ),
    (
      'a=linspace(0,1)',
      "sweep.a: got 'linspace(0,1)', expected linspace(FIRST, LAST, COUNT), "
      '1 to 1000000 finite values',
    ),
    ('a=linspace(0,1,0)', "sweep.a: got 'linspace(0,1,0)', expected linspace("),
    ('a=linspace(0,1,2.5)', "sweep.a: got 'linspace(0,1,2.5)', expected lin"),
    ('a=linspace(0,x,2)', "sweep.a: got 'linspace(0,x,2)', expected linsp"),
    ('a=linspace(0,inf,2)', "sweep.a: got 'linspace(0,inf,2)', expected li"),
    ('a=linspace(0,1,1e12)', "sweep.a: got 'linspace(0,1,1e12)', expected"),
    ('a=logspace(0,400,3)', "sweep.a: got 'logspace(0,400,3)', expected lo"),
    ('a=logspace(0,1e9,3)', "sweep.a: got 'logspace(0,1e9,3)', expected lo"),
    (
      'a=range(3,3)',
      "sweep.a: got 'range(3,3)', expected range(START, STOP, STEP)",
    ),
    ('a=range(0,1,0)', "sweep.a: got 'range(0,1,0)', expected range(ST"),
    ('a=range(1e30)', "sweep.a: got 'range(1e30)', expected range(START"),
  ],
)
def test_parse_grid_refuses_in_one_line(text, wanted):
  (line,) = lines(lib.parse_grid, text)
  assert line.startswith(wanted)


def test_check_grid_names_each_axis_and_value():
  grid = {
    'alhpa': (1.0,),
    'eta': (0.1, -1, math.nan),
    'inner.k': (1, 'x'),
    'n': (),
    'alpha': (1, 1.0),
    'setting': 'full',
  }
  assert lines(lib.check_grid, Config(), grid) == [
    'sweep.alhpa: unknown field; did you mean sweep.alpha? valid: '
    + ', '.join(f.name for f in dataclasses.fields(Config)),
    'sweep.eta: got -1, expected a finite float > 0 (step size)',
    'sweep.eta: got nan, expected a finite float > 0 (step size)',
    "sweep.inner.k: got 'x', expected an integer >= 1 (rank)",
    'sweep.n: got no values, expected one at least',
    'sweep.alpha: got 1.0 2 times, expected each value once',
    "sweep.setting: got 'full', expected a tuple of values",
  ]


def test_check_grid_applies_rules_at_the_points_of_the_product():
  # k = 20 alone breaks the rule of the default n = 8, but not with these n.
  lib.check_grid(Config(), {'inner.k': (4, 20), 'n': (20, 30)})
  # Each value alone is fine, together they are not.
  assert lines(lib.check_grid, Config(), {'inner.k': (8, 1), 'n': (8, 5)}) == [
    'config.inner.k: got 8, expected at most n = 5 '
    '(at sweep point inner.k=8, n=5)'
  ]


def test_normalise_grid_gives_values_the_type_of_their_field():
  grid = lib.normalise_grid(Config(), {'eta': [1, 0.5], 'n': (8, 9)})
  assert grid == {'eta': (1.0, 0.5), 'n': (8, 9)} and [*grid] == ['eta', 'n']
  assert [type(v) for vs in grid.values() for v in vs] == [float] * 2 + [
    int
  ] * 2


def test_normalise_makes_equal_configs_one():
  loose = Config(
    alpha=np.float64(2),
    eta=1,
    sigma=(1, np.float64(0.5)),
    target=1,
    other=Inner(),
    sweep={'n': (1, 2), 'eta': (np.float64(1), 2)},
  )
  tight = lib.normalise(loose)
  assert tight == loose
  assert [type(x) for x in (tight.alpha, tight.eta, tight.target)] == [
    float
  ] * 3
  assert [*map(type, tight.sigma)] == [float] * 2
  assert [*tight.sweep] == ['eta', 'n']
  assert [*map(type, tight.sweep['eta'])] == [float, int]
  assert lib.digest(loose) == lib.digest(tight)
  assert lib.to_json(loose) == lib.to_json(tight)
  assert lib.normalise(tight) == tight


floats = st.floats(0, allow_infinity=False)
texts = st.text(max_size=8)
names = st.sampled_from(['eta', 'n', 'inner.k'])
scalars = floats | st.integers() | texts | st.booleans()
values = scalars | st.lists(scalars, max_size=3).map(tuple)
grids = st.dictionaries(names, st.lists(values, max_size=4).map(tuple))
inners = st.builds(
  Inner, k=st.integers(1), name=st.sampled_from(['sgd', 'adam'])
)
configs = st.builds(
  Config,
  alpha=floats,
  eta=st.floats(0, exclude_min=True, allow_infinity=False),
  n=st.integers(1, 100),
  noisy=st.booleans(),
  setting=st.sampled_from(['full', 'sensing']),
  mode=st.sampled_from('ab'),
  target=st.none() | st.floats(0, 1),
  note=texts,
  sigma=st.lists(floats, max_size=4).map(tuple),
  layers=st.lists(texts, max_size=3).map(tuple),
  shape=st.tuples(st.integers(), texts),
  horizon=st.floats(0),
  inner=inners,
  other=st.none() | inners,
  sweep=grids,
)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(configs)
def test_round_trips_are_exact(config):
  text = lib.to_json(config)
  again = lib.from_json(Config, text)
  assert again == config
  assert repr(again) == repr(lib.normalise(config))  # types, signs of zero
  assert lib.to_json(again) == text
  assert lib.from_dict(Config, lib.to_dict(config)) == config
  assert lib.to_dict(again) == json.loads(text)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(configs, configs)
def test_diff_is_empty_exactly_if_digests_agree(one, two):
  for a, b in ((one, two), (one, lib.normalise(one))):
    same = lib.digest(a, 64) == lib.digest(b, 64)
    assert same == (lib.diff(lib.to_dict(a), lib.to_dict(b)) == [])


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(configs)
def test_override_reads_what_describe_writes(config):
  texts = [
    (path, lib._text(value))
    for path, value, _ in lib._leaves(dataclasses.replace(config, sweep={}))
    if path not in ('layers', 'shape') and not path.startswith('other')
  ]
  again = lib.override(Config(), texts)
  kept = {n: getattr(config, n) for n in ('layers', 'shape', 'other')}
  assert dataclasses.replace(again, **kept, sweep=config.sweep) == config


def test_from_dict_tells_all_problems_at_once():
  assert lib.from_dict(Config, {}) == Config()
  mapping = {
    'alhpa': 1,
    'eta': '1',
    'sigma': [1, None],
    'inner': {'kk': 1, 'name': 'sdg'},
    'other': {'k': 0.5},
    'n': -1,
  }
  found = lines(lib.from_dict, Config, mapping)
  assert sorted(line.split(',')[0] for line in found) == [
    'config.alhpa: unknown field; did you mean config.alpha? valid: alpha',
    "config.eta: got '1'",
    'config.inner.kk: unknown field; did you mean config.inner.k? valid: k',
    "config.inner.name: got 'sdg'",
    'config.n: got -1',
    'config.other.k: got 0.5',
    'config.sigma[1]: got None',
  ]
  assert lines(lib.from_dict, Config, [1])[0].startswith('config: got [1], exp')
  assert lines(lib.from_json, Config, '{')[0].startswith('config: not JSON: ')


def test_from_dict_asks_for_a_field_without_default():
  @dataclasses.dataclass(frozen=True)
  class Needs:
    x: float

  assert lib.from_dict(Needs, {'x': 1}) == Needs(1.0)
  (line,) = lines(lib.from_dict, Needs, {})
  assert "'x'" in line


def fresh(code, seed='0'):
  """What code prints in a new process that has the module alone, as `lib`."""
  load = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location('lib', {lib.__file__!r})
lib = sys.modules['lib'] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lib)
"""
  done = subprocess.run(
    [sys.executable, '-c', load + code],
    env={'PYTHONHASHSEED': seed},
    capture_output=True,
    text=True,
    check=True,
  )
  return done.stdout.strip()


def test_digest_does_not_depend_on_process_or_order():
  one = dataclasses.make_dataclass(
    'One', [('a', int, 1), ('b', float, 0.1)], frozen=True
  )
  two = dataclasses.make_dataclass(
    'Two', [('b', float, 0.1), ('a', int, 1)], frozen=True
  )
  assert lib.digest(one()) == lib.digest(two()) != lib.digest(one(a=2))
  # The bytes are a promise: stored runs are found by them.
  canonical = b'{"a":1,"b":0.1}'
  assert lib.digest(one(), 64) == hashlib.sha256(canonical).hexdigest()
  assert lib.digest(one()) == lib.digest(one(), 64)[:12]
  code = """
import dataclasses
fields = [('a', int, 1), ('b', float, 0.1)]
print(lib.digest(dataclasses.make_dataclass('T', fields)()))
"""
  assert {fresh(code, seed) for seed in '12'} == {lib.digest(one())}
  with pytest.raises(ValueError, match='length is 0, expected 1 to 64'):
    lib.digest(one(), 0)


def test_diff_names_what_changed():
  old = lib.to_dict(Config())
  new = lib.to_dict(Config(alpha=0.3, noisy=True, inner=Inner(k=5)))
  assert lib.diff(old, new) == [
    'alpha: 0.1 -> 0.3',
    'inner.k: 4 -> 5',
    'noisy: False -> True',
  ]
  assert lib.diff({'a': 1}, {'b': {}}) == ['a: 1 -> absent', 'b: absent -> {}']
  assert lib.diff({'a': 1, 'b': None}, {'a': True}) == [
    'a: 1 -> True',
    'b: None -> absent',
  ]
  assert lib.diff({'a': {'b': 1}}, {'a': None}) == ["a: {'b': 1} -> None"]


def write(path, text):
  path.write_text(textwrap.dedent(text))
  return str(path)


def test_load_calls_get_config(tmp_path, monkeypatch):
  monkeypatch.setattr(sys, 'dont_write_bytecode', False)
  file = write(
    tmp_path / 'good.py',
    """
    import dataclasses
    from framework.config import field

    @dataclasses.dataclass(frozen=True)
    class Inner:
      k: int = field(1, 'rank')

    @dataclasses.dataclass(frozen=True)
    class Config:
      inner: 'Inner' = field(Inner(), 'inner')
      name: str = field('none', 'name')

    def get_config(variant='default'):
      if variant == 'bad':
        raise ValueError("variant is 'bad',\\nexpected default or wide")
      return {'default': Config(), 'wide': Config(name='wide')}[variant]
    """,
  )
  config = lib.load(file)
  lib.validate(config)
  assert config.name == 'none' and lib.load(f'{file}:').name == 'none'
  assert lib.load(f'{file}:wide').name == 'wide'
  assert lib.override(config, [('inner.k', '7')]).inner.k == 7
  assert typing.get_type_hints(type(config))['inner'].__name__ == 'Inner'
  assert lines(lib.load, f'{file}:bad') == [
    f"{file}:bad: variant is 'bad',; expected default or wide"
  ]
  assert lines(lib.load, f'{file}:x') == [f"{file}:x: line 17: KeyError: 'x'"]
  assert not (tmp_path / '__pycache__').exists()


def test_load_reads_the_file_anew(tmp_path, monkeypatch):
  monkeypatch.setattr(sys, 'dont_write_bytecode', False)
  text = """
  import dataclasses
  @dataclasses.dataclass
  class C:
    x: int = {}
  get_config = C
  """
  for x in (1, 2):
    file = write(tmp_path / 'changing.py', text.format(x))
    assert lib.load(file).x == x


@pytest.mark.parametrize(
  'name, text, wanted',
  [
    (
      'absent.py',
      None,
      f'got no such file, expected {FILE}',
    ),
    (
      'confg',
      None,
      f'got no such file, expected {FILE}; did you mean ',
    ),
    (
      'config.py',
      'x = 1',
      f'got a file without it, expected {FILE}',
    ),
    (
      'config.py',
      'import json\n1 / 0',
      'line 2: ZeroDivisionError: division by zero',
    ),
    ('config.py', 'def f(:', 'SyntaxError: invalid syntax (config.py, line 1)'),
    (
      'config.py',
      'import no_such_module',
      "line 1: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    (
      'config.py',
      'def get_config():\n  return 3',
      'got 3, expected a config dataclass from get_config',
    ),
    (
      'config.py',
      'def get_config():\n  return x',
      "line 2: NameError: name 'x' is not defined",
    ),
  ],
)
def test_load_refuses_in_one_line(tmp_path, name, text, wanted):
  before = {*sys.modules}
  write(tmp_path / 'config.py', text or '')
  (line,) = lines(lib.load, str(tmp_path / name))
  assert line.startswith(f'{tmp_path / name}: {wanted}')
  left = {*sys.modules} - before
  assert len(left) == ('get_config' in (text or '') or text == 'x = 1')


def test_load_passes_on_a_config_error(tmp_path):
  file = write(
    tmp_path / 'strict.py',
    """
    from framework.config import ConfigError, Problem
    def get_config(variant):
      raise ConfigError([Problem('a', 1, '2'), Problem('b', 3, '4')])
    """,
  )
  assert lines(lib.load, f'{file}:v') == [
    f'{file}:v: a: got 1, expected 2; b: got 3, expected 4'
  ]


def test_describe_aligns_all_fields():
  table = lib.describe(Config(sweep={'n': (1, 2), 'eta': tuple(range(40))}))
  rows = table.splitlines()
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


def test_errors_pickle_and_stay_on_one_line_a_problem():
  error = ConfigError([Problem('a', 'x\ny', 'b\nc'), Problem('d', 'e', '')])
  again = pickle.loads(pickle.dumps(error))
  assert again.problems == error.problems
  assert str(again) == 'a: got x y, expected b c\nd: e'


def test_the_module_is_light():
  code = "print([n for n in ('jax', 'numpy', 'flax') if n in sys.modules])"
  assert fresh(code) == '[]'
