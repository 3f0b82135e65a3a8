"""Reading results: a part of them, as lanes, at a time, over a grid.

A *lane* is one run: one seed at one setting of whatever was swept. Results have
an axis for each swept field, one for seeds, one for record times, and then the
observation's own axes, which are called by its name and a number.
"""

from typing import Any

import numpy as np

__all__ = [
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
  return [d for d in array.dims if str(d).startswith(f'{array.name}_')]


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
  values = array[axis].broadcast_like(array).transpose(*array.dims).values
  return values.ravel()
