"""Records on their way to disk: written in whole chunks, at known places.

    records.zarr/<observation>   (structure..., swept hp..., seed, time[, ...])

Every array is made whole at the start, filled with NaN, and each part of a run
writes its own region: the place of a number depends on its lane and time alone,
so writing it twice (after a kill) writes the same.

A chunk of the store is a block of lanes times a span of record times. Records
stay in memory until a span is full, so that a chunk is written once and never
read; `flush` writes what there is, for a checkpoint that is to cover it.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from framework.run import bucket
from framework.run.job import Layout, Variable

__all__ = ['NAME', 'DamagedRecords', 'Records', 'chunks', 'damaged']

NAME = 'records.zarr'
_CHUNK = 1 << 22  # bytes of a chunk of the store, about
_HELD = 1 << 26  # bytes of records in memory, about
_SPAN = 1024  # record times in a chunk, at most


class DamagedRecords(ValueError):
  """Records that were written and are not there, or cannot be read."""


class Records:
  """Writes the records of a run into `workdir/records.zarr`."""

  def __init__(
    self,
    workdir: epath.PathLike,
    layout: Layout,
    variables: Mapping[str, Variable],
    attributes: Mapping[str, Mapping[str, str]] | None = None,
    blocks: Sequence[tuple[int, int]] = (),
  ):
    """Makes what is missing; what is there stays.

    Args:
      workdir: Where `records.zarr` lies; local path or bucket.
      layout: The dimensions.
      variables: The observations.
      attributes: {observation or axis: {'units': ..., 'long_name': ...}}.
      blocks: (seeds, points) that are written at a time; all if empty.

    Raises:
      ValueError: If the store holds an array of another shape.
    """
    import zarr

    self._layout, self._attributes = layout, attributes or {}
    whole = len(layout.seeds), layout.points
    block = [min(side) for side in zip(whole, *blocks, strict=True)]
    # What is all NaN is written like anything else, so that it can be missed.
    with zarr.config.set({'array.write_empty_chunks': True}):
      self._group: Any = zarr.open_group(_path(workdir), mode='a')
      coords = {**layout.structure, **layout.hp, 'seed': list(layout.seeds)}
      for name, values in {**coords, 'time': layout.times}.items():
        self._coordinate(name, values)
      lanes = tuple(len(v) for v in coords.values())
      span = _span(layout, variables, block)
      self._arrays: dict[str, Any] = {}
      for name, variable in variables.items():
        shape, dims = lanes, tuple(coords)
        if variable.timed:
          shape, dims = shape + (len(layout.times),), dims + ('time',)
        shape += variable.shape
        dims += tuple(f'{name}_{i}' for i in range(len(variable.shape)))
        sides = _chunk(layout, variable, block, span)
        self._arrays[name] = self._array(name, variable, shape, dims, sides)
    # Of the arrays as they are: an older store may have others.
    timed = [self._arrays[n] for n, v in variables.items() if v.timed]
    self._span = max([x.chunks[len(lanes)] for x in timed], default=1)
    for path in _files(workdir):
      if path.endswith(_PARTIAL):
        (epath.Path(workdir) / NAME / path).unlink()
    self.written = set(chunks(workdir))
    # Record times [first, first + width) of one place, filled in [start, stop).
    self._place: Any = None
    self._buffer: dict[str, np.ndarray] = {}
    self._first = self._width = self._start = self._stop = self._flushed = 0

  def _coordinate(self, name: str, values: Any) -> None:
    # Names, None, tuples: a store has numbers and text.
    numbers = all(isinstance(v, (int, float, np.generic)) for v in values)
    array = np.asarray(values if numbers else [str(v) for v in values])
    text = array.dtype.kind in 'US'
    found = self._group.get(name)
    if found is None:
      found = self._group.create_array(
        name,
        shape=array.shape,
        dtype=str if text else array.dtype,
        dimension_names=(name,),
        attributes=dict(self._attributes.get(name, {})),
      )
    # Every time: a kill may have come between making it and filling it.
    found[:] = array.astype(object) if text else array

  def _array(self, name, variable, shape, dims, sides) -> Any:
    from zarr import codecs

    array = self._group.get(name)
    if array is None:
      array = self._group.create_array(
        name,
        shape=shape,
        chunks=sides,
        dtype=variable.dtype,
        compressors=[
          codecs.BloscCodec(cname='lz4', clevel=5, shuffle='shuffle'),
          codecs.Crc32cCodec(),
        ],
        fill_value=float('nan'),
        dimension_names=dims,
        attributes=dict(self._attributes.get(name, {})),
      )
    if array.shape != shape:
      raise ValueError(
        f'{name} in {self._group.store_path} has shape {array.shape}, expected '
        f'{shape}'
      )
    return array

  def write(
    self,
    structure: int,
    points: slice,
    seeds: slice,
    values: Mapping[str, np.ndarray],
    times: slice | None = None,
  ) -> None:
    """Takes one region: what has time is on disk after `flush` at the latest.

    Args:
      structure: Which setting of the structural axes.
      points: Which settings of the swept hp, in C order.
      seeds: Which seeds.
      values: {observation: (seeds, points[, times], ...)}.
      times: Which record times; None for observations without time.
    """
    place = structure, points, seeds, tuple(values)
    # As in the store: points before seeds.
    values = {n: np.moveaxis(np.asarray(x), 1, 0) for n, x in values.items()}
    if times is None or not values:
      self._put(place, values)
      return
    if place != self._place or times.start != self._stop:
      self.flush()
      self._begin(place, times.start, values)
    while self._stop < times.stop:
      at, end = self._stop, min(times.stop, self._first + self._width)
      for name, x in values.items():
        kept = self._buffer[name][:, :, at - self._first : end - self._first]
        kept[:] = x[:, :, at - times.start : end - times.start]
      self._stop = end
      if end in (self._first + self._width, len(self._layout.times)):
        self.flush()
        self._first = self._start = end

  def flush(self) -> None:
    """Writes what is only in memory; it stays there until its span is full."""
    if self._stop > self._flushed:
      times = slice(self._start, self._stop)
      here = slice(times.start - self._first, times.stop - self._first)
      values = {n: x[:, :, here] for n, x in self._buffer.items()}
      self._put(self._place, values, times)
      self._flushed = self._stop

  def _begin(self, place: tuple, start: int, values: Mapping) -> None:
    """Makes room for a span of another place, from a record time on."""
    record = sum(x[:, :, :1].nbytes for x in values.values())
    self._width = max(1, min(self._span, _HELD // max(record, 1)))
    self._place, self._buffer = place, {}
    for name, x in values.items():
      shape = (*x.shape[:2], self._width, *x.shape[3:])
      self._buffer[name] = np.empty(shape, self._arrays[name].dtype)
    self._first = start - start % self._width
    self._start = self._stop = self._flushed = start

  def _put(
    self, place: tuple, values: Mapping, times: slice | None = None
  ) -> None:
    """Writes one region, (points, seeds[, times], ...), to disk."""
    structure, points, seeds, _ = place
    loops = [len(v) for v in self._layout.structure.values()]
    outer = np.unravel_index(structure, loops) if loops else ()
    outer = [slice(int(i), int(i) + 1) for i in outer]
    grid = [len(v) for v in self._layout.hp.values()]
    rest = [seeds] if times is None else [seeds, times]
    for name, value in values.items():
      array = self._arrays[name]
      for box in _boxes(points.start, points.stop, grid):
        first = np.ravel_multi_index([b.start for b in box], grid)
        sides = [b.stop - b.start for b in box]
        there = int(first) - points.start if grid else 0
        part = np.asarray(value[there : there + math.prod(sides)], array.dtype)
        own = [slice(0, n) for n in value.shape[len(rest) + 1 :]]
        region = (*outer, *box, *rest, *own)
        try:
          array[region] = part.reshape(
            [1] * len(outer) + sides + [*value.shape[1:]]
          )
        except (RuntimeError, ValueError) as error:
          # A chunk is read before a part of it is written.
          raise damaged(name, error) from None
        self.written.update(_touched(name, array.chunks, region))


def chunks(workdir: epath.PathLike) -> list[str]:
  """Every chunk that is on disk, as a path below `records.zarr`.

  Lists the whole store: for the beginning and the end of a run.

  Args:
    workdir: The work directory of a run.

  Returns:
    Sorted paths, none if there are no records.
  """
  # <array>/c/<place>; beside it lie the facts of the array.
  found = [p for p in _files(workdir) if '/c/' in p]
  return sorted(p for p in found if not p.endswith(_PARTIAL))


_PARTIAL = '.partial'  # what a process killed while writing a file leaves


def _files(workdir: epath.PathLike) -> list[str]:
  """All files below `records.zarr`, relative to it."""
  root = bucket.place(workdir) / NAME
  if bucket.remote(root):
    return bucket.files(root)
  return [
    str((folder / name).relative_to(root))
    for folder, _, names in root.walk()
    for name in names
  ]


def damaged(name: Any, error: Exception) -> DamagedRecords:
  """What reading an array raised, in one line."""
  line = (str(error).strip().splitlines() or [type(error).__name__])[0]
  return DamagedRecords(f'{NAME}/{name} cannot be read: {line[:200]}')


def _path(workdir: epath.PathLike) -> str:
  return str(bucket.place(workdir) / NAME)


def _touched(name: str, sides: Sequence[int], region: Sequence[slice]):
  """The paths of the chunks that a region lies in."""
  ranges = [
    range(r.start // side, -(-r.stop // side))
    for r, side in zip(region, sides, strict=True)
  ]
  for place in itertools.product(*ranges):
    yield f'{name}/c/{"/".join(map(str, place))}'


def _span(layout: Layout, variables: Mapping[str, Variable], block) -> int:
  """Record times in a chunk: as many as may be kept in memory."""
  record = math.prod(block) * sum(
    math.prod(v.shape) * np.dtype(v.dtype).itemsize
    for v in variables.values()
    if v.timed
  )
  return _even(len(layout.times), min(_SPAN, _HELD // max(record, 1)))


def _chunk(layout: Layout, variable: Variable, block, span: int) -> list[int]:
  """The sides of a chunk: lanes that are written together, a span, own axes."""
  room = _CHUNK // np.dtype(variable.dtype).itemsize
  own = _fit(variable.shape, room)
  times = [span] if variable.timed else []
  room //= max(1, math.prod(own) * math.prod(times))
  seeds, points = block
  side = _fit([len(layout.seeds)], room, seeds)
  grid = _fit([len(v) for v in layout.hp.values()], room // side[0], points)
  return [1] * len(layout.structure) + grid + side + times + own


def _fit(shape: Sequence[int], room: int, block: int = 0) -> list[int]:
  """A box of at most `room` entries, as long as can be along the last axes.

  If `block` entries, in C order, are written at a time, it is no larger than
  that and, unless it would become much smaller, lies within one block.

  >>> _fit([7, 100, 8], 1000), _fit([3, 100], 1000, 50), _fit([1000], 300, 500)
  ([1, 100, 8], [1, 50], [250])
  """
  found = [1] * len(shape)
  room = max(1, min(room, block or room))
  for axis in reversed(range(len(shape))):
    size, inner = max(1, shape[axis]), math.prod(found)
    most, rows = room // inner, block // inner
    within = [_even(size, most)]
    if 0 < block < math.prod(shape):
      alone = math.prod(shape[:axis]) == 1
      sides = range(min(size, most), min(size, most) // 4, -1)
      fits = [c for c in sides if rows % c == 0 and (alone or size % c == 0)]
      within = fits or within
    found[axis] = within[0]
    if found[axis] < size:
      break
  return found


def _even(size: int, most: int) -> int:
  """The side of the fewest equal pieces of a length that are short enough."""
  return -(-size // -(-size // max(1, min(size, most)))) if size else 1


def _boxes(start: int, stop: int, shape: list[int]):
  """Splits a C-order range into boxes, as few as there can be.

  Every write costs a turn of the store, so their number is what counts.

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
