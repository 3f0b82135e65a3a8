"""A config with a field of every kind, for the tests of configs."""

import dataclasses
from collections.abc import Mapping

import hypothesis.strategies as st
import pytest

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
  beta: float = field(0.9, 'momentum', low=0, high=1, high_open=True)
  target: float | None = field(None, 'stop here', low=0, high=1)
  note: str = field('', 'free text')
  sigma: tuple[float, ...] = field((1.0, 0.5), 'singular values', low=0)
  layers: tuple[str, ...] = field(('relu',), 'layers')
  inner: Inner = field(Inner(), 'the inner one')
  other: Inner | None = field(None, 'perhaps another')
  plain: int = 3
  sweep: Mapping[str, tuple] = field({}, 'grid')

  def check(self):
    if self.inner.k > self.n:
      yield Problem('inner.k', self.inner.k, f'at most n = {self.n}')


def lines(call, *args):
  """The lines of the `ConfigError` that a call raises, one a problem."""
  with pytest.raises(ConfigError) as caught:
    call(*args)
  text = str(caught.value)
  assert len(text.splitlines()) == len(caught.value.problems)
  return text.splitlines()


floats = st.floats(0, allow_infinity=False)
steps = st.floats(0, exclude_min=True, allow_infinity=False)
texts = st.text(max_size=8)


def axis(values):
  return st.lists(values, min_size=1, max_size=4, unique=True).map(tuple)


grids = st.fixed_dictionaries(
  {},
  optional={
    'eta': axis(steps),
    'n': axis(st.integers(1, 100)),
    'inner.k': axis(st.integers(1)),
    'note': axis(texts),
    'noisy': axis(st.booleans()),
    'target': axis(st.none() | st.floats(0, 1)),
  },
)
inners = st.builds(
  Inner, k=st.integers(1), name=st.sampled_from(['sgd', 'adam'])
)
configs = st.builds(
  Config,
  alpha=floats,
  eta=steps,
  n=st.integers(1, 100),
  noisy=st.booleans(),
  setting=st.sampled_from(['full', 'sensing']),
  target=st.none() | st.floats(0, 1),
  note=texts,
  sigma=st.lists(floats, max_size=4).map(tuple),
  layers=st.lists(texts, max_size=3).map(tuple),
  inner=inners,
  other=st.none() | inners,
  sweep=grids,
)
