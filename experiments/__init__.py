"""Experiments: a trajectory, a law, and whether one obeys the other."""

import os

# Before scipy loads it: on matrices of a few dozen rows its threads wait for
# each other, and a factorisation takes twenty times as long.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
