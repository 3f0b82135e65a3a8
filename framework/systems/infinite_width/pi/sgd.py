r"""Gradient descent of a π-limit, on the coefficients of its rows.

    A₁, β:   v ← μv + ∇ + λ θ,     θ ← θ − ηm v
    rows:    v ← μv + λ c,         c ← c − ηm v,   append c = −ηm, v = 1

with η the rate, m the multiplier of the layer, μ momentum and λ weight decay.
A rule closes in the limit if it is linear in past gradients, for then what it
does to a row is done to its coefficient. Adam divides by a norm of each weight
of the finite network and does not: networks of finite width (`finite`) take it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, Int, PyTree

from framework.maths.gaussian import Transform
from framework.systems.infinite_width.pi import gradient as gradients
from framework.systems.infinite_width.pi import rows as rows_lib
from framework.systems.infinite_width.pi.gradient import Gradient
from framework.systems.infinite_width.pi.net import ONES, Multipliers, Net

__all__ = [
  'Rates',
  'State',
  'begin',
  'grow',
  'spread',
  'step',
  'update',
  'work',
]


class Rates(NamedTuple):
  """How far a step goes: traced scalars."""

  lr: Float[Array, ''] | float = 0.1  # η
  momentum: Float[Array, ''] | float = 0.0  # μ
  weight_decay: Float[Array, ''] | float = 0.0  # λ
  clip: Float[Array, ''] | float = 0.0  # largest norm of a gradient; 0: any
  first_lr: Float[Array, ''] | float = 1.0  # m of A₁
  last_lr: Float[Array, ''] | float = 1.0  # m of the readout
  bias_lr: Float[Array, ''] | float = 1.0  # m of biases


class State(NamedTuple):
  """A network in training."""

  net: Net
  velocity: PyTree  # (of A₁, of the biases)
  count: Int[Array, '']  # rows appended to each layer


def begin(
  net: Net,
  capacity: int,
  batch: int,
  dtype: DTypeLike | None = None,
  spread: int = 1,
  *,
  readout: bool = True,
) -> State:
  """A network with room for the rows of its training.

  Args:
    net: The start.
    capacity: Rows there is to be room for: steps times batch.
    batch: Rows of a step.
    dtype: Of stored rows, such as bfloat16; that of the network when None.
    spread: Devices that the rows can lie spread over.
    readout: Whether the readout has room as well: else it stays what it is.

  Returns:
    A `State`.

  Raises:
    ValueError: If a size is below 1.
  """
  own, r = net.first.dtype, net.first.shape[1]
  layout = rows_lib.segments(capacity, batch, spread)
  layers = []
  for i, (start,) in enumerate(net.layers):
    k, last = start.A.shape[-1], i + 1 == len(net.layers)
    start = start._replace(
      A=start.A.astype(dtype or own), B=start.B.astype(dtype or own)
    )
    own_layout = layout if readout or not last else []
    layers.append((start, *rows_lib.room(own_layout, r, k, dtype or own, own)))
  net = net._replace(layers=tuple(layers))
  velocity = jax.tree.map(jnp.zeros_like, (net.first, net.biases))
  return State(net, velocity, jnp.int32(0))


def grow(state: State, batch: int, factor: int = 2) -> State:
  """The same network with more room, of which nothing that is there moves.

  Args:
    state: A network in training.
    batch: Rows of a step.
    factor: Room there is to be over room there was.

  Returns:
    A `State` of other shapes: functions of it are compiled again.
  """
  have = sum(rows.c.size for rows in state.net.layers[0][1:])
  layout = rows_lib.segments(have * (factor - 1), batch)
  more = [
    rows_lib.room(
      layout, rows.B.shape[1], rows.A.shape[2], rows.A.dtype, rows.c.dtype
    )
    for rows in (layer[0] for layer in state.net.layers)
  ]
  layers = [a + b for a, b in zip(state.net.layers, more, strict=True)]
  return state._replace(net=state.net._replace(layers=tuple(layers)))


def spread(state: State, mesh: jax.sharding.Mesh) -> State:
  """The same network with the blocks of its rows over devices.

  Products with rows are then sums over devices, which the compiler puts in; a
  step keeps the rows where they are.

  Args:
    state: A network in training, begun with `spread` a multiple of the devices.
    mesh: Of one axis.

  Returns:
    The state, laid out; what is not rows is on every device.

  Raises:
    ValueError: If a segment has not as many blocks.
  """
  (axis,), count = mesh.axis_names, mesh.devices.size
  # Of axes that the compiler may reason about: of the explicit ones that
  # `jax.make_mesh` makes, sums over them would have to be spelt out.
  mesh = jax.sharding.Mesh(mesh.devices, mesh.axis_names)
  split = jax.NamedSharding(mesh, jax.P(axis))
  whole = jax.NamedSharding(mesh, jax.P())
  layers = []
  for start, *grown in state.net.layers:
    blocks = [rows.c.shape[0] for rows in grown]
    if any(S % count for S in blocks):
      raise ValueError(
        f'segments have {blocks} blocks, expected multiples of the {count} '
        'devices: begin with spread'
      )
    laid = [jax.device_put(rows, split) for rows in grown]
    layers.append((jax.device_put(start, whole), *laid))
  rest = jax.device_put(
    state._replace(net=state.net._replace(layers=())), whole
  )
  return rest._replace(net=rest.net._replace(layers=tuple(layers)))


def step(
  phi: Transform,
  state: State,
  x: Float[Array, 'n d'],
  loss: Callable[[Array], Float[Array, '']],
  rates: Rates,
  alphas: Multipliers = ONES,
  clip: gradients.Clip = gradients.clip_all,
  *,
  decay_scaled: bool = True,
) -> State:
  """One step on a batch.

  Args:
    phi: The activation.
    state: The network.
    x: The batch.
    loss: Of its outputs, a mean over them included.
    rates: How far it goes.
    alphas: Multipliers of the forward pass.
    clip: `clip_all` or `clip_each`.
    decay_scaled: Whether weight decay is multiplied by m as well.

  Returns:
    The network after it; not finite if there was no room for the batch.
  """
  grads = gradients.gradient(
    phi, state.net, x, loss, alphas, state.count, phi.homogeneous
  )
  return update(phi, state, grads, rates, clip, decay_scaled=decay_scaled)


def update(
  phi: Transform,
  state: State,
  grads: Gradient,
  rates: Rates,
  clip: gradients.Clip = gradients.clip_all,
  *,
  decay_scaled: bool = True,
) -> State:
  """A step along a gradient that is known, such as that of MAML.

  Args:
    phi: The activation.
    state: The network.
    grads: The gradient.
    rates: As in `step`.
    clip: As in `step`.
    decay_scaled: As in `step`.

  Returns:
    As `step`.
  """
  net, depth = state.net, len(state.net.layers)
  grads = gradients.clipped(phi, grads, clip, rates.clip)
  # All reads of the store before all writes: else it is copied. A barrier alone
  # is forgotten on a CPU, and where a sample is is known before the derivatives
  # that B is read for: that they are numbers is not.
  grads, net = jax.lax.optimization_barrier((grads, net))
  lost = jnp.isnan(grads.first[0, 0])

  def decay(m):
    """λ, so that ηm times it is the decay that was asked for."""
    if decay_scaled:
      return rates.weight_decay
    return jnp.where(m == 0, 0.0, rates.weight_decay / jnp.where(m == 0, 1, m))

  def moved(value: Any, v: Any, grad: Any, m: Any) -> tuple[Array, Array]:
    v = rates.momentum * v + grad + decay(m) * value
    return value - rates.lr * m * v, v

  first, v_first = moved(
    net.first, state.velocity[0], grads.first, rates.first_lr
  )
  biases = [
    moved(b, v, g, rates.bias_lr)
    for b, v, g in zip(net.biases, state.velocity[1], grads.biases, strict=True)
  ]
  layers = []
  one = jnp.ones((), net.first.dtype)
  for i, (layer, row) in enumerate(zip(net.layers, grads.rows, strict=True)):
    m = rates.last_lr if i == depth - 1 else 1.0
    kept = []
    for rows in layer:
      c, v = moved(rows.c, rows.v, 0.0, m)
      kept.append(rows._replace(c=c, v=v))
    c = -(jnp.asarray(rates.lr, one.dtype) * m)
    B = jnp.where(lost, jnp.nan, row.B)
    grown = rows_lib.append(tuple(kept), state.count, row.A, B, c, one)
    layers.append(grown)
  n = grads.rows[0].A.shape[0]
  count = state.count + n
  have = max(sum(rows.c.size for rows in layer[1:]) for layer in net.layers)
  # A run that has outgrown its room is not to go on unseen.
  if have:
    first = jnp.where(count > have, jnp.nan, first)
  b, v_b = zip(*biases, strict=True)
  return State(Net(first, b, tuple(layers)), (v_first, v_b), count)


def work(state: State, dtype: DTypeLike) -> Float[Array, '']:
  """Multiply-adds of a step for one sample, of the segments that are begun.

  A row costs r + k forward and as much backward.

  Args:
    state: A network in training.
    dtype: Of the result.

  Returns:
    The number; it follows the rows within a factor of two.
  """
  r, total = state.net.first.shape[1], jnp.zeros((), dtype)
  total += 2 * state.net.first.size
  for layer in state.net.layers:
    done = 0
    for i, rows in enumerate(layer):
      k = rows.A.shape[-1]
      cost = jnp.asarray(rows.c.size * (2 * k + 2 * r), dtype)
      begun = jnp.asarray(i < 2) | (state.count > done)
      total += jnp.where(begun, cost, 0)
      done += 0 if i == 0 else rows.c.size
  return total
