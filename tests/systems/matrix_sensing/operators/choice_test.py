"""The fastest form is the one that was measured to be."""

import jax.numpy as jnp
import pytest

from framework.systems.matrix_sensing import operators


@pytest.mark.parametrize(
  'm,n,options,kind',
  [
    (600, 20, {}, 'gram'),
    (600, 20, {'steps': 20}, 'svec'),
    (600, 20, {'steps': 1000}, 'gram'),
    (90, 20, {}, 'svec'),  # m < p/2
    (1200, 50, {}, 'gram'),
    (8000, 100, {}, 'gram'),
    (8000, 100, {'memory_bytes': 4e8}, 'blocks'),
    (2000, 100, {}, 'blocks'),  # one pass, from main memory
    (2000, 100, {'lanes': 64}, 'svec'),  # limited by arithmetic
    (3000, 100, {'lanes': 64}, 'gram'),
  ],
)
def test_choose(m, n, options, kind):
  options = {'lanes': 1} | options
  choice = operators.choose(m, n, n, symmetric=True, **options)
  assert choice.form.__name__ == kind, choice.reason
  assert 'MB' in choice.reason
  A = jnp.zeros((2, n * (n + 1) // 2))
  assert choice.form(A, (n, n)).symmetric


def test_choose_breaks_even_where_it_was_measured():
  # Measured 55 steps at n = 20, m = 600.
  reason = operators.choose(600, 20, 20, symmetric=True, lanes=1).reason
  steps = int(reason.split('pays off after ')[1].split()[0])
  assert 40 <= steps <= 80


def test_choose_refuses():
  with pytest.raises(ValueError, match='lanes is 0'):
    operators.choose(10, 3, 3, symmetric=True, lanes=0)
  with pytest.raises(ValueError, match='square'):
    operators.choose(10, 3, 4, symmetric=True, lanes=1)
  with pytest.raises(ValueError, match='at most 1e-06 GB'):
    operators.choose(10, 30, 4, symmetric=False, lanes=1, memory_bytes=1e3)
