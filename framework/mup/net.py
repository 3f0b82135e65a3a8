"""A flax module in muP, at one width: what is trained and how it is applied.

    net = parametrise(MLP(64), MLP(128), MLP(1024), x)       base, delta, target
    w = net.init(key, x);  y = net.apply(w, x);  rule = mu_adam(1e-3, net.mults)

Any module will do: forward multipliers are applied to its weights, not written
into its code. A readout that is tied to the embedding divides its input by m
itself (`layers.attend`), since one tensor has two roles there.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flax import errors
from jaxtyping import Array, Key, PyTree

from framework.mup import initialisers, roles
from framework.mup import multipliers as mults_lib
from framework.mup.infshape import InfShapes, infer
from framework.mup.multipliers import Multipliers

__all__ = ['Net', 'parametrise']


class Net(NamedTuple):
  """A module with its infinite shapes and multipliers."""

  module: Any  # at the target width
  shapes: InfShapes
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


def parametrise(
  base: Any,
  delta: Any,
  target: Any,
  *inputs: Any,
  table: str = '8',
  optimizer: str = 'adam',
  overrides: Mapping[str, roles.Role] | None = None,
) -> Net:
  """A flax module whose hyperparameters transfer from the base width.

  Args:
    base: The module at the width at which they are tuned.
    delta: One like it in which every dimension that is to grow is larger.
    target: The module that is to be trained.
    *inputs: What modules are called with (only shapes are looked at).
    table: '3', '8' or '9' of TP5, or 'sp' for none of it.
    optimizer: 'sgd', or 'adam' for all that divide the gradient by its size.
    overrides: {path: role}, see `infshape.infer`.

  Returns:
    A `Net`.

  Raises:
    ValueError: In one line, see `infshape.infer` and `multipliers.multipliers`.

  >>> import flax.linen as nn, jax, jax.numpy as jnp
  >>> f = lambda n: nn.Sequential([nn.Dense(n), nn.relu, nn.Dense(10)])
  >>> net = parametrise(f(64), f(128), f(256), jnp.ones((1, 8)))
  >>> w = net.init(jax.random.key(0), jnp.ones((1, 8)))
  >>> net.apply(w, jnp.ones((5, 8))).shape, net.mults.forward['layers_2/kernel']
  ((5, 10), 0.25)
  """
  shapes = infer(base, delta, target, *inputs, overrides=overrides)
  mults = mults_lib.multipliers(shapes, table, optimizer)
  return Net(target, shapes, mults)
