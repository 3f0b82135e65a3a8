"""Work directories in a bucket: what differs from a disk.

An object is written whole or not at all, but cannot be renamed, appended to or
locked, and every request costs tens of milliseconds. So texts are written in
one request, a checkpoint is one object, and a lock is one that is renewed. All
of it goes through fsspec (gcsfs, s3fs), like zarr: one client, one set of
credentials, one view of what is there.
"""

from framework.run.bucket.lease import HOLD, PREFIX, Held, Lease
from framework.run.bucket.objects import (
  BucketError,
  files,
  move,
  place,
  read,
  remote,
  remove,
  told,
  upload,
  write,
)
from framework.run.bucket.saved import Saved

__all__ = [
  'HOLD',
  'PREFIX',
  'BucketError',
  'Held',
  'Lease',
  'Saved',
  'files',
  'move',
  'place',
  'read',
  'remote',
  'remove',
  'told',
  'upload',
  'write',
]
