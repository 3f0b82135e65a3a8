"""Spectral-contrastive training of an encoder, on all views at once.

    L(Φ) = −2 E[Φ(a)ᵀΦ(a⁺)] + E[(Φ(a)ᵀΦ(a⁻))²],

a and a⁺ views of one input, a⁻ of another one. With P = p(a|x) and p(a) the
loss is exact, −2 E_x‖E[Φ|x]‖² + ‖E[ΦΦᵀ]‖_F², and its minimum spans the top-k
eigenspace of the augmentation kernel. What is compared is the span of the
smoothed encoder x ↦ E[Φ(a)|x] with that space, by the largest principal angle:
only where k does not cut a degenerate level, for else the space is not unique.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float

from framework.checks import check_sizes
from framework.descent import descent
from framework.maths import linalg
from framework.system import System
from framework.systems.spectrum.augmentation import kernel

__all__ = [
  'ATTRIBUTES',
  'Encoder',
  'Hp',
  'Structure',
  'spectral_contrastive_loss',
  'subspace_angle',
  'system',
]

ATTRIBUTES = {
  'loss': {'long_name': 'spectral contrastive loss', 'units': '1'},
  'optimum': {'long_name': 'its minimum', 'units': '1'},
  'angle': {'long_name': 'largest angle to the top eigenspace', 'units': 'rad'},
}


class Hp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  lr: Float[ArrayLike, ''] = 3e-3  # learning rate of the rule
  mask: Float[ArrayLike, ''] = 0.5  # m
  flip: Float[ArrayLike, ''] = 0.0  # f


class Encoder(nn.Module):
  """A perceptron on views in {−1, 0, 1}^d."""

  k: int
  width: int = 128
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, a):
    """(views, d) -> (views, k)."""
    dense = {'dtype': self.dtype, 'param_dtype': self.dtype}
    hidden = nn.gelu(nn.Dense(self.width, **dense)(a))
    hidden = nn.gelu(nn.Dense(self.width, **dense)(hidden))
    return nn.Dense(self.k, **dense)(hidden)


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: the cube, the encoder and the rule, as functions.

  Raises:
    ValueError: If k cuts a degenerate level, or a size is no positive integer.

  >>> Structure(d=4, k=7)
  Traceback (most recent call last):
  ValueError: k is 7, which cuts a degenerate level: expected one of 1, 5, ...
  """

  d: int = 5
  k: int = 16
  encoder: Callable[..., nn.Module] = Encoder  # (k=, dtype=) -> module
  rule: Callable[..., optax.GradientTransformation] = optax.adam  # lr -> rule
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what has no answer."""
    check_sizes(d=self.d, k=self.k)
    kernel.level_of(self.d, self.k)


def spectral_contrastive_loss(
  phi: Float[Array, 'views k'], p: Float[Array, 'inputs views']
) -> Float[Array, '']:
  """The loss of an encoder on all views.

      −2 E_x ‖E[Φ|x]‖² + ‖E[ΦΦᵀ]‖_F²

  Args:
    phi: Φ(a) of every view.
    p: p(a|x).

  Returns:
    The loss, at least −Σ_{i<=k} λ_i².
  """
  smooth = p @ phi
  total = jnp.mean(p, axis=0)
  moment = phi.T @ (total[:, None] * phi)
  return -2 * jnp.mean(jnp.sum(smooth**2, axis=1)) + jnp.sum(moment**2)


def subspace_angle(
  span: Float[Array, 'n k'], basis: Float[Array, 'n k']
) -> Float[Array, '']:
  """The largest principal angle between two spans.

  Args:
    span: Columns, any.
    basis: Orthonormal columns, as many.

  Returns:
    Radians, 0 to π/2.

  >>> print(subspace_angle(jnp.array([[2.0], [2.0]]), jnp.array([[1.0], [0]])))
  0.785...
  """
  q, _ = linalg.qr(span)
  # The part outside: its norm is the sine, precise where the angle is small.
  outside = q - basis @ (basis.T @ q)
  return jnp.arcsin(jnp.clip(linalg.singular_values(outside)[0], 0, 1))


def system(structure: Structure) -> System:
  """Training of an encoder as a `System` over `Hp`.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    The System; it records loss, its optimum, and the angle.

  >>> import jax
  >>> from framework import rollout
  >>> train = system(Structure(d=3, k=4))
  >>> hp, times = jax.tree.map(jnp.float32, Hp()), jnp.array([0, 50])
  >>> run = jax.jit(rollout, static_argnums=0)
  >>> seen = run(train, jax.random.key(0), hp, times)[1]
  >>> bool(seen['loss'][1] < seen['loss'][0])
  True
  """
  s, dtype = structure, jnp.dtype(structure.dtype)
  points = np.array(list(np.ndindex(*(3,) * s.d)), float) - 1
  grid = jnp.asarray(points, dtype)
  basis = jnp.asarray(kernel.parities(s.d, kernel.level_of(s.d, s.k)), dtype)
  net = s.encoder(k=s.k, dtype=dtype)

  def encode(params) -> Array:
    return jnp.asarray(net.apply(params, grid))

  def sample(key, hp):
    del key
    mask, flip = (jnp.asarray(x, dtype) for x in (hp.mask, hp.flip))
    return kernel.views(s.d, mask, flip)

  def init_params(key, problem, hp):
    del problem, hp
    return net.init(key, grid)

  def loss(params, problem, hp):
    del hp
    return spectral_contrastive_loss(encode(params), problem)

  train = descent(init_params, loss, lambda hp: s.rule(hp.lr))

  def observe(state, problem, hp):
    phi = encode(state.params)
    top = kernel.eigenvalues(
      s.d, jnp.asarray(hp.mask, dtype), jnp.asarray(hp.flip, dtype)
    )[: s.k]
    return {
      'loss': spectral_contrastive_loss(phi, problem),
      'optimum': -jnp.sum(top**2),
      'angle': subspace_angle(problem @ phi, basis),
    }

  return System(sample, train.init, train.step, observe)
