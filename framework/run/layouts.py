"""The layout of every setting of a job: chosen, agreed on, kept at a resume.

`plan` decides for one setting from the bytes involved. A run that goes on keeps
the layout that it began with, for it fixes the bits, on the devices there are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from jaxtyping import PyTree

from framework.run import job as job_lib
from framework.run import plan as plan_lib
from framework.run.job import Arm, Job, Layout
from framework.run.plan import DoesNotFit, Plan
from framework.run.sweep import Lanes

__all__ = [
  'DoesNotFit',
  'agree',
  'check_memory',
  'choose',
  'lay_out',
  'padded',
  'repeat_last',
  'template',
]


def agree(value: Any, any_process: bool = False) -> Any:
  """One value for all processes: process 0's, or whether any has it."""
  if jax.process_count() == 1:
    return value
  from jax.experimental import multihost_utils

  if any_process:
    return np.any(multihost_utils.process_allgather(np.asarray(value)))
  return multihost_utils.broadcast_one_to_all(np.asarray(value))


def check_memory(job: Job, devices: Sequence[Any] | None = None) -> None:
  """Refuses a job of which not even one lane fits in memory.

  Args:
    job: What is to be computed.
    devices: What it is to be computed on; all of them when None.

  Raises:
    DoesNotFit: Naming the first setting that does not.
  """
  grids = job_lib.grids(job)
  for setting, arm, grid in zip(
    job.layout.structures, job.arms, grids, strict=True
  ):
    size = plan_lib.sizes(arm.system, grid, arm.data)
    why = plan_lib.shortfall(size, devices)
    if why:
      named = ' '.join(f'{k}={v}' for k, v in setting.items())
      raise DoesNotFit(f'{named}{": " if named else ""}{why}')


def choose(
  arm: Arm, grid: PyTree, layout: Layout, lanes: int, batching: str, model: int
) -> Plan:
  """The layout of a setting with at most so many lanes a call.

  Args:
    arm: The setting.
    grid: Its hp; swept ones have an axis of points.
    layout: The dimensions of the results.
    lanes: Most lanes in one call; 0 lets memory decide.
    batching: 'auto', 'vmap' or 'map'.
    model: Devices that a lane is spread over.

  Returns:
    A `Plan`.
  """
  return plan_lib.choose(
    plan_lib.sizes(arm.system, grid, arm.data),
    len(layout.seeds),
    layout.points,
    batching=batching,
    lanes_per_call=lanes,
    model=model,
  )


def lay_out(
  chosen: Sequence[Plan], stored: Sequence[Mapping[str, Any]] | None
) -> list[Plan]:
  """The plan of each setting: as stored with a checkpoint, or as chosen now.

  Args:
    chosen: What `choose` says now.
    stored: What the run began with, None if it begins.

  Returns:
    A plan for each setting, the same on all processes.
  """
  chosen = [_same(plan) for plan in chosen]
  if not stored:
    return chosen
  now = len(jax.devices()), chosen[0].model
  kept = [plan_lib.relaid(Plan(**p), *now) for p in stored]
  for old, new, asked in zip(stored, kept, chosen, strict=True):
    if new != Plan(**old) or new != asked:
      logging.warning(
        'the run began with lanes laid out as %s; it goes on as %s (asked '
        'for now: %s); where these differ the last bits may too',
        tuple(old.values()),
        tuple(new),
        tuple(asked),
      )
      break
  return kept


def template(
  arms: Sequence[Arm],
  grids: Sequence[PyTree],
  layout: Layout,
  meta: Mapping[str, Any],
) -> PyTree:
  """Shapes of the lanes that a checkpoint holds.

  Args:
    arms: Of every setting.
    grids: Their hp.
    layout: The dimensions of the results.
    meta: The facts of the checkpoint: its plans and its unit.

  Returns:
    The tree of its lanes, of `jax.ShapeDtypeStruct`s.
  """
  plans = [Plan(**p) for p in meta['plans']]
  structure = job_lib.units(layout, plans)[meta['unit']].structure
  arm, grid, plan = arms[structure], grids[structure], plans[structure]
  state = jax.eval_shape(
    lambda k: job_lib.start(arm, grid, k)[1], jax.random.key(0)
  )
  one: Any = jax.ShapeDtypeStruct
  lanes = Lanes(state, one((), bool), one((), np.int32))
  return jax.tree.map(
    lambda x: one((plan.seeds, plan.points) + x.shape, x.dtype), lanes
  )


def padded(grid: PyTree, points: slice, size: int) -> PyTree:
  """The block's points of each swept hp, the last repeated up to `size`."""
  return jax.tree.map(
    lambda x: (
      np.asarray(repeat_last(list(x[points]), size), x.dtype)
      if np.ndim(x)
      else x
    ),
    grid,
  )


def repeat_last(values: list, size: int) -> list:
  """The values, the last of them repeated up to `size`."""
  return values + [values[-1]] * (size - len(values))


def _same(plan: Plan) -> Plan:
  """Process 0's plan: it depends on memory, which may differ between hosts."""
  sides = ('seed', 'point')
  values = plan._asdict() | {'sharded': sides.index(plan.sharded)}
  found = agree(np.array([int(x) for x in values.values()]))
  agreed: dict[str, Any] = {
    name: int(x) for name, x in zip(values, found, strict=True)
  }
  return Plan(**agreed)._replace(sharded=sides[agreed['sharded']])
