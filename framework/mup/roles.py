"""The part of each axis of a tensor, read off the flax module that it is in.

flax kernels are (..., in, out), those of general dense layers (*in, *out) and
embeddings (vocabulary, width); a transposed convolution may have (..., out,
in), and an einsum says by its letters. A framework with (out, in) kernels has
the same rules with the axes the other way round; copied unchanged they swap
fan-in and fan-out, which shows only where the two grow differently. So the axes
are written down, not guessed from where shapes differ, and an axis that grows
without being in one of the fans is refused.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from framework.mup.laws import LAWS, UNKNOWN, drawn

__all__ = [
  'DENSE',
  'VECTOR',
  'Role',
  'Seen',
  'Watched',
  'convention',
  'stacked',
  'watched',
]

_Shape = tuple[int, ...]


class Role(NamedTuple):
  """The axes of a tensor, and how its initialiser depends on them."""

  fan_in: tuple[int, ...]  # axes that are summed over
  fan_out: tuple[int, ...]  # axes of the output; all others are a field
  law: str = 'constant'  # one of LAWS, or 'unknown'
  query: bool = False  # makes queries; its last axis is the head dimension
  # The (in, out) axes that its initialiser looks at, if they are others.
  drawn: tuple[tuple[int, ...], tuple[int, ...]] | None = None
  stack: tuple[int, ...] = ()  # axes along which layers are kept: no field

  def check(self, path: str, rank: int) -> None:
    """Refuses axes that a tensor of that rank has not.

    Raises:
      ValueError: In one line.
    """
    groups = [(self.fan_in, self.fan_out, self.stack)]
    if self.drawn is not None:
      groups.append((*self.drawn, self.stack))
    for into, out, stack in groups:
      axes = into + out + stack
      if len(set(axes)) < len(axes) or any(not 0 <= i < rank for i in axes):
        also = f' and {stack}' if stack else ''
        raise ValueError(
          f'role of {path}: axes {into} and {out}{also}, expected different '
          f'ones from 0 to {rank - 1}'
        )
    if self.law not in (*LAWS, UNKNOWN):
      raise ValueError(
        f'role of {path}: law {self.law!r}, expected one of {", ".join(LAWS)}'
      )


class Seen(NamedTuple):
  """A tensor as the module that uses it sees it: one layer of a stack."""

  role: Role
  shape: _Shape
  size: float  # of what its initialiser draws for 64 entries


class Watched(NamedTuple):
  """Tensors and wrappers that were seen while modules ran."""

  tensors: dict[str, Seen]  # by path
  wrappers: dict[str, Any]  # WeightNorm, SpectralNorm, by the path of the layer


DENSE = Role((0,), (1,), 'fan_in')
VECTOR = Role((), (0,))
_SCALAR = Role((), ())
_NORMS = (
  nn.BatchNorm,
  nn.LayerNorm,
  nn.RMSNorm,
  nn.GroupNorm,
  nn.InstanceNorm,
)
_LAYERS = (nn.Dense, nn.Conv, nn.ConvLocal, nn.ConvTranspose)


def convention(path: str, rank: int) -> Role:
  """The role of a tensor that is known by its rank alone.

  Kernels are (..., in, out) and vectors outputs. How a tensor of two or more
  axes is initialised is not known then.

  Args:
    path: Of the tensor.
    rank: How many axes it has.

  Returns:
    The role.

  >>> convention('conv/kernel', 4)[:3]
  ((2,), (3,), 'unknown')
  """
  del path
  if rank == 0:
    return _SCALAR
  if rank == 1:
    return VECTOR
  return Role((rank - 2,), (rank - 1,), UNKNOWN)


def stacked(
  path: str, role: Role, sizes: Sequence[tuple[_Shape, _Shape]]
) -> Role:
  """The role of a tensor of which a lifted module (`nn.scan`) keeps many.

  Args:
    path: Of the tensor, for the error.
    role: What it is in one layer.
    sizes: Its shape in one layer and in the parameters, at one width or more:
      one may leave a doubt about where layers are stacked, if there are as many
      of them as neurons.

  Returns:
    The `Role` with its axes moved to where they are in the parameters.

  Raises:
    ValueError: If it cannot be told along which axis layers are stacked.

  >>> role = stacked('', DENSE, [((4, 8), (4, 3, 8))])
  >>> role.fan_in, role.stack, role.fan_out
  ((0,), (1,), (2,))
  """
  own, whole = map(len, sizes[0])
  fit = [
    kept
    for kept in itertools.combinations(range(whole), own)
    if all(tuple(many[i] for i in kept) == one for one, many in sizes)
  ]
  # Where nothing grows, it does not matter which.
  same = all(pair == sizes[0] for pair in sizes)
  if not fit or (len(fit) > 1 and not same):
    one, many = sizes[-1]
    raise ValueError(
      f'tensor {path} has shape {many}, and {one} where it is used: say in '
      'overrides which axes are fan-in, fan-out and stack'
    )
  kept = fit[-1]

  def moved(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(kept[i] for i in axes)

  return role._replace(
    fan_in=moved(role.fan_in),
    fan_out=moved(role.fan_out),
    drawn=role.drawn and (moved(role.drawn[0]), moved(role.drawn[1])),
    stack=tuple(i for i in range(whole) if i not in kept),
  )


@contextlib.contextmanager
def watched() -> Iterator[Watched]:
  """Notes the role of every tensor of the modules that are called inside.

  Yields:
    `Watched`, filled while modules run; tensors that a module of yours makes by
    itself with `self.param` are not in it.

  >>> import jax.numpy as jnp
  >>> with watched() as seen:
  ...   made = nn.Embed(5, 8).init(jax.random.key(0), jnp.zeros(1, int))
  >>> role, shape, _ = seen.tensors['embedding']
  >>> role.fan_out, role.law, shape
  ((1,), 'fan_out', (5, 8))
  """
  seen = Watched({}, {})

  def note(call, args, kwargs, context):
    module = context.module
    out = call(*args, **kwargs)
    if module.scope is None:
      return out
    letters = ''
    if isinstance(module, nn.Einsum):
      if context.method_name != '__call__':
        return out  # its letters may come with the call
      letters = module.einsum_str or kwargs.get('einsum_str') or args[1]
    for name, value in module.variables.get('params', {}).items():
      leaves = jax.tree.leaves(value)  # of a box with metadata the one inside
      if leaves and not isinstance(value, Mapping):
        found = _seen(module, name, tuple(leaves[0].shape), letters)
        if found is not None:
          seen.tensors['/'.join((*module.path, name))] = found
    if isinstance(module, nn.WeightNorm | nn.SpectralNorm):
      seen.wrappers['/'.join(module.layer_instance.path)] = module
    return out

  with nn.intercept_methods(note):
    yield seen


def _seen(module: Any, name: str, shape: _Shape, letters: str) -> Seen | None:
  """A tensor of one of flax's own layers, else None."""
  scale = isinstance(module, nn.WeightNorm)
  initializer = getattr(module, 'scale_init' if scale else f'{name}_init', None)
  rank = len(shape)
  role = _axes(module, name, rank, letters)
  if role is None or not callable(initializer):
    return None
  if not rank:
    return Seen(role, shape, 0.0)
  # General dense layers draw a matrix, or a vector, and reshape it.
  flat = isinstance(module, nn.DenseGeneral)
  law, size = drawn(initializer, (1 + (name == 'kernel')) if flat else rank)
  role = role._replace(law=law, query=_scales_logits(module))
  return Seen(role, shape, size)


def _axes(module: Any, name: str, rank: int, letters: str) -> Role | None:
  """The axes of a tensor of one of flax's own layers, else None."""
  every = tuple(range(rank))
  last, usual = every[-1:], (every[-2:-1], every[-1:])
  layers = nn.DenseGeneral, nn.Einsum
  if isinstance(module, (*_NORMS, nn.WeightNorm)) or (
    name == 'bias' and isinstance(module, layers)
  ):
    return Role((), every)
  if rank < 2:
    return convention(name, rank)
  if isinstance(module, nn.Embed) and name == 'embedding':
    return Role(*usual)
  if name != 'kernel':
    return None
  if isinstance(module, nn.DenseGeneral):
    batch, out = np.size(module.batch_dims), rank - np.size(module.features)
    # A batch axis is one of the output, and its initialiser's of the input.
    into, own = every[batch:out], every[:batch] + every[out:]
    return Role(into, own, drawn=(every[:out], every[out:]) if batch else None)
  if isinstance(module, nn.Einsum):
    return _einsum(letters, rank)._replace(drawn=usual)
  if isinstance(module, nn.ConvTranspose) and module.transpose_kernel:
    return Role(last, every[-2:-1], drawn=usual)
  # Dense layers, convolutions, and what recurrent cells are made of. Axes of a
  # kernel of your own are known to you alone.
  own = type(module).__module__.partition('.')[0] == 'flax'
  return Role(*usual) if own or isinstance(module, _LAYERS) else None


def _einsum(letters: str, rank: int) -> Role:
  """Axes of the second operand: summed over, or of the output.

  >>> _einsum('bhi,hio->bho', 3)[:2]  # heads are of input and output
  ((1,), (0, 2))
  """
  operands, _, result = letters.replace(' ', '').partition('->')
  into, _, kernel = operands.partition(',')
  if '.' in kernel or len(set(kernel)) < len(kernel) or len(kernel) != rank:
    return Role((), ())  # refused where an axis grows
  return Role(
    tuple(i for i, x in enumerate(kernel) if x in into and x not in result),
    tuple(i for i, x in enumerate(kernel) if x in result),
  )


def _scales_logits(module: Any) -> bool:
  """Whether the queries of a dot-product attention are proportional to it."""
  parent = module.parent
  return (
    isinstance(parent, nn.MultiHeadDotProductAttention)
    and module.name == ('query_ln' if parent.normalize_qk else 'query')
    # Whoever brings an attention function has decided how logits scale.
    and parent.attention_fn is nn.dot_product_attention
  )
