r"""Networks in the kernel regime: a predictor that grows by the rows it saw.

    f(x) = Σ_m K(x, X_m) c_m,     a step on (x_i): append X = x_i, c = −η χ_i

with χ the derivative of the loss at the logits. One hidden ReLU layer with
first weights of variance v_w, biases of v_b and readout of variance v_2 has

    s(x)² = v_w|x|² + v_b,   q = (v_w⟨x, y⟩ + v_b)/(s(x)s(y))
    gp      K = s(x)s(y)/2π [√(1 − q²) + q arccos(−q)]
    ntk     K = K_gp + v_2 arccos(−q)/2π ⟨x, y⟩
    linear  K = v_w⟨x, y⟩ + v_b   (GP and NTK of a linear network, up to η)

`gp` trains the readout alone, `ntk` the first weights as well (not the biases).
The norm of the gradient of appended rows is √tr(χᵀKχ). In MAML the support rows
are appended, used and discarded; the queries' rows stay [1, section 9].

Rows lie in blocks, row r at (r mod S, r div S) of an array (S, blocks, d): a
product goes over the blocks that are filled, and their S rows can be spread
over devices. What is not filled has c = 0.

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Int

from framework.maths.gaussian import transform
from framework.systems.infinite_width.few_shot.maml import Tasks

__all__ = [
  'KINDS',
  'Kernel',
  'Kind',
  'Outer',
  'Scales',
  'Store',
  'adapted_logits',
  'append',
  'empty',
  'gp',
  'linear',
  'ntk',
  'on_tasks',
  'one_layer',
  'outer_step',
  'predict',
  'spread',
]

# (x (n, d), y (m, d)) -> (n, m)
Kernel = Callable[[Array, Array], Array]
# (⟨x, y⟩, |x|², |y|², scales) -> K elementwise; the norms are broadcast
Kind = Callable[..., Array]


class Scales(NamedTuple):
  """Variances of a network of one hidden layer."""

  var_w: Float[ArrayLike, ''] = 1.0
  var_b: Float[ArrayLike, ''] = 0.0
  var_v: Float[ArrayLike, ''] = 1.0


class Store(NamedTuple):
  """Rows and their coefficients; a fixed capacity of S x blocks."""

  X: Float[Array, 'S blocks d']
  C: Float[Array, 'S blocks k']
  count: Int[Array, '']  # rows there are


def linear(inner: Array, xx: Array, yy: Array, scales: Scales) -> Array:
  """GP and NTK of a linear network, up to η."""
  del xx, yy
  return jnp.asarray(scales.var_w * inner + scales.var_b)


def gp(inner: Array, xx: Array, yy: Array, scales: Scales) -> Array:
  """The readout of a ReLU layer is trained alone: its GP."""
  return transform('relu').V(*_covariances(inner, xx, yy, scales))


def ntk(inner: Array, xx: Array, yy: Array, scales: Scales) -> Array:
  """The first weights of a ReLU layer are trained as well, not its biases.

  >>> print(ntk(jnp.array([1.0]), jnp.array(1.0), jnp.array(1.0), Scales()))
  [1.]
  """
  s, t, k = _covariances(inner, xx, yy, scales)
  relu = transform('relu')
  return relu.V(s, t, k) + scales.var_v * relu.V_dot(s, t, k) * inner


KINDS: tuple[Kind, ...] = (linear, gp, ntk)


def _covariances(inner, xx, yy, scales: Scales):
  """E u², E v² and E uv of the pre-activations."""
  k = scales.var_w * inner + scales.var_b
  s, t = (
    jnp.broadcast_to(scales.var_w * z + scales.var_b, inner.shape)
    for z in (xx, yy)
  )
  return s, t, k


def one_layer(kind: Kind, scales: Scales) -> Kernel:
  """The kernel of one hidden layer, on rows.

  Args:
    kind: `linear`, `gp`, `ntk`, or another function of inner products.
    scales: Its variances; may be traced.

  Returns:
    (x, y) -> K, rows by rows.

  >>> x = jnp.array([[1.0, 0.0]])
  >>> for kind in KINDS:
  ...   print(one_layer(kind, Scales())(x, x))
  [[1.]]
  [[0.5]]
  [[1.]]
  """

  def kernel(x, y):
    xx, yy = jnp.sum(x * x, 1, keepdims=True), jnp.sum(y * y, 1)
    return kind(x @ y.T, xx, yy, scales)

  return kernel


def empty(
  capacity: int, d: int, k: int, dtype: DTypeLike, block: int = 1024
) -> Store:
  """A store without rows, of the capacity asked for rounded up to blocks.

  Args:
    capacity: Rows that it must hold.
    d: Inputs.
    k: Outputs.
    dtype: Of all entries.
    block: S, rows in a block.

  Returns:
    A `Store`.

  Raises:
    ValueError: If a size is below 1.

  >>> empty(5, 3, 2, jnp.float32, block=4).X.shape
  (4, 2, 3)
  """
  for name, value in (('capacity', capacity), ('block', block)):
    if value < 1:
      raise ValueError(f'{name} is {value}, expected an integer >= 1')
  shape = block, -(-capacity // block)
  zeros = jnp.zeros((*shape, d), dtype), jnp.zeros((*shape, k), dtype)
  return Store(*zeros, jnp.int32(0))


def append(
  store: Store, X: Float[Array, 'rows d'], C: Float[Array, 'rows k']
) -> Store:
  """Adds rows after those there are.

  Donate the store when this is jitted: rows are then written in place. (In one
  program with `predict` XLA copies X first, which costs less than reading it.)

  Args:
    store: The store.
    X: New rows.
    C: Their coefficients.

  Returns:
    The store with them. Beyond the capacity all coefficients are NaN, so that a
    run which is too long is seen to be wrong.

  >>> store = append(empty(4, 1, 1, jnp.float32, 4), jnp.ones((2, 1)),
  ...                jnp.ones((2, 1)))
  >>> print(store.C[:, 0, 0], store.count)
  [1. 1. 0. 0.] 2
  """
  S, blocks = store.X.shape[:2]
  rows = X.shape[0]
  at = store.count + jnp.arange(rows, dtype=jnp.int32)
  place = at % S, at // S
  count = store.count + rows
  lost = jnp.where(count > S * blocks, jnp.nan, 0).astype(store.C.dtype)
  return Store(
    store.X.at[place].set(X.astype(store.X.dtype)),
    store.C.at[place].set(C.astype(store.C.dtype)) + lost,
    count,
  )


def predict(
  kernel: Kernel, store: Store, x: Float[Array, 'n d']
) -> Float[Array, 'n k']:
  """f(x) of all rows of x at once, over the blocks that are filled.

  Args:
    kernel: The kernel.
    store: The rows.
    x: Inputs; put those of all tasks here, for one product.

  Returns:
    f(x).

  >>> store = append(empty(4, 1, 1, jnp.float32, 4), jnp.ones((2, 1)),
  ...                jnp.ones((2, 1)))
  >>> print(predict(one_layer(linear, Scales()), store, jnp.full((1, 1), 3.)))
  [[6.]]
  """
  S, blocks = store.X.shape[:2]
  filled = jnp.minimum((store.count + S - 1) // S, blocks)

  def add(i, f):
    rows = jax.lax.dynamic_index_in_dim(store.X, i, 1, keepdims=False)
    weight = jax.lax.dynamic_index_in_dim(store.C, i, 1, keepdims=False)
    return f + kernel(x, rows) @ weight

  f = jnp.zeros((x.shape[0], store.C.shape[-1]), store.C.dtype)
  return jax.lax.fori_loop(0, filled, add, f)


def on_tasks(
  predictor: Callable[[Array], Array], tasks: Tasks
) -> Float[Array, 'tasks m+q k']:
  """Logits of support and queries, of all tasks in one product.

  Args:
    predictor: x (n, d) -> f(x) (n, k).
    tasks: The tasks.

  Returns:
    What `adapted_logits` and `outer_step` start from.

  >>> x, y = jnp.ones((3, 2, 4)), jnp.zeros((3, 2), jnp.int32)
  >>> on_tasks(lambda x: x[:, :2], Tasks(x, y, x, y)).shape
  (3, 4, 2)
  """
  both = jnp.concatenate([tasks.x, tasks.x_query], 1)
  f = predictor(both.reshape(-1, both.shape[-1]))
  return f.reshape(*both.shape[:2], -1)


def adapted_logits(
  kernel: Kernel,
  f: Float[Array, 'tasks m+q k'],
  tasks: Tasks,
  lr: Float[ArrayLike, ''],
  steps: int = 1,
) -> Float[Array, 'tasks q k']:
  """Logits of the queries after inner steps on the support rows.

  Args:
    kernel: The kernel.
    f: Logits of support and queries before them.
    tasks: The tasks.
    lr: η_in.
    steps: Inner steps, each on all support rows.

  Returns:
    f(x') + K(x', X) c, with c the sum of −η_in χ over the steps.

  >>> x, y = jnp.eye(2)[None], jnp.array([[0, 1]])
  >>> kernel = one_layer(linear, Scales())
  >>> print(adapted_logits(kernel, jnp.zeros((1, 4, 2)), Tasks(x, y, x, y), 1.))
  [[[ 0.25 -0.25]
    [-0.25  0.25]]]
  """
  m = tasks.x.shape[1]

  def one(f, x, y, x_query):
    K, K_query = kernel(x, x), kernel(x_query, x)

    def step(_, c):
      return c - lr * _chi(f[:m] + K @ c, y)

    c = jax.lax.fori_loop(0, steps, step, jnp.zeros_like(f[:m]))
    return f[m:] + K_query @ c

  return jax.vmap(one)(f, tasks.x, tasks.y, tasks.x_query)


def spread(store: Store) -> Store:
  """Puts the rows of each block on the devices that a lane is spread over.

  On a mesh with an axis `model` (`framework.run.sweep`), if it divides S: each
  device then makes the products with its own rows, and what is summed over
  rows is reduced by the compiler. Without one, nothing.

  >>> store = empty(4, 1, 1, jnp.float32, 4)
  >>> spread(store) is store
  True
  """
  mesh = jax.sharding.get_abstract_mesh()
  if 'model' not in mesh.axis_names or store.X.shape[0] % mesh.shape['model']:
    return store
  place = jax.sharding.NamedSharding(mesh, jax.P('model'))
  X, C = jax.lax.with_sharding_constraint((store.X, store.C), place)
  return Store(X, C, store.count)


class Outer(NamedTuple):
  """Rows that an outer step appends."""

  X: Float[Array, 'rows d']
  C: Float[Array, 'rows k']
  norm: Float[Array, '']  # of the gradient, before clipping
  losses: Float[Array, ' tasks']


def outer_step(
  kernel: Kernel,
  f: Float[Array, 'tasks m+q k'],
  tasks: Tasks,
  inner_lr: Float[ArrayLike, ''],
  meta_lr: Float[ArrayLike, ''],
  clip: Float[ArrayLike, ''],
  *,
  steps: int = 1,
  norm_kernel: Kernel | None = None,
) -> Outer:
  """An outer step of first-order MAML: the rows that it appends.

  Args:
    kernel: The kernel.
    f: Logits of support and queries before the step.
    tasks: The tasks.
    inner_lr: η_in.
    meta_lr: η.
    clip: The largest norm of the summed gradient.
    steps: Inner steps.
    norm_kernel: The kernel in the gradient's norm, `kernel` when None (the
      published implementation of `ntk` leaves v_2 out of it).

  Returns:
    An `Outer`, to be given to `append`.

  >>> x, y = jnp.eye(2)[None], jnp.array([[0, 1]])
  >>> kernel = one_layer(linear, Scales())
  >>> f = jnp.zeros((1, 4, 2))
  >>> step = outer_step(kernel, f, Tasks(x, y, x, y), 0., 1., 9.)
  >>> print(step.C)
  [[ 0.25 -0.25]
   [-0.25  0.25]]
  """
  logits = adapted_logits(kernel, f, tasks, inner_lr, steps)
  chi = jax.vmap(_chi)(logits, tasks.y_query)
  losses = jnp.mean(_cross_entropy(logits, tasks.y_query), -1)
  X, chi = (z.reshape(-1, z.shape[-1]) for z in (tasks.x_query, chi))
  K = (norm_kernel or kernel)(X, X)
  norm = jnp.sqrt(jnp.maximum(jnp.sum(chi * (K @ chi)), 0))
  share = jnp.where(norm > clip, clip / jnp.where(norm > 0, norm, 1), 1)
  rate = jnp.asarray(meta_lr * share, chi.dtype)
  return Outer(X, -rate * chi, norm, losses)


def _chi(logits: Float[Array, 'm k'], y: Int[Array, ' m']) -> Array:
  """dL/df of the mean cross entropy."""
  onehot = jax.nn.one_hot(y, logits.shape[-1], dtype=logits.dtype)
  return (jax.nn.softmax(logits) - onehot) / len(y)


def _cross_entropy(logits, y):
  return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1)[
    ..., 0
  ]
