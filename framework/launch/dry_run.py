"""What a run would be and cost, before anything is spent."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from framework import config as config_lib
from framework.launch.study import Study
from framework.run import plan as plan_lib
from framework.run import sweep
from framework.run.runner import Options

__all__ = ['dry_run']


def dry_run(study: Study, options: Options, devices: Sequence[Any]) -> None:
  """Prints config, lanes, bytes and compiled cost of each structural setting.

  Args:
    study: What would be run.
    options: How it would be run.
    devices: What it would be run on, present or not.
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
    for name, text in arm.notes.items():
      print(f'  {name:20s}{text}')
    print(f'  state a lane        {_bytes(size.state)}')
    print(f'  records a lane      {_bytes(size.record * len(layout.times))}')
    print(
      f'  problem             {_bytes(size.problem_shared)} shared, '
      f'{_bytes(size.problem_seed)} a seed, {_bytes(size.problem_lane)} a lane'
    )
    print(
      f'  layout              {plan.seeds} seeds x {plan.points} points a call '
      f'(batches {plan.seed_batch} x {plan.point_batch}), {plan.sharded}s over '
      f'{plan.devices} x {plan.model} devices'
    )
    fit = plan_lib.lanes_that_fit(
      size, layout.points, devices, options.model_devices
    )
    print(f'  lanes that fit      {fit}')
    _cost(arm, hp, plan, options, devices)


def _cost(arm, hp, plan, options, devices) -> None:
  """Compiles the main program and says what the compiler says of it."""
  block = jax.tree.map(
    lambda x: np.resize(x, plan.points) if np.ndim(x) else x, hp
  )
  program = sweep.Program(arm.system, plan, block, arm.data, devices=devices)
  keys = jax.eval_shape(lambda: program.seed_keys(range(plan.seeds)))
  data = _shapes(arm.data, program.data_shardings(arm.data))
  stops = np.zeros(options.chunk_stops, np.int32)
  began = time.monotonic()
  start = program.start.lower(keys, block, data)
  problem, lanes = _shapes(start.out_info, start.compile().output_shardings)
  compiled = program.advance.lower(
    keys, problem, block, lanes, np.int32(0), stops, stops.astype(bool)
  ).compile()
  seconds = time.monotonic() - began
  memory = compiled.memory_analysis()
  cost = compiled.cost_analysis() or {}
  print(f'  compiles in         {seconds:.2f} s')
  if memory is not None:
    print(f'  arguments a device  {_bytes(memory.argument_size_in_bytes)}')
    print(f'  temporaries         {_bytes(memory.temp_size_in_bytes)}')
  if 'flops' in cost:
    print(f'  flops               {cost["flops"]:.3g} (each loop body once)')


def _shapes(tree: Any, shardings: Any) -> Any:
  """Arrays as shapes with a place."""
  return jax.tree.map(
    lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
    tree,
    shardings,
  )


def _bytes(count: float) -> str:
  """A size a person can read.

  >>> _bytes(2048)
  '2.0 KiB'
  """
  for unit in ('B', 'KiB', 'MiB', 'GiB'):
    if count < 1024:
      return f'{count:.0f} B' if unit == 'B' else f'{count:.1f} {unit}'
    count /= 1024
  return f'{count:.1f} TiB'
