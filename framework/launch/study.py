"""A study: an experiment, a config and a work directory, without flags.

The launcher is a shell around this class: what a notebook or a test does here
is what the command line does after reading its flags.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
from absl import logging

from framework import config as config_lib
from framework.evidence import claims as claims_lib
from framework.evidence.claims import Claim
from framework.launch import log, report
from framework.launch.experiment import Experiment, Figures, check, job_of
from framework.run import bucket, environment, layouts, results, runner
from framework.run.job import Job
from framework.run.layouts import agree
from framework.run.plan import Plan
from framework.run.progress import Progress
from framework.run.runner import Options, Outcome
from framework.run.signals import StopRequest
from framework.run.workdir import Workdir, WorkdirError

__all__ = ['Study']


class Study:
  """An experiment with a config, computed and judged in a work directory.

  >>> from framework.launch import Study  # doctest: +SKIP
  >>> study = Study(EXPERIMENT, 'quick')  # doctest: +SKIP
  >>> study.run()  # doctest: +SKIP
  >>> study.results()['loss'].median('seed')  # doctest: +SKIP
  """

  def __init__(
    self,
    experiment: Experiment,
    config: Any = '',
    workdir: str | None = None,
  ):
    """Checks experiment and config; computes and writes nothing.

    Args:
      experiment: What to study.
      config: A config, or the name of a variant; the first one if empty. A
        config that names no variant is of the first.
      workdir: Where everything goes, a local path or a bucket;
        `runs/<experiment>/<variant>-<hash>` when None.

    Raises:
      ConfigError: If something is wrong with either, a line each.
      WorkdirError: If that kind of storage cannot be reached.
    """
    check(experiment)
    if isinstance(config, str):
      config = experiment.config(config)
    if not config.variant:  # made by hand: of the first
      first = next(iter(experiment.configs))
      config = dataclasses.replace(config, variant=first)
    config_lib.validate(config)
    config_lib.check_files(config)
    self.experiment = experiment
    self.config = config_lib.normalise(config)
    if self.config.variant not in experiment.configs:
      wanted = f'one of {", ".join(experiment.configs)}'
      got = repr(self.config.variant)
      problem = config_lib.Problem('config.variant', got, wanted)
      raise config_lib.ConfigError([problem])
    self.place = _place(workdir or report.default_workdir(experiment, config))

  @classmethod
  def stored(cls, experiment: Experiment, workdir: str) -> 'Study':
    """The study that a work directory holds.

    Args:
      experiment: The experiment that it must be of.
      workdir: The work directory.

    Returns:
      The study, with the config that it was made with.

    Raises:
      WorkdirError: If there is no run, or one of another experiment.
      ConfigError: If the stored config is not valid here.
    """
    check(experiment)
    config = report.stored_config(experiment, _place(workdir))
    return cls(experiment, config, workdir)

  @property
  def path(self) -> Any:
    """The work directory."""
    return self.place.path

  @functools.cached_property
  def job(self) -> Job:
    """The whole computation, built on first use.

    Raises:
      ConfigError: If a setting cannot be built, in one line.
    """
    with self._precision():
      return job_of(self.experiment, self.config)

  def run(
    self,
    *,
    progress: str = 'auto',
    resume: str = 'auto',
    options: Options | None = None,
    stop: Callable[[], bool] | None = None,
    argv: tuple[str, ...] = (),
    told: Callable[[str], None] = lambda line: None,
  ) -> Outcome:
    """Computes what is not computed yet.

    Args:
      progress: 'bar', 'log', 'none', or 'auto': a bar on a terminal.
      resume: 'auto' goes on with a run of the same config in the work
        directory, 'must' wants one there, 'never' moves it aside.
      options: How it is computed: batching, checkpoints, devices.
      stop: Asked between chunks; true saves and returns. Without it Ctrl-C
        asks, so that an interrupted notebook cell loses nothing.
      argv: The command line, for run.json.
      told: Given one line on what happens.

    Returns:
      How it ended: 'done', 'preempted' (call again to go on) or 'diverged'.

    Raises:
      ConfigError: If a setting cannot be built.
      WorkdirError: If the work directory holds another run, or is in use.
      DoesNotFit: If there is not enough memory; nothing is left behind of a
        run that has computed nothing.
      OSError: If the disk fails.
    """
    job = self.job
    first = jax.process_index() == 0
    with self._precision():
      layouts.check_memory(job)
      here = environment.identity()
    resumed = first and self.place.claim(
      report.identity(self.experiment, self.config),
      resume,
      config_lib.diff,
      here,
    )
    before = self.place.read('run.json') if resumed else {}
    try:
      # Process 0 decides: what the others read may be older.
      if agree(before.get('status') == 'done'):
        told(f'already done: the results in {self.path} are used')
        return _outcome(before or self.place.read('run.json'))
      told(f'{"resuming" if resumed else "running"} in {self.path}')
      try:
        with self._log(), self._precision():
          return self._compute(
            job, before, progress, options or Options(), stop, argv
          )
      except layouts.DoesNotFit:
        # Not one chunk of records and no checkpoint: nothing to come back to.
        if first and not resumed and not results.chunks(self.path):
          self.place.discard()
        raise
    finally:
      self.place.unlock()

  def _compute(self, job, before, progress, options, stop, argv) -> Outcome:
    first = jax.process_index() == 0
    facts, began = environment.facts(argv), time.time()
    if first:
      self.place.write('run.json', {**facts, 'status': 'running'})
    self._tell(facts, resumed=bool(before))
    with contextlib.nullcontext(stop) if stop else StopRequest() as asked:

      def ask() -> bool:
        self.place.confirm()  # a bucket's lock can be lost
        return asked()

      outcome = runner.run(
        job,
        self.path,
        options._replace(stop_requested=ask),
        Progress(progress),
      )
    if first:
      seconds = before.get('seconds', 0.0) + time.time() - began
      record = {
        **facts,
        'status': outcome.status,
        'seconds': round(seconds, 3),
        'lanes': outcome.lanes,
        'diverged_lanes': outcome.diverged,
        'plans': [p._asdict() for p in outcome.plans],
        'precision': self.config.precision,
        'written': results.chunks(self.path),
      }
      self.place.write('run.json', record)
    logging.info(
      '%s after %.1f s: %d lanes, %d diverged',
      outcome.status,
      time.time() - began,
      outcome.lanes,
      outcome.diverged,
    )
    return outcome

  def _tell(self, facts: dict[str, Any], resumed: bool) -> None:
    """Logs what is computed, with what, and where."""
    layout = self.job.layout
    logging.info('%s %s', 'resumed' if resumed else 'begun', facts['argv'])
    logging.info('source %s, python %s', facts['git'], facts['python'])
    logging.info(' '.join(f'{k} {v}' for k, v in facts['versions'].items()))
    logging.info(
      '%d x %s, %d processes, %s',
      facts['devices'],
      facts['device_kind'],
      facts['processes'],
      self.config.precision,
    )
    logging.info(
      '%d programs, %d points x %d seeds, T = %d, %d records',
      len(self.job.arms),
      layout.points,
      len(layout.seeds),
      layout.times[-1],
      len(layout.times),
    )
    for line in config_lib.describe(self.config).splitlines():
      logging.info('config %s', line)

  def _log(self) -> contextlib.AbstractContextManager:
    """Where log lines go: process 0 keeps them in the work directory."""
    first = jax.process_index() == 0
    return log.kept(self.path) if first else contextlib.nullcontext()

  def results(self) -> Any:
    """What was recorded, an `xarray.Dataset`.

    Raises:
      WorkdirError: If nothing has been computed.
      DamagedRecords: If something that was recorded is gone.
    """
    if not self.place.read('run.json'):
      raise WorkdirError(f'there is no run in {self.path}: call run() first')
    written = self.place.read('run.json').get('written', ())
    lost = results.missing(self.path, written)
    if lost:
      raise results.DamagedRecords(
        f'{len(lost)} chunks of the records in {self.path} are gone, e.g. '
        f'{lost[0]}: start again with --resume=never'
      )
    return results.open(self.path)

  def claims(self) -> list[Claim]:
    """What theory predicts, what was measured, and whether it holds."""
    made = self.experiment.variant(self.config).claims(
      self.config, self.results()
    )
    status = self.place.read('run.json')['status']
    if status in ('running', 'preempted'):
      return claims_lib.unfinished(made, status)
    return made

  def figures(self) -> Figures:
    """The figures, in the style of the house: {name: (figure, caption)}."""
    from framework.evidence import figures

    with figures.style():
      return self.experiment.variant(self.config).figures(
        self.config, self.results()
      )

  def report(self) -> list[Claim]:
    """Writes claims, results.csv, figures and report.html.

    Returns:
      The claims.
    """
    with self._log():
      made = report.write(self)
      for line in claims_lib.table(made).splitlines():
        logging.info('%s', line)
    return made

  @contextlib.contextmanager
  def _precision(self) -> Iterator[None]:
    """The precision of the config, whatever the program around it uses."""
    with jax.enable_x64(self.config.precision == 'float64'):
      yield


def _place(workdir: str) -> Workdir:
  """A work directory that this installation can reach.

  Raises:
    WorkdirError: If that kind of storage is not installed or not reached.
  """
  try:
    with bucket.told(workdir):
      place = Workdir(workdir)
      place.path.exists()
  except (ImportError, bucket.BucketError) as error:
    raise WorkdirError(f'--workdir={workdir}: {error}') from None
  return place


def _outcome(run: dict[str, Any]) -> Outcome:
  """How a run that is done has ended, from its run.json."""
  plans = [Plan(**plan) for plan in run['plans']]
  return Outcome(run['status'], run['diverged_lanes'], run['lanes'], plans)
