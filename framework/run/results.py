"""Results on disk: labelled arrays in zarr, opened with xarray.

What has been written can be listed and chunks carry a checksum, so that neither
a flipped byte nor a lost file passes for a result. How they get there is in
`records`.
"""

import csv
import io
import itertools
from collections.abc import Sequence

import numpy as np
from etils import epath

from framework.run import bucket
from framework.run.job import Layout, Variable
from framework.run.records import (
  NAME,
  DamagedRecords,
  Records,
  chunks,
  damaged,
)

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

  path = bucket.place(workdir) / NAME
  if not path.exists():
    raise FileNotFoundError(f'no {NAME} in {workdir}')
  found = xarray.open_zarr(str(path), consolidated=False)
  for name in found.variables:
    try:
      found[name].load()
    except (RuntimeError, ValueError) as error:
      raise damaged(name, error) from None
  # In an order of their own, not as the folder happens to list them; what was
  # computed in single precision is not to be evaluated in it.
  return found[sorted(map(str, found.data_vars))].astype(float)


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


def _last_finite(values: np.ndarray) -> np.ndarray:
  """The last finite entry along the last axis of each lane, NaN if none."""
  rows = values.reshape(-1, values.shape[-1])
  finite = np.isfinite(rows)
  last = rows.shape[1] - 1 - np.argmax(finite[:, ::-1], axis=1)
  found = rows[np.arange(len(rows)), last]
  return np.where(finite.any(axis=1), found, np.nan)
