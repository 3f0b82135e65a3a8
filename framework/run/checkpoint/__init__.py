"""Checkpoints: of numbered steps, verified; large leaves in blocks.

Checkpoints      keeps the newest steps of a run, restores the newest good one
Restored         a tree and the facts that were saved with it
CheckpointError  one could not be written, or is of another program
digest           SHA-256 over the leaves of a tree
to_host          a tree as numpy arrays, whole on every process
"""

from framework.run.checkpoint.steps import (
  CheckpointError,
  Checkpoints,
  Restored,
  digest,
  to_host,
)

__all__ = ['CheckpointError', 'Checkpoints', 'Restored', 'digest', 'to_host']
