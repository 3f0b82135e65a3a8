"""Sets up JAX for a launch: devices, precision, compilation cache, cluster."""

import os
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags, logging

from framework import config as config_lib
from framework.launch.devices import rollcall, xla_flags

__all__ = [
  'accept_jax_flags',
  'apply_jax_flags',
  'check',
  'distributed',
  'prepare',
  'present',
  'topology',
]


def accept_jax_flags() -> None:
  """Defines JAX's own settings as flags, once a process."""
  if 'jax_platforms' not in flags.FLAGS:
    jax.config.config_with_absl()


def apply_jax_flags() -> None:
  """Hands the flags that were given to JAX."""
  for name in jax.config.values:
    if name in flags.FLAGS and flags.FLAGS[name].present:
      jax.config.update(name, flags.FLAGS[name].value)


def present() -> list[Any]:
  """The devices that are here.

  Raises:
    ConfigError: If the platform that was asked for is not.
  """
  try:
    return list(jax.devices())
  except RuntimeError as error:
    line = str(error).strip().splitlines()[0][:200]
    wanted = jax.config.values['jax_platforms'] or 'any'
    problem = config_lib.Problem('--jax_platforms', f'{wanted} ({line})', '')
    raise config_lib.ConfigError([problem]) from None


def prepare(flag_values: flags.FlagValues, precision: str) -> None:
  """Sets up JAX before its backend starts.

  On a CPU, one device a core with lanes sharded over them is more than twice as
  fast as the default thread pool; NPROC keeps each device to one thread.

  Args:
    flag_values: The launcher's flags.
    precision: 'float32' or 'float64'.
  """
  os.environ.setdefault('NPROC', '1')
  if jax.config.values['jax_num_cpu_devices'] < 1:
    cores = len(os.sched_getaffinity(0))
    jax.config.update('jax_num_cpu_devices', cores)
  if flag_values.topology:
    jax.config.update('jax_platforms', 'cpu')
  if flag_values.data_dir:
    os.environ['TRAINING_DYNAMICS_DATA'] = flag_values.data_dir
  if flag_values.deterministic:
    wanted = ['--xla_gpu_deterministic_ops=true']
    given = os.environ.get('XLA_FLAGS')
    os.environ['XLA_FLAGS'] = xla_flags.with_flags(given, wanted)
  jax.config.update('jax_enable_x64', precision == 'float64')
  if not jax.config.values['jax_compilation_cache_dir']:
    cache = xla_flags.cache_dir() / 'jax'
    jax.config.update('jax_compilation_cache_dir', str(cache))
  # By default programs that compile in under a second are not kept.
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)
  distributed(flag_values)
  if not flag_values['verbosity'].present:
    logging.set_verbosity(logging.WARNING)  # orbax tells of every thread


def topology(name: str | None) -> list[Any] | None:
  """The devices of a TPU that need not be here, to compile for.

  Args:
    name: For instance 'v5e:2x2' or 'v4:2x2x1'; None for what is here.

  Returns:
    Devices, or None.

  Raises:
    ConfigError: If there is no such topology, or no TPU compiler (`libtpu`).
  """
  if name is None:
    return None
  from jax.experimental import topologies

  os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')  # of a cloud machine
  try:
    described = topologies.get_topology_desc(platform='tpu', topology_name=name)
  except Exception as error:  # the compiler's own, of many kinds
    line = str(error).strip().splitlines()[0][:200]
    problem = config_lib.Problem(
      '--topology', f'{name!r} ({line})', "e.g. v5e:2x2, and jax[tpu]'s libtpu"
    )
    raise config_lib.ConfigError([problem]) from None
  return list(described.devices)


def check(
  precision: str, devices: Sequence[Any], model_devices: int = 1
) -> None:
  """Refuses what these devices cannot do.

  Args:
    precision: 'float32' or 'float64'.
    devices: What the run is for.
    model_devices: How many of them one lane is spread over.

  Raises:
    ConfigError: For float64 on a TPU: it is emulated there, and the compiler
      (libtpu 0.0.42) rejects it in a program that is sharded by hand. If the
      devices cannot be grouped by `model_devices`.
  """
  if len(devices) % model_devices:
    problem = config_lib.Problem(
      '--model_devices', model_devices, f'a divisor of {len(devices)} devices'
    )
    raise config_lib.ConfigError([problem])
  if precision == 'float64' and devices[0].platform == 'tpu':
    problem = config_lib.Problem(
      'config.precision',
      'float64 on a TPU',
      'float32: TPUs emulate float64 and do not compile it where lanes are '
      'sharded',
    )
    raise config_lib.ConfigError([problem])


def distributed(flag_values: flags.FlagValues) -> None:
  """Initialises `jax.distributed` where there is a cluster, and says so."""
  given = flag_values.coordinator_address is not None
  if flag_values.distributed == 'off' or (
    flag_values.distributed == 'auto' and not given and not _cluster()
  ):
    return
  who = (
    flag_values.coordinator_address,
    flag_values.num_processes,
    flag_values.process_id,
  )
  if None not in who:
    rollcall.roll_call(*who, flag_values.distributed_timeout_secs)
  jax.distributed.initialize(
    initialization_timeout=int(flag_values.distributed_timeout_secs),
    coordinator_address=flag_values.coordinator_address,
    num_processes=flag_values.num_processes,
    process_id=flag_values.process_id,
  )
  logging.info('process %d of %d', jax.process_index(), jax.process_count())


def _cluster() -> str:
  """Which cluster the environment speaks of, '' for none.

  The variables are those that JAX's own detection reads; asking them first
  keeps a single host from waiting for peers it does not have.
  """
  if len(os.environ.get('TPU_WORKER_HOSTNAMES', '').split(',')) > 1:
    return 'Cloud TPU'
  if int(os.environ.get('SLURM_NTASKS', '1')) > 1:
    return 'Slurm'
  if int(os.environ.get('OMPI_COMM_WORLD_SIZE', '1')) > 1:
    return 'Open MPI'
  if os.environ.get('JAX_COORDINATOR_ADDRESS'):
    return 'JAX_COORDINATOR_ADDRESS'
  return ''
