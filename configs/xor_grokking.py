"""Grokking of XOR clusters: one variant a figure.

python -m experiments.xor_grokking --config=:VARIANT
"""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

from framework.config import Problem, Run, Variants, field, variants

# In float32 the spacing of numbers comes near the width of χ variables here.
_MOST_P_FLOAT32 = 1e7


@dataclasses.dataclass(frozen=True)
class Config(Run):
  """All that decides the result of a run. Fields of `Hp` can be lanes."""

  # What is fixed in the compiled program.
  form: str = field(
    'auto',
    'explicit: descent in R^p; gram: in the span of the points; bartlett: the '
    'same without drawing points in R^p',
    choices=('auto', 'explicit', 'gram', 'bartlett'),
  )
  n: int = field(200, 'training points', low=4)
  n_test: int = field(200, 'test points, with clean labels', low=1)
  m: int = field(1000, 'neurons', low=2)
  neurons: bool = field(False, "whether to record every neuron's projections")
  regime: str = field(
    'given',
    'theorem: p, signal, alpha and omega are set so that (A1) ... (A6) hold',
    choices=('given', 'theorem'),
  )
  constant: float = field(
    1.0, 'C of the assumptions', low=0, low_open=True, high=1e3
  )
  # Hyperparameters: traced, so that every value can be a lane.
  p: float = field(40000.0, 'dimension', low=2)
  alpha: float = field(1e-12, 'step size', low=0, low_open=True)
  omega: float = field(
    1e-15, 'standard deviation of W(0)', low=0, low_open=True
  )
  eta: float = field(
    0.05, 'probability of a flipped label', low=0, high=0.5, high_open=True
  )
  signal: float = field(2.5, '‖μ‖', unit='√(p/n)', low=0)
  leak: float = field(
    0.0, 'slope of φ below 0: 0 ReLU, 1 linear', low=0, high=1
  )
  stratified: float = field(
    0.0, '1 deals out n/4 points a cluster (a control)', low=0, high=1
  )
  kappa: float = field(0.1, 'κ of the sets J1 and J2', low=0, high=0.5)
  # What is recorded.
  steps: int = field(30, 'steps T', low=1)
  records: int = field(20, 'records per decade of t, from `dense` on', low=1)
  dense: int = field(30, 'steps up to which every one is recorded', low=1)
  seeds: int = field(20, 'seeds', low=1)
  fixed: ClassVar[tuple[str, ...]] = (
    *('steps', 'records', 'dense'),
    *('neurons', 'regime', 'form', 'n_test'),
  )

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    if self.form in ('explicit', 'gram'):
      yield from self._check_in_space()
    if self.form == 'bartlett' and self.p < self.n + 3:
      least = self.n + 3
      yield Problem('p', self.p, f'at least n + 3 = {least} for bartlett')
    if self.p > _MOST_P_FLOAT32 and self.precision == 'float32':
      yield Problem('precision', 'float32', 'float64 for p > 1e7')
    if self.regime == 'theorem':
      if self.form in ('explicit', 'gram'):
        yield Problem('form', self.form, 'bartlett: p is about n^5')
      if self.precision == 'float32':
        yield Problem('precision', 'float32', 'float64 for regime=theorem')
      for name in ('p', 'alpha', 'omega', 'signal'):
        if name in self.sweep:
          yield Problem(f'sweep.{name}', name, 'no axis that the theorem sets')
    if 'p' in self.sweep and self.form != 'bartlett':
      yield Problem('sweep.p', 'p', 'form=bartlett, which alone takes any p')

  def _check_in_space(self) -> Iterable[Problem]:
    if self.p != int(self.p):
      yield Problem('p', self.p, f'an integer for form={self.form}')
    size = self.p * (3 * self.m + self.n + self.n_test)
    size *= 8 if self.precision == 'float64' else 4
    if size > 8e9:
      yield Problem(
        'p',
        self.p,
        f'at most {self.p * 8e9 / size:.3g} for form={self.form} (8e9 bytes); '
        'bartlett takes any p',
      )


VARIANTS: Variants = {
  'quick': (
    'fits at once, generalises later; a linear network never does',
    Config(neurons=True, sweep={'leak': (0.0, 1.0)}),
  ),
  'paper': (
    'Figures 1 (left), 2 and 3: 100 seeds at the size of the paper',
    Config(neurons=True, seeds=100, steps=100),
  ),
  'slow': (
    'Figures 1 (right) and 4: α = 1e-16, where fitting takes time as well',
    Config(neurons=True, alpha=1e-16, seeds=40, steps=4000, dense=1),
  ),
  'theory': (
    "the theorem's own assumptions hold: p of about n^5",
    Config(
      regime='theorem',
      m=400,
      seeds=40,
      precision='float64',
      sweep={'n': (50, 100, 200, 400)},
    ),
  ),
  'phase': (
    'steps to fit and to generalise over α/ω, signal and η',
    Config(
      m=256,
      steps=200,
      seeds=12,
      sweep={
        'omega': (1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10),
        'signal': (1.0, 1.5, 2.0, 2.5, 3.5),
        'eta': (0.0, 0.1, 0.2),
      },
    ),
  ),
  'lost_cluster': (
    'how often one of the four clusters is never learnt, and why',
    Config(
      n=100,
      seeds=400,
      dense=1,
      records=6,
      sweep={'m': (32, 128, 512), 'stratified': (0.0, 1.0)},
    ),
  ),
  'controls': (
    'what must not generalise: no signal, labels at random, a linear network',
    Config(
      seeds=40,
      dense=5,
      records=8,
      sweep={
        'eta': (0.05, 0.49),
        'leak': (0.0, 1.0),
        'signal': (0.0, 2.5),
      },
    ),
  ),
}

get_config = variants(VARIANTS)
