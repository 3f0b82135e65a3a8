"""Every test: CPU, eight simulated devices, float64 available, strict."""

import os

# One thread a device: pools that compete for two cores only slow tests down.
os.environ.setdefault('NPROC', '1')
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import jax

jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_enable_x64', True)
jax.config.update('jax_numpy_rank_promotion', 'raise')
