"""Optax rules with a learning rate for each tensor.

    optax.chain(scale_by_anything(), scale_by_tensor(mults.lr),
                optax.scale_by_learning_rate(rate))

Only factors are stored, so schedules, `inject_hyperparams`, `multi_transform`
and masks stay what they are, and rates and factors may be traced. Factors find
their tensor by its path, so a part of the tree has the right ones, too.

Weight decay: `optax.adamw` followed by a factor would multiply the decay as
well, and wide layers would hardly decay. Here rate x decay is the same at every
width, as in the `mup` package's MuAdamW.

References:
  TP5: Yang, Hu, Babuschkin, Sidor, et al., "Tensor Programs V", 2022,
  Appendix B.3. Kingma, Ba, "Adam", 2014. Loshchilov, Hutter, "Decoupled Weight
  Decay Regularization", 2017.
"""

from typing import Any

import jax
import optax
from jaxtyping import PyTree

from framework.mup.infshape import by_path
from framework.mup.multipliers import ByPath, Multipliers, number_of, scaled
from framework.optimizers.adam import scale_by_smooth_adam

__all__ = [
  'add_decay_by_tensor',
  'mu_adam',
  'mu_adamw',
  'mu_sgd',
  'mup',
  'scale_by_tensor',
]

_Rate = Any  # a float, a traced scalar or a schedule


def scale_by_tensor(
  factors: ByPath, *, inverse: bool = False
) -> optax.GradientTransformation:
  """Multiplies the update of each tensor by its own number; has no state.

  Args:
    factors: {path: number}, as the fields of `Multipliers`.
    inverse: Divides instead.

  Returns:
    A transformation. After an optimiser's core it scales learning rates; before
    Adam, with the inverse of `mults.eps`, it scales ε, for
    Adam(g/k; ε) = Adam(g; k ε).

  >>> import jax.numpy as jnp
  >>> rule = scale_by_tensor({'w': 4.0})
  >>> rule.update({'w': jnp.ones(1)}, rule.init({'w': jnp.ones(1)}))[0]['w']
  Array([4.], dtype=float...)
  """

  def update(updates: PyTree, state: Any, params: PyTree = None):
    del params

    def scale(path: str, u: Any) -> Any:
      number = number_of(factors, path)
      return scaled(u, 1 / number if inverse else number)

    return by_path(scale, updates), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def add_decay_by_tensor(
  weight_decay: Any, factors: ByPath
) -> optax.GradientTransformation:
  """Adds weight_decay x factor x w to the update of each tensor.

  Args:
    weight_decay: λ, a number or a traced scalar.
    factors: {path: number}.

  Returns:
    A transformation that needs the parameters.

  Raises:
    ValueError: When it updates without the parameters, or a tensor that has no
      number.

  >>> import jax.numpy as jnp
  >>> rule, w = add_decay_by_tensor(0.5, {'w': 4.0}), {'w': jnp.full(1, 3.0)}
  >>> rule.update({'w': jnp.ones(1)}, rule.init(w), w)[0]['w']
  Array([7.], dtype=float...)
  """

  def update(updates: PyTree, state: Any, params: PyTree = None):
    if params is None:
      raise ValueError(
        'weight decay needs the parameters: update(g, s, params)'
      )

    def decay(path: str, w: Any) -> Any:
      return scaled(w, weight_decay * number_of(factors, path))

    decays = by_path(decay, params)
    return jax.tree.map(lambda u, d: u + d, updates, decays), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def mup(
  core: optax.GradientTransformation,
  learning_rate: _Rate,
  mults: Multipliers,
  *,
  weight_decay: Any = 0.0,
  coupled: bool = False,
  scale_eps: bool = False,
) -> optax.GradientTransformationExtraArgs:
  """Any optimiser in muP.

      g ← g (+ λ m_wd w if coupled) (/ m_ε);   u ← core(g)
      w ← w - η m_lr (u + λ m_wd w if decoupled)

  Args:
    core: What makes a step out of gradients, without a learning rate:
      `optax.scale_by_adam()`, `optax.trace(0.9)`, `optax.scale_by_lion()`, ...
    learning_rate: η: a float, a traced scalar or a schedule.
    mults: `Multipliers` for 'sgd' if the step of `core` grows with the
      gradient, for 'adam' if it does not.
    weight_decay: λ, a number or a traced scalar.
    coupled: Whether decay goes through `core` (an ℓ2 penalty).
    scale_eps: Whether a `core` that divides by |g| + ε has ε scaled like the
      gradient. Without, ε should be far below every gradient.

  Returns:
    A transformation.

  >>> import jax.numpy as jnp
  >>> quarter = Multipliers(*({'w': x} for x in (1.0, 1.0, 0.25, 4.0, 1.0)))
  >>> rule, w = mup(optax.scale_by_lion(), 0.1, quarter), {'w': jnp.ones(1)}
  >>> rule.update({'w': jnp.full(1, 3.0)}, rule.init(w), w)[0]['w'].round(6)
  Array([-0.025], dtype=float...)
  """
  steps: list[optax.GradientTransformation] = []
  decays = not isinstance(weight_decay, (int, float)) or weight_decay != 0
  if decays and coupled:
    steps.append(add_decay_by_tensor(weight_decay, mults.wd))
  if scale_eps:
    steps.append(scale_by_tensor(mults.eps, inverse=True))
  steps.append(core)
  if decays and not coupled:
    steps.append(add_decay_by_tensor(weight_decay, mults.wd))
  steps += [
    scale_by_tensor(mults.lr),
    optax.scale_by_learning_rate(learning_rate),
  ]
  return optax.with_extra_args_support(optax.chain(*steps))


def mu_sgd(
  learning_rate: _Rate,
  mults: Multipliers,
  *,
  momentum: Any = None,
  nesterov: bool = False,
  weight_decay: Any = 0.0,
) -> optax.GradientTransformationExtraArgs:
  """SGD in muP, with momentum and an ℓ2 penalty if you like.

      g ← g + λ m_wd w,   v ← μ v + g,   w ← w - η m_lr v,   m_wd = 1/m_lr

  Args:
    learning_rate: η.
    mults: `Multipliers` for 'sgd'.
    momentum: μ; none when None.
    nesterov: Whether it looks ahead.
    weight_decay: λ.

  Returns:
    A transformation.

  >>> import jax.numpy as jnp
  >>> ones = Multipliers(*({'w': x} for x in (1.0, 1.0, 2.0, 0.5, 1.0)))
  >>> rule, w = mu_sgd(0.1, ones, weight_decay=1.0), {'w': jnp.ones(1)}
  >>> rule.update({'w': jnp.ones(1)}, rule.init(w), w)[0]['w'].round(6)
  Array([-0.3], dtype=float...)
  """
  core = (
    optax.identity() if momentum is None else optax.trace(momentum, nesterov)
  )
  return mup(
    core, learning_rate, mults, weight_decay=weight_decay, coupled=True
  )


def mu_adam(
  learning_rate: _Rate,
  mults: Multipliers,
  b1: Any = 0.9,
  b2: Any = 0.999,
  eps: Any = 1e-8,
  *,
  weight_decay: Any = 0.0,
  scale_eps: bool = True,
) -> optax.GradientTransformationExtraArgs:
  """Adam in muP, with an ℓ2 penalty if you like.

      g ← g + λ m_wd w,   w ← w - η m_lr Adam(g; ε m_ε),   m_wd = 1/m_lr

  Args:
    learning_rate: η.
    mults: `Multipliers` for 'adam'.
    b1: β_1.
    b2: β_2.
    eps: ε at the base width.
    weight_decay: λ of the penalty: λ m_wd w is added to the gradient, as the
      package does. It is not small beside a gradient that falls with width, so
      prefer `mu_adamw`.
    scale_eps: Whether ε falls with the gradient as width grows (the package:
      no). At the base width both are the same.

  Returns:
    A transformation.

  >>> import jax.numpy as jnp
  >>> quarter = Multipliers(*({'w': x} for x in (1.0, 1.0, 0.25, 4.0, 1.0)))
  >>> rule, w = mu_adam(0.1, quarter), {'w': jnp.ones(1)}
  >>> rule.update({'w': jnp.full(1, 3.0)}, rule.init(w), w)[0]['w'].round(6)
  Array([-0.025], dtype=float...)
  """
  return mup(
    scale_by_smooth_adam(b1, b2, eps),
    learning_rate,
    mults,
    weight_decay=weight_decay,
    coupled=True,
    scale_eps=scale_eps,
  )


def mu_adamw(
  learning_rate: _Rate,
  mults: Multipliers,
  b1: Any = 0.9,
  b2: Any = 0.999,
  eps: Any = 1e-8,
  *,
  weight_decay: Any = 1e-4,
  scale_eps: bool = True,
) -> optax.GradientTransformationExtraArgs:
  """Adam in muP with decoupled decay: rate x decay the same at every width.

      w ← w - η m_lr Adam(g) - η λ w      (m_lr m_wd = 1)

  Args:
    learning_rate: η.
    mults: `Multipliers` for 'adam'.
    b1: β_1.
    b2: β_2.
    eps: ε at the base width.
    weight_decay: λ.
    scale_eps: As in `mu_adam`.

  Returns:
    A transformation.

  >>> import jax.numpy as jnp
  >>> quarter = Multipliers(*({'w': x} for x in (1.0, 1.0, 0.25, 4.0, 1.0)))
  >>> rule, w = mu_adamw(0.1, quarter, weight_decay=0.5), {'w': jnp.ones(1)}
  >>> rule.update({'w': jnp.zeros(1)}, rule.init(w), w)[0]['w'].round(6)
  Array([-0.05], dtype=float...)
  """
  return mup(
    scale_by_smooth_adam(b1, b2, eps),
    learning_rate,
    mults,
    weight_decay=weight_decay,
    scale_eps=scale_eps,
  )
