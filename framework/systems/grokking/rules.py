"""Update rules of a run, as functions of its `hp`: AdamW, SGD, filters of both.

    θ_t+1 = θ_t + rule(filter(∇L(θ_t)))

The learning rate is divided by the square of the logit scale c: under plain
descent c f(θ) then moves, in function space, as fast as f(θ) does at c = 1.
"""

from collections.abc import Callable
from typing import Any

import optax

from framework import optimizers

__all__ = ['adamw', 'filtered', 'matched', 'sgd']

Rule = Callable[[Any], optax.GradientTransformation]


def adamw(
  hp: Any, *, gradient_scale: float = 2.0**40
) -> optax.GradientTransformation:
  """AdamW whose moments do not underflow.

  Args:
    hp: Has `lr`, `logit_scale`, `beta1`, `beta2`, `eps`, `weight_decay`.
    gradient_scale: As in `optimizers.scale_by_adam`; with 1 tiny gradients make
      steps that are far too long on a CPU.

  Returns:
    The chain.
  """
  return optax.chain(
    optimizers.scale_by_adam(
      hp.beta1, hp.beta2, hp.eps, gradient_scale=gradient_scale
    ),
    optax.add_decayed_weights(hp.weight_decay),
    optax.scale_by_learning_rate(hp.lr / hp.logit_scale**2),
  )


def sgd(hp: Any) -> optax.GradientTransformation:
  """Descent with momentum; `hp.weight_decay` is added to the gradient."""
  return optax.chain(
    optax.add_decayed_weights(hp.weight_decay),
    optax.trace(hp.momentum),
    optax.scale_by_learning_rate(hp.lr / hp.logit_scale**2),
  )


def filtered(gradient_filter: Rule, rule: Rule = adamw) -> Rule:
  """A rule that sees filtered gradients.

  *Deviation*: the authors' ⊥Grad ignores β_2 and ε of the command line and runs
  its AdamW with 0.999 and 1e-8; here both are what they are set to.

  Args:
    gradient_filter: hp -> transformation, such as `perp_grad`.
    rule: hp -> transformation.

  Returns:
    hp -> the chain of both.

  >>> import jax.numpy as jnp
  >>> from framework.systems.grokking import Hp
  >>> rule = filtered(lambda hp: optimizers.perp_grad(), sgd)(Hp(lr=0.1))
  >>> g, w = jnp.array([3.0, 4.0]), jnp.array([1.0, 0.0])
  >>> print(rule.update(g, rule.init(w), w)[0])
  [-0.  -0.5]
  """
  return lambda hp: optax.chain(gradient_filter(hp), rule(hp))


def matched(gradient_filter: Rule, rule: Rule = adamw) -> Rule:
  """`filtered`, with every step as long as that of the unfiltered rule.

  Args:
    gradient_filter: hp -> transformation.
    rule: hp -> transformation.

  Returns:
    hp -> the matched rule: what it gains is not a larger learning rate.
  """
  one = filtered(gradient_filter, rule)
  return lambda hp: optimizers.match_norm(one(hp), rule(hp))
