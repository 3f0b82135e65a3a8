"""The absl application that all experiments share.

Kept short: it reads flags, prepares JAX, and hands over to
`framework.run.runner` and `framework.launch.report`, which notebooks and tests
call in the same way.
Exit codes: 0 done, 1 the disk failed, 2 usage, 3 a claim failed under --strict
or every lane diverged, 75 preempted (run the same command again).
"""

import sys
import time
from typing import NoReturn

import jax
from absl import app, flags

from framework import config as config_lib
from framework.launch import devices as machine
from framework.launch import dry_run as preview
from framework.launch import flags as arguments
from framework.launch import report as reporting
from framework.launch.experiment import Experiment, job_of
from framework.run import results, runner, workdir
from framework.run.progress import Progress
from framework.run.signals import StopRequest

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
  try:
    machine.prepare(FLAGS, config.precision)
    where = FLAGS.workdir or reporting.default_workdir(experiment, config)
    place = workdir.Workdir(where)
    if FLAGS.mode == 'report':
      config = reporting.stored_config(experiment, place)
      sys.exit(_report(experiment, config, place))
    job = job_of(experiment, config)
    there = machine.topology(FLAGS.topology) or jax.devices()
    machine.check(config.precision, there)
    if FLAGS.dry_run:
      preview.dry_run(experiment, config, job, options(), there)
      sys.exit(0)
    identity = reporting.identity(experiment, config)
    resumed = False
    if jax.process_index() == 0:
      resumed = place.claim(identity, FLAGS.resume, config_lib.diff)
  except (
    workdir.WorkdirError,
    config_lib.ConfigError,
    results.DamagedRecords,
    OSError,
  ) as error:
    _usage(error)
  try:
    code = _compute(experiment, config, place, job, resumed)
  except (OSError, results.DamagedRecords) as error:
    # The disk, not the run: what was recorded before is there.
    print(f'error: {error}', file=sys.stderr)
    code = 1
  sys.exit(code)


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
      'written': results.chunks(place.path),
    }
    if first:
      place.write('run.json', record)
    if outcome.status == 'preempted':
      print(f'stopped and saved in {place.path}: run the same command again')
      return 75
    if outcome.status == 'diverged':
      if first:
        place.write('results.csv', results.to_csv(results.open(place.path)))
      print(f'{outcome.diverged} of {outcome.lanes} lanes diverged')
      return 3
  else:
    print(f'already done: the results in {place.path} are used')
  code = _report(experiment, config, place) if first else 0
  if log:
    log.close()
  return code


def _report(experiment, config, place) -> int:
  lost = results.missing(place.path, place.read('run.json').get('written', ()))
  if lost:
    raise results.DamagedRecords(
      f'{len(lost)} chunks of the records in {place.path} are gone, e.g. '
      f'{lost[0]}: start again with --resume=never'
    )
  failed = reporting.report(experiment, config, place)
  return 3 if failed and FLAGS.strict else 0


def options() -> runner.Options:
  """The runner's options from the flags."""
  return runner.Options(
    batching=FLAGS.batching,
    lanes_per_call=FLAGS.lanes_per_call,
    model_devices=FLAGS.model_devices,
    checkpoint_every_secs=FLAGS.checkpoint_every_secs,
    keep=FLAGS.keep,
    on_nan=FLAGS.on_nan,
    profile=arguments.window(FLAGS.profile),
  )


def _usage(error: Exception) -> NoReturn:
  print(f'error: {error}', file=sys.stderr)
  sys.exit(2)
