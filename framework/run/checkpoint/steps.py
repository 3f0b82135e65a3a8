"""Checkpoints through orbax, with our own digest over the leaves.

Orbax commits a checkpoint by renaming its folder, so a kill leaves the last one
whole; but it restores a flipped byte without a word, and a damaged newest step
makes it fail instead of falling back. So every checkpoint carries a SHA-256 of
its leaves and one of its facts, verified at restore, which walks back to the
newest good step. It also names its leaves: a good checkpoint of another program
is told from a damaged one.

Leaves are stored by number: by name, `{'a.b': x}` and `{'a': {'b': x}}` would
be one file. Those without entries are not stored. In a bucket there are no
folders to rename, and orbax needs a hundred requests for one checkpoint: there
it is one object (`bucket.Saved`), under the same digests. On a disk large
leaves lie in blocks, each once for all checkpoints that have it (`blocks`).

This is the only file that imports orbax.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from etils import epath
from jaxtyping import PyTree

from framework.run import bucket
from framework.run.checkpoint.blocks import Blocks

__all__ = ['CheckpointError', 'Checkpoints', 'Restored', 'digest', 'to_host']


class CheckpointError(OSError):
  """A checkpoint could not be written, or is one of another program."""


class Restored(NamedTuple):
  """A restored checkpoint: its tree, and the facts saved with it."""

  step: int
  tree: PyTree
  meta: dict[str, Any]


def to_host(tree: PyTree) -> PyTree:
  """All leaves as whole numpy arrays on this host; typed keys as their words.

  Args:
    tree: Arrays, possibly sharded over the devices of several processes.

  Returns:
    The same tree of numpy arrays.
  """

  def one(x):
    if isinstance(x, jax.Array) and jax.dtypes.issubdtype(
      x.dtype, jax.dtypes.prng_key
    ):
      x = jax.random.key_data(x)
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
      from jax.experimental import multihost_utils

      return np.asarray(multihost_utils.process_allgather(x, tiled=True))
    return np.asarray(x)

  return jax.tree.map(one, tree)


def digest(tree: PyTree) -> str:
  """SHA-256 over dtype, shape and bytes of every leaf, in tree order.

  Args:
    tree: Numpy arrays.

  Returns:
    64 hexadecimal digits.

  >>> import numpy as np
  >>> a = {'x': np.zeros(3)}
  >>> digest(a) == digest({'x': np.zeros(3)})
  True
  >>> digest(a) == digest({'x': np.zeros((3, 1))})
  False
  """
  return _digest(tree, np.asarray)


def _digest(tree: PyTree, prepared: Callable[[Any], np.ndarray]) -> str:
  total = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
    leaf = prepared(leaf)
    head = f'{jax.tree_util.keystr(path)} {leaf.dtype.str} {leaf.shape}'
    total.update(head.encode())
    total.update(leaf.tobytes())
  return total.hexdigest()


def _old_digest(tree: PyTree) -> str:
  """Of checkpoints without a seal: it took a scalar for an array of one."""
  return _digest(tree, np.ascontiguousarray)


def _seal(facts: Mapping[str, Any]) -> str:
  """SHA-256 of JSON facts, the seal itself left out."""
  text = json.dumps(facts, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def _described(tree: PyTree) -> dict[str, str]:
  """Kind of every leaf, by its path."""
  found = {}
  for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
    leaf = leaf if hasattr(leaf, 'dtype') else np.asarray(leaf)
    found[jax.tree_util.keystr(path)] = f'{leaf.dtype}{list(leaf.shape)}'
  return found


class Checkpoints:
  """The checkpoints of one work directory."""

  def __init__(self, directory: epath.PathLike, keep: int = 2):
    """Opens (and makes) the directory.

    Args:
      directory: Local path or bucket.
      keep: How many of the newest checkpoints to keep, >= 1.
    """
    if keep < 1:
      raise ValueError(f'keep is {keep}, expected an integer >= 1')
    self._directory = bucket.place(directory)
    self._stored: bucket.Saved | _Orbax
    self._blocks: Blocks | None = None  # in a bucket a checkpoint is one object
    if bucket.remote(directory):
      self._stored = bucket.Saved(self._directory, keep)
    else:
      self._directory = self._directory.absolute()  # as orbax wants it
      self._stored = _Orbax(self._directory, keep)
      name = self._directory.name + '.blocks'
      self._blocks = Blocks(self._directory.with_name(name))

  def steps(self) -> list[int]:
    """The steps that can be restored, and the one being written, sorted."""
    return self._stored.steps()

  def save(self, step: int, tree: PyTree, meta: dict[str, Any]) -> None:
    """Saves in the background; the arrays are copied before it returns.

    Args:
      step: A number that grows with progress.
      tree: The state, any pytree of arrays.
      meta: JSON-able facts that belong to it.

    Raises:
      CheckpointError: If this one, or the one before, cannot be written.
    """
    if step in self._stored.steps():
      return  # the same step of the same run: the same bits
    host = to_host(tree)
    facts = {'digest': digest(host), 'leaves': _described(tree), **meta}
    leaves = _numbered(host)
    if self._blocks:
      with _told(f'checkpoint {step}'):
        leaves, names = self._blocks.put(leaves, not jax.process_index())
        leaves = leaves or {'none': np.zeros(1)}
      if names:
        facts['blocks'] = names
        self._collect(names)
    facts = json.loads(json.dumps(facts))  # as it will be read
    facts = {'seal': _seal(facts), **facts}
    with _told(f'checkpoint {step}'):
      self._stored.save(step, leaves, facts)

  def _collect(self, names: Mapping[str, list[str]]) -> None:
    """Removes blocks of checkpoints that are gone, but for damaged ones."""
    aside = self._directory.with_name(self._directory.name + '.damaged')
    if jax.process_index() or aside.exists() or not self._blocks:
      return
    self.wait()  # the one that is being written is not there yet
    kept = [self.meta(s).get('blocks', {}) for s in self._stored.steps()]
    self._blocks.keep(
      block
      for table in (names, *kept)
      for blocks in table.values()
      for block in blocks
    )

  def meta(self, step: int) -> dict[str, Any]:
    """The JSON facts of a step, unverified."""
    return self._stored.facts(step)

  def restore(self, template) -> Restored | None:
    """The newest checkpoint whose digest is right.

    Args:
      template: meta -> tree of arrays or `ShapeDtypeStruct`s to restore into.

    Returns:
      A `Restored`, its leaves numpy arrays (typed keys wrapped again), or None
      when there is no good checkpoint. A bad one is logged and moved aside to
      `<directory>.damaged`: what cannot be read now may be readable later.

    Raises:
      CheckpointError: If a good one holds other leaves than the template.
      BucketError: If a bucket cannot be read.
    """
    for step in reversed(self._stored.steps()):
      try:
        meta = self.meta(step)
        if 'seal' in meta and meta.pop('seal') != _seal(meta):
          raise ValueError('its facts are not what was written')
        shapes = template(meta)
        expected, stored = _described(shapes), meta.pop('leaves', None)
        if stored is not None and stored != expected:
          raise CheckpointError(_other_program(step, stored, expected))
        tree = self._read(
          step, shapes, stored is not None, meta.pop('blocks', {})
        )
        known = {digest(tree)} if stored else {digest(tree), _old_digest(tree)}
        if meta.pop('digest') not in known:
          raise ValueError('its digest does not match its content')
        return Restored(step, jax.tree.map(_wrap, tree, shapes), meta)
      except (CheckpointError, bucket.BucketError):
        raise  # it is another program's, or cannot be fetched: not damaged
      except Exception as error:  # whatever is wrong with it, go back one
        line = str(error).strip().splitlines() or [type(error).__name__]
        logging.warning(
          'checkpoint %d is damaged (%s): moved to %s, going back to the one '
          'before',
          step,
          line[0][:200],  # the storage layer's may be pages long
          self._set_aside(step),
        )
    return None

  def _read(
    self, step: int, shapes: PyTree, numbered: bool, blocks: Mapping
  ) -> PyTree:
    """The leaves of a step as numpy arrays, unverified."""
    host = jax.tree.map(_host_zeros, shapes)
    wanted = _numbered(host) if numbered else host
    like = wanted
    if blocks:
      rest = {name: x for name, x in like.items() if name not in blocks}
      wanted = rest or {'none': np.zeros(1)}
    found = self._stored.read(step, wanted)
    if not numbered:
      return found
    if blocks and self._blocks:
      found = {**found, **self._blocks.get(blocks, like)}
    leaves, structure = jax.tree.flatten(host)
    leaves = [found.get(_number(i), x) for i, x in enumerate(leaves)]
    return jax.tree.unflatten(structure, leaves)

  def set_aside(self) -> None:
    """Moves every checkpoint to `<directory>.damaged`: none is of use."""
    for step in self._stored.steps():
      self._set_aside(step)

  def _set_aside(self, step: int) -> epath.Path:
    """Frees the number of a step, as later ones may not be smaller."""
    aside = self._directory.with_name(self._directory.name + '.damaged')
    place = aside / f'{step}'
    while place.exists():
      place = place.with_name(place.name + '+')
    self._stored.set_aside(step, place)
    return place

  def wait(self) -> None:
    """Waits until what was saved is on disk.

    Raises:
      CheckpointError: If it cannot be written.
    """
    with _told('a checkpoint'):
      self._stored.wait()

  def close(self) -> None:
    """Waits and lets go of the directory."""
    self.wait()
    self._stored.close()


class _Orbax:
  """The checkpoints below a path of a disk, by orbax."""

  def __init__(self, directory: epath.Path, keep: int):
    import orbax.checkpoint as ocp
    from orbax.checkpoint import checkpoint_managers

    self._args = ocp.args
    self._directory = directory
    self._clean()
    self._manager = ocp.CheckpointManager(
      directory,
      options=ocp.CheckpointManagerOptions(
        preservation_policy=checkpoint_managers.LatestN(keep),
      ),
    )

  def _clean(self) -> None:
    """Removes what a process that was killed while saving has left."""
    if jax.process_index() or not self._directory.exists():
      return
    for path in self._directory.iterdir():
      if _UNFINISHED in path.name:
        path.rmtree()

  def steps(self) -> list[int]:
    return sorted(self._manager.all_steps())

  def save(self, step: int, leaves: Mapping, facts: Mapping) -> None:
    args = self._args
    state, meta = args.StandardSave(leaves), args.JsonSave(facts)
    self._manager.save(step, args=args.Composite(state=state, meta=meta))

  def facts(self, step: int) -> dict[str, Any]:
    args = self._args.Composite(meta=self._args.JsonRestore())
    return dict(self._manager.restore(step, args=args)['meta'])

  def read(self, step: int, wanted: PyTree) -> Any:
    args = self._args.Composite(state=self._args.StandardRestore(wanted))
    return self._manager.restore(step, args=args)['state']

  def set_aside(self, step: int, place: epath.Path) -> None:
    if jax.process_index() == 0:
      place.parent.mkdir(parents=True, exist_ok=True)
      (self._directory / f'{step}').rename(place)
    if jax.process_count() > 1:
      from jax.experimental import multihost_utils

      multihost_utils.sync_global_devices(f'set aside {step}')
    self._manager.reload()

  def wait(self) -> None:
    self._manager.wait_until_finished()

  def close(self) -> None:
    self._manager.close()


@contextlib.contextmanager
def _told(what: str):
  """Whatever the storage layer raises, in one line."""
  try:
    yield
  except Exception as error:  # of many kinds, by backend and fault
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    raise CheckpointError(f'{what} cannot be written: {line[:300]}') from error


_UNFINISHED = '.orbax-checkpoint-tmp'  # what orbax calls it until it is whole


def _number(index: int) -> str:
  return f'{index:06d}'


def _numbered(host: PyTree) -> dict[str, np.ndarray]:
  """The leaves that have entries; one at least, as orbax stores no nothing."""
  leaves = [(_number(i), x) for i, x in enumerate(jax.tree.leaves(host))]
  return dict([x for x in leaves if x[1].size] or [('none', np.zeros(1))])


def _other_program(step: int, stored: dict, expected: dict) -> str:
  names = {**stored, **expected}
  name = next(n for n in names if stored.get(n) != expected.get(n))
  return (
    f'checkpoint {step} holds {name} as {stored.get(name, "nothing")}, '
    f'expected {expected.get(name, "nothing")}: it is of another program, or '
    'of another random number generator (jax_default_prng_impl)'
  )


def _is_key(x: Any) -> bool:
  return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _host_zeros(x: Any) -> np.ndarray:
  if _is_key(x):
    x = jax.eval_shape(jax.random.key_data, x)
  return np.zeros(x.shape, x.dtype)


def _wrap(value: np.ndarray, shape: Any) -> Any:
  if _is_key(shape):
    # The name of the generator cannot be asked of a shape.
    for impl in ('threefry2x32', 'rbg', 'unsafe_rbg'):
      if jax.random.key(0, impl=impl).dtype == shape.dtype:
        return jax.random.wrap_key_data(jnp.asarray(value), impl=impl)
  return value
