"""What an axis of a tensor is for, read off the flax module that it belongs to.

flax kernels are (..., in, out), those of general dense layers (*in, *out) and
embeddings (vocabulary, width). A framework with (out, in) kernels has the same
rules with the axes the other way round; copied unchanged they swap fan-in and
fan-out, which shows only where the two grow differently. So the axes are
written down, not guessed from where shapes differ.

An initialiser's *law* says how the standard deviation that it draws with
depends on the shape: not at all ('constant'), or as fan_in^-1/2, fan_out^-1/2,
((fan_in + fan_out)/2)^-1/2. It is found exactly: jax draws the same numbers for
every shape of as many entries, so that ratios between shapes are ratios of
standard deviations.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
  'DENSE',
  'LAWS',
  'VECTOR',
  'Role',
  'convention',
  'law_of',
  'stacked',
  'watched',
]

LAWS = ('constant', 'fan_in', 'fan_out', 'fan_avg')
UNKNOWN = 'unknown'


class Role(NamedTuple):
  """The axes of a tensor, and how its initialiser depends on them."""

  fan_in: tuple[int, ...]  # axes that are summed over
  fan_out: tuple[int, ...]  # axes of the output; all others are a field
  law: str = 'constant'  # one of LAWS, or 'unknown'
  query: bool = False  # makes queries; its last axis is the head dimension

  def check(self, path: str, rank: int) -> None:
    """Refuses axes that a tensor of that rank has not.

    Raises:
      ValueError: In one line.
    """
    axes = self.fan_in + self.fan_out
    if len(set(axes)) < len(axes) or any(not 0 <= i < rank for i in axes):
      raise ValueError(
        f'role of {path}: axes {self.fan_in} and {self.fan_out}, expected '
        f'different ones from 0 to {rank - 1}'
      )
    if self.law not in (*LAWS, UNKNOWN):
      raise ValueError(
        f'role of {path}: law {self.law!r}, expected one of {", ".join(LAWS)}'
      )


Seen = tuple[Role, tuple[int, ...]]  # and the shape of the tensor

DENSE = Role((0,), (1,), 'fan_in')
VECTOR = Role((), (0,))
_SCALAR = Role((), ())


def convention(path: str, rank: int) -> Role:
  """The role of a tensor that is known by its rank alone.

  Kernels are (..., in, out) and vectors outputs. How a tensor of two or more
  axes is initialised is not known then.

  Args:
    path: Of the tensor.
    rank: How many axes it has.

  Returns:
    The role.

  >>> convention('conv/kernel', 4)
  Role(fan_in=(2,), fan_out=(3,), law='unknown', query=False)
  """
  del path
  if rank == 0:
    return _SCALAR
  if rank == 1:
    return VECTOR
  return Role((rank - 2,), (rank - 1,), UNKNOWN)


def stacked(path: str, seen: Seen, shape: tuple[int, ...]) -> Role:
  """The role of a tensor of which a lifted module (`nn.scan`) keeps many.

  Args:
    path: Of the tensor, for the error.
    seen: What it is in one layer, and its shape there.
    shape: Its shape in the parameters: that of one layer after leading axes.

  Returns:
    The role with its axes moved behind the leading ones.

  Raises:
    ValueError: If layers are stacked along another axis.

  >>> stacked('', (DENSE, (4, 8)), (3, 4, 8)).fan_in
  (1,)
  """
  role, own = seen
  lead = len(shape) - len(own)
  if lead < 0 or shape[lead:] != own:
    raise ValueError(
      f'tensor {path} has shape {shape}, and {own} where it is used: say in '
      'overrides which axes are fan-in and fan-out'
    )
  return role._replace(
    fan_in=tuple(lead + i for i in role.fan_in),
    fan_out=tuple(lead + i for i in role.fan_out),
  )


def law_of(initializer: Callable[..., Any]) -> str:
  """How the standard deviation of an initialiser depends on the shape.

  Args:
    initializer: (key, shape, dtype) -> array, as those of flax.

  Returns:
    One of `LAWS`, for shapes (in, out); 'unknown' if it is none of them.

  >>> law_of(nn.initializers.lecun_normal())
  'fan_in'
  >>> law_of(nn.Embed(2, 2).embedding_init)  # one over the root of the features
  'fan_out'
  """
  try:
    return _law(initializer)
  except TypeError:  # not hashable, so not to be remembered
    return _law.__wrapped__(initializer)


@functools.lru_cache(maxsize=256)
def _law(initializer) -> str:
  def draw(*shape: int) -> np.ndarray:
    # Also while something else is being traced.
    with jax.ensure_compile_time_eval():
      drawn = initializer(jax.random.key(0), shape, jnp.float32)
      return np.asarray(drawn, np.float64).ravel()

  wide, tall, square = draw(2, 32), draw(32, 2), draw(8, 8)

  def ratio(x, y) -> float:
    if np.array_equal(x, y):
      return 1.0
    with np.errstate(divide='ignore', invalid='ignore'):
      each = x / y
    middle = float(np.median(each))
    fits = np.allclose(x, middle * y, rtol=1e-4, atol=0)
    return middle if fits and np.isfinite(middle) else np.nan

  found = ratio(wide, tall), ratio(square, wide)
  for law, wanted in (
    ('constant', (1.0, 1.0)),
    ('fan_in', (4.0, 0.5)),
    ('fan_out', (0.25, 2.0)),
    ('fan_avg', (1.0, (17 / 8) ** 0.5)),
  ):
    if np.allclose(found, wanted, rtol=1e-4):
      # in x out was the same so far: (in out)^½ shows where there is a field.
      if law == 'constant' and ratio(draw(4, 4, 4), wide) != 1:
        return UNKNOWN
      return law
  return UNKNOWN


@contextlib.contextmanager
def watched() -> Iterator[dict[str, Seen]]:
  """Notes the role of every tensor of the modules that are called inside.

  Yields:
    {path: (role, shape)}, filled while modules run; tensors that a module makes
    by itself with `self.param` are not in it.

  >>> with watched() as seen:
  ...   made = nn.Embed(5, 8).init(jax.random.key(0), jnp.zeros(1, int))
  >>> role, shape = seen['embedding']
  >>> role.fan_out, role.law, shape
  ((1,), 'fan_out', (5, 8))
  """
  seen: dict[str, Seen] = {}

  def note(call, args, kwargs, context):
    module = context.module
    out = call(*args, **kwargs)
    if module.scope is not None:
      own = module.variables.get('params', {})
      for name, leaf in own.items():
        if hasattr(leaf, 'shape'):
          found = _role(module, name, leaf.ndim)
          if found is not None:
            path = '/'.join((*module.path, name))
            seen[path] = found, tuple(leaf.shape)
    return out

  with nn.intercept_methods(note):
    yield seen


def _role(module: Any, name: str, rank: int) -> Role | None:
  """The role of a tensor of one of flax's own layers, else None."""
  initializer = getattr(module, f'{name}_init', None)
  if initializer is None:
    return None
  if isinstance(module, nn.DenseGeneral):
    found = _general(module, name, rank, initializer)
  elif rank < 2:
    found = convention(name, rank)
  elif isinstance(module, nn.Embed):
    found = Role((0,), (1,), law_of(initializer))
  elif name == 'kernel':  # dense, convolutions and all like them
    found = Role((rank - 2,), (rank - 1,), law_of(initializer))
  else:
    return None
  return found._replace(query=_scales_logits(module))


def _scales_logits(module: Any) -> bool:
  """Whether the queries of a dot-product attention are proportional to it."""
  parent = module.parent
  return (
    isinstance(parent, nn.MultiHeadDotProductAttention)
    and module.name == ('query_ln' if parent.normalize_qk else 'query')
    # Whoever brings an attention function has decided how logits scale.
    and parent.attention_fn is nn.dot_product_attention
  )


def _general(module: Any, name: str, rank: int, initializer: Any) -> Role:
  """(batch..., in..., out...); the bias has no in."""
  first_out = rank - np.size(module.features)
  fan_out = tuple(range(first_out, rank))
  if name == 'bias':
    return Role((), fan_out)
  fan_in = tuple(range(np.size(module.batch_dims), first_out))
  return Role(fan_in, fan_out, law_of(initializer))
