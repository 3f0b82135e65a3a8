import dataclasses
import json
import math

import hypothesis
import numpy as np
import pytest

from framework import config as lib
from tests.config.example import Config, Inner, configs, lines


def swept(**grid):
  return Config(sweep=grid)


def test_rules_are_asked_when_all_fields_are_sound():
  found = lines(lib.validate, Config(eta=-1.0, inner=Inner(k=13), n=0))
  assert [line.split(':')[0] for line in found] == ['config.eta', 'config.n']
  assert lines(lib.validate, Config(inner=Inner(k=13), n=10)) == [
    'config.inner.k: got 13, expected a luckier number',
    'config.inner.k: got 13, expected at most n = 10',
  ]


def test_validate_names_each_axis_and_value_of_a_grid():
  grid = {
    'alhpa': (1.0,),
    'eta': (0.1, -1, math.nan),
    'inner.k': (1, 'x'),
    'n': (),
    'alpha': (1, 1.0),
    'setting': 'full',
    'sigma': ((1.0,),),
    'inner': (Inner(),),
    1: (2,),
  }
  names = ', '.join(f.name for f in dataclasses.fields(Config))
  scalar = 'expected a field that holds one number or word'
  assert lines(lib.validate, Config(sweep=grid)) == [
    f'config.sweep.1: unknown field; valid: {names}',
    'config.sweep.alhpa: unknown field; did you mean config.sweep.alpha? '
    f'valid: {names}',
    'config.sweep.alpha: got 1.0 (2 times), expected each value once',
    'config.sweep.eta: got -1, expected a finite float > 0 (step size)',
    'config.sweep.eta: got nan, expected a finite float > 0 (step size)',
    f'config.sweep.inner: got inner, {scalar}',
    "config.sweep.inner.k: got 'x', expected an integer >= 1 (rank)",
    'config.sweep.n: got (), expected a tuple of values, one at least',
    "config.sweep.setting: got 'full', expected a tuple of values, one at "
    'least',
    f'config.sweep.sigma: got sigma, {scalar}',
  ]


def test_validate_asks_the_rules_at_the_points_of_a_grid():
  # k = 20 alone breaks the rule of the default n = 8, but not with these n.
  lib.validate(swept(**{'inner.k': (4, 20), 'n': (20, 30)}))
  # Each value alone is fine, together they are not; said once, not twice.
  grid = {'inner.k': (8, 7, 1), 'n': (8, 5)}
  assert lines(lib.validate, Config(sweep=grid)) == [
    'config.inner.k at sweep point inner.k=8, n=5: got 8, expected at most '
    'n = 5'
  ]


def test_normalise_makes_equal_configs_one():
  loose = Config(
    alpha=np.float64(2),
    eta=1,
    sigma=[1, np.float64(0.5)],
    target=1,
    other=Inner(),
    sweep={'n': [8, 9], 'eta': (np.float64(1), 2)},
  )
  tight = lib.normalise(loose)
  assert repr(tight) == repr(
    Config(
      alpha=2.0,
      eta=1.0,
      sigma=(1.0, 0.5),
      target=1.0,
      other=Inner(),
      sweep={'eta': (1.0, 2.0), 'n': (8, 9)},
    )
  )
  lib.validate(loose)
  assert lib.digest(loose) == lib.digest(tight)
  assert lib.normalise(tight) == tight


def test_a_grid_of_ints_for_a_float_field_is_a_grid_of_floats():
  written = [
    lib.override(Config(), [('sweep', text)])
    for text in ('alpha=1,2;n=3', 'n=3;alpha=1.0,2.0', 'alpha=1e0,2e0;n=3')
  ]
  (digest,) = {*map(lib.digest, written)}
  for config in map(lib.normalise, written):
    assert repr(config.sweep) == "{'alpha': (1.0, 2.0), 'n': (3,)}"
  # The axes have one order, the values of an axis the order they were given.
  assert digest != lib.digest(swept(alpha=(2, 1), n=(3,)))
  assert repr(lib.normalise(swept(n=(3,), alpha=(2, 1))).sweep) == (
    "{'alpha': (2.0, 1.0), 'n': (3,)}"
  )


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(configs)
def test_round_trips_are_exact(config):
  stored = json.loads(json.dumps(lib.to_dict(config)))
  again = lib.from_dict(Config, stored)
  assert again == config
  assert repr(again) == repr(lib.normalise(config))  # types, signs of zero
  assert lib.to_dict(again) == stored == lib.to_dict(config)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(configs, configs)
def test_diff_is_empty_exactly_if_digests_agree(one, two):
  for a, b in ((one, two), (one, lib.normalise(one))):
    same = lib.digest(a) == lib.digest(b)
    assert same == (lib.diff(lib.to_dict(a), lib.to_dict(b)) == [])


def test_from_dict_tells_all_problems_at_once():
  assert lib.from_dict(Config, {}) == Config()
  mapping = {
    'alhpa': 1,
    'eta': '1',
    'sigma': [1, None],
    'inner': {'kk': 1, 'name': 'sdg'},
    'other': {'k': 0.5},
    'n': -1,
    'sweep': {'eta': [1, 'x']},
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
    "config.sweep.eta: got 'x'",
  ]


@pytest.mark.parametrize('what', [[1], None, 'x'])
def test_from_dict_refuses_what_is_no_dict(what):
  (line,) = lines(lib.from_dict, Config, what)
  assert line.startswith(f'config: got {what!r}, expected Config with fields')
