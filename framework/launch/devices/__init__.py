"""Devices: which there are, how JAX is set up for them, how hosts meet.

accept_jax_flags   lets the command line take JAX's own flags
apply_jax_flags    and hands them to JAX
prepare            precision, threads, cache and cluster, before anything runs
present            the devices that are here
topology           those of a TPU that need not be here
check              refuses a precision, or a split, that they cannot do
distributed        whether a cluster is to be joined
"""

from framework.launch.devices.choice import (
  accept_jax_flags,
  apply_jax_flags,
  check,
  distributed,
  prepare,
  present,
  topology,
)

__all__ = [
  'accept_jax_flags',
  'apply_jax_flags',
  'check',
  'distributed',
  'prepare',
  'present',
  'topology',
]
