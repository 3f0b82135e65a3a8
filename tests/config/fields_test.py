import dataclasses
import math
import pickle

import pytest

from framework import config as lib
from framework.config import ConfigError, Problem, field
from tests.config.example import Config, Inner, lines

STEP = 'a finite float > 0 (step size)'
SCALE = 'a finite float >= 0 (scale of the start)'
SIGMA = 'a finite float >= 0 (singular values)'
SIZE = 'an integer >= 1 and <= 100 (size)'
BETA = 'a finite float >= 0 and < 1 (momentum)'
INNER = 'Inner with fields k, name'


def test_defaults_are_valid_and_mutable_ones_are_not_shared():
  lib.validate(Config())
  assert Config().sweep == {} and Config().sweep is not Config().sweep


def test_field_refuses_a_contradiction():
  with pytest.raises(ValueError, match='low is 1, expected at most high = 0'):
    field(1, 'a doc', low=1, high=0)


@pytest.mark.parametrize(
  'hint', [int | str, tuple, tuple[int, str], dict, list[int], complex]
)
def test_an_annotation_that_no_config_can_hold_is_refused(hint):
  Bad = dataclasses.make_dataclass('Bad', [('x', hint, 1)])
  with pytest.raises(TypeError, match=r'^Bad\.x: annotation .*, expected one'):
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
    ({'beta': 1}, f'config.beta: got 1, expected {BETA}'),
    ({'n': 101}, f'config.n: got 101, expected {SIZE}'),
    ({'n': 8.0}, f'config.n: got 8.0, expected {SIZE}'),
    ({'n': None}, f'config.n: got None, expected {SIZE}'),
    ({'noisy': 1}, 'config.noisy: got 1, expected true or false (noise)'),
    ({'plain': True}, 'config.plain: got True, expected an integer'),
    (
      {'setting': 'sensng'},
      "config.setting: got 'sensng', expected one of full, sensing (data); "
      'did you mean sensing?',
    ),
    (
      {'target': 2.0},
      'config.target: got 2.0, expected a finite float >= 0 and <= 1 or none '
      '(stop here)',
    ),
    ({'sigma': (1.0, -2.0)}, f'config.sigma[1]: got -2.0, expected {SIGMA}'),
    ({'sigma': 1.0}, f'config.sigma: got 1.0, expected a tuple, each {SIGMA}'),
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
      {'inner': {'k': 3}},
      f"config.inner: got {{'k': 3}}, expected {INNER} (the inner one)",
    ),
    (
      {'sweep': 3},
      'config.sweep: got 3, expected a grid NAME=VALUE,VALUE,...;NAME=... '
      '(grid)',
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
  lib.validate(Config(alpha=0, target=1, eta=5e-324, beta=0, n=100))
  lib.validate(Config(other=Inner(), sigma=(), target=None))


def test_a_subclass_is_refused_for_it_would_not_come_back():
  class Deeper(Inner):
    pass

  (line,) = lines(lib.validate, Config(inner=Deeper()))
  assert line.startswith('config.inner: got ')
  assert line.endswith(f'expected {INNER} (the inner one)')


def test_errors_pickle_and_stay_on_one_line_a_problem():
  error = ConfigError([Problem('a', 'x\ny', 'b\nc'), Problem('d', 'e', '')])
  again = pickle.loads(pickle.dumps(error))
  assert again.problems == error.problems
  assert str(again) == 'a: got x y, expected b c\nd: e'
