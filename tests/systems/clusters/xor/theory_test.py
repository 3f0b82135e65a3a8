"""Assumptions, theorem and lemma as numbers."""

import numpy as np
import pytest

from framework.systems.clusters.xor import theory


def test_the_published_experiment_breaks_three_assumptions():
  found = theory.assumptions(200, 4e4, 1000, 35.355, 0.05, 1e-12, 1e-15)
  assert [a.holds for a in found] == [False, False, True, True, False, True]
  by_name = {a.name: a for a in found}
  assert abs(by_name['A1'].right - 2983) < 2
  assert abs(by_name['A2'].right - 5e7) < 1e4
  assert abs(by_name['A5'].right / 2.5e-4 - 1) < 0.02


@pytest.mark.parametrize('n', [50, 100, 400])
@pytest.mark.parametrize('C', [1.0, 3.0])
def test_a_setting_within_the_assumptions_has_room(n, C):
  s = theory.within_assumptions(n, 400, C)
  norm = s.signal * (s.p / n) ** 0.5
  found = theory.assumptions(n, s.p, 400, norm, 0.05, s.alpha, s.omega, C)
  ratios = {a.name: a.left / a.right for a in found}
  # 1.2 of the least p: (1.2)^(1/4) is left on each side of ‖μ‖².
  np.testing.assert_allclose(ratios['A1'], 1.2**0.25, rtol=1e-9, atol=0)
  np.testing.assert_allclose(ratios['A2'], 1.2**0.25, rtol=1e-9, atol=0)
  np.testing.assert_allclose(ratios['A4'], 2, rtol=1e-12, atol=0)
  np.testing.assert_allclose(ratios['A5'], 2, rtol=1e-12, atol=0)
  assert min(ratios.values()) > 1


def test_both_sides_of_every_assumption():
  found = theory.assumptions(16, 100.0, 9, 2.0, 0.1, 0.5, 0.25, 3.0)
  sides = {a.name: (a.left, a.right) for a in found}
  want = {
    'A1': (4, 3 * 16**0.51 * 10),
    'A2': (100, 3 * 256 * 4),
    'A3': (1 / 3, 0.1),
    'A4': (1 / 4800, 0.5),
    'A5': (2, 0.25 * 16 * 27 * 100),
    'A6': (9, 3 * 16**0.02),
  }
  assert sides.keys() == want.keys()
  for name, pair in want.items():
    np.testing.assert_allclose(sides[name], pair, rtol=1e-12, atol=0)
  numbers = 16, 100.0, 9, 2.0, 0.1, 0.5, 0.25
  assert theory.assumptions(*numbers) == theory.assumptions(*numbers, 1.0)
  assert theory.within_assumptions(16, 9) == theory.within_assumptions(
    16, 9, 1.0
  )
  assert theory.least_dimension(16) == theory.least_dimension(16, 1.0)


def test_below_the_least_dimension_two_assumptions_exclude_each_other():
  p = theory.least_dimension(100, 2.0)
  low, high = 2 * 100**0.51 * p**0.5, p / (2 * 100**2)  # (A1), (A2): of ‖μ‖²
  np.testing.assert_allclose(low, high, rtol=1e-9, atol=0)


def test_rates_in_closed_form():
  # α‖μ‖²(1 − 2η)/(8√m) = 2·9·0.5/(8·4)
  assert theory.growth(2.0, 3.0, 0.25, 16) == pytest.approx(0.28125)
  # (18/4)(1 + √(ln 100/100) 7)
  found = theory.slow_growth(7.0, 100, 16, 2.0, 3.0)
  assert found == pytest.approx(4.5 * (1 + 7 * (np.log(100) / 100) ** 0.5))
  assert theory.horizon(49) == 7
  assert theory.error_exponent(10, 2.0, 3.0) == pytest.approx(10**0.99 * 81 / 2)
