"""The absl application that all experiments share.

A thin shell around a `Study`: it reads flags, prepares JAX, and says in one
line what went wrong. Exit codes: 0 done, 1 the disk failed or a claim could not
be computed, 2 usage, 3 a claim failed under --strict or every lane diverged, 75
preempted (run the same command again), 130 interrupted before it could save.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import jax
from absl import app, flags

from framework import config as config_lib
from framework.evidence import claims as claims_lib
from framework.launch import devices, dry_run, report
from framework.launch import flags as flags_lib
from framework.launch.experiment import Experiment, check
from framework.launch.study import Study
from framework.run import bucket, layouts, results, runner, workdir

__all__ = ['main', 'run']

_USAGE = (
  flags.Error,
  config_lib.ConfigError,
  layouts.DoesNotFit,
  workdir.WorkdirError,
)


def main(experiment: Experiment, argv: Sequence[str] | None = None) -> NoReturn:
  """Runs an experiment from the command line and exits with its code.

  Args:
    experiment: What to run.
    argv: The command line, with the name of the program; `sys.argv` when None.
  """
  words = list(sys.argv if argv is None else argv)

  def parse(argv: Sequence[str]) -> Any:
    try:
      return _parsed(experiment, argv)
    except _USAGE as error:
      sys.exit(_said(error, 2))

  def execute(config: Any) -> NoReturn:
    sys.exit(_executed(experiment, config, words))

  app.run(execute, words, flags_parser=parse)
  raise SystemExit(0)  # not reached: app.run exits


def run(experiment: Experiment, argv: Sequence[str]) -> int:
  """Runs an experiment and returns, for programs that go on afterwards.

  Args:
    experiment: What to run.
    argv: The command line, with the name of the program. Flags of the program
      itself may be among it.

  Returns:
    The exit code.
  """
  try:
    config = _parsed(experiment, argv)
  except _USAGE as error:
    return _said(error, 2)
  return _executed(experiment, config, argv)


def _parsed(experiment: Experiment, argv: Sequence[str]) -> Any:
  check(experiment)
  devices.accept_jax_flags()
  config = flags_lib.parse(argv, experiment)
  devices.apply_jax_flags()
  return config


def _executed(experiment: Experiment, config: Any, argv: Sequence[str]) -> int:
  try:
    with bucket.told(flags.FLAGS.workdir or ''):
      study = _prepared(experiment, config)
  except (*_USAGE, OSError) as error:
    return _said(error, 2)
  except KeyboardInterrupt:
    print('\ninterrupted: nothing had begun', file=sys.stderr)
    return 130
  if study is None:
    return 0
  try:
    with bucket.told(study.path):
      if flags.FLAGS.mode == 'report':
        return _report(study)
      return _compute(study, argv)
  except _USAGE as error:
    return _said(error, 2)
  except (OSError, results.DamagedRecords) as error:
    # The disk, not the run: what was recorded before is there.
    return _said(error, 2 if flags.FLAGS.mode == 'report' else 1)
  except KeyboardInterrupt:
    line = f'interrupted; the same command goes on in {study.path}'
    print(f'\n{line}', file=sys.stderr)
    return 130


def _prepared(experiment: Experiment, config: Any) -> Study | None:
  """The study of the flags; None where a dry run was all that was asked for."""
  given = flags.FLAGS
  devices.prepare(given, config.precision)
  if given.mode == 'report':
    where = given.workdir or report.default_workdir(experiment, config)
    return Study.stored(experiment, where)
  study = Study(experiment, config, given.workdir)
  there = devices.topology(given.topology) or devices.present()
  devices.check(config.precision, there, given.model_devices)
  if given.dry_run:
    dry_run.dry_run(study, _options(None), there)
    return None
  study.job  # noqa: B018 - what cannot be built is said before anything is made
  return study


def _compute(study: Study, argv: Sequence[str]) -> int:
  first = jax.process_index() == 0

  def told(line: str) -> None:
    if first:
      print(line, flush=True)

  listener = report.tensorboard(study.path) if flags.FLAGS.tensorboard else None
  outcome = study.run(
    progress=flags.FLAGS.progress,
    resume=flags.FLAGS.resume,
    options=_options(listener),
    argv=tuple(argv),
    told=told,
  )
  if outcome.status == 'preempted':
    print(f'stopped and saved in {study.path}: run the same command again')
    return 75
  if outcome.status == 'diverged':
    print(f'{outcome.diverged} of {outcome.lanes} lanes diverged')
    if first:
      study.place.write('results.csv', results.to_csv(study.results()))
    return 3
  return _report(study) if first else 0


def _report(study: Study) -> int:
  """Writes the report and prints its table."""
  try:
    with bucket.told(study.path):
      claims = study.report()
  except (OSError, results.DamagedRecords, config_lib.ConfigError):
    raise
  except Exception as error:  # in the experiment's own claims or figures
    traceback.print_exc()
    print(
      f'error: claims or figures of {study.experiment.name} failed with '
      f'{type(error).__name__}: the records in {study.path} are safe; mend the '
      'code, then run the same command with --mode=report',
      file=sys.stderr,
    )
    return 1
  print(f'\n{study.experiment.title}\n')
  print(claims_lib.table(claims))
  for figure in sorted((study.path / 'figures').glob('*.png')):
    print(f'figure  {figure}')
  print(f'report  {study.path / "report.html"}')
  failed = claims_lib.failed(claims)
  return 3 if failed and flags.FLAGS.strict else 0


def _options(listener: Any) -> runner.Options:
  """The runner's options from the flags."""
  given = flags.FLAGS
  return runner.Options(
    batching=given.batching,
    lanes_per_call=given.lanes_per_call,
    model_devices=given.model_devices,
    checkpoint_every_secs=given.checkpoint_every_secs,
    keep=given.keep,
    on_nan=given.on_nan,
    profile=flags_lib.window(given.profile),
    listener=listener,
  )


def _said(error: Exception, code: int) -> int:
  """One line; where it comes from is shown under --verbosity=1."""
  if flags.FLAGS.is_parsed() and flags.FLAGS.verbosity > 0:
    traceback.print_exception(error)
  print(f'error: {error}', file=sys.stderr)
  return code
