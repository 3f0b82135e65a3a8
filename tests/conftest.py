"""Tests compile hundreds of small programs, once each."""

import os

# One piece of machine code a program instead of up to 32 that are compiled
# side by side: the same code, twice as fast on the one thread that there is.
# Must be set before the first computation.
os.environ['XLA_FLAGS'] = (
  os.environ.get('XLA_FLAGS', '') + ' --xla_cpu_parallel_codegen_split_count=1'
)
