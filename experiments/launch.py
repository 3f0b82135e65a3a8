"""The absl application that all experiments share.

Kept short: it reads flags, prepares JAX, and hands over to `framework.runner`
and `experiments.reporting`, which notebooks and tests call in the same way.
Exit codes: 0 done, 2 usage, 3 a claim failed under --strict or every lane
diverged, 75 preempted (run the same command again).
"""

import os
import pathlib
import sys
import time
from typing import NoReturn

import jax
from absl import app, flags, logging

from experiments import arguments, preview, reporting
from experiments.experiment import Experiment, job_of
from framework import config as config_lib
from framework import runner, workdir
from framework.progress import Progress
from framework.signals import StopRequest

FLAGS = arguments.define()


def main(experiment: Experiment) -> NoReturn:
  """Runs an experiment from the command line.

  Args:
    experiment: What to run.
  """
  jax.config.config_with_absl()

  def parse(argv):
    try:
      return arguments.parse(argv, experiment)
    except (flags.Error, config_lib.ConfigError) as error:
      _usage(error)

  app.run(lambda config: _run(experiment, config), flags_parser=parse)


def _run(experiment: Experiment, config) -> NoReturn:
  prepare(config.precision)
  try:
    where = FLAGS.workdir or reporting.default_workdir(experiment, config)
    place = workdir.Workdir(where)
    if FLAGS.mode == 'report':
      config = reporting.stored_config(experiment, place)
      sys.exit(_report(experiment, config, place))
    job = job_of(experiment, config)
    if FLAGS.dry_run:
      preview.dry_run(experiment, config, job, options())
      sys.exit(0)
    identity = reporting.identity(experiment, config)
    resumed = False
    if jax.process_index() == 0:
      resumed = place.claim(identity, FLAGS.resume, config_lib.diff)
  except (workdir.WorkdirError, config_lib.ConfigError, OSError) as error:
    _usage(error)
  sys.exit(_compute(experiment, config, place, job, resumed))


def _compute(experiment, config, place, job, resumed: bool) -> int:
  first = jax.process_index() == 0
  log = arguments.log_to(place.path) if first else None
  facts = workdir.facts(sys.argv)
  before = place.read('run.json')
  began = time.time()
  if not (resumed and before.get('status') == 'done'):
    if first:
      print('resuming in' if resumed else 'running in', place.path, flush=True)
    if first:
      place.write('run.json', {**facts, 'status': 'running'})
    outcome = runner.run(
      job,
      place.path,
      options()._replace(
        stop_requested=StopRequest().install(),
        listener=reporting.tensorboard(place.path)
        if FLAGS.tensorboard
        else None,
      ),
      Progress(FLAGS.progress),
    )
    earlier = before.get('seconds', 0.0) if resumed else 0.0
    record = {
      **facts,
      'status': outcome.status,
      'seconds': round(earlier + time.time() - began, 3),
      'lanes': outcome.lanes,
      'diverged_lanes': outcome.diverged,
      'plans': [p._asdict() for p in outcome.plans],
      'precision': config.precision,
    }
    if first:
      place.write('run.json', record)
    if outcome.status == 'preempted':
      print(f'stopped and saved in {place.path}: run the same command again')
      return 75
    if outcome.status == 'diverged':
      print(f'{outcome.diverged} of {outcome.lanes} lanes diverged')
      return 3
  else:
    print(f'already done: the results in {place.path} are used')
  code = _report(experiment, config, place) if first else 0
  if log:
    log.close()
  return code


def _report(experiment, config, place) -> int:
  failed = reporting.report(experiment, config, place)
  return 3 if failed and FLAGS.strict else 0


def options() -> runner.Options:
  """The runner's options from the flags."""
  return runner.Options(
    batching=FLAGS.batching,
    lanes_per_call=FLAGS.lanes_per_call,
    checkpoint_every_secs=FLAGS.checkpoint_every_secs,
    keep=FLAGS.keep,
    on_nan=FLAGS.on_nan,
    profile=arguments.window(FLAGS.profile),
  )


def prepare(precision: str) -> None:
  """Sets up JAX before its backend starts.

  On a CPU, one device a core with lanes sharded over them is more than twice as
  fast as the default thread pool; NPROC keeps each device to one thread.

  Args:
    precision: 'float32' or 'float64'.
  """
  os.environ.setdefault('NPROC', '1')
  if jax.config.values['jax_num_cpu_devices'] < 1:
    cores = len(os.sched_getaffinity(0))
    jax.config.update('jax_num_cpu_devices', cores)
  if FLAGS.deterministic:
    given = os.environ.get('XLA_FLAGS', '')
    os.environ['XLA_FLAGS'] = f'{given} --xla_gpu_deterministic_ops=true'
  jax.config.update('jax_enable_x64', precision == 'float64')
  if not jax.config.values['jax_compilation_cache_dir']:
    home = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    cache = pathlib.Path(home) / 'training-dynamics' / 'jax'
    jax.config.update('jax_compilation_cache_dir', str(cache))
  # By default programs that compile in under a second are not kept.
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)
  arguments.distributed(FLAGS)
  if not FLAGS['verbosity'].present:
    logging.set_verbosity(logging.WARNING)  # orbax tells of every thread


def _usage(error: Exception) -> NoReturn:
  print(f'error: {error}', file=sys.stderr)
  sys.exit(2)
