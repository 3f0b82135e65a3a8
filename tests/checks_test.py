import numpy as np
import pytest

from framework.checks import check_sizes


@pytest.mark.parametrize('value', [0, -3, 0.5, 2.5, np.nan, np.inf])
def test_what_is_no_size_is_refused(value):
  with pytest.raises(ValueError, match=f'k is {value}, expected an integer'):
    check_sizes(d=3, k=value)


def test_sizes_pass():
  check_sizes(d=1, k=np.int32(7), n=2.0)
