"""A flax module in muP, at one width: what is trained and how it is applied.

    net = parametrise(MLP(64), MLP(128), MLP(1024), x)       base, delta, target
    w = net.init(key, x);  y = net.apply(w, x);  rule = mu_adam(1e-3, net.mults)

Any module will do: forward multipliers are applied to its weights, not written
into its code. A readout that is tied to the embedding divides its input by m
itself (`layers.attend`), since one tensor has two roles there.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from flax import errors
from jaxtyping import Array, Key, PyTree

from framework.mup import infshape, initialisers, laws, roles
from framework.mup import multipliers as mults_lib
from framework.mup.multipliers import Multipliers

__all__ = ['Net', 'infer', 'parametrise']


class Net(NamedTuple):
  """A module with its infinite shapes and multipliers."""

  module: Any  # at the target width
  shapes: infshape.InfShapes
  mults: Multipliers

  def init(self, key: Key[Array, ''], *inputs: Any, **kwargs: Any) -> PyTree:
    """w_0: what the module draws, rescaled; see `initialisers.start`.

    Args:
      key: For `module.init`.
      *inputs: What the module is called with.
      **kwargs: More for it.

    Returns:
      w_0.

    Raises:
      ValueError: If the module has other variables as well (`apply` says what
        to do then).
    """
    return initialisers.start(self.module, self.mults, key, *inputs, **kwargs)

  def apply(
    self,
    params: PyTree,
    *inputs: Any,
    variables: Mapping[str, Any] | None = None,
    **kwargs: Any,
  ) -> Any:
    """The module at W = A w; see `multipliers.effective`.

    Args:
      params: w.
      *inputs: What the module is called with.
      variables: Other collections, such as the running averages of BatchNorm;
        multipliers are of parameters alone.
      **kwargs: More for `module.apply`, such as `mutable` or `rngs`.

    Returns:
      What `module.apply` returns.

    Raises:
      ValueError: If a tensor has no multiplier, or a collection is missing.

    >>> import flax.linen as nn, jax, jax.numpy as jnp
    >>> norm = lambda n: nn.Sequential([nn.Dense(n), nn.BatchNorm(True)])
    >>> x = jnp.ones((2, 3))
    >>> net = parametrise(norm(4), norm(8), norm(16), x)
    >>> drawn = net.module.init(jax.random.key(0), x)
    >>> w = initialisers.rescale(drawn.pop('params'), net.mults)
    >>> net.apply(w, x, variables=drawn).shape
    (2, 16)
    """
    weights = mults_lib.effective(params, self.mults)
    everything = {**(variables or {}), 'params': weights}
    try:
      return self.module.apply(everything, *inputs, **kwargs)
    except errors.ScopeCollectionNotFound as error:
      raise ValueError(
        f'{type(self.module).__name__} lacks a collection, expected in the '
        f'argument variables: {str(error).splitlines()[0]}'
      ) from error


def infer(
  base: Any,
  delta: Any,
  target: Any,
  *inputs: Any,
  overrides: Mapping[str, roles.Role] | None = None,
  **kwargs: Any,
) -> infshape.InfShapes:
  """The infinite shapes of a flax module from three of its widths.

  Args:
    base: The module at the width at which hyperparameters are tuned.
    delta: One like it in which every dimension that is to grow is larger; its
      sizes do not matter otherwise. None to compare base and target instead,
      where that leaves no doubt.
    target: The module that is to be trained; it may equal `base`.
    *inputs: What the modules are called with (only shapes are looked at).
    overrides: {path: role} where conventions do not fit, such as
      {'query': Role((0,), (1,), 'fan_in', query=True)}. The law of a role says
      how deviations differ between base and target.
    **kwargs: More for the modules.

  Returns:
    `InfShapes` of `target`'s parameters, the tree that
    `target.init(...)['params']` returns.

  Raises:
    ValueError: In one line, if the modules have different tensors, no dimension
      grows, or one is another in `target` though it does not grow.

  >>> import flax.linen as nn, jax.numpy as jnp
  >>> net = lambda n: nn.Sequential([nn.Dense(n), nn.tanh, nn.Dense(3)])
  >>> infer(net(8), net(16), net(32), jnp.ones((1, 5)))['layers_2/kernel']
  InfShape(size=(32, 3), base=(8, None), role=Role(fan_in=(0,), fan_out=(1,),
  law='fan_in', query=False, drawn=None, stack=()))
  """
  known = dict(overrides or {})

  def shapes(module: Any) -> tuple[Any, roles.Watched]:
    with roles.watched() as seen:
      made = jax.eval_shape(
        lambda key: module.init(key, *inputs, **kwargs), jax.random.key(0)
      )
    if 'params' not in made:
      raise ValueError(f'{type(module).__name__} has no parameters')
    return made['params'], seen

  looked = [shapes(m) for m in (base, delta, target) if m is not None]
  sizes = [(infshape.flat(params), seen.tensors) for params, seen in looked]
  for path in sizes[-1][1].keys() & sizes[-1][0].keys() - known.keys():
    widths = [
      (seen[path], flat[path])
      for flat, seen in sizes
      if path in seen and path in flat
    ]
    first, last = widths[0][0], widths[-1][0]
    role = roles.stacked(
      path, last.role, [(seen.shape, size) for seen, size in widths]
    )
    if not math.isclose(first.size, last.size, rel_tol=1e-4):
      # Its initialiser is another one at another width: not of shapes alone.
      role = role._replace(law=laws.UNKNOWN)
    known[path] = role
  wide = None if delta is None else looked[1][0]
  found = infshape.between(looked[0][0], wide, looked[-1][0], known)
  for prefix, wrapper in looked[-1][1].wrappers.items():
    for path in found.keys() - (overrides or {}).keys():
      if path.startswith(f'{prefix}/'):
        _refuse_norm(path, wrapper, found[path])
  return found


def _refuse_norm(path: str, wrapper: Any, shape: infshape.InfShape) -> None:
  """A wrapper that divides a tensor by its length cancels its multipliers.

  What is left is right where the length does not grow: in muP those are what a
  neuron of a hidden layer sums over, or an input layer (WeightNorm), and the
  largest singular value of hidden weights (SpectralNorm).
  """
  kind, rank = type(wrapper).__name__, len(shape.size)
  grows = {i for i, b in enumerate(shape.base) if b is not None}
  if isinstance(wrapper, nn.WeightNorm):
    chosen = wrapper.variable_filter
    touched = not chosen or any(part in path for part in chosen)
    axes = wrapper.feature_axes
    kept = {i % rank for i in np.atleast_1d(() if axes is None else axes)}
    # What is summed over; a readout is to fall faster than its length.
    right = shape.infinite_out and grows - kept == grows & {*shape.role.fan_in}
  else:
    touched, right = rank > 1 and wrapper.n_steps > 0, shape.ninf == 2
  if grows and touched and not right:
    raise ValueError(
      f'axis {min(grows)} of {infshape.named(path)} grows, and {kind} around '
      'it divides out what muP multiplies it by: wrap hidden layers alone, or '
      'give its role in overrides if you scale its output yourself'
    )


def parametrise(
  base: Any,
  delta: Any,
  target: Any,
  *inputs: Any,
  table: str = '8',
  optimizer: str = 'adam',
  overrides: Mapping[str, roles.Role] | None = None,
  **kwargs: Any,
) -> Net:
  """A flax module whose hyperparameters transfer from the base width.

  Args:
    base: The module at the width at which they are tuned.
    delta: One like it in which every dimension that is to grow is larger.
    target: The module that is to be trained.
    *inputs: What modules are called with (only shapes are looked at).
    table: '3', '8' or '9' of TP5, or 'sp' for none of it.
    optimizer: 'sgd', or 'adam' for all that divide the gradient by its size.
    overrides: {path: role}, see `infer`.
    **kwargs: More for the modules.

  Returns:
    A `Net`.

  Raises:
    ValueError: In one line, see `infer` and `multipliers.multipliers`.

  >>> import flax.linen as nn, jax, jax.numpy as jnp
  >>> f = lambda n: nn.Sequential([nn.Dense(n), nn.relu, nn.Dense(10)])
  >>> net = parametrise(f(64), f(128), f(256), jnp.ones((1, 8)))
  >>> w = net.init(jax.random.key(0), jnp.ones((1, 8)))
  >>> net.apply(w, jnp.ones((5, 8))).shape, net.mults.forward['layers_2/kernel']
  ((5, 10), 0.25)
  """
  shapes = infer(base, delta, target, *inputs, overrides=overrides, **kwargs)
  mults = mults_lib.multipliers(shapes, table, optimizer)
  return Net(target, shapes, mults)
