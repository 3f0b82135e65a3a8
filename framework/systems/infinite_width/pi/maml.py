r"""MAML of a π-limit: features from which a step on the readout solves a task.

The readout starts at zero and stays there between tasks. An inner step appends
the support's rows to it, which is gradient descent with the kernel of features,

    f ← f − η_in K(·, support) χ,     K = α_L² [V(g^L, g^L') + α_B²],

and the outer loss of the adapted f at the queries is differentiated through
these rows: with respect to the features of queries *and* of the support, to
second order. What it says of g^l at all points of a task is appended to the
hidden layers as in `sgd`; their sum over tasks is clipped [1].

References:
  [1] Yang, Santacroce, Hu, "Efficient Computation of Deep Nonlinear
      Infinite-Width Neural Networks that Learn Features", 2022, section 6.2.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from framework.checks import check_sizes
from framework.maths.gaussian import Transform, transform
from framework.systems.infinite_width.few_shot.learners import Learner, typed
from framework.systems.infinite_width.few_shot.maml import Tasks
from framework.systems.infinite_width.pi import finite, sgd
from framework.systems.infinite_width.pi import gradient as gradients
from framework.systems.infinite_width.pi import net as nets

__all__ = ['adapted', 'learner', 'network', 'outer_gradient', 'outer_loss']


def adapted(
  K: Float[Array, 'm+q m+q'],
  y: Int[Array, ' m'],
  k: int,
  lr: Float[Array, ''] | float,
  steps: int = 1,
) -> Float[Array, 'q k']:
  """Logits of queries after gradient steps on the readout, from zero.

  Args:
    K: The kernel of features at the support and the queries, in this order.
    y: Labels of the support.
    k: Classes.
    lr: η_in.
    steps: Inner steps.

  Returns:
    A row a query.

  >>> K = jnp.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
  >>> print(adapted(K, jnp.array([0, 1]), k=2, lr=1.0))
  [[ 0.25 -0.25]]
  """
  m = y.shape[0]
  onehot = jax.nn.one_hot(y, k, dtype=K.dtype)

  def step(f, _):
    chi = (jax.nn.softmax(f[:m]) - onehot) / m
    return f - lr * K[:, :m] @ chi, None

  zero = jnp.zeros((K.shape[0], k), K.dtype)
  return jax.lax.scan(step, zero, None, length=steps)[0][m:]


def _points(tasks: Tasks) -> Float[Array, 'n d']:
  both = jnp.concatenate([tasks.x, tasks.x_query], 1)
  return both.reshape(-1, both.shape[-1])


def _logits(K, z, tasks: Tasks, k, lr, steps) -> Array:
  """Adapted logits of all tasks from features z of all their points."""
  z = z.reshape(tasks.x.shape[0], -1, z.shape[-1])
  return jax.vmap(lambda z, y: adapted(K(z), y, k, lr, steps))(z, tasks.y)


def _losses(logits: Array, tasks: Tasks) -> Float[Array, '']:
  """The sum over tasks of the mean over queries."""
  losses = optax.softmax_cross_entropy_with_integer_labels(
    logits, tasks.y_query
  )
  return jnp.sum(jnp.mean(losses, 1))


def _kernel(phi: Transform, alphas: nets.Multipliers):
  def K(g):
    return alphas.last**2 * (nets.kernel(phi, g, g) + alphas.last_bias**2)

  return K


def _annealed(anneal: bool, t: Array, steps: int, dtype: Any) -> Array:
  """Half a cosine from 1 to 0."""
  if not anneal:
    return jnp.ones((), dtype)
  share = jnp.asarray(t, dtype) / steps
  return (1 + jnp.cos(jnp.pi * share)) / 2


def _alphas(hp: Any, dtype: Any) -> nets.Multipliers:
  one = jnp.ones((), dtype)
  return nets.Multipliers(one, hp.alpha, hp.bias_alpha, hp.bias_alpha)


def outer_loss(
  phi: Transform,
  net: nets.Net,
  tasks: Tasks,
  lr: Float[Array, ''] | float,
  alphas: nets.Multipliers,
  filled: Int[Array, ''] | None = None,
  steps: int = 1,
  shift: tuple[Array | float, ...] | None = None,
) -> tuple[Float[Array, ''], tuple[Array, ...]]:
  """The sum over tasks of the queries' loss after adaptation.

  Args:
    phi: The activation.
    net: The network; its readout is not looked at.
    tasks: The tasks.
    lr: η_in.
    alphas: Multipliers.
    filled: As in `net.forward`.
    steps: Inner steps.
    shift: As in `net.forward`, for all points of all tasks.

  Returns:
    (the loss, g¹, ..., g^L at all points).
  """
  g = nets.forward(phi, net, _points(tasks), alphas, filled, shift).g
  k = net.biases[-1].shape[0]
  logits = _logits(_kernel(phi, alphas), g[-1], tasks, k, lr, steps)
  return _losses(logits, tasks), g


def outer_gradient(
  phi: Transform,
  net: nets.Net,
  tasks: Tasks,
  lr: Float[Array, ''] | float,
  alphas: nets.Multipliers,
  filled: Int[Array, ''] | None = None,
  steps: int = 1,
) -> gradients.Gradient:
  """The gradient of `outer_loss`, to second order.

  Args:
    phi: The activation.
    net: The network.
    tasks: The tasks.
    lr: η_in.
    alphas: Multipliers.
    filled: As in `net.forward`.
    steps: Inner steps.

  Returns:
    A gradient with a row for each point of each task; that of the readout is
    zero.
  """
  x = _points(tasks)
  zeros = tuple(
    jnp.zeros((len(x), net.first.shape[1]), net.first.dtype) for _ in net.layers
  )

  def loss(shift):
    return outer_loss(phi, net, tasks, lr, alphas, filled, steps, shift)

  dg, g = jax.grad(loss, has_aux=True)(zeros)
  none = jnp.zeros((len(x), net.biases[-1].shape[0]), net.first.dtype)
  return gradients.assembled(
    x, g, dg[0], (*dg[1:], none), alphas, phi.homogeneous
  )


def learner(
  steps: int,
  rank: int,
  depth: int = 2,
  phi: Transform = transform('relu'),  # noqa: B008
  *,
  first_lr: float = 0.4,
  inner_steps: int = 1,
  anneal: bool = False,
) -> Callable[[Any], Learner]:
  """A π-limit as a learner of `few_shot.Structure`: the same tasks as others.

  Of `few_shot.Hp` it looks at meta_lr, inner_lr, clip (of all parts together),
  weight_decay, momentum, alpha (of the output) and bias_alpha.

  Args:
    steps: Outer steps that there is room for.
    rank: r.
    depth: L.
    phi: The activation.
    first_lr: Multiplier of the rate of A₁.
    inner_steps: Inner steps in training.
    anneal: Whether meta_lr falls to 0, as half a cosine over `steps`.

  Returns:
    `Structure` -> `Learner`.

  Raises:
    ValueError: If a size is below 1.
  """
  check_sizes(steps=steps, rank=rank, depth=depth, inner_steps=inner_steps)

  def made(s: Any) -> Learner:
    points = s.tasks * s.ways * (s.shots + s.queries)

    def init(key, problem, hp):
      del problem, hp
      start = nets.gaussian(readout=False)
      net = start(key, s.source.d, s.ways, rank, depth, s.dtype)
      return sgd.begin(net, steps * points, points, readout=False)

    def step(key, state, problem, hp):
      hp = typed(hp, s.dtype)
      tasks, _ = s.source.draw(key, problem.table, s.sizes, hp, s.dtype)
      grads = outer_gradient(
        phi, state.net, tasks, hp.inner_lr, _alphas(hp, s.dtype), state.count,
        inner_steps,
      )  # fmt: skip
      rates = sgd.Rates(
        hp.meta_lr * _annealed(anneal, state.count // points, steps, s.dtype),
        hp.momentum,
        hp.weight_decay,
        hp.clip,
        jnp.asarray(first_lr, s.dtype),
        jnp.zeros((), s.dtype),
      )
      return sgd.update(phi, state, grads, rates)

    def logits(state, tasks, rows, hp, steps):
      del rows
      alphas = _alphas(hp, s.dtype)
      g = nets.features(phi, state.net, _points(tasks), alphas, state.count)
      args = _kernel(phi, alphas), g, tasks, s.ways, hp.inner_lr
      return [_logits(*args, count) for count in steps]

    return Learner(init, step, logits)

  return made


def network(
  width: int,
  rank: int | None = None,
  depth: int = 2,
  phi: Transform = transform('relu'),  # noqa: B008
  *,
  first_lr: float = 0.4,
  inner_steps: int = 1,
  anneal: bool = False,
  steps: int = 1,
) -> Callable[[Any], Learner]:
  """The same of a network of finite width: a π-net, or a µ-net.

  Args:
    width: n.
    rank: r of a π-net, whose gradients are projected; None for a µ-net.
    depth: L.
    phi: The activation.
    first_lr: Multiplier of the rate of W¹.
    inner_steps: Inner steps in training.
    anneal: Whether meta_lr falls to 0, as half a cosine over `steps`.
    steps: Outer steps.

  Returns:
    `Structure` -> `Learner`.

  Raises:
    ValueError: If a size is out of range.
  """
  check_sizes(width=width, depth=depth, inner_steps=inner_steps)
  if rank is not None and width < rank:
    raise ValueError(f'width is {width}, expected at least the rank {rank}')

  def made(s: Any) -> Learner:
    def kernel_of(alphas):
      def K(z):
        return alphas.last**2 * (z @ z.T / width + alphas.last_bias**2)

      return K

    def init(key, problem, hp):
      del problem, hp
      d, k = s.source.d, s.ways
      if rank is None:
        params = finite.munet(key, d, k, width, depth, 1.0, s.dtype)
        return params, (), jnp.int32(0)
      start = nets.gaussian(readout=False)
      net = start(key, d, k, rank, depth, s.dtype)
      key = jax.random.fold_in(key, 1)
      return (*finite.sample(key, phi, net, width), jnp.int32(0))

    def logits_of(params, tasks, hp, steps):
      alphas = _alphas(hp, s.dtype)
      z = finite.hidden(phi, params, _points(tasks), alphas)
      args = z, tasks, s.ways, hp.inner_lr
      return _logits(kernel_of(alphas), *args, steps)

    def step(key, state, problem, hp):
      hp = typed(hp, s.dtype)
      params, bases, t = state
      tasks, _ = s.source.draw(key, problem.table, s.sizes, hp, s.dtype)
      grads = jax.grad(
        lambda p: _losses(logits_of(p, tasks, hp, inner_steps), tasks)
      )(params)
      if rank is not None:
        rule = finite.project(bases)
        grads, _ = rule.update(grads, rule.init(params))
      norm = optax.tree.norm(grads)
      share = jnp.minimum(1, hp.clip / jnp.where(norm > 0, norm, 1))
      rate = hp.meta_lr * share * _annealed(anneal, t, steps, s.dtype)
      first = params.W[0] - rate * first_lr * grads.W[0]
      W = [w - rate * g for w, g in zip(params.W, grads.W, strict=True)][1:-1]
      b = [x - rate * g for x, g in zip(params.b, grads.b, strict=True)][:-1]
      moved = finite.Params((first, *W, params.W[-1]), (*b, params.b[-1]))
      return moved, bases, t + 1

    def logits(state, tasks, rows, hp, steps):
      del rows
      return [logits_of(state[0], tasks, hp, count) for count in steps]

    return Learner(init, step, logits)

  return made
