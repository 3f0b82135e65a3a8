"""The host loop: advances all lanes chunk by chunk and loses nothing.

    for each structural setting, for each block of lanes:
      until the last record time:
        advance a chunk of about a second        (device)
        write its records, then, when due, the checkpoint that covers them

A run killed anywhere goes on to the same bits: the checkpoint names the step it
holds; records after it are computed again and written over themselves.
"""

import shutil
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from absl import logging
from etils import epath
from jaxtyping import PyTree

from framework.run import bucket, layouts, results, sweep
from framework.run import job as job_lib
from framework.run.checkpoint import Checkpoints, to_host
from framework.run.job import Arm, Job, Options, Unit
from framework.run.layouts import agree
from framework.run.plan import Plan
from framework.run.progress import Progress
from framework.run.sweep import Lanes

__all__ = ['Arm', 'Job', 'Options', 'Outcome', 'next_chunk', 'run']


class Outcome(NamedTuple):
  """How a run ended."""

  status: str  # 'done', 'preempted' or 'diverged'
  diverged: int  # lanes
  lanes: int
  plans: list[Plan]  # one a structural setting


def run(
  job: Job,
  workdir: epath.PathLike,
  options: Options | None = None,
  progress: Progress | None = None,
) -> Outcome:
  """Runs a job to its end, or to the next stopping place when asked to stop.

  Args:
    job: What to compute.
    workdir: Where records and checkpoints lie; a run that was interrupted there
      goes on. The caller has made sure that it is the same job.
    options: How to compute it.
    progress: Told of every chunk.

  Returns:
    An `Outcome`.

  Raises:
    ValueError: If the job or an option makes no sense.
  """
  return _Run(
    job, workdir, options or Options(), progress or Progress('none')
  ).go()


def next_chunk(
  times: np.ndarray, record: int, t: int, budget: int, slots: int
) -> tuple[np.ndarray, np.ndarray]:
  """The stops of the next chunk: record times within `budget` steps of `t`.

  A record further away than the budget is approached by a stop that is not
  recorded. Unused slots repeat the last stop and do nothing.

  Args:
    times: All record times.
    record: Index of the next record.
    t: The step reached.
    budget: Most steps in the chunk, >= 1.
    slots: Stops in a chunk.

  Returns:
    (stops, whether each is recorded), of length `slots`.

  >>> next_chunk(np.array([0, 10, 99]), 1, 0, 50, 3)
  (array([10, 50, 50], dtype=int32), array([ True, False, False]))
  """
  horizon = t + budget
  stops = [int(s) for s in times[record : record + slots] if s <= horizon]
  recorded = [True] * len(stops)
  missing = record + len(stops) < len(times)
  if len(stops) < slots and missing and (not stops or stops[-1] < horizon):
    stops.append(horizon)
    recorded.append(False)
  pad = slots - len(stops)
  return (
    np.array(stops + [stops[-1]] * pad, np.int32),
    np.array(recorded + [False] * pad),
  )


def _exhausted(error: Exception) -> bool:
  """Whether memory ran out: devices and hosts say it each in their words."""
  said = 'RESOURCE_EXHAUSTED', 'Out of memory', 'out of memory', 'bad_alloc'
  known = isinstance(error, (MemoryError, layouts.DoesNotFit))
  return known or any(words in str(error) for words in said)


class _Run:
  """One call of `run`: what its methods share."""

  def __init__(self, job, workdir, options: Options, progress: Progress):
    self.observed = job_lib.check(job)
    job_lib.check_options(options)
    self.options, self.progress = options, progress
    self.job, self.layout = job, job.layout
    self.times = np.asarray(job.layout.times, np.int32)
    self.arms, self.grids = list(job.arms), job_lib.grids(job)
    self.store: results.Records | None = None
    self.checkpoints = Checkpoints(
      epath.Path(workdir) / 'checkpoints', options.keep
    )
    self.workdir = bucket.place(workdir)
    self.saved_at = time.monotonic()
    self.tracing, self.traced = False, ''
    self.diverged = self.dead = 0
    self._made: tuple[int, sweep.Program] | None = None
    self.plans: list[Plan] = []

  def go(self) -> Outcome:
    """Every unit in turn, from where the newest good checkpoint stands."""
    status = 'done'
    try:
      lanes = self.options.lanes_per_call
      chosen = [self.choose(i, lanes) for i in range(len(self.arms))]
      restored = self.checkpoints.restore(
        lambda meta: layouts.template(self.arms, self.grids, self.layout, meta)
      )
      stored = restored.meta['plans'] if restored else None
      self.plans = layouts.lay_out(chosen, stored)
      self.open_store()
      if restored and self.lost(restored.meta.get('written', ())):
        restored, self.plans = None, layouts.lay_out(chosen, None)
      meta = restored.meta if restored else {'unit': 0, 't': 0, 'record': 0}
      self.diverged = meta.get('diverged', 0)
      units = job_lib.units(self.layout, self.plans)
      before = sum(u.lanes for u in units[: meta['unit']]) * self.steps
      total = sum(u.lanes for u in units) * self.steps
      if restored:
        logging.info('resumed at step %d of unit %d', meta['t'], meta['unit'])
        before += units[meta['unit']].lanes * meta['t']
      self.progress.begin(total, before)
      index = meta['unit']
      while index < len(units) and status == 'done':
        here = restored if index == meta['unit'] else None
        try:
          status = self.advance(index, units[index], here)
        except (
          jax.errors.JaxRuntimeError,
          MemoryError,
          layouts.DoesNotFit,
        ) as error:
          if not _exhausted(error):
            raise
          if not self.shrink(index, units, here):
            raise self.too_large(units[index], error) from error
          units = job_lib.units(self.layout, self.plans)
          continue
        index += 1
      self.checkpoints.wait()
    finally:
      self.progress.end()
      self.trace(-1, 0)  # of no block: ends it
      self.checkpoints.close()
    lanes = sum(u.lanes for u in units)
    if status == 'done' and self.diverged == lanes:
      status = 'diverged'
    return Outcome(status, self.diverged, lanes, self.plans)

  def advance(self, index: int, unit: Unit, restored) -> str:
    """One block of lanes from its start (or a checkpoint) to the last time."""
    arm, plan = self.arms[unit.structure], self.plans[unit.structure]
    self.progress.stop_clock()
    hp = layouts.padded(self.grids[unit.structure], unit.points, plan.points)
    program = self.program(unit.structure, plan, hp)
    keys = program.seed_keys(
      layouts.repeat_last(list(self.layout.seeds)[unit.seeds], plan.seeds)
    )
    begin = keys, hp, program.place(arm.data)
    problem, lanes = program.fitted('start', *begin)(*begin)
    t = record = 0
    if restored:
      # Laid out like fresh ones, or everything would be compiled once more.
      lanes = jax.tree.map(
        lambda x, fresh: jax.device_put(x, fresh.sharding), restored.tree, lanes
      )
      t, record = restored.meta['t'], restored.meta['record']
    budget, slots = 16, self.options.chunk_stops
    status = self.verdict(unit, lanes)
    # Compiled now, so that no rate is measured with it.
    stops, quiet = np.full(slots, t, np.int32), np.zeros(slots, bool)
    advance = program.fitted(
      'advance', keys, problem, hp, lanes, np.int32(t), stops, quiet
    )
    jax.block_until_ready(lanes)
    self.progress.resume_clock()
    while status == 'done' and record < len(self.times):
      self.trace(index, t)
      stops, recorded = next_chunk(
        self.times, record, t, self.until_edge(index, t, budget), slots
      )
      began = time.monotonic()
      lanes, records = advance(
        keys, problem, hp, lanes, np.int32(t), stops, recorded
      )
      # Steps alone: were writing in it, slow writing would shrink the chunks
      # until there is nothing but writing.
      jax.block_until_ready(lanes)
      seconds = max(time.monotonic() - began, 1e-6)
      self.write(unit, record, recorded, records)
      steps, t = int(stops[-1]) - t, int(stops[-1])
      record += int(recorded.sum())
      # Never more than ten times what was just seen to work: the first chunks
      # are mostly dispatch and say little about the rate.
      budget = max(
        1, min(10 * steps, steps * self.options.chunk_secs / seconds)
      )
      budget = int(agree(float(budget)))  # one dtype on all processes
      self.progress.advanced(unit.lanes * steps, self.label(unit))
      status = self.verdict(unit, lanes)
      if status == 'done' and self.stop_asked():
        status = 'preempted'
      place = {'unit': index, 't': t, 'record': record}
      if status != 'done' or self.due():
        self.save(place, lanes, wait=status != 'done')
      if status == 'preempted':
        return status
      if self.options.on_nan == 'freeze' and not self.alive(unit, lanes).any():
        self.progress.advanced(unit.lanes * (self.steps - t), self.label(unit))
        break
    self.mark(unit, lanes)
    if status != 'done':
      return status
    self.conclude(unit, program, keys, problem, hp, lanes)
    if index + 1 == len(job_lib.units(self.layout, self.plans)):
      place = {'unit': index, 't': t, 'record': len(self.times)}
      self.save(place, lanes, wait=True, diverged=self.diverged - self.dead)
    return status

  def open_store(self) -> None:
    """Makes the store: its chunks are of the lanes that a call has."""
    if jax.process_index() == 0:
      self.store = results.Records(
        self.workdir,
        self.layout,
        self.observed,
        job_lib.attributes(self.job),
        [(p.seeds, p.points) for p in self.plans],
      )

  def lost(self, written: Sequence[str]) -> bool:
    """Whether records are gone that a checkpoint covers; then it is moved."""
    gone = results.missing(self.workdir, written)
    if not agree(len(gone), any_process=True):
      return False
    logging.warning(
      '%d chunks of the records are gone (%s ...): starting from the beginning',
      len(gone),
      gone[0] if gone else 'seen by another process',
    )
    self.checkpoints.set_aside()
    return True

  def shrink(self, index: int, units: list[Unit], restored) -> bool:
    """Halves the lanes of a call that does not fit, if none has run yet."""
    structure = units[index].structure
    old = self.plans[structure]
    begun = index and units[index - 1].structure == structure
    if restored or begun or old.lanes <= 1 or jax.process_count() > 1:
      return False
    new = self.choose(structure, lanes=old.lanes // 2)
    if new.lanes >= old.lanes:
      return False
    logging.warning(
      '%d lanes a call do not fit in memory: %d instead', old.lanes, new.lanes
    )
    self.plans[structure], self._made = new, None
    return True

  def too_large(self, unit: Unit, error: Exception) -> layouts.DoesNotFit:
    """Says of which setting there is no memory for a call."""
    plan = self.plans[unit.structure]
    setting = self.layout.structures[unit.structure]
    named = ' '.join(f'{k}={v}' for k, v in setting.items())
    why = str(error).splitlines()[0] if str(error) else 'out of memory'
    fewer = 'fewer --lanes_per_call or ' if plan.lanes > 1 else ''
    return layouts.DoesNotFit(
      f'{named}{": " if named else ""}a call of {plan.lanes} lanes does not '
      f'fit: {why}; try {fewer}a smaller problem'
    )

  def choose(self, structure: int, lanes: int) -> Plan:
    """The layout of a setting with at most so many lanes a call."""
    return layouts.choose(
      self.arms[structure],
      self.grids[structure],
      self.layout,
      lanes,
      self.options.batching,
      self.options.model_devices,
    )

  def alive(self, unit: Unit, lanes: Lanes) -> np.ndarray:
    """Which lanes of a block, padding left out, are alive."""
    return unit.real(to_host(lanes.alive))

  def verdict(self, unit: Unit, lanes: Lanes) -> str:
    """'diverged' if a lane has and that is to stop the run, else 'done'."""
    stops = self.options.on_nan == 'stop' and not self.alive(unit, lanes).all()
    return 'diverged' if stops else 'done'

  def write(self, unit: Unit, record: int, recorded, records) -> None:
    """Writes the records of a chunk: its first stops are the recorded ones."""
    count = int(recorded.sum())
    values = {
      n: unit.real(x)[:, :, :count] for n, x in to_host(records).items()
    }
    if count and self.store:
      span = slice(record, record + count)
      self.store.write(
        unit.structure, unit.points, unit.seeds, values, times=span
      )
      if self.options.listener:
        self.options.listener(
          self.layout.structures[unit.structure], self.times[span], values
        )

  def mark(self, unit: Unit, lanes: Lanes) -> None:
    """Writes and counts which lanes of a block diverged."""
    when = unit.real(to_host(lanes.diverged_at))
    values = {'diverged_at': np.where(when < 0, np.nan, when)}
    if self.store:
      self.store.write(unit.structure, unit.points, unit.seeds, values)
    self.dead = int((when >= 0).sum())
    self.diverged += self.dead

  def conclude(self, unit: Unit, program, keys, problem, hp, lanes) -> None:
    """Writes what is observed once, at the end."""
    if program.final:
      last = to_host(program.final(keys, problem, hp, lanes))
      values = {n: unit.real(x) for n, x in last.items()}
      if self.store:
        self.store.write(unit.structure, unit.points, unit.seeds, values)

  def save(self, place, lanes, *, wait: bool, diverged: int | None = None):
    """Saves the state that the records on disk lead up to."""
    unit, t = place['unit'], place['t']
    if self.store:
      self.store.flush()
    self.checkpoints.save(
      unit * (self.steps + 1) + t + 1,
      lanes,
      {
        **place,
        'plans': [p._asdict() for p in self.plans],
        'diverged': self.diverged if diverged is None else diverged,
        'written': sorted(self.store.written) if self.store else [],
      },
    )
    if wait:
      self.checkpoints.wait()
    self.saved_at = time.monotonic()

  def due(self) -> bool:
    """Whether it is time for a checkpoint (process 0 decides)."""
    passed = time.monotonic() - self.saved_at
    return bool(agree(passed >= self.options.checkpoint_every_secs))

  def stop_asked(self) -> bool:
    """Whether any process has been asked to stop."""
    return bool(agree(self.options.stop_requested(), any_process=True))

  def trace(self, index: int, t: int) -> None:
    """Starts and stops the profiler around the asked-for steps."""
    start, stop = self.options.profile or (0, 0)
    inside = not index and start <= t < stop
    target = self.workdir / 'profile'
    if inside and not self.tracing:
      # The profiler knows no buckets.
      remote = bucket.remote(target)
      self.traced = tempfile.mkdtemp() if remote else str(target)
      jax.profiler.start_trace(self.traced)
    if self.tracing and not inside:
      jax.profiler.stop_trace()
      if bucket.remote(target):
        bucket.upload(self.traced, target)
        shutil.rmtree(self.traced)
    self.tracing = inside

  def until_edge(self, index: int, t: int, budget: int) -> int:
    """The budget, cut so that no chunk runs across an end of the profile."""
    edges = self.options.profile if self.options.profile and not index else ()
    return min([budget, *(edge - t for edge in edges if edge > t)])

  @property
  def steps(self) -> int:
    """Steps of every lane."""
    return int(self.times[-1])

  def label(self, unit: Unit) -> str:
    """The structural setting in words."""
    setting = self.layout.structures[unit.structure]
    return ' '.join(f'{k}={v}' for k, v in setting.items())

  def program(self, structure: int, plan: Plan, hp: PyTree) -> sweep.Program:
    """The compiled functions of a setting; made once for all its blocks."""
    if self._made is None or self._made[0] != structure:
      arm = self.arms[structure]
      made = sweep.Program(
        arm.system,
        plan,
        hp,
        arm.data,
        mask=self.options.on_nan != 'continue',
        final=arm.final,
      )
      self._made = (structure, made)
    return self._made[1]
