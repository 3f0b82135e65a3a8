"""Observables of a run on XOR clusters: pure functions of one state.

For cluster ν with C_ν clean and N_ν flipped points, and the gates 1[Z_ij > 0],

    d_νj = |C_ν ∩ gates of j| − |N_ν ∩ gates of j|,   D_νj = d_νj − d_−νj

is the pull on neuron j towards ν [1, section 4]. A positive neuron turns to
+μ_1 where D_μ1,j > 0 and to −μ_1 where it is < 0; both kinds are needed, for a
cluster that no neuron turns to is lost.

References:
  [1] Xu, Wang, Frei, Vardi, Hu, "Benign Overfitting and Grokking in ReLU
      Networks for XOR Cluster Data", 2023.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from framework.systems.clusters.xor.data import Labels
from framework.systems.clusters.xor.facts import Facts, View
from framework.systems.clusters.xor.net import outputs

__all__ = [
  'Aligned',
  'accuracy',
  'aligned',
  'by_cluster',
  'counts',
  'decision_region',
  'excess',
  'linear_fit',
  'mean_by_sign',
  'support',
  'watched',
  'weight_ratio',
]


class Aligned(NamedTuple):
  """The two index sets of Lemma 4.7."""

  J1: Bool[Array, ' m']  # positive neurons that are (+μ_1, κ)-aligned
  J2: Bool[Array, ' m']  # negative neurons that are (±μ_1, κ)-aligned


def accuracy(
  f: Float[Array, ' n'], labels: Float[Array, ' n']
) -> Float[Array, '']:
  """Fraction of points with sgn f = label; f = 0 counts as wrong.

  >>> print(accuracy(jnp.array([0.3, -2.0, 0.0, 1.0]), jnp.ones(4)))
  0.5
  """
  return jnp.mean((f * labels > 0).astype(f.dtype))


@jax.jit
def by_cluster(f: Float[Array, ' n'], labels: Labels) -> Float[Array, '4']:
  """Accuracy on clean labels within each cluster; 1 for one without points."""
  here = jax.nn.one_hot(labels.cluster, 4, dtype=f.dtype)
  right = (f * labels.clean > 0).astype(f.dtype)
  size = jnp.sum(here, 0)
  return jnp.where(size > 0, right @ here / jnp.maximum(size, 1), 1)


@jax.jit
def counts(labels: Labels) -> Float[Array, '4 2']:
  """(c_ν, n_ν): clean and flipped points of each cluster.

  >>> from framework.systems.clusters.xor.data import Labels
  >>> y = jnp.array([1.0, -1.0, -1.0])
  >>> clean = jnp.array([1.0, 1.0, -1.0])
  >>> counts(Labels(jnp.array([0, 0, 2]), clean, y)).astype(int).tolist()
  [[1, 1], [0, 0], [1, 0], [0, 0]]
  """
  here = jax.nn.one_hot(labels.cluster, 4, dtype=labels.y.dtype)
  right = (labels.y == labels.clean).astype(labels.y.dtype)
  return jnp.stack([right @ here, (1 - right) @ here], 1)


def excess(gates: Bool[Array, 'n m'], labels: Labels) -> Float[Array, '4 m']:
  """d_νj: clean less flipped points of cluster ν that activate neuron j."""
  here = jax.nn.one_hot(labels.cluster, 4, dtype=labels.y.dtype)
  signed = here * (labels.y * labels.clean)[:, None]
  return signed.T @ gates.astype(signed.dtype)


@functools.partial(jax.jit, static_argnames='strict')
def aligned(
  facts: Facts, kappa: Float[ArrayLike, ''], strict: bool = True
) -> Aligned:
  """The sets J1 and J2 of Lemma 4.7, from the gates at t = 0.

      D_νj > n^(½−κ),
      max(d_νj, d_−νj) < min(c_ν, c_−ν) − 2(n_ν + n_−ν) − √n

  for ν = μ_1 in J1, for one of ±μ_1 in J2.

  The second condition leaves no neuron at all below n of several hundred: its
  right side, about n/4 − ηn − √n, has to exceed n/8 by a few √n.

  Args:
    facts: Labels, second layer, gates.
    kappa: κ (the paper's 20ε, a small number).
    strict: Whether the second condition is asked for.

  Returns:
    An `Aligned`.
  """
  n = len(facts.train.y)
  d = excess(facts.gates, facts.train)
  found = counts(facts.train)
  D = d[0] - d[1]
  room = jnp.minimum(found[0, 0], found[1, 0])
  room = room - 2 * (found[0, 1] + found[1, 1]) - n**0.5
  free = jnp.logical_or(not strict, jnp.maximum(d[0], d[1]) < room)
  level = jnp.asarray(n, D.dtype) ** (0.5 - jnp.asarray(kappa, D.dtype))
  positive = facts.a > 0
  return Aligned(
    J1=positive & free & (level < D),
    J2=~positive & free & (jnp.abs(D) > level),
  )


@jax.jit
def support(facts: Facts) -> Float[Array, '4']:
  """Share of the neurons of ν's sign that are pulled towards ν at t = 0.

  s_ν = fraction of {j: sgn a_j = label of ν} with D_νj(0) > 0
  """
  d = excess(facts.gates, facts.train)
  D = jnp.stack([d[0] - d[1], d[1] - d[0], d[2] - d[3], d[3] - d[2]])
  up = (facts.a > 0).astype(d.dtype)
  own = jnp.stack([up, up, 1 - up, 1 - up])
  towards = (D > 0).astype(d.dtype)
  return jnp.sum(own * towards, 1) / jnp.maximum(jnp.sum(own, 1), 1)


def mean_by_sign(
  values: Float[Array, 'k m'], a: Float[Array, ' m']
) -> Float[Array, '2 k']:
  """Means over positive (row 0) and negative neurons (row 1).

  >>> a = jnp.array([1.0, 1.0, -1.0])
  >>> print(mean_by_sign(jnp.array([[1.0, 3.0, 5.0]]), a).T)
  [[2. 5.]]
  """
  up = (a > 0).astype(values.dtype)
  sides = jnp.stack([up, 1 - up])
  return sides @ values.T / jnp.maximum(jnp.sum(sides, 1, keepdims=True), 1)


def weight_ratio(
  f: Float[Array, ' n'], y: Float[Array, ' n']
) -> Float[Array, '']:
  """The ratio r = max g / min g of the sigmoid weights g_i = σ(−y_i f_i)."""
  g = jax.nn.log_sigmoid(-y * f)
  return jnp.exp(jnp.max(g) - jnp.min(g))


@jax.jit
def linear_fit(
  f: Float[Array, ' n'], predicted: Float[Array, ' n']
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Slope and correlation of the least-squares line of f on a prediction.

  Args:
    f: Outputs.
    predicted: What they should be proportional to.

  Returns:
    (slope, correlation); zeros where one of the two is constant.

  >>> slope, r = linear_fit(jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0]))
  >>> float(slope), float(r)
  (2.0, 1.0)
  """
  # In units of the largest entry: squares of 1e-25 are no float32 numbers.
  f_unit, x_unit = (
    jnp.where(u > 0, u, 1)
    for u in (jnp.max(jnp.abs(f)), jnp.max(jnp.abs(predicted)))
  )
  f, x = f / f_unit, predicted / x_unit
  f, x = f - jnp.mean(f), x - jnp.mean(x)
  sxx, sff, sxf = jnp.sum(x * x), jnp.sum(f * f), jnp.sum(x * f)
  varied = (sxx > 0) & (sff > 0)
  slope = sxf / jnp.where(varied, sxx, 1) * f_unit / x_unit
  root = jnp.sqrt(jnp.where(varied, sxx * sff, 1))
  return jnp.where(varied, slope, 0), jnp.where(varied, sxf / root, 0)


@jax.jit
def decision_region(
  u: Float[Array, ' k'],
  v: Float[Array, ' l'],
  projections: Float[Array, '2 m'],
  a: Float[Array, ' m'],
  leak: Float[ArrayLike, ''] = 0.0,
) -> Float[Array, 'l k']:
  """Values f(u μ_1 + v μ_2) on the plane of the means, at all pairs (u, v).

  Args:
    u: Coordinates along μ_1, in units of it.
    v: Coordinates along μ_2.
    projections: ⟨w_j, μ_1⟩, ⟨w_j, μ_2⟩.
    a: Second layer.
    leak: λ of the activation.

  Returns:
    f, rows over v.

  >>> P = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> a = jnp.array([1.0, -1.0])
  >>> decision_region(jnp.ones(1), jnp.zeros(1), P, a).tolist()
  [[1.0]]
  """
  z = u[None, :, None] * projections[0][None, None, :]
  z = z + v[:, None, None] * projections[1][None, None, :]
  return outputs(z.reshape(-1, z.shape[-1]), a, leak).reshape(len(v), len(u))


def watched(
  view: View,
  facts: Facts,
  linear_scale: Float[Array, ''],
  leak: Float[ArrayLike, ''],
) -> dict[str, Array]:
  """Records of accuracies, the linear classifier and neurons.

  Args:
    view: Pre-activations, projections and norms.
    facts: Labels, second layer, gates, linear scores.
    linear_scale: α/8n: f after one step is about this times facts.linear.
    leak: λ of the activation.

  Returns:
    {observation: array}.
  """
  y, a = facts.train.y, facts.a
  f, f_test = outputs(view.Z, a, leak), outputs(view.T, a, leak)
  slope, correlation = linear_fit(f_test, linear_scale * facts.linear)
  gates = view.Z > 0
  d = excess(gates, facts.train)
  length = jnp.sqrt(jnp.maximum(view.N, jnp.finfo(f.dtype).tiny))
  return {
    'loss': jnp.mean(jax.nn.softplus(-y * f)),
    'train_accuracy': accuracy(f, y),
    'test_accuracy': accuracy(f_test, facts.test.clean),
    'cluster_accuracy': by_cluster(f_test, facts.test),
    'linear_agreement': accuracy(f_test, jnp.sign(facts.linear)),
    'linear_accuracy': accuracy(facts.linear, facts.test.clean),
    'linear_slope': slope,
    'linear_correlation': correlation,
    'cosine': mean_by_sign(jnp.abs(view.P) / length[None, :], a),
    'pull': mean_by_sign(jnp.abs(jnp.stack([d[0] - d[1], d[2] - d[3]])), a),
    'weight_ratio': weight_ratio(f, y),
    'gates_flipped': jnp.mean((gates != facts.gates).astype(f.dtype)),
    'weight_norm': jnp.sqrt(jnp.sum(jnp.maximum(view.N, 0))),
    'output': jnp.max(jnp.abs(f)),
  }
