"""What a run would be and cost, before anything is spent."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from framework import config as config_lib
from framework.launch.study import Study
from framework.run import layouts, sweep
from framework.run import plan as plan_lib
from framework.run.plan import bytes_text as text
from framework.run.progress import duration
from framework.run.runner import Options

__all__ = ['dry_run']


def dry_run(study: Study, options: Options, devices: Sequence[Any]) -> None:
  """Prints config, lanes, bytes and compiled cost of each structural setting.

  Args:
    study: What would be run.
    options: How it would be run.
    devices: What it would be run on, present or not.

  Raises:
    DoesNotFit: After all is printed, if a setting does not fit in memory.
  """
  job, layout = study.job, study.job.layout
  described = config_lib.describe(study.config)
  print(f'{study.experiment.title}\n\n{described}\n')
  print(f'workdir   {study.path}')
  print(f'devices   {len(devices)} x {devices[0].device_kind}')
  print(
    f'lanes     {layout.points} points x {len(layout.seeds)} seeds, '
    f'{len(job.arms)} programs, T = {layout.times[-1]}, '
    f'{len(layout.times)} records'
  )
  total = 0.0
  for setting, arm in zip(layout.structures, job.arms, strict=True):
    hp = sweep.points(arm.hp, layout.hp)
    size = plan_lib.sizes(arm.system, hp, arm.data)
    plan = plan_lib.choose(
      size,
      len(layout.seeds),
      layout.points,
      batching=options.batching,
      lanes_per_call=options.lanes_per_call,
      model=options.model_devices,
      devices=devices,
    )
    print('\n' + (' '.join(f'{k}={v}' for k, v in setting.items()) or 'run'))
    for name, note in arm.notes.items():
      print(f'  {name:20s}{note}')
    print(f'  state a lane        {text(size.state)}')
    print(f'  records a lane      {text(size.record * len(layout.times))}')
    print(
      f'  problem             {text(size.problem_shared)} shared, '
      f'{text(size.problem_seed)} a seed, {text(size.problem_lane)} a lane'
    )
    print(
      f'  layout              {plan.seeds} seeds x {plan.points} points a call '
      f'(batches {plan.seed_batch} x {plan.point_batch}), {plan.sharded}s over '
      f'{plan.devices} x {plan.model} devices'
    )
    missing = plan_lib.shortfall(size, devices)
    if missing:
      print(f'  does not fit        {missing}')
      continue
    fit = plan_lib.lanes_that_fit(
      size, layout.points, devices, options.model_devices
    )
    print(f'  lanes that fit      {fit}')
    calls = -(-len(layout.seeds) // plan.seeds) * -(
      -layout.points // plan.points
    )
    step = _cost(arm, hp, plan, options, devices, layout.times[-1])
    if step:
      seconds = calls * layout.times[-1] * step
      total += seconds
      print(f'  all steps, about    {duration(seconds)}')
  if total:
    print(f'\nall steps take about {duration(total)}; compiling is extra')
  layouts.check_memory(job, devices)


def _cost(arm, hp, plan, options, devices, last: int) -> float:
  """Compiles the main program and says what the compiler says of it.

  Returns:
    Seconds a step of all lanes of a call, 0 for devices that are not here.
  """
  block = jax.tree.map(
    lambda x: np.resize(x, plan.points) if np.ndim(x) else x, hp
  )
  program = sweep.Program(arm.system, plan, block, arm.data, devices=devices)
  keys = jax.eval_shape(lambda: program.seed_keys(range(plan.seeds)))
  data = _shapes(arm.data, program.data_shardings(arm.data))
  stops = np.zeros(options.chunk_stops, np.int32)
  began = time.monotonic()
  start = program.start.lower(keys, block, data)
  begin = start.compile()
  problem, lanes = _shapes(start.out_info, begin.output_shardings)
  compiled = program.advance.lower(
    keys, problem, block, lanes, np.int32(0), stops, stops.astype(bool)
  ).compile()
  seconds = time.monotonic() - began
  memory = compiled.memory_analysis()
  cost = compiled.cost_analysis() or {}
  print(f'  compiles in         {seconds:.2f} s')
  if memory is not None:
    print(f'  arguments a device  {text(memory.argument_size_in_bytes)}')
    print(f'  temporaries         {text(memory.temp_size_in_bytes)}')
  if 'flops' in cost:
    print(f'  flops               {cost["flops"]:.3g} (each loop body once)')
  for made in (begin, compiled):
    why = plan_lib.shortfall_of(made, program.devices)
    if why and plan.lanes > 1:  # a run halves them until they do
      print(f'  does not fit        {why}: fewer lanes a call will be taken')
      return 0.0
    if why:
      raise plan_lib.DoesNotFit(why)
  if not set(devices) <= set(jax.devices()):
    return 0.0
  keys = program.seed_keys(range(plan.seeds))
  problem, lanes = begin(keys, block, program.place(arm.data))
  t, count, quiet = 0, 1, np.zeros(options.chunk_stops, bool)
  while True:
    count = min(count, last - t)
    stops = np.full(options.chunk_stops, t + count, np.int32)
    began = time.monotonic()
    lanes, _ = compiled(keys, problem, block, lanes, np.int32(t), stops, quiet)
    jax.block_until_ready(lanes)
    seconds = time.monotonic() - began
    t += count
    # The first call says more of itself than of its step.
    if (seconds > 0.3 and t > 1) or t >= last:
      return seconds / count
    count *= 4


def _shapes(tree: Any, shardings: Any) -> Any:
  """Arrays as shapes with a place."""
  return jax.tree.map(
    lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
    tree,
    shardings,
  )
