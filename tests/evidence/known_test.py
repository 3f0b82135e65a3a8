import numpy as np
import pytest

from framework.evidence.known import known, negated, where_known

NAN = np.nan


@pytest.mark.parametrize(
  'compare', [np.less, np.less_equal, np.greater, np.equal, np.not_equal]
)
def test_what_is_known_is_as_numpy_has_it(compare):
  a = np.array([0.0, 1.0, 2.0, np.inf])[:, None]
  b = np.array([1.0, 2.0])
  np.testing.assert_array_equal(known(compare, a, b), compare(a, b))


@pytest.mark.parametrize(
  'compare', [np.less, np.less_equal, np.greater, np.equal, np.not_equal]
)
def test_what_is_missing_stays_so(compare):
  found = known(compare, [NAN, 1.0, NAN], [1.0, NAN, NAN])
  assert np.isnan(found).all()
  assert np.isnan(negated(found)).all()
  for summary in (np.mean, np.max, np.min, np.prod):
    assert np.isnan(summary(known(compare, [1.0, NAN], 1.0)))


def test_negation_and_truths_from_elsewhere():
  np.testing.assert_array_equal(negated([1, 0, NAN]), [0, 1, NAN])
  found = where_known([True, True, False], [1.0, NAN, 2.0], 3.0)
  np.testing.assert_array_equal(found, [1, NAN, 0])
