"""The benchmark of the π-limit measures what it says."""

from benchmarks import pi_limit


def test_a_row_each_and_memory_of_the_store():
  table, (state, peak) = pi_limit.measure(512, 16, 64, 1, 0.0)
  assert table[0]['name'] == 'ours' and table[0]['median'] > 0
  assert 1 <= state < 1.2
  assert state <= peak < 2
