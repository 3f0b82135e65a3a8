"""Sizes of activations over widths, seeds and steps.

For every module's output x at t = 1 (before any step), 2, ..., T on one fixed
batch: the mean of |x_a| over coordinates, and of |x_a(t) - x_a(1)|.

Queries of flax's attention, which divides q·k by √d, are seen as those of the
logits q·k/d: times (d/d_0)^½, d_0 the head dimension at the base. So they keep
their order in muP, where the module's own q falls as d^-1/2 (`multipliers`),
and grow as n^½ from the start where logits are left at q·k/√d.

References:
  TP5: Yang, Hu, Babuschkin, Sidor, et al., "Tensor Programs V", 2022,
  Appendix D.1.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from framework.checks import check_sizes
from framework.mup import initialisers
from framework.mup.net import Net

__all__ = ['Check', 'activations', 'coord_check', 'sizes']

_Values = Float[np.ndarray, 'width seed t module']


class Check(NamedTuple):
  """Sizes of activations over widths, seeds, steps and modules."""

  widths: tuple[int, ...]
  modules: tuple[str, ...]  # paths; '' is the network's own output
  size: _Values  # mean |x_a(t)|
  change: _Values  # mean |x_a(t) - x_a(1)|
  # Whether a module has the same number of coordinates at every width, as the
  # output has; if left out, those are the output and what is equal to it.
  finite: tuple[bool, ...] | None = None

  @property
  def outputs(self) -> tuple[bool, ...]:
    """Modules that in muP may fall as n^-1/2 at the start."""
    if self.finite is not None:
      return self.finite
    if '' not in self.modules:
      return (False,) * len(self.modules)
    own = self.size[..., self.modules.index(''), None]
    return tuple(np.all(self.size == own, (0, 1, 2)).tolist())


def activations(
  net: Net, params: PyTree, *inputs: Any, variables: Mapping | None = None
) -> dict[str, Array]:
  """The output of every module, by path.

  Args:
    net: A net.
    params: Its parameters w.
    *inputs: What it is called with.
    variables: Other collections of its variables, if any.

  Returns:
    {path: output}, in the order in which paths sort; '' is the whole network.
    A module that is called again has its number appended, 'dense#2'.

  Raises:
    ValueError: If a tensor has no multiplier, or a collection is missing.

  >>> import flax.linen as nn
  >>> from framework.mup.net import parametrise
  >>> mlp = lambda n: nn.Sequential([nn.Dense(n), nn.tanh, nn.Dense(1)])
  >>> x = jnp.eye(4)
  >>> net = parametrise(mlp(8), mlp(16), mlp(32), x)
  >>> seen = activations(net, net.init(jax.random.key(0), x), x)
  >>> {path: out.shape for path, out in seen.items()}
  {'': (4, 1), 'layers_0': (4, 32), 'layers_2': (4, 1)}
  """
  return _called(net, params, inputs, dict(variables or {}))[1]


def _called(net, params, inputs, variables):
  """The output, activations by path, and variables after the call."""
  out, seen = net.apply(
    params,
    *inputs,
    variables=variables,
    capture_intermediates=True,
    mutable=['intermediates', *variables],
  )
  # Of layers that make queries; d/d_0 as in logits q·k/d.
  scale = {
    path.rpartition('/')[0]: shape.m_head**0.5
    for path, shape in net.shapes.items()
    if shape.role.query and path.endswith(('/kernel', '/scale'))
  }
  # Sorted, as transformations that a dictionary passes through sort it.
  acts = {
    name: x * scale.get(name.split('#')[0], 1.0)
    for name, x in sorted(_named(seen['intermediates']).items())
  }
  return out, acts, {name: seen[name] for name in variables}


def _named(tree: Mapping, path: tuple[str, ...] = ()) -> dict[str, Array]:
  found: dict[str, Array] = {}
  for name, value in sorted(tree.items()):
    if isinstance(value, Mapping):
      found |= _named(value, (*path, name))
      continue
    where = '/'.join(path if name == '__call__' else (*path, name))
    for i, x in enumerate(value):
      if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.inexact):
        found[where if i == 0 else f'{where}#{i + 1}'] = x
  return found


def sizes(
  acts: Mapping[str, Array], start: Mapping[str, Array] | None = None
) -> Float[Array, ' module']:
  """Mean |x_a|, or mean |x_a - start_a|, of each activation in turn.

  Args:
    acts: Activations by path.
    start: The same at the start, for their change.

  Returns:
    The means, in the order of `acts`.

  >>> sizes({'a': jnp.array([1.0, -3.0])}).tolist()
  [2.0]
  """
  before = start or dict.fromkeys(acts, 0.0)
  return jnp.stack([jnp.mean(jnp.abs(x - before[k])) for k, x in acts.items()])


def coord_check(
  make: Callable[[int], tuple[Net, optax.GradientTransformation]],
  widths: Sequence[int],
  batch: tuple[Any, Any],
  loss: Callable[[Any, Any], Float[Array, '']],
  *,
  seeds: int = 5,
  steps: int = 4,
  prepare: Callable[[PyTree], PyTree] | None = None,
) -> Check:
  """Trains a few steps at each width and looks at every module.

  One program a width, vmapped over seeds.

  Args:
    make: Width -> (net, optax rule).
    widths: Two or more widths.
    batch: (inputs, targets), the same at every step.
    loss: (outputs, targets) -> scalar.
    seeds: Starts to average over.
    steps: T, records; T - 1 updates.
    prepare: What to do with the parameters at the start, such as setting the
      readout to zero (`initialisers.zeros_at_start`).

  Returns:
    A `Check`.

  Raises:
    ValueError: If there are fewer than two widths, no seed or no record, or
      widths have different modules.

  >>> import flax.linen as nn
  >>> from framework.mup.net import parametrise
  >>> from framework.mup.optimizers import mu_sgd
  >>> mlp = lambda n: nn.Sequential([nn.Dense(n), nn.tanh, nn.Dense(1)])
  >>> x, y = jnp.eye(4), jnp.ones((4, 1))
  >>> def make(n):
  ...   net = parametrise(mlp(8), mlp(16), mlp(n), x, optimizer='sgd')
  ...   return net, mu_sgd(0.1, net.mults)
  >>> check = coord_check(make, (8, 16), (x, y),
  ...                     lambda f, y: jnp.mean((f - y)**2), seeds=2, steps=2)
  >>> check.size.shape, check.modules
  ((2, 2, 2, 3), ('', 'layers_0', 'layers_2'))
  """
  if len(widths) < 2:
    raise ValueError(f'widths are {tuple(widths)}, expected two or more')
  check_sizes(seeds=seeds, steps=steps)
  # Keys whose draws compile in a quarter of the time that Threefry's take.
  keys = jax.random.split(jax.random.key(0, impl='rbg'), seeds)
  counts: list[dict[str, int]] = []
  found = []
  for width in widths:
    net, rule = make(width)
    count, *values = _one_width(net, rule, batch, loss, keys, steps, prepare)
    if counts and [*count] != [*counts[0]]:
      raise ValueError(
        f'width {width} has modules {(*count,)}, width {widths[0]} '
        f'{(*counts[0],)}'
      )
    counts.append(count)
    found.append(values)
  size, change = (np.stack(x) for x in zip(*found, strict=True))
  names = tuple(counts[0])
  finite = tuple(len({c[name] for c in counts}) == 1 for name in names)
  return Check(tuple(widths), names, size, change, finite)


def _drawn(keys, module, inputs):
  """Parameters and other variables, as the module's initialisers draw them."""
  return jax.vmap(lambda key: dict(module.init(key, inputs)))(keys)


# One program for all rules of a module.
_draw = jax.jit(_drawn, static_argnames='module')


def _one_width(net, rule, batch, loss, keys, steps, prepare):
  inputs, targets = batch
  counts: dict[str, int] = {}  # coordinates of each module

  def watched(params, variables):
    out, acts, variables = _called(net, params, (inputs,), variables)
    return loss(out, targets), (acts, variables)

  def one(drawn):
    variables = dict(drawn)
    params = initialisers.rescale(variables.pop('params'), net.mults)
    params = params if prepare is None else prepare(params)
    blank = jax.eval_shape(watched, params, variables)[1][0]
    counts.update({name: math.prod(x.shape) for name, x in blank.items()})

    def step(carry, t):
      params, variables, state, start = carry
      (_, (acts, variables)), grads = jax.value_and_grad(watched, has_aux=True)(
        params, variables
      )
      start = jax.tree.map(lambda x, s: jnp.where(t == 0, x, s), acts, start)
      updates, state = rule.update(grads, state, params)
      params = optax.apply_updates(params, updates)
      return (params, variables, state, start), (
        sizes(acts),
        sizes(acts, start),
      )

    # The start is seen inside the loop, where parameters are no constants:
    # jaxlib 0.10.2 multiplies a mean by a constant zero readout to NaN on CPU.
    start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), blank)
    first = params, variables, rule.init(params), start
    return jax.lax.scan(step, first, jnp.arange(steps))[1]

  try:
    hash(net.module)
  except TypeError:  # such as one with a list of layers
    module = net.module
    drawn = jax.jit(lambda keys: _drawn(keys, module, inputs))(keys)
  else:
    drawn = _draw(keys, net.module, inputs)
  size, change = jax.jit(jax.vmap(one))(drawn)
  return counts, np.asarray(size), np.asarray(change)
