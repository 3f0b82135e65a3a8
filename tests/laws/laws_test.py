"""What holds for every System of the framework, whatever it computes."""

import numpy as np
import pytest

from framework.testing import laws
from tests.laws import discovery

# Laws that compile nothing.
OF_SHAPES = laws.ALL[:3]


# The order of the parameters keeps what one entry compiled for all its laws.
def over(params):
  return pytest.mark.parametrize('param', params, indirect=True, scope='module')


entries = over(discovery.entries())


@pytest.fixture(scope='module')
def param(request):
  """The entry of a parameter."""
  return discovery.entry(request.param)


@pytest.fixture(scope='module')
def subject(param):
  """In float64, where derivatives can be checked."""
  return param.subject(np.float64)


@pytest.fixture(scope='module')
def single(param):
  """In float32, as most runs are."""
  return param.subject(np.float32)


@pytest.mark.parametrize('law', OF_SHAPES)
@over(discovery.entries(marked=False))
def test_law_of_shapes(subject, law):
  law(subject)


@pytest.mark.parametrize('law', laws.ALL[len(OF_SHAPES) :])
@entries
def test_law(subject, law):
  law(subject)


@over(discovery.entries(marked=False))
def test_its_floats_have_the_precision_that_was_asked_for(single):
  """Shapes alone: weak types and constants of float64 show here."""
  laws.states_keep_their_type(single)
  traced = single.traced
  for what, tree in (('state', traced.state), ('observation', traced.seen)):
    for path, x in laws.paths(tree).items():
      wide = laws.is_float(x) and x.dtype != np.float32
      assert not wide, f'{what} {path!r} is {x.dtype}, asked for float32'


@pytest.mark.slow
@pytest.mark.parametrize('law', laws.ALL[len(OF_SHAPES) :])
@entries
def test_law_in_single_precision(single, law):
  law(single)


def test_every_system_has_an_entry():
  covered = {
    discovery.full_name(discovery.entry(p.values[0]).builder)
    for p in discovery.entries()
  }
  for name in sorted(discovery.builders() - covered):
    family = name.split('.')[2]
    pytest.fail(
      f'{name} has no entry: append Entry(name, builder, args, hp) to ENTRIES '
      f'of tests/laws/entries/{family}.py (tests/laws/entry.py says how)'
    )


def test_every_final_has_an_entry():
  found = [discovery.entry(p.values[0]) for p in discovery.entries()]
  covered = {discovery.full_name(e.ends()) for e in found if e.final}
  for name in sorted(discovery.finals() - covered):
    family = name.split('.')[2]
    pytest.fail(
      f'{name} has no entry: give one of tests/laws/entries/{family}.py '
      'final=...'
    )


def test_every_system_file_builds_a_system():
  for name in sorted(discovery.packages()):
    assert any(b.rpartition('.')[0] == name for b in discovery.builders()), (
      f'no public function of {name} is annotated -> System'
    )
