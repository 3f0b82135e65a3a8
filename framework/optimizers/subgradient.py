"""Step sizes of the sub-gradient method, as optax rules.

    θ_t+1 = θ_t − η_t ∂L(θ_t)

A sub-gradient of a loss such as the mean of |e_i| does not shrink near the
minimum, so η_t has to: by a clock (`geometric`, `normalised_geometric`), by the
size of the residuals e (`residual_scaled`, `tracked_quantile`) or by the height
above a known minimum (`polyak`). Each is a whole rule, sign and step size.

What a rule needs beyond the sub-gradient it takes as extra arguments:

    residuals  e (m,), as measured; NaN stands for one that is not there
    slope      ‖∂L‖ where it is not that of the parameters
    value      L(θ_t), and lowest, its minimum

References:
  [1] Ma, Fattahi, "Global Convergence of Sub-gradient Method for Robust Matrix
      Recovery", 2022.
  [2] Li, Zhu, So, Vidal, "Nonconvex robust low-rank matrix recovery", 2020.
  [3] Polyak, "Minimization of unsmooth functionals", 1969.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, DTypeLike, Float, PyTree

__all__ = [
  'SubgradientState',
  'geometric',
  'mean_absolute',
  'normalised_geometric',
  'polyak',
  'quantile',
  'quantiles',
  'residual_scaled',
  'tracked_quantile',
]

# Of |e| over its deviation, where e is Gaussian: E|e| = √(2/π) σ.
_MEAN = math.sqrt(2 / math.pi)

Scalar = Float[ArrayLike, '']


class SubgradientState(NamedTuple):
  """State of every rule here."""

  step_size: Float[Array, '']  # η of the last step; 0 before the first
  memory: PyTree  # of the schedule: steps made, a quantile, or nothing


def geometric(
  step: Scalar, decay: Scalar
) -> optax.GradientTransformationExtraArgs:
  """η_t = step · decay^t, a clock that knows nothing of the loss.

  It arrives where the steps that are left add up to the way that is left:
  step/(1 − decay) bounds how far the parameters can go.

  Args:
    step: η_0.
    decay: Factor a step, in (0, 1].

  Returns:
    An optax rule.

  >>> rule = geometric(0.5, 0.1)
  >>> updates, state = rule.update(jnp.ones(1), rule.init(jnp.ones(1)))
  >>> print(updates, rule.update(jnp.ones(1), state)[0].round(3))
  [-0.5] [-0.05]
  """

  def size(updates, count, extra):
    del updates, extra
    return step * jnp.asarray(decay) ** count, count + 1

  return _rule(_steps, size)


def normalised_geometric(
  step: Scalar, decay: Scalar
) -> optax.GradientTransformationExtraArgs:
  """η_t = step · decay^t / ‖∂L‖: needs no scale of the loss.

  Args:
    step: Length of the first move, in units of the space that `slope` is the
      norm of.
    decay: Factor a step, in (0, 1].

  Returns:
    An optax rule; `update` takes `slope`, else it is the norm of the updates.

  >>> rule = normalised_geometric(0.5, 0.1)
  >>> updates, _ = rule.update(jnp.array([3.0, 4.0]), rule.init(jnp.ones(2)))
  >>> print(updates)
  [-0.3 -0.4]
  """

  def size(updates, count, extra):
    norm = extra.get('slope')
    norm = optax.tree_utils.tree_norm(updates) if norm is None else norm
    # At a minimum the sub-gradient may be zero: then there is nowhere to go.
    return (
      step * jnp.asarray(decay) ** count / jnp.where(norm > 0, norm, jnp.inf),
      count + 1,
    )

  return _rule(_steps, size)


def mean_absolute(residuals: Float[Array, ' m']) -> Float[Array, '']:
  """√(π/2) mean |e|: the deviation of Gaussian residuals without outliers.

  With the loss mean |e| this is the *loss-estimated* step: it turns the
  sub-gradient of clean measurements into a gradient of least squares.

  >>> round(float(mean_absolute(jnp.array([1.0, -3.0, jnp.nan]))), 4)
  2.5066
  """
  return jnp.nanmean(jnp.abs(residuals)) / _MEAN


def quantile(
  level: Scalar,
) -> Callable[[Float[Array, ' m']], Float[Array, '']]:
  """The level-quantile of |e| over that of a standard Gaussian, by sorting.

      q_τ(|e|) / z_τ,   z_τ = Φ⁻¹((1 + τ)/2)

  Outliers below the share 1 − τ change it by a factor, more make it useless.

  Args:
    level: τ in (0, 1); ½ is the median.

  Returns:
    A function of the residuals.

  >>> print(quantile(0.5)(jnp.array([0.0, 0.67449, -2.0])).round(4))
  1.0
  """

  def scale(residuals: Float[Array, ' m']) -> Float[Array, '']:
    return quantiles(jnp.abs(residuals), level) / _normal(level)

  return scale


def quantiles(
  x: Float[Array, ' m'], levels: Float[ArrayLike, '*l']
) -> Float[Array, '*l']:
  """Quantiles of the numbers that are there, NaN left out, by one sort.

  Linear between order statistics, as `numpy.nanquantile`, of which jax's own
  takes seconds to compile.

  Args:
    x: Numbers; at least one is not NaN.
    levels: In [0, 1].

  Returns:
    Of the shape of `levels`.

  >>> print(quantiles(jnp.array([3.0, jnp.nan, 1.0]), jnp.array([0.5, 1.0])))
  [2. 3.]
  """
  ordered = jnp.sort(x)  # NaN last
  last = jnp.sum(~jnp.isnan(x)) - 1
  place = jnp.asarray(levels, x.dtype) * last
  below = jnp.floor(place).astype(jnp.int32)
  low, high = ordered[below], ordered[jnp.minimum(below + 1, last)]
  return low + (place - below) * (high - low)


def residual_scaled(
  step: Scalar,
  scale: Callable[[Float[Array, ' m']], Float[Array, '']],
) -> optax.GradientTransformationExtraArgs:
  """η_t = step · √(π/2) · scale(e): as large as the residuals are.

  The sub-gradient of mean |e| is about √(2/π) times a unit vector along the
  error, so this moves by `step` times the error, as gradient descent does.

  Args:
    step: The step size of the gradient descent that it stands for.
    scale: Residuals -> an estimate of their deviation, such as
      `mean_absolute` or `quantile(0.5)`.

  Returns:
    An optax rule; `update` needs `residuals`.
  """

  def size(updates, memory, extra):
    del updates
    return jnp.asarray(step) / _MEAN * scale(
      _needed('residuals', extra)
    ), memory

  return _rule(lambda dtype: (), size)


def tracked_quantile(
  step: Scalar, level: Scalar, gain: float = 2.0
) -> optax.GradientTransformationExtraArgs:
  """The step of `residual_scaled(step, quantile(level))` without a sort.

      q ← q exp(gain (τ − mean(|e| <= q))),   η_t = step · √(π/2) · q / z_τ

  One count instead of a sort, which on a CPU costs more than the rest of a
  step. q follows residuals that fall by up to exp(−gain(1 − τ)) a step. It
  begins at (mean √|e|)², which outliers move little.

  Args:
    step: As there.
    level: τ in (0, 1).
    gain: How fast q follows.

  Returns:
    An optax rule; `update` needs `residuals`.

  >>> rule = tracked_quantile(1.0, 0.5)
  >>> state, e = rule.init(jnp.ones(1)), jnp.linspace(-1.0, 1.0, 101)
  >>> for _ in range(50):
  ...   _, state = rule.update(jnp.ones(1), state, residuals=e)
  >>> print(state.memory.round(1))
  0.5
  """

  def size(updates, q, extra):
    del updates
    e = jnp.abs(_needed('residuals', extra))
    missing = jnp.isnan(e)
    there = _total(~missing, e.dtype)
    size = _total(jnp.where(missing, 0, jnp.sqrt(e)), e.dtype)
    q = jnp.where(q > 0, q, jnp.square(size / there))
    q = q * jnp.exp(gain * (level - _total(e <= q, e.dtype) / there))
    return jnp.asarray(step) / _MEAN * q / _normal(level), q.astype(e.dtype)

  return _rule(lambda dtype: jnp.zeros((), dtype), size)


def polyak(
  lowest: Scalar | None = None, cap: Scalar = math.inf
) -> optax.GradientTransformationExtraArgs:
  """η_t = min(cap, (L − L*)/‖∂L‖²), for a loss whose minimum is known.

  From a tiny start of a factored matrix ∂L is tiny too, and the first step
  without a cap is longer than the way by the inverse of the start.

  Args:
    lowest: L*; the extra argument `lowest` when None.
    cap: Largest step size.

  Returns:
    An optax rule; `update` needs `value`, and `lowest` if it is not given here.

  >>> rule = polyak(lowest=0.0)
  >>> x = jnp.array([2.0])  # of L = |x|
  >>> print(rule.update(jnp.ones(1), rule.init(x), x, value=2.0)[0])
  [-2.]
  """

  def size(updates, memory, extra):
    floor = _needed('lowest', extra) if lowest is None else lowest
    above = jnp.maximum(jnp.asarray(_needed('value', extra)) - floor, 0)
    steepness = optax.tree_utils.tree_norm(updates, squared=True)
    eta = above / jnp.where(steepness > 0, steepness, jnp.inf)
    return jnp.minimum(eta, cap), memory

  return _rule(lambda dtype: (), size)


def _rule(
  start: Callable[[DTypeLike], PyTree],
  size: Callable[..., tuple[Float[Array, ''], PyTree]],
) -> optax.GradientTransformationExtraArgs:
  """A rule that moves by −η ∂L; `size` gives η and what it remembers."""

  def init(params: PyTree) -> SubgradientState:
    dtype = jnp.result_type(*jax.tree.leaves(params))
    return SubgradientState(jnp.zeros((), dtype), start(dtype))

  def update(updates, state, params=None, **extra: Any):
    del params
    eta, memory = size(updates, state.memory, extra)
    eta = eta.astype(state.step_size.dtype)
    moved = jax.tree.map(lambda u: -eta.astype(u.dtype) * u, updates)
    return moved, SubgradientState(eta, memory)

  return optax.GradientTransformationExtraArgs(init, update)


def _steps(dtype: DTypeLike) -> Array:
  del dtype
  return jnp.int32(0)


def _total(x: Array, dtype: DTypeLike) -> Array:
  """The sum, as a product: on a CPU a plain one is not vectorised."""
  return jnp.dot(x.astype(dtype), jnp.ones(x.shape, dtype))


def _needed(name: str, extra: dict[str, Any]) -> Any:
  if name not in extra:
    raise ValueError(f'update needs {name}, and was given {sorted(extra)}')
  return extra[name]


def _normal(level: Scalar) -> Float[Array, '']:
  """z_τ: the τ-quantile of |N(0, 1)|."""
  return jax.scipy.special.ndtri((1 + jnp.asarray(level)) / 2)
