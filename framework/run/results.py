"""Results on disk: labelled arrays in zarr, opened with xarray.

    records.zarr/<observation>   (structure..., swept hp..., seed, time[, ...])

Every array is made whole at the start, filled with NaN, and each chunk of a run
writes its own region: the place of a number depends on its lane and time alone,
so writing it twice (after a kill) writes the same. Chunks carry a checksum, and
what has been written can be listed, so that neither a flipped byte nor a lost
file passes for a result.
"""

import csv
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

__all__ = [
  'DamagedRecords',
  'Layout',
  'Records',
  'Variable',
  'chunks',
  'missing',
  'open',
  'to_csv',
]

NAME = 'records.zarr'
_TIME_CHUNK = 64


class DamagedRecords(ValueError):
  """Records that were written and are not there, or cannot be read."""


class Layout(NamedTuple):
  """The dimensions that all results of a run share."""

  structure: Mapping[str, Sequence[Any]]  # looped: one program each
  hp: Mapping[str, Sequence[float]]  # lanes
  seeds: Sequence[int]  # lanes
  times: np.ndarray  # steps

  @property
  def points(self) -> int:
    """How many settings of the swept hp there are."""
    return int(np.prod([len(v) for v in self.hp.values()], dtype=int))

  @property
  def structures(self) -> list[dict[str, Any]]:
    """Each setting of the structural axes, in order."""
    names = list(self.structure)
    return [
      dict(zip(names, values, strict=True))
      for values in itertools.product(*self.structure.values())
    ]


class Variable(NamedTuple):
  """One observation: its own shape (scalars are ()) and whether it has time."""

  shape: tuple[int, ...]
  timed: bool


class Records:
  """Writes the records of a run into `workdir/records.zarr`."""

  def __init__(
    self,
    workdir: epath.PathLike,
    layout: Layout,
    variables: Mapping[str, Variable],
    attributes: Mapping[str, Mapping[str, str]] | None = None,
  ):
    """Makes what is missing; what is there stays.

    Args:
      workdir: Where `records.zarr` lies; local path or bucket.
      layout: The dimensions.
      variables: The observations.
      attributes: {observation: {'units': ..., 'long_name': ...}}.

    Raises:
      ValueError: If the store holds an array of another shape, or an
        observation is called like an axis.
    """
    import zarr

    self._compressor = zarr.codecs.ZstdCodec(level=1, checksum=True)
    self._layout = layout
    self._group: Any = zarr.open_group(_path(workdir), mode='a')
    coords = {**layout.structure, **layout.hp, 'seed': list(layout.seeds)}
    self._dims = tuple(coords)
    for name, values in {**coords, 'time': layout.times}.items():
      self._coordinate(name, values)
    lanes = tuple(len(v) for v in coords.values())
    for name, variable in variables.items():
      if name in coords or name == 'time':
        raise ValueError(f'observation {name} has the name of an axis')
      shape, dims = lanes, self._dims
      chunks = (1,) * len(layout.structure) + lanes[len(layout.structure) :]
      if variable.timed:
        shape += (len(layout.times),)
        dims += ('time',)
        chunks += (min(_TIME_CHUNK, len(layout.times)),)
      extra = tuple(f'{name}_{i}' for i in range(len(variable.shape)))
      self._array(
        name,
        shape + variable.shape,
        dims + extra,
        chunks + variable.shape,
        (attributes or {}).get(name, {}),
      )

  def _coordinate(self, name: str, values: Any) -> None:
    # Names, None, tuples: a store has numbers and text.
    numbers = all(isinstance(v, (int, float, np.generic)) for v in values)
    array = np.asarray(values if numbers else [str(v) for v in values])
    text = array.dtype.kind in 'US'
    if name not in self._group:
      self._group.create_array(
        name,
        shape=array.shape,
        dtype=str if text else array.dtype,
        dimension_names=(name,),
      )
    # Every time: a kill may have come between making it and filling it.
    self._group[name][:] = array.astype(object) if text else array

  def _array(self, name, shape, dims, chunks, attributes) -> None:
    if name not in self._group:
      self._group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype='float64',
        compressors=self._compressor,
        fill_value=float('nan'),
        dimension_names=dims,
        attributes=dict(attributes),
      )
    if self._group[name].shape != shape:
      raise ValueError(
        f'{name} in {self._group.store_path} has shape '
        f'{self._group[name].shape}, expected {shape}'
      )

  def write(
    self,
    structure: int,
    points: slice,
    seeds: slice,
    values: Mapping[str, np.ndarray],
    times: slice | None = None,
  ) -> None:
    """Writes one region.

    Args:
      structure: Which setting of the structural axes.
      points: Which settings of the swept hp, in C order.
      seeds: Which seeds.
      values: {observation: (seeds, points[, times], ...)}.
      times: Which record times; None for observations without time.
    """
    outer = np.unravel_index(
      structure, [len(v) for v in self._layout.structure.values()] or [1]
    )
    outer = tuple(int(i) for i in outer) if self._layout.structure else ()
    grid = [len(v) for v in self._layout.hp.values()]
    for name, value in values.items():
      array = self._group[name]
      value = np.moveaxis(np.asarray(value, np.float64), 1, 0)
      rest = (seeds,) if times is None else (seeds, times)
      for box in _boxes(points.start, points.stop, grid):
        first = np.ravel_multi_index([b.start for b in box], grid)
        sides = [b.stop - b.start for b in box]
        there = int(first) - points.start if grid else 0
        part = value[there : there + math.prod(sides)]
        region = outer + box + rest
        try:
          array[region] = part.reshape(sides + [*value.shape[1:]])
        except (RuntimeError, ValueError) as error:
          # A chunk is read before a part of it is written.
          raise _damaged(name, error) from None


def chunks(workdir: epath.PathLike) -> list[str]:
  """Every chunk that has been written, as a path below `records.zarr`.

  Args:
    workdir: The work directory of a run.

  Returns:
    Sorted paths, none if there are no records.
  """
  root = epath.Path(workdir) / NAME
  found = []
  for array in root.iterdir() if root.exists() else ():
    for folder, _, names in (array / 'c').walk():
      found += [str((folder / n).relative_to(root)) for n in names]
  return sorted(found)


def missing(workdir: epath.PathLike, written: Sequence[str]) -> list[str]:
  """Which of the chunks that were `written` are there no more."""
  return sorted(set(written) - set(chunks(workdir)))


def open(workdir: epath.PathLike):
  """The results of a run as an `xarray.Dataset`.

  Args:
    workdir: The work directory of a run, finished or not (what has not been
      recorded yet is NaN); local path or bucket.

  Returns:
    Dataset with dimensions: each structural axis, each swept hp, seed, time.

  Raises:
    FileNotFoundError: If there are no records.
    DamagedRecords: If a chunk of them cannot be read.
  """
  import xarray

  if not (epath.Path(workdir) / NAME).exists():
    raise FileNotFoundError(f'no {NAME} in {workdir}')
  found = xarray.open_zarr(_path(workdir), consolidated=False)
  for name in found.variables:
    try:
      found[name].load()
    except (RuntimeError, ValueError) as error:
      raise _damaged(name, error) from None
  # In an order of their own, not as the folder happens to list them.
  return found[sorted(map(str, found.data_vars))]


def to_csv(dataset) -> str:
  """One row a lane: its coordinates, final values, where it diverged.

  Args:
    dataset: What `open` returned.

  Returns:
    CSV text. The value of an observation with time is its last finite record.
  """
  lane_dims = [d for d in dataset['diverged_at'].dims]
  columns = {}
  for name, array in dataset.data_vars.items():
    if set(array.dims) == set(lane_dims) | {'time'}:
      columns[name] = _last_finite(array.transpose(..., 'time').values)
    elif set(array.dims) == set(lane_dims):
      columns[name] = array.values.ravel()
  text = io.StringIO()
  out = csv.writer(text, lineterminator='\n')
  out.writerow(lane_dims + list(columns))
  lanes = itertools.product(*(dataset[d].values for d in lane_dims))
  for i, lane in enumerate(lanes):
    row = [v.item() if hasattr(v, 'item') else v for v in lane]
    out.writerow(row + [repr(float(c[i])) for c in columns.values()])
  return text.getvalue()


def _damaged(name: Any, error: Exception) -> DamagedRecords:
  line = (str(error).strip().splitlines() or [type(error).__name__])[0]
  return DamagedRecords(f'{NAME}/{name} cannot be read: {line[:200]}')


def _last_finite(values: np.ndarray) -> np.ndarray:
  """The last finite entry along the last axis of each lane, NaN if none."""
  rows = values.reshape(-1, values.shape[-1])
  finite = np.isfinite(rows)
  last = rows.shape[1] - 1 - np.argmax(finite[:, ::-1], axis=1)
  found = rows[np.arange(len(rows)), last]
  return np.where(finite.any(axis=1), found, np.nan)


def _path(workdir: epath.PathLike) -> str:
  return str(epath.Path(workdir) / NAME)


def _boxes(start: int, stop: int, shape: list[int]):
  """Splits a C-order range into boxes, as few as there can be.

  Every write of a region reads and writes whole chunks of the store, so their
  number is what counts.

  Yields:
    A slice of each axis.

  >>> list(_boxes(0, 6, [2, 3]))
  [(slice(0, 2, None), slice(0, 3, None))]
  >>> list(_boxes(1, 5, [2, 3]))
  [(slice(0, 1, None), slice(1, 3, None)),
   (slice(1, 2, None), slice(0, 2, None))]
  """
  if not shape:
    yield ()
    return
  row = math.prod(shape[1:])
  while start < stop:
    first, within = divmod(start, row)
    if within or stop - start < row:
      end = min(stop, (first + 1) * row)
      for box in _boxes(within, within + end - start, shape[1:]):
        yield (slice(first, first + 1), *box)
    else:
      last = stop // row
      end = last * row
      yield (slice(first, last), *(slice(0, n) for n in shape[1:]))
    start = end
