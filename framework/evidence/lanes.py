"""Reading results: a part of them, as lanes, at a time, over a grid.

A *lane* is one run: one seed at one setting of whatever was swept. Results have
an axis for each swept field, one for seeds, one for record times, and then the
observation's own axes, which are called by its name and a number.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = [
  'apart',
  'at',
  'coordinate',
  'lanes',
  'over',
  'own_dims',
  'prepared',
  'select',
]


def prepared(config: Any, dataset: Any, axes: tuple[str, ...]) -> Any:
  """The results with these axes, whether they were swept or not.

  Args:
    config: Supplies the value of an axis that was not swept.
    dataset: Results.
    axes: Fields of the config.

  Returns:
    The dataset, in which each of `axes` is a dimension.
  """
  missing = [axis for axis in axes if axis not in dataset.dims]
  return dataset.expand_dims(
    {axis: [getattr(config, axis)] for axis in missing}
  )


def select(dataset: Any, **where: Any) -> Any:
  """The results at some coordinates; those of an axis not swept are ignored.

  Args:
    dataset: Results, or one observation of them.
    **where: Coordinates, a value each.

  Returns:
    The part of the dataset.

  Raises:
    KeyError: If an axis has no such value.
  """
  return dataset.sel({k: v for k, v in where.items() if k in dataset.dims})


def own_dims(array: Any) -> list[str]:
  """The axes that are the observation's own, in order."""
  start = f'{array.name}_'  # and a number: `loss_damping` is not of `loss`
  return [
    d
    for d in array.dims
    if str(d).startswith(start) and str(d)[len(start) :].isdigit()
  ]


def lanes(dataset: Any, name: str, **where: Any) -> np.ndarray:
  """An observation with all lanes along one axis.

  Args:
    dataset: Results, or a part of them.
    name: The observation.
    **where: Coordinates to select, as for `select`.

  Returns:
    (lanes, time, ...) or, of what has no time, (lanes, ...); lanes in C order
    of their axes.

  >>> import xarray as xr
  >>> data = xr.Dataset({'x': (('alpha', 'time', 'seed'), np.ones((2, 5, 3)))})
  >>> lanes(data, 'x').shape
  (6, 5)
  """
  array = select(dataset[name], **where)
  own = ['time'] * ('time' in array.dims) + own_dims(array)
  other = [d for d in array.dims if d not in own]
  values = array.transpose(*other, *own).values
  return values.reshape(-1, *values.shape[len(other) :])


def over(dataset: Any, name: str, axes: tuple[str, ...], **where: Any):
  """An observation over a grid of axes, in the order asked for.

  Args:
    dataset: Results, or a part of them.
    name: The observation.
    axes: Axes that come first, of length one where they were not swept.
    **where: Coordinates to select, as for `select`.

  Returns:
    (*axes, other lanes ..., time, own ...), each axis kept.
  """
  array = select(dataset[name], **where)
  missing = [axis for axis in axes if axis not in array.dims]
  array = array.expand_dims(missing) if missing else array
  own = ['time'] * ('time' in array.dims) + own_dims(array)
  other = [d for d in array.dims if d not in (*axes, *own)]
  return array.transpose(*axes, *other, *own).values


def at(dataset: Any, name: str, t: int, **where: Any) -> np.ndarray:
  """An observation of all lanes at one record time.

  Args:
    dataset: Results, or a part of them.
    name: The observation.
    t: A step that was recorded.
    **where: Coordinates to select, as for `select`.

  Returns:
    (lanes, ...).

  Raises:
    KeyError: If t was not recorded.
  """
  return lanes(dataset.sel(time=t), name, **where)


def coordinate(dataset: Any, axis: str, **where: Any) -> np.ndarray:
  """The value of an axis in each lane of `lanes(dataset, ..., **where)`.

  Args:
    dataset: Results, or a part of them.
    axis: A swept axis, or `seed`.
    **where: Coordinates to select, as for `select`.

  Returns:
    (lanes,).
  """
  array = select(dataset['diverged_at'], **where)
  values = array[axis].values
  # By hand: xarray's own broadcasting takes a hundred times longer.
  if axis in array.dims:
    shape = [1] * array.ndim
    shape[array.dims.index(axis)] = -1
    values = values.reshape(shape)
  return np.broadcast_to(values, array.shape).ravel()


def apart(
  config: Any, dataset: Any, axes: tuple[str, ...]
) -> Iterator[tuple[str, Any, Any]]:
  """The parts of a run that are judged each by itself, by its own numbers.

  Args:
    config: A config of `framework.config.Run`.
    dataset: Its results.
    axes: Swept fields that a judgement goes over; any other is taken apart.

  Yields:
    (text to append to the ids of claims, config, results) of each setting of
    the other fields: once, with no text, where there are none.

  >>> import xarray as xr
  >>> from framework.config import Run, field
  >>> @dataclasses.dataclass(frozen=True)
  ... class Config(Run):
  ...   eta: float = field(0.1, 'step size')
  >>> data = xr.Dataset({'x': ('eta', [3.0, 4.0])}, {'eta': [0.1, 0.2]})
  >>> for text, own, part in apart(Config(sweep={'eta': (0.1, 0.2)}), data, ()):
  ...   print(text, own.eta, float(part['x']))
  .eta=0.1 0.1 3.0
  .eta=0.2 0.2 4.0
  """
  other = [name for name in config.sweep if name not in axes]
  own = {k: v for k, v in config.sweep.items() if k in axes}
  for values in itertools.product(*(config.sweep[name] for name in other)):
    where = dict(zip(other, values, strict=True))
    text = ''.join(f'.{name}={value}' for name, value in where.items())
    here = dataclasses.replace(config, sweep=own, **where)
    yield text, here, select(dataset, **where)
