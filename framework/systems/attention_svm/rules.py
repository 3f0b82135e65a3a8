"""Update rules: what is done to the gradient, and how long a step is.

Attention's gradient vanishes exponentially as it settles on tokens, so the
published runs divide it by its norm,

    θ⁺ = θ − η ∇L/(‖∇L‖ + ε),

each factor of W = KQᵀ by its own. Here that is a stage of its own,
`normalised`, which takes the gradient as exp(scale) times a tree of order one
and needs no number that underflows. What comes after is any optax rule.

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
from framework.optimizers.steepest import STEEPEST

__all__ = ['NORMALISE', 'RULES', 'Scaled', 'normalised', 'polyak', 'rule_named']

NORMALISE = ('each', 'whole', 'no')

Rule: TypeAlias = Callable[[Any], optax.GradientTransformation]  # of hp


class Scaled(NamedTuple):
  """exp(scale) times `tree` is the gradient."""

  tree: PyTree
  scale: Float[Array, '']


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


def normalised(
  gradient: Scaled, mode: str, epsilon: Float[Array, '']
) -> PyTree:
  """g/(‖g‖ + ε), over the whole tree or each tensor; or g itself.

  Args:
    gradient: exp(scale) times a tree.
    mode: 'whole', 'each', or 'no': then what underflows is zero.
    epsilon: ε ≥ 0; a gradient that is zero stays zero whatever it is.

  Returns:
    The tree of updates, before the step size.

  >>> g = Scaled({'K': jnp.full(4, 2.0)}, jnp.asarray(-900.0))
  >>> print(normalised(g, 'each', jnp.asarray(0.0))['K'].round(6))
  [0.5 0.5 0.5 0.5]
  >>> print(normalised(g, 'each', jnp.asarray(1e-16))['K'].round(6))
  [0. 0. 0. 0.]
  """
  tree, scale = gradient
  if mode == 'no':
    return jax.tree.map(lambda g: jnp.exp(scale) * g, tree)
  # On the scale of ε where that is the larger.
  common = jnp.maximum(scale, _log(epsilon))
  # ε = 0 times a factor that may overflow is no number.
  floor = epsilon * jnp.exp(jnp.where(epsilon > 0, -common, 0))
  shrunk = jnp.exp(scale - common)

  def unit(g, size):
    total = shrunk * size + floor
    return jnp.where(total > 0, shrunk * g / jnp.where(total > 0, total, 1), 0)

  if mode == 'each':
    return jax.tree.map(lambda g: unit(g, norm(g)), tree)
  size = norm(tree)
  return jax.tree.map(lambda g: unit(g, size), tree)


def _log(x: Float[Array, '']) -> Float[Array, '']:
  """Log x, −∞ at 0, with a derivative that is finite there."""
  there = x > 0
  return jnp.where(there, jnp.log(jnp.where(there, x, 1)), -jnp.inf)


def polyak(longest: Float[Array, '']) -> optax.GradientTransformationExtraArgs:
  """Steps of length (L − L*)/‖g‖², at most so long.

  Args:
    longest: Most that a gradient is multiplied with.

  Returns:
    A transformation whose `update` takes `excess` = L − L*. The updates point
    downhill: no learning rate comes after.

  >>> rule = polyak(jnp.asarray(10.0))
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


def _along(name: str) -> optax.GradientTransformation:
  """The direction of steepest descent in a norm, tensor by tensor."""
  direction = STEEPEST[name]
  return optax.stateless(
    lambda updates, params: jax.tree.map(direction, updates)
  )


def _descend(core: optax.GradientTransformation | None, rate: Any, hp: Any):
  """Core, then decoupled weight decay, then the learning rate."""
  decay = optax.add_decayed_weights(hp.decay)
  last = optax.scale_by_learning_rate(rate)
  return optax.chain(*([core] if core else []), decay, last)


RULES: dict[str, Rule] = {
  'constant': lambda hp: _descend(None, hp.eta, hp),
  'inverse_sqrt': lambda hp: _descend(
    None, lambda t: hp.eta / jnp.sqrt(jnp.asarray(t + 1, hp.eta.dtype)), hp
  ),
  'polyak': lambda hp: polyak(hp.eta),
  'adam': lambda hp: _descend(
    optax.scale_by_adam(hp.beta1, hp.beta2, hp.adam_epsilon), hp.eta, hp
  ),
  'sign': lambda hp: _descend(_along('linf'), hp.eta, hp),
  'spectral': lambda hp: _descend(_along('spectral'), hp.eta, hp),
  'coordinate': lambda hp: _descend(_along('l1'), hp.eta, hp),
  'rank_one': lambda hp: _descend(_along('nuclear'), hp.eta, hp),
}


def rule_named(rule: str | Rule) -> Rule:
  """A rule by name, or the rule itself.

  Args:
    rule: A key of `RULES`, or hp -> optax transformation.

  Returns:
    hp -> optax transformation.

  Raises:
    ValueError: If there is no such rule.

  >>> rule_named('fast')
  Traceback (most recent call last):
  ValueError: rule is 'fast', expected one of constant, inverse_sqrt, polyak,
  adam, sign, spectral, coordinate, rank_one
  """
  if callable(rule):
    return rule
  if rule not in RULES:
    raise ValueError(f'rule is {rule!r}, expected one of {", ".join(RULES)}')
  return RULES[rule]
