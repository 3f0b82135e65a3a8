"""Starting a network at any width as muP wants it.

Two ways, which give the same: draw with the module's own initialisers and
multiply (`start`), for any module; or wrap an initialiser where the module is
written (`scaled`).
"""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Key, PyTree

from framework.mup import laws
from framework.mup import multipliers as mults_lib
from framework.mup.infshape import InfShape, by_path

__all__ = ['rescale', 'scaled', 'start', 'zeros_at_start']


def start(
  module: Any,
  mults: mults_lib.Multipliers,
  key: Key[Array, ''],
  *inputs: Any,
  **kwargs: Any,
) -> PyTree:
  """The parameters of a module, drawn by itself and rescaled.

  Args:
    module: A flax module.
    mults: Its multipliers.
    key: For `module.init`.
    *inputs: What the module is called with.
    **kwargs: More for it.

  Returns:
    w_0, the 'params' of the module; of another collection there must be none.

  Raises:
    ValueError: If the module has other variables as well: start those yourself,
      use `rescale` for the parameters, and give the rest to `Net.apply`.

  >>> import flax.linen as nn
  >>> ones = nn.Dense(3, use_bias=False, kernel_init=nn.initializers.ones)
  >>> mults = mults_lib.Multipliers({'kernel': 2.0}, *({'kernel': 1.0},) * 4)
  >>> x = jax.numpy.ones((1, 2))
  >>> start(ones, mults, jax.random.key(0), x)['kernel'].tolist()
  [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
  """
  made = module.init(key, *inputs, **kwargs)
  if other := sorted(set(made) - {'params'}):
    raise ValueError(
      f'{type(module).__name__} has variables in {", ".join(other)}: call its '
      'init yourself, then rescale'
    )
  return rescale(made['params'], mults)


def rescale(params: PyTree, mults: mults_lib.Multipliers) -> PyTree:
  """Parameters as they should have been drawn, from those that were.

  Args:
    params: What the module's initialisers have drawn at this width.
    mults: `Multipliers`.

  Returns:
    Each tensor times its `init` multiplier.

  Raises:
    ValueError: If a tensor has no multiplier.

  >>> mults = mults_lib.Multipliers({'w': 2.0}, *({'w': 1.0},) * 4)
  >>> rescale({'w': jax.numpy.ones(2)}, mults)['w'].tolist()
  [2.0, 2.0]
  """

  def scale(path: str, w: Any) -> Any:
    return mults_lib.scaled(w, mults_lib.number_of(mults.init, path))

  return by_path(scale, params)


def scaled(
  initializer: Callable[..., Any],
  shape: InfShape,
  table: str = '8',
  law: str | None = None,
) -> Callable[..., Any]:
  """An initialiser with the deviation that a tensor should have at its width.

  Args:
    initializer: (key, shape, dtype) -> array, as those of flax.
    shape: The infinite shape of the tensor.
    table: '3', '8' or '9'.
    law: How the initialiser depends on the shape; found out when None.

  Returns:
    An initialiser for that shape. Do not use it together with `start` or
    `rescale`, which would scale a second time.

  Raises:
    ValueError: If the law is none of `laws.LAWS`; when called, if it is for
      another shape.

  >>> import flax.linen as nn
  >>> from framework.mup.roles import DENSE
  >>> readout = InfShape((32, 3), (8, None), DENSE)
  >>> wrapped = scaled(nn.initializers.lecun_normal(), readout)
  >>> w = wrapped(jax.random.key(0), (32, 3))
  >>> w / nn.initializers.lecun_normal()(jax.random.key(0), (32, 3)) == 2
  Array([[ True,  True,  True], ...
  """
  found = laws.law_of(initializer, len(shape.size)) if law is None else law
  role = shape.role._replace(law=found)
  role.check('initialiser', len(shape.size))
  factor = mults_lib.init_multiplier(
    shape._replace(role=role), table, 'initialiser'
  )

  def draw(key: Key[Array, ''], size: Any, *args: Any, **kwargs: Any) -> Array:
    if tuple(size) != shape.size:
      raise ValueError(
        f'initialiser for shape {shape.size} called for {tuple(size)}'
      )
    return mults_lib.scaled(initializer(key, size, *args, **kwargs), factor)

  return draw


def zeros_at_start(params: PyTree, *parts: str) -> PyTree:
  """Sets tensors to zero: readouts and queries, as TP5 advises (Appendix D).

  At the start the output, and attention logits, of a wide network vanish
  anyway; at zero they do so at every width, and transfer is cleaner.

  Args:
    params: Parameters.
    *parts: Names of modules or tensors; whatever has one of them in its path is
      set to zero.

  Returns:
    The parameters.

  Raises:
    ValueError: If a name is in no path.

  >>> zeros_at_start({'readout': {'kernel': jax.numpy.ones(2)}}, 'readout')
  {'readout': {'kernel': Array([0., 0.], dtype=float...)}}
  """
  seen: set[str] = set()

  def zero(path: str, w: Any) -> Any:
    hit = set(path.split('/')) & set(parts)
    seen.update(hit)
    return jax.numpy.zeros_like(w) if hit else w

  out = by_path(zero, params)
  if missed := sorted(set(parts) - seen):
    raise ValueError(f'{missed[0]}: no module or tensor of that name')
  return out
