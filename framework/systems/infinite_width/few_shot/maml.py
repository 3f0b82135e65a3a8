r"""MAML: learning parameters from which one gradient step solves a task.

For task i with support (X_i, y_i) and queries (X'_i, y'_i) and mean cross
entropy L, the outer loss is a *sum* over tasks,

    θ_i = θ − η_in ∇L_i(θ)   (repeated `steps` times),   F(θ) = Σ_i L'_i(θ_i)

order 2 differentiates through the inner steps; order 1 takes ∇L'_i at θ_i as if
θ_i did not depend on θ [1]. What clips the gradient clips that of the sum.

For a linear network (`linear_limit`) the inner steps stay in the span of the k
rows of W₂ and the m hidden states of the support. With B = [W₂; H] (k + m rows)
and M = BBᵀ, adapted weights and hidden states are W₂ = PB and H = QB, a query's
is h + EB, and a step is

    χ = (softmax(α Q M Pᵀ) − onehot)/m
    P ← P − η_in α χᵀQ,   Q ← Q − η_in α K_ss χP,   E ← E − η_in α K_qs χP,
    K = XXᵀ + α_b²,

so nothing of the size of W₁ is built for a task, however many steps there are.

References:
  [1] Finn, Abbeel, Levine, "Model-Agnostic Meta-Learning", 2017.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int

from framework.systems.infinite_width.limits import linear as linear_limit
from framework.systems.infinite_width.limits.linear import Params

__all__ = [
  'Tasks',
  'accuracy',
  'adapt',
  'adapted_logits',
  'clip',
  'outer_loss',
  'query_losses',
]


class Tasks(NamedTuple):
  """Tasks of the same sizes."""

  x: Float[Array, 'tasks m d']  # support
  y: Int[Array, 'tasks m']
  x_query: Float[Array, 'tasks q d']
  y_query: Int[Array, 'tasks q']


@functools.partial(jax.jit, static_argnames=('steps', 'order'))
def adapt(
  params: Params,
  x: Float[Array, 'm d'],
  y: Int[Array, ' m'],
  lr: Float[ArrayLike, ''],
  alpha: Float[ArrayLike, ''] = 1.0,
  bias_alpha: Float[ArrayLike, ''] = 1.0,
  *,
  steps: int = 1,
  order: int = 1,
) -> Params:
  """Gradient steps on one support set, written as the definition has it.

  Args:
    params: A linear network.
    x: Support inputs.
    y: Their labels.
    lr: η_in.
    alpha: α.
    bias_alpha: α_b.
    steps: Inner steps.
    order: 1 does not differentiate through them.

  Returns:
    Adapted parameters.

  Raises:
    ValueError: If the order is not 1 or 2.

  >>> net = linear_limit.init(2, 2)
  >>> task = jnp.eye(2), jnp.array([0, 1])
  >>> after = adapt(net, *task, lr=1.0)
  >>> print(linear_limit.apply(after, task[0]))
  [[ 0.5 -0.5]
   [-0.5  0.5]]
  """
  _check_order(order)

  def loss(params):
    logits = linear_limit.apply(params, x, alpha, bias_alpha)
    return jnp.mean(_cross_entropy(logits, y))

  for _ in range(steps):
    grads = jax.grad(loss)(params)
    if order == 1:
      grads = jax.lax.stop_gradient(grads)
    params = jax.tree.map(lambda p, g: p - lr * g, params, grads)
  return params


@functools.partial(jax.jit, static_argnames=('steps', 'order'))
def adapted_logits(
  params: Params,
  tasks: Tasks,
  lr: Float[ArrayLike, ''],
  alpha: Float[ArrayLike, ''] = 1.0,
  bias_alpha: Float[ArrayLike, ''] = 1.0,
  *,
  steps: int = 1,
  order: int = 1,
) -> Float[Array, 'tasks q k']:
  """Logits of all queries after the inner steps, in the span of few rows.

  Args:
    params: A linear network of any width.
    tasks: The tasks.
    lr: η_in.
    alpha: α.
    bias_alpha: α_b.
    steps: Inner steps.
    order: 1 does not differentiate through them.

  Returns:
    The same as `apply(adapt(...), x_query)` for every task.

  Raises:
    ValueError: If the order is not 1 or 2.

  >>> net = linear_limit.init(2, 2)
  >>> x, y = jnp.eye(2)[None], jnp.array([[0, 1]])
  >>> print(adapted_logits(net, Tasks(x, y, x, y), lr=1.0)[0])
  [[ 0.5 -0.5]
   [-0.5  0.5]]
  """
  _check_order(order)
  frozen = jax.lax.stop_gradient(params) if order == 1 else params
  # Two products of all tasks at once: most of what a step costs.
  H = linear_limit.hidden(frozen, tasks.x, bias_alpha)
  H_query = linear_limit.hidden(params, tasks.x_query, bias_alpha)

  def one(x, y, x_query, H, h_query):
    B = jnp.concatenate([frozen.W2, H])
    P, E = _inner(x, y, x_query, B, lr, alpha, bias_alpha, steps)
    if order == 1:
      P, E = jax.lax.stop_gradient((P, E))
    h = h_query + E @ B
    # P starts as [I, 0]: that part is the W₂ that is differentiated.
    k = frozen.W2.shape[0]
    change = P - jnp.eye(k, len(B), dtype=P.dtype)
    return alpha * (h @ params.W2.T + (h @ B.T) @ change.T)

  args = tasks.x, tasks.y, tasks.x_query, H, H_query
  return jax.vmap(one)(*args)


def _inner(x, y, x_query, B, lr, alpha, bias_alpha, steps: int):
  """Coefficients P of W₂ and E of the queries' change after the inner steps."""
  m, r = x.shape[0], B.shape[0]
  eye = jnp.eye(r, dtype=B.dtype)
  P, Q = eye[: r - m], eye[r - m :]
  E = jnp.zeros((x_query.shape[0], r), B.dtype)
  M = B @ B.T
  K_ss, K_qs = x @ x.T + bias_alpha**2, x_query @ x.T + bias_alpha**2
  onehot = jax.nn.one_hot(y, r - m, dtype=B.dtype)

  def step(carry, _):
    P, Q, E = carry
    chi = (jax.nn.softmax(alpha * Q @ M @ P.T) - onehot) / m
    D = lr * alpha * chi @ P
    return (P - lr * alpha * chi.T @ Q, Q - K_ss @ D, E - K_qs @ D), None

  (P, _, E), _ = jax.lax.scan(step, (P, Q, E), None, length=steps)
  return P, E


@functools.partial(jax.jit, static_argnames=('steps', 'order', 'low_rank'))
def query_losses(
  params: Params,
  tasks: Tasks,
  lr: Float[ArrayLike, ''],
  alpha: Float[ArrayLike, ''] = 1.0,
  bias_alpha: Float[ArrayLike, ''] = 1.0,
  *,
  steps: int = 1,
  order: int = 1,
  low_rank: bool = True,
) -> Float[Array, ' tasks']:
  """L'_i(θ_i): the mean loss of each task's queries after the inner steps.

  Args:
    params: A linear network of any width.
    tasks: The tasks.
    lr: η_in.
    alpha: α.
    bias_alpha: α_b.
    steps: Inner steps.
    order: 1 or 2.
    low_rank: False adapts a copy of the parameters for each task: the same
      numbers, an order of magnitude slower.

  Returns:
    One loss a task.

  Raises:
    ValueError: If the order is not 1 or 2.

  >>> x, y = jnp.eye(2)[None], jnp.array([[0, 1]])
  >>> net = linear_limit.init(2, 2)
  >>> print(query_losses(net, Tasks(x, y, x, y), lr=0.0).round(4))
  [0.6931]
  """
  how = {'steps': steps, 'order': order}
  if low_rank:
    logits = adapted_logits(params, tasks, lr, alpha, bias_alpha, **how)
  else:

    def one(x, y, x_query):
      adapted = adapt(params, x, y, lr, alpha, bias_alpha, **how)
      return linear_limit.apply(adapted, x_query, alpha, bias_alpha)

    logits = jax.vmap(one)(*tasks[:3])
  return jnp.mean(_cross_entropy(logits, tasks.y_query), -1)


def outer_loss(
  params: Params, tasks: Tasks, *args, **kwargs
) -> Float[Array, '']:
  """F(θ) = Σ_i L'_i(θ_i), the sum that is differentiated and clipped.

  Args:
    params: A linear network of any width.
    tasks: The tasks.
    *args: As in `query_losses`.
    **kwargs: As in `query_losses`.

  Returns:
    The sum over tasks.

  >>> x, y = jnp.eye(2)[None], jnp.array([[0, 1]])
  >>> tasks = Tasks(x, y, x, y)
  >>> grads = jax.grad(outer_loss)(linear_limit.init(2, 2), tasks, 1.0)
  >>> grads.W2.shape
  (2, 4)
  """
  return jnp.sum(query_losses(params, tasks, *args, **kwargs))


def accuracy(
  logits: Float[Array, '*b k'], y: Int[Array, '*b']
) -> Float[Array, '']:
  """The share of points whose largest logit is that of the label.

  >>> print(accuracy(jnp.array([[1.0, 0.0], [1.0, 0.0]]), jnp.array([0, 1])))
  0.5
  """
  return jnp.mean((jnp.argmax(logits, -1) == y).astype(logits.dtype))


def clip(
  limit: Float[ArrayLike, ''], eps: float = 1e-6
) -> optax.GradientTransformation:
  """Clips by the global norm as PyTorch does, with ε in the denominator.

      g ← g min(1, limit/(‖g‖ + ε))

  `optax.clip_by_global_norm` is the same with ε = 0; with it the published
  trajectories are met to 1e-6 alone.

  Args:
    limit: The largest norm; may be traced.
    eps: ε.

  Returns:
    An optax transformation without state.

  >>> rule = clip(0.5)
  >>> grads, _ = rule.update({'a': jnp.array([3.0, 4.0])}, rule.init(None))
  >>> print(grads['a'].round(4))
  [0.3 0.4]
  """

  def update(updates, state, params=None):
    del params
    share = jnp.minimum(1.0, limit / (optax.tree.norm(updates) + eps))
    return jax.tree.map(lambda g: g * share.astype(g.dtype), updates), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _cross_entropy(
  logits: Float[Array, '*b k'], y: Int[Array, '*b']
) -> Float[Array, '*b']:
  return optax.softmax_cross_entropy_with_integer_labels(logits, y)


def _check_order(order: int) -> None:
  if order not in (1, 2):
    raise ValueError(f'order is {order}, expected 1 or 2')
