"""Update rules: what is done to the gradient, and how long a step is.

Attention's gradient vanishes exponentially as it settles on tokens, so the
published runs divide it by its norm,

    θ⁺ = θ − η ∇L/(‖∇L‖ + ε),

each factor of W = KQᵀ by its own. Here that is a stage of its own, `Normalise`,
which takes the gradient as exp(scale) times a tree of order one and needs no
number that underflows. What comes after is any optax rule, as a function of the
hyperparameters: `Rule`.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
  Vasudeva, Deora, Thrampoulidis, "Implicit Bias and Fast Convergence Rates for
  Self-attention", arXiv:2402.05738 (1/√t and Polyak steps).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from framework.maths.norms import norm
from framework.optimizers.steepest import scale_by_steepest

__all__ = [
  'Normalise',
  'Rule',
  'Scaled',
  'adam',
  'constant',
  'coordinate',
  'each_normalised',
  'inverse_sqrt',
  'not_normalised',
  'polyak',
  'rank_one',
  'regularised',
  'scale_by_polyak',
  'sign',
  'spectral',
  'whole_normalised',
]

Rule: TypeAlias = Callable[[Any], optax.GradientTransformation]  # of hp


class Scaled(NamedTuple):
  """exp(scale) times `tree` is the gradient."""

  tree: PyTree
  scale: Float[Array, '']


# (gradient, ε) -> what is handed to the rule.
Normalise: TypeAlias = Callable[[Scaled, Float[Array, '']], PyTree]


def regularised(
  gradient: Scaled, params: PyTree, strength: Float[Array, '']
) -> Scaled:
  """The gradient of L + λ Σ ‖θ_j‖²: adds 2λθ, on the larger scale of the two.

  Args:
    gradient: ∇L.
    params: θ.
    strength: λ ≥ 0.

  Returns:
    ∇L + 2λθ.

  >>> tiny = Scaled(jnp.ones(1), jnp.asarray(-900.0))
  >>> total = regularised(tiny, jnp.ones(1), jnp.asarray(0.5))
  >>> print(total.tree, total.scale)
  [1.] 0.0
  """
  own = _log(2 * strength)
  scale = jnp.maximum(gradient.scale, own)
  a, b = jnp.exp(gradient.scale - scale), jnp.exp(own - scale)
  tree = jax.tree.map(lambda g, w: a * g + b * w, gradient.tree, params)
  return Scaled(tree, scale)


def each_normalised(gradient: Scaled, epsilon: Float[Array, '']) -> PyTree:
  """g/(‖g‖ + ε) of each tensor by itself.

  Args:
    gradient: exp(scale) times a tree.
    epsilon: ε ≥ 0; a gradient that is zero stays zero whatever it is.

  Returns:
    The tree of updates, before the step size.

  >>> g = Scaled({'K': jnp.full(4, 2.0)}, jnp.asarray(-900.0))
  >>> print(each_normalised(g, jnp.asarray(0.0))['K'].round(6))
  [0.5 0.5 0.5 0.5]
  >>> print(each_normalised(g, jnp.asarray(1e-16))['K'].round(6))
  [0. 0. 0. 0.]
  """
  divide = _divided(gradient.scale, epsilon)
  return jax.tree.map(lambda g: divide(g, norm(g)), gradient.tree)


def whole_normalised(gradient: Scaled, epsilon: Float[Array, '']) -> PyTree:
  """g/(‖g‖ + ε) with the norm over all tensors together.

  Args:
    gradient: exp(scale) times a tree.
    epsilon: ε ≥ 0.

  Returns:
    The tree of updates, before the step size.
  """
  size = norm(gradient.tree)
  divide = _divided(gradient.scale, epsilon)
  return jax.tree.map(lambda g: divide(g, size), gradient.tree)


def not_normalised(gradient: Scaled, epsilon: Float[Array, '']) -> PyTree:
  """The gradient itself; what underflows is zero.

  Args:
    gradient: exp(scale) times a tree.
    epsilon: Not used.

  Returns:
    The gradient.
  """
  del epsilon
  return jax.tree.map(lambda g: jnp.exp(gradient.scale) * g, gradient.tree)


def _divided(scale: Float[Array, ''], epsilon: Float[Array, '']) -> Callable:
  """(g, ‖g‖) → e^c g/(e^c ‖g‖ + ε), on the scale of ε where that is larger."""
  common = jnp.maximum(scale, _log(epsilon))
  # ε = 0 times a factor that may overflow is no number.
  floor = epsilon * jnp.exp(jnp.where(epsilon > 0, -common, 0))
  shrunk = jnp.exp(scale - common)

  def divide(g, size):
    total = shrunk * size + floor
    return jnp.where(total > 0, shrunk * g / jnp.where(total > 0, total, 1), 0)

  return divide


def _log(x: Float[Array, '']) -> Float[Array, '']:
  """Log x, −∞ at 0, with a derivative that is finite there."""
  there = x > 0
  return jnp.where(there, jnp.log(jnp.where(there, x, 1)), -jnp.inf)


def scale_by_polyak(
  longest: Float[Array, ''],
) -> optax.GradientTransformationExtraArgs:
  """Steps of length (L − L*)/‖g‖², at most so long.

  Args:
    longest: Most that a gradient is multiplied with.

  Returns:
    A transformation whose `update` takes `excess` = L − L*. The updates point
    downhill: no learning rate comes after.

  >>> rule = scale_by_polyak(jnp.asarray(10.0))
  >>> g = jnp.array([2.0])
  >>> print(rule.update(g, rule.init(g), excess=jnp.asarray(1.0))[0])
  [-0.5]
  """

  def update(updates, state, params=None, *, excess, **extra):
    del params, extra
    square = norm(updates) ** 2
    there = square > 0
    step = jnp.maximum(excess, 0) / jnp.where(there, square, 1)
    step = jnp.where(there, jnp.minimum(step, longest), 0)
    return jax.tree.map(lambda g: -(step * g).astype(g.dtype), updates), state

  init: Any = lambda params: optax.EmptyState()  # noqa: E731
  rule: Any = update
  return optax.GradientTransformationExtraArgs(init, rule)


def _descend(core: optax.GradientTransformation | None, rate: Any, hp: Any):
  """Core, then decoupled weight decay, then the learning rate."""
  decay = optax.add_decayed_weights(hp.decay)
  last = optax.scale_by_learning_rate(rate)
  return optax.chain(*([core] if core else []), decay, last)


def constant(hp: Any) -> optax.GradientTransformation:
  """Steps of η times what comes in."""
  return _descend(None, hp.eta, hp)


def inverse_sqrt(hp: Any) -> optax.GradientTransformation:
  """Steps of η/√(t + 1) times what comes in."""
  return _descend(
    None, lambda t: hp.eta / jnp.sqrt(jnp.asarray(t + 1, hp.eta.dtype)), hp
  )


def polyak(hp: Any) -> optax.GradientTransformationExtraArgs:
  """Steps of (L − L*)/‖g‖², at most η: of a gradient not normalised."""
  return scale_by_polyak(hp.eta)


def adam(hp: Any) -> optax.GradientTransformation:
  """Adam, of a gradient not normalised."""
  core = optax.scale_by_adam(hp.beta1, hp.beta2, hp.adam_epsilon)
  return _descend(core, hp.eta, hp)


def sign(hp: Any) -> optax.GradientTransformation:
  """Sign descent: the steepest steps of length η in the linf norm."""
  return _descend(scale_by_steepest('linf'), hp.eta, hp)


def spectral(hp: Any) -> optax.GradientTransformation:
  """Orthogonalised steps: the steepest of length η in the spectral norm."""
  return _descend(scale_by_steepest('spectral'), hp.eta, hp)


def coordinate(hp: Any) -> optax.GradientTransformation:
  """One entry at a time: the steepest steps of length η in the l1 norm."""
  return _descend(scale_by_steepest('l1'), hp.eta, hp)


def rank_one(hp: Any) -> optax.GradientTransformation:
  """Steps of rank one: the steepest of length η in the nuclear norm."""
  return _descend(scale_by_steepest('nuclear'), hp.eta, hp)
