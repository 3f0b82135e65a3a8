"""Optax rules for factored matrices: one-step balancing and preconditioning.

Parameters are {'X': n k} for XXᵀ or {'F': n1 k, 'G': n2 k} for FGᵀ. Columns
that are exactly zero are padding (k < k_max) and stay so.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Float, Int, PyTree

from framework.maths import linalg

__all__ = [
  'BalanceState',
  'balance_once',
  'balanced',
  'precgd',
  'regauge',
  'scale_by_gram',
  'scaled_gd',
]


def regauge(
  F: Float[Array, '*b n1 k'],
  G: Float[Array, '*b n2 k'],
  beta2: Float[Array, '*b'],
) -> tuple[Float[Array, '*b n1 k'], Float[Array, '*b n2 k']]:
  """Moves along the symmetry of FGᵀ to where FᵀF = β²I.

      F = P S Bᵀ (thin SVD),   F ← βP,   G ← G B S/β

  The product is unchanged and no small singular value is inverted; the columns
  of G in the noise directions shrink by S_i/β. The sign of each column of P is
  such that its largest entry is positive, which makes the result a function of
  F. Zero columns of F (padding) stay zero.

  Args:
    F: Left factor.
    G: Right factor.
    beta2: β² > 0.

  Returns:
    The new (F, G).

  >>> F, G = jnp.array([[0.0, 2.0], [1.0, 0.0]]), jnp.eye(2)
  >>> P, Q = regauge(F, G, jnp.float32(1))
  >>> print(P @ Q.T, P.T @ P)
  [[0. 2.]
   [1. 0.]] [[1. 0.]
   [0. 1.]]
  """
  P, S, Bt = linalg.svd(F)
  largest = jnp.argmax(jnp.abs(P), axis=-2, keepdims=True)
  sign = jnp.sign(jnp.take_along_axis(P, largest, axis=-2))
  beta = jnp.sqrt(jnp.asarray(beta2, F.dtype))[..., None, None]
  rounding = F.shape[-2] * jnp.finfo(F.dtype).eps
  real = S / S[..., :1] > rounding
  real = real[..., None, :]
  new_F = jnp.where(real, beta * P * sign, 0.0)
  new_G = G @ (jnp.swapaxes(Bt, -1, -2) * sign * S[..., None, :] / beta)
  return new_F, jnp.where(real, new_G, 0.0)


def _guarded(move: Callable[..., tuple[Array, ...]]) -> Callable[..., Any]:
  """Moves the lanes that are due; costs nothing while none is.

  Under a plain vmap, a `cond` on a per-lane predicate becomes a select that
  runs the SVD at every step. This one is told how it is batched and asks
  whether *any* lane is due.

  Args:
    move: (old, given) -> new, tuples of arrays; new like old, matrices.

  Returns:
    (now, old, given) -> new where now, else old.
  """

  @custom_vmap
  def guarded(now, old, given):
    def due(old):
      here = now[..., None, None]
      pairs = zip(move(old, given), old, strict=True)
      return tuple(jnp.where(here, x, y) for x, y in pairs)

    return jax.lax.cond(jnp.any(now), due, lambda old: old, old)

  @guarded.def_vmap
  def batched(size, is_batched, *args):
    def whole(x, b):
      return x if b else jnp.broadcast_to(x, (size, *x.shape))

    new = guarded(*jax.tree.map(whole, args, tuple(is_batched)))
    return new, (True,) * len(new)

  return guarded


def _change(old, given):
  """The derivative of `regauge` along (dF, dG, dβ²)."""
  F, G, beta2, dbeta2 = given
  return jax.jvp(regauge, (F, G, beta2), (*old, dbeta2))[1]


_guarded_regauge = _guarded(lambda old, given: regauge(*old, *given))
_guarded_change = _guarded(_change)


# The derivative is guarded on its own: the one that `custom_vmap` derives never
# ends where tangents alone are batched, which is what `jax.jacfwd` does.
@jax.custom_jvp
def _regauge_where(now, F, G, beta2):
  """`regauge` where now, else (F, G)."""
  return _guarded_regauge(now, (F, G), (beta2,))


@_regauge_where.defjvp
def _regauge_where_jvp(primals, tangents):
  now, F, G, beta2 = primals
  _, dF, dG, dbeta2 = tangents
  new = _guarded_regauge(now, (F, G), (beta2,))
  return new, _guarded_change(now, (dF, dG), (F, G, beta2, dbeta2))


class BalanceState(NamedTuple):
  """State of `balance_once`."""

  inner: PyTree
  step: Int[Array, '']
  balanced_at: Int[Array, '']  # the step that was modified; -1 before it


def balance_once(
  inner: optax.GradientTransformation,
  beta2: Float[Array, ''] | float,
  trigger: Float[Array, ''] | float,
) -> optax.GradientTransformationExtraArgs:
  """Modifies one step of any rule: re-gauges F to βP when the loss is small.

  The first time the relative loss 2L/‖y‖² is below `trigger`, the step moves
  (F, G) to `regauge(F, G, β²)` instead of descending, and starts `inner`
  afresh there (a momentum in the old gauge would point nowhere). From then on
  FᵀF ≈ β²I and the rate no longer depends on the scale of the start.

  *Deviation*: [1] switches at an iteration known to its analysis; the loss is
  what a user can see.

  Args:
    inner: The rule of all other steps.
    beta2: β², best of the order of σ_r; in units of `sigma_r` where `update` is
      given that.
    trigger: Relative loss to switch at.

  Returns:
    An optax transformation for {'F', 'G'}; `update` needs `params` and the
    extra argument `relative_loss`, and takes `sigma_r`.

  References:
    [1] Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent
        in Matrix Sensing", 2023, section on the modified method.
  """
  inner = optax.with_extra_args_support(inner)

  def init(params: PyTree) -> BalanceState:
    _check_names(params, 'balance_once', ['F', 'G'])
    return BalanceState(inner.init(params), jnp.int32(0), jnp.int32(-1))

  def update(updates, state, params=None, **extra: Any):
    if params is None or 'relative_loss' not in extra:
      raise ValueError('balance_once: update needs params and relative_loss')
    relative_loss = extra.pop('relative_loss')
    size = jnp.asarray(beta2 * extra.pop('sigma_r', 1.0))
    updates, inner_state = inner.update(updates, state.inner, params, **extra)
    now: Bool[Array, ''] = (state.balanced_at < 0) & (relative_loss < trigger)
    F, G = params['F'], params['G']
    new_F, new_G = _regauge_where(now, F, G, size.astype(F.dtype))
    gauge = {'F': new_F - F, 'G': new_G - G}
    updates = _where(now, gauge, updates)
    fresh = inner.init({'F': new_F, 'G': new_G})
    return updates, BalanceState(
      _where(now, fresh, inner_state),
      state.step + 1,
      jnp.where(now, state.step, state.balanced_at),
    )

  return optax.GradientTransformationExtraArgs(init, update)


def balanced(hp: Any) -> optax.GradientTransformationExtraArgs:
  """Gradient descent with one modified step: `balance_once` of `optax.sgd`.

  Args:
    hp: Hyperparameters, of which eta, beta2 (in units of σ_r) and trigger are
      used.

  Returns:
    An optax transformation for {'F', 'G'}.
  """
  return balance_once(optax.sgd(hp.eta), hp.beta2, hp.trigger)


def scale_by_gram(
  damping: Float[Array, ''] | float = 0.0, loss_power: float = 0.0
) -> optax.GradientTransformationExtraArgs:
  """Right-preconditions each factor by the Gram matrix of the other.

      U_F ← U_F (GᵀG + λI)⁻¹,   U_G ← U_G (FᵀF + λI)⁻¹,   U_X ← U_X (XᵀX + λI)⁻¹

  with λ = damping · L^loss_power.

  Args:
    damping: λ, or what multiplies the power of the loss.
    loss_power: 0 for a constant λ (ScaledGD(λ)), ½ for PrecGD.

  Returns:
    An optax transformation; `update` needs `params`, and the extra argument
    `value` (the loss) when `loss_power` is not 0.

  >>> import jax.numpy as jnp
  >>> params = {'X': 2 * jnp.eye(2)}
  >>> rule = scale_by_gram()
  >>> updates, _ = rule.update({'X': jnp.eye(2)}, rule.init(params), params)
  >>> print(updates['X'])
  [[0.25 0.  ]
   [0.   0.25]]
  """

  def init(params: PyTree) -> optax.EmptyState:
    _check_names(params, 'scale_by_gram', ['X'], ['F', 'G'])
    return optax.EmptyState()

  def update(updates, state, params=None, **extra: Any):
    if params is None or (loss_power and 'value' not in extra):
      raise ValueError(
        'scale_by_gram: update needs params, and value (the loss)'
      )
    lam = jnp.asarray(damping)
    if loss_power:
      # At rounding the loss may be zero, or less; a damping of zero would leave
      # a singular matrix to invert, so it stays above rounding too.
      value = jnp.maximum(jnp.asarray(extra['value']), 0.0)
      lam = lam * value**loss_power + jnp.finfo(value.dtype).eps
    other = {'X': 'X', 'F': 'G', 'G': 'F'}
    return {
      name: _times_inverse_gram(u, params[other[name]], lam)
      for name, u in updates.items()
    }, state

  return optax.GradientTransformationExtraArgs(init, update)


def scaled_gd(
  learning_rate: Float[Array, ''] | float, damping: Float[Array, ''] | float
) -> optax.GradientTransformationExtraArgs:
  """ScaledGD(λ): gradient descent preconditioned with a constant damping.

  Args:
    learning_rate: η.
    damping: λ >= 0; 0 is ScaledGD for exact rank.

  Returns:
    An optax transformation.

  References:
    Tong, Ma, Chi, "Accelerating ill-conditioned low-rank matrix estimation via
    scaled gradient descent", 2021; Xu, Shen, Chi, Ma, "The power of
    preconditioning in overparameterized low-rank matrix sensing", 2023.
  """
  return optax.chain(
    scale_by_gram(damping), optax.scale_by_learning_rate(learning_rate)
  )


def precgd(
  learning_rate: Float[Array, ''] | float,
  damping: Float[Array, ''] | float = 1.0,
) -> optax.GradientTransformationExtraArgs:
  """PrecGD: the damping follows the loss, λ_t = c √L(X_t).

  Args:
    learning_rate: η.
    damping: c.

  Returns:
    An optax transformation; `update` needs the extra argument `value`.

  References:
    Zhang, Fattahi, Zhang, "Preconditioned gradient descent for
    over-parameterized nonconvex matrix factorization", 2021.
  """
  return optax.chain(
    scale_by_gram(damping, loss_power=0.5),
    optax.scale_by_learning_rate(learning_rate),
  )


def _times_inverse_gram(
  U: Float[Array, 'n k'], Y: Float[Array, 'm k'], lam: Float[Array, '']
) -> Float[Array, 'n k']:
  """U (YᵀY + λI)⁻¹, with the identity on padded (zero) columns of Y."""
  gram = Y.T @ Y
  diagonal = jnp.diagonal(gram)
  fill = jnp.where(diagonal == 0, 1.0, lam.astype(gram.dtype))
  return linalg.solve_spd(gram + jnp.diag(fill), U.T).T


def _where(now: Bool[Array, ''], new: PyTree, old: PyTree) -> PyTree:
  return jax.tree.map(lambda a, b: jnp.where(now, a, b), new, old)


def _check_names(params: PyTree, rule: str, *allowed: list[str]) -> None:
  known = isinstance(params, Mapping)
  found = sorted(params) if known else type(params).__name__
  if found not in allowed:
    expected = ' or '.join(map(str, allowed))
    raise ValueError(f'{rule}: parameters are {found}, expected {expected}')
