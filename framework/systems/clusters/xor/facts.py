"""Facts that every form of a run has, and the view that all probes are given.

A run can be written in R^p or in the span of its training points; what is fixed
over time beyond that (labels, second layer, gates at t = 0) and what is looked
at (pre-activations, projections, norms) are the same.
"""

from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from framework.systems.clusters.xor.data import Labels, XorData

__all__ = ['Facts', 'View', 'facts_of']


class Facts(NamedTuple):
  """Labels, second layer and the linear classifier of a run."""

  train: Labels
  test: Labels
  a: Float[Array, ' m']
  gates: Bool[Array, 'n m']  # Z(0) > 0
  linear: Float[Array, ' test']  # ⟨Σ_i y_i x_i, x⟩ of the test points


class View(NamedTuple):
  """Pre-activations, projections and norms at one time."""

  Z: Float[Array, 'n m']  # pre-activations of training points
  T: Float[Array, 'test m']  # of test points
  P: Float[Array, '2 m']  # ⟨w_j, μ_k⟩/‖μ‖
  N: Float[Array, ' m']  # ‖w_j‖²


def facts_of(
  train: XorData,
  test: XorData,
  a: Float[Array, ' m'],
  Z0: Float[Array, 'n m'],
) -> Facts:
  """The facts of points in any common orthonormal basis.

  Args:
    train: Training points.
    test: Test points.
    a: Second layer.
    Z0: Pre-activations of the training points at t = 0.

  Returns:
    `Facts`.
  """
  linear = test.x @ (train.x.T @ train.labels.y)
  return Facts(train.labels, test.labels, a, Z0 > 0, linear)
