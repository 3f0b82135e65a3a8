"""Cross entropies whose rounding is chosen: softmax and StableMax.

    softmax CE    ℓ = ln Σ_k exp(z_k) − Σ_k q_k z_k
    StableMax CE  ℓ = ln Σ_k s(z_k) − Σ_k q_k ln s(z_k),
                  s(x) = x + 1 for x >= 0, 1/(1 − x) for x < 0

with z = (scale/T) logits and q = (1 − ε) 1[k = y] + ε/C. Since
ln s(x) = sign(x) ln(1 + |x|), StableMax is the softmax of transformed logits,
which is how it is computed: no exponential, no overflow, and a slope
1/(1 + |x|) that is right at 0, at 1 and at 1e30.

All arithmetic after the logits is in the compute dtype, its result and the
gradient p − q included, so that what is absorbed there (*softmax collapse*: a
sum of exponentials equal to its largest term) is absorbed for good. Gradients
then go on in the dtype of the logits. One loss a sample: the mean is the
caller's.

References:
  Prieto, Barsbey, Mediano, Birdal, "Grokking at the Edge of Numerical
  Stability", ICLR 2025.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

__all__ = [
  'checked',
  'collapsed',
  'intervene',
  'log_stablemax',
  'log_stretch',
  'softmax_ce',
  'stablemax_ce',
  'stretch',
]

_DTYPES = ('float16', 'float32', 'float64')


@functools.partial(jax.jit, static_argnames='compute_dtype')
def softmax_ce(
  logits: Float[Array, '*rows classes'],
  labels: Int[Array, '*rows'],
  compute_dtype: Any = jnp.float32,
  *,
  smoothing: ArrayLike = 0.0,
  temperature: ArrayLike = 1.0,
  logit_scale: ArrayLike = 1.0,
) -> Float[Array, '*rows']:
  """Softmax cross entropy with its arithmetic in one chosen type.

  Args:
    logits: One row a sample.
    labels: The correct classes.
    compute_dtype: float16, float32 or float64 (which needs 64-bit types on).
      float16 sums are accumulated in float32 and rounded once, as everywhere.
    smoothing: ε of the label smoothing.
    temperature: T > 0.
    logit_scale: Factor of the logits, in the dtype of the logits.

  Returns:
    One loss a sample, in the compute dtype.

  Raises:
    ValueError: If the compute dtype is none of those, or not there.

  >>> z = jnp.array([[20.0, 0.0, 0.0]])
  >>> y = jnp.array([0])
  >>> float(softmax_ce(z, y)[0]), bool(softmax_ce(z, y, 'float64')[0] > 0)
  (0.0, True)
  """
  dtype = checked(compute_dtype)
  z = (logits * (logit_scale / temperature)).astype(logits.dtype)
  return _cross_entropy(
    z.astype(dtype), labels, jnp.asarray(smoothing).astype(dtype)
  )


@functools.partial(jax.jit, static_argnames='compute_dtype')
def stablemax_ce(
  logits: Float[Array, '*rows classes'],
  labels: Int[Array, '*rows'],
  compute_dtype: Any = jnp.float64,
  *,
  smoothing: ArrayLike = 0.0,
  temperature: ArrayLike = 1.0,
  logit_scale: ArrayLike = 1.0,
) -> Float[Array, '*rows']:
  """StableMax cross entropy.

  Args:
    logits: One row a sample.
    labels: The correct classes.
    compute_dtype: As in `softmax_ce`; the authors' code is always float64.
    smoothing: ε of the label smoothing.
    temperature: T > 0.
    logit_scale: Factor of the logits.

  Returns:
    One loss a sample, in the compute dtype.

  Raises:
    ValueError: As in `softmax_ce`.

  >>> z = jnp.array([[1.0, 0.0]])  # s = 2 and 1
  >>> print(jnp.exp(-stablemax_ce(z, jnp.array([0]), 'float32')).round(4))
  [0.6667]
  """
  dtype = checked(compute_dtype)
  z = (logits * (logit_scale / temperature)).astype(logits.dtype)
  return _cross_entropy(
    log_stretch(z.astype(dtype)), labels, jnp.asarray(smoothing).astype(dtype)
  )


@jax.jit
def stretch(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """s(x) = x + 1 for x >= 0, 1/(1 − x) for x < 0.

  >>> print(stretch(jnp.array([-1.0, 0.0, 1.0])))
  [0.5 1.  2. ]
  """
  positive = x >= 0
  # A branch not taken must be finite, or its derivative is NaN times zero.
  above = jnp.where(positive, x, 0)
  below = jnp.where(positive, 0, x)
  return jnp.where(positive, above + 1, 1 / (1 - below))


@jax.custom_jvp
def log_stretch(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """Ln s(x) = sign(x) ln(1 + |x|), whose slope is 1/(1 + |x|).

  >>> print(log_stretch(jnp.array([0.0, jnp.e - 1])).round(4))
  [0. 1.]
  """
  return jnp.sign(x) * jnp.log1p(jnp.abs(x))


@log_stretch.defjvp
def _(primals, tangents):
  (x,), (dx,) = primals, tangents
  return log_stretch(x), dx / (1 + jnp.abs(x))


@jax.jit
def log_stablemax(
  logits: Float[Array, '*rows classes'],
) -> Float[Array, '*rows classes']:
  """Ln of the StableMax probabilities, in the dtype of the logits.

  >>> print(jnp.exp(log_stablemax(jnp.array([1.0, 0.0]))).round(4))
  [0.6667 0.3333]
  """
  return jax.nn.log_softmax(log_stretch(logits), axis=-1)


@functools.partial(jax.jit, static_argnames=('compute_dtype', 'stretched'))
def collapsed(
  logits: Float[Array, 'rows classes'],
  compute_dtype: Any = jnp.float32,
  stretched: Callable[[Array], Array] | None = None,
) -> Bool[Array, ' rows']:
  """Where the sum over classes absorbs all but its largest term.

      softmax:    Σ_k exp(z_k − max z) == 1        StableMax: Σ s(z_k) == s(max)

  With one logit a gap G ahead of C − 1 equal ones that must happen once
  (C − 1) e^−G < 2^−t and cannot before e^−G < 2^−t, where t is 11, 24 or 53 for
  float16, float32 or float64; between the two it depends on the order of the
  sum. It is not asked whether the largest logit is that of the label.

  Args:
    logits: One row a sample, as the loss sees them.
    compute_dtype: In which the loss does its arithmetic.
    stretched: What the loss takes exponentials of: the logits themselves when
      None, `log_stretch` of them for StableMax.

  Returns:
    One boolean a sample; its mean is the fraction that has collapsed.

  >>> z = jnp.array([[9.0, 0.0], [18.0, 0.0]])
  >>> collapsed(z, 'float16').tolist(), collapsed(z, 'float32').tolist()
  ([True, True], [False, True])
  """
  z = logits.astype(checked(compute_dtype))
  z = z if stretched is None else stretched(z)
  shifted = z - jnp.max(z, -1, keepdims=True)
  return jnp.sum(jnp.exp(shifted), -1) == 1


@jax.jit
def intervene(
  logits: Float[Array, '*rows classes'],
  labels: Int[Array, '*rows'],
  zero: ArrayLike = 0.0,
  stop: ArrayLike = 0.0,
) -> Float[Array, '*rows classes']:
  """Takes the correct class out of the gradient: collapse by hand.

      z_y ← (1 − zero) ((1 − stop) z_y + stop sg(z_y)),   sg: no gradient

  zero = 1 multiplies the logits of correct classes by 0, which also changes the
  loss and so the gradients of wrong classes; stop = 1 changes nothing but the
  gradient of the correct class: exactly what softmax collapse does.

  Args:
    logits: One row a sample.
    labels: The correct classes.
    zero: How much of the correct logit is taken away, in [0, 1].
    stop: How much of its gradient is taken away, in [0, 1].

  Returns:
    The logits to compute a loss of.

  >>> z, y = jnp.ones((1, 2)), jnp.array([1])
  >>> print(intervene(z, y, zero=1.0))
  [[1. 0.]]
  >>> print(jax.grad(lambda z: intervene(z, y, stop=1.0).sum())(z))
  [[1. 0.]]
  """
  correct = _correct(logits, labels)
  kept = jax.lax.stop_gradient(logits)
  z = (1 - zero) * ((1 - stop) * logits + stop * kept)
  return jnp.where(correct, z.astype(logits.dtype), logits)


def checked(dtype: Any) -> Any:
  """A compute dtype, refused where it is unknown or not there.

  >>> checked('int8')
  Traceback (most recent call last):
  ValueError: compute dtype is int8, expected float16, float32 or float64
  """
  name = jnp.dtype(dtype).name
  if name not in _DTYPES:
    raise ValueError(
      f'compute dtype is {name}, expected float16, float32 or float64'
    )
  if jax.dtypes.canonicalize_dtype(name) != name:
    raise ValueError(
      'compute dtype is float64, but 64-bit types are off: use precision '
      'float64 (jax_enable_x64)'
    )
  return jnp.dtype(name)


def _correct(z, labels):
  """Which entries belong to the correct class; a gather would be slower."""
  classes = jax.lax.broadcasted_iota(labels.dtype, z.shape, z.ndim - 1)
  return classes == labels[..., None]


def _exponentials(z):
  """Z − max z, its exponentials, and their sum."""
  shifted = z - jax.lax.stop_gradient(jnp.max(z, -1, keepdims=True))
  e = jnp.exp(shifted)
  return shifted, e, jnp.sum(e, -1, keepdims=True)


def _targets(z, labels, smoothing):
  correct = _correct(z, labels).astype(z.dtype)
  return (1 - smoothing) * correct + smoothing / z.shape[-1]


@jax.custom_jvp
def _cross_entropy(z, labels, smoothing):
  """Ln Σ exp(z_k) − Σ q_k z_k for logits in the compute dtype."""
  shifted, _, total = _exponentials(z)
  there = (1 - smoothing) * jnp.sum(
    jnp.where(_correct(z, labels), shifted, 0), -1
  )
  mean = jnp.mean(shifted, -1)
  return jnp.log(total[..., 0]) - (there + smoothing * mean)


@_cross_entropy.defjvp
def _(primals, tangents):
  z, labels, smoothing = primals
  dz, _, ds = tangents
  shifted, e, total = _exponentials(z)
  slope = e / total - _targets(z, labels, smoothing)
  out = jnp.sum(slope * dz, -1)
  # ∂ℓ/∂ε = z_y − mean z
  correct = jnp.sum(jnp.where(_correct(z, labels), shifted, 0), -1)
  out = out + ds * (correct - jnp.mean(shifted, -1))
  return _cross_entropy(z, labels, smoothing), out
