"""Experiments: a trajectory, a law, and whether one obeys the other."""

import os
import sys

__all__ = ['EXPERIMENTS']

EXPERIMENTS = (
  'matrix_sensing',
  'robust_recovery',
  'xor_grokking',
  'modular_grokking',
  'attention_svm',
  'mup_transfer',
  'infinite_width',
  'pi_limit',
  'spectrum',
  'scaling_law',
)

# Before scipy loads it: on matrices of a few dozen rows its threads wait for
# each other, and a factorisation takes twenty times as long.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')


def _quietly(kind, error, trace) -> None:
  """Ctrl-C while modules are imported is one line; Python then exits 130."""
  if issubclass(kind, KeyboardInterrupt):
    print('\ninterrupted: nothing had begun', file=sys.stderr)
  else:
    sys.__excepthook__(kind, error, trace)


if sys.argv[:1] == ['-m']:  # as a program: nobody else's hook is replaced
  sys.excepthook = _quietly
