"""Training losses of a run: a cross entropy with the numbers of its `hp`.

    loss = stablemax('float64')
    rows = loss(logits, labels, hp=hp)        one loss a row

A run takes any function of logits and labels, such as those of `optax.losses`;
these know in addition where their sum absorbs all but its largest term, and can
take the correct class out of the gradient from a step on.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from framework.descent import offer
from framework.systems.grokking import losses

__all__ = ['CrossEntropy', 'mean_loss', 'softmax', 'stablemax']


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
  """Cross entropy with smoothing, temperature and logit scale from `hp`.

  Raises:
    ValueError: If the compute dtype is unknown, or not there.

  >>> import types
  >>> z, y = jnp.array([[1.0, 0.0]]), jnp.array([0])
  >>> hp = types.SimpleNamespace(smoothing=0, temperature=1, logit_scale=2)
  >>> print(CrossEntropy()(z, y, hp=hp).round(2), CrossEntropy()(z, y).round(2))
  [0.13] [0.31]
  """

  compute_dtype: str = 'float32'
  stretched: Callable[[Array], Array] | None = None  # as in `losses.collapsed`
  zero: float = 0.0  # as in `losses.intervene`, from step hp.intervene_at on
  stop: float = 0.0

  def __post_init__(self):
    """Refuses what cannot be computed here."""
    losses.checked(self.compute_dtype)

  def __call__(
    self,
    logits: Float[Array, 'rows classes'],
    labels: Int[Array, ' rows'],
    *,
    hp: Any = None,
    t: Int[Array, ''] | None = None,
  ) -> Float[Array, ' rows']:
    """One loss a row; without `t` there is no intervention."""
    if t is not None and (self.zero or self.stop):
      on = (t >= hp.intervene_at).astype(logits.dtype)
      shares = {'zero': self.zero, 'stop': self.stop}
      shares = {name: share * on for name, share in shares.items() if share}
      logits = losses.intervene(logits, labels, **shares)
    if hp is None:
      return self._each(logits, labels)
    return self._each(
      logits,
      labels,
      smoothing=hp.smoothing,
      temperature=hp.temperature,
      logit_scale=hp.logit_scale,
    )

  def collapsed(
    self, logits: Float[Array, 'rows classes'], hp: Any
  ) -> Bool[Array, ' rows']:
    """Where the sum absorbs all but its largest term, as the loss sees it."""
    seen = _scaled(logits, hp)
    return losses.collapsed(seen, self.compute_dtype, self.stretched)

  def vanished(
    self,
    logits: Float[Array, 'rows classes'],
    labels: Int[Array, ' rows'],
    hp: Any,
  ) -> Bool[Array, ' rows']:
    """Where the loss, but for smoothing and intervention, is exactly 0."""
    return self._each(_scaled(logits, hp), labels) == 0

  def _each(self, logits: Array, labels: Array, **numbers: Any) -> Array:
    kind = losses.softmax_ce if self.stretched is None else losses.stablemax_ce
    return kind(logits, labels, self.compute_dtype, **numbers)


def softmax(
  compute_dtype: str = 'float32', *, zero: float = 0.0, stop: float = 0.0
) -> CrossEntropy:
  """Softmax cross entropy, ln Σ exp(z_k) − z_y, as a training loss.

  Args:
    compute_dtype: As in `losses.softmax_ce`.
    zero: How much of the correct logit is taken away from step
      `hp.intervene_at` on, as in `losses.intervene`.
    stop: How much of its gradient.

  Returns:
    (logits, labels, hp, t) -> one loss a row.
  """
  return CrossEntropy(compute_dtype, None, zero, stop)


def stablemax(
  compute_dtype: str = 'float64', *, zero: float = 0.0, stop: float = 0.0
) -> CrossEntropy:
  """StableMax cross entropy, ln Σ s(z_k) − ln s(z_y), as a training loss.

  Args:
    compute_dtype: As in `losses.stablemax_ce`.
    zero: As in `softmax`.
    stop: As in `softmax`.

  Returns:
    (logits, labels, hp, t) -> one loss a row.
  """
  return CrossEntropy(compute_dtype, losses.log_stretch, zero, stop)


def mean_loss(
  loss: Callable[..., Array],
  logits: Float[Array, 'rows classes'],
  labels: Int[Array, ' rows'],
  hp: Any,
  t: Int[Array, ''] | None = None,
) -> Float[Array, '']:
  """The mean over rows, in float32 at least.

  Args:
    loss: (logits, labels) -> one loss a row; may ask for `hp` and `t`.
    logits: One row a sample.
    labels: The correct classes.
    hp: Hyperparameters of the run.
    t: The step; None for what is only evaluated.

  Returns:
    The mean loss, in nats.
  """
  each = offer(loss, {'hp': hp, 't': t}, given=2)(logits, labels)
  # A mean in half precision would lose what half sums just kept.
  wide = jnp.promote_types(each.dtype, jnp.float32)
  return jnp.mean(each.astype(wide))


def _scaled(logits: Array, hp: Any) -> Array:
  return (logits * (hp.logit_scale / hp.temperature)).astype(logits.dtype)
