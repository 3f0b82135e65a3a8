"""Tensor Programs of linear variables, in plain numpy, by their definition.

A variable is its coefficients in named Gaussians. For the image of x under an
initial matrix A, whose entries have variance σ²/n, the Master Theorem says

    Z^Ax = Ẑ^Ax + σ² Σ_y Z^y E[∂Z^x/∂Ẑ^(Aᵀy)],   y all that Aᵀ was applied to,
    E[Ẑ^Ax Ẑ^Ax'] = σ² E[Z^x Z^x'].

Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

import numpy as np


class World:
  """Names of Gaussians and their covariances."""

  def __init__(self):
    self.covariance = {}  # {(name, name): number}, zero if not there
    self.count = 0

  def gaussian(self, covariances):
    """A new one, with its covariances to others and to itself (None)."""
    self.count += 1
    name = self.count
    for other, value in covariances.items():
      other = name if other is None else other
      self.covariance[name, other] = self.covariance[other, name] = value
    return name

  def mean(self, x, y):
    """E[x y]."""
    return sum(
      a * b * self.covariance.get((i, j), 0.0)
      for i, a in x.items()
      for j, b in y.items()
    )


def add(*terms):
  """Σ c x of pairs (c, x)."""
  total = {}
  for c, x in terms:
    for name, a in x.items():
      total[name] = total.get(name, 0.0) + c * a
  return total


class Matrix:
  """A and Aᵀ at their start."""

  def __init__(self, world, sigma):
    self.world, self.variance = world, sigma**2
    self.images = {False: [], True: []}  # (argument, name) of A, of Aᵀ

  def times(self, x, transposed=False):
    mine, others = self.images[transposed], self.images[not transposed]
    s, mean = self.variance, self.world.mean
    covariances = {name: s * mean(x, y) for y, name in mine}
    name = self.world.gaussian({**covariances, None: s * mean(x, x)})
    terms = [(s * x[of], y) for y, of in others if of in x]
    mine.append((x, name))
    return add((1.0, {name: 1.0}), *terms)


def train(depth, batches, probe, sigma1, sigma_w, sigma_v):
  """Predictions before each step and after the last, (T + 1, e, k).

  Args:
    depth: Hidden layers.
    batches: (x (m, d), y (m, k), lr) of each step of ½ mean Σ (f − y)².
    probe: (e, d).
    sigma1: Of first weights.
    sigma_w: Of hidden weights.
    sigma_v: Of n times the readout.
  """
  world = World()
  d, k = probe.shape[1], batches[0][1].shape[1]
  U = [{world.gaussian({None: sigma1**2}): 1.0} for _ in range(d)]
  V = [{world.gaussian({None: sigma_v**2}): 1.0} for _ in range(k)]
  W = [Matrix(world, sigma_w) for _ in range(depth - 1)]
  past = [[] for _ in W]  # (lr, D, x) of the updates W −= lr D xᵀ/n

  def forward(x):
    h = [add(*zip(x, U, strict=True))]
    for A, updates in zip(W, past, strict=True):
      terms = [(-lr * world.mean(z, h[-1]), D) for lr, D, z in updates]
      h.append(add((1.0, A.times(h[-1])), *terms))
    return h, np.array([world.mean(v, h[-1]) for v in V])

  out = []
  for x, y, lr in batches:
    out.append([forward(row)[1] for row in probe])
    runs = [forward(row) for row in x]
    changes = []
    for row, (h, f), target in zip(x, runs, y, strict=True):
      chi = (f - target) / len(x)
      D = [add(*zip(chi, V, strict=True))]
      for A, updates in zip(W[::-1], past[::-1], strict=True):
        terms = [(-lr * world.mean(E, D[0]), z) for lr, E, z in updates]
        D.insert(0, add((1.0, A.times(D[0], transposed=True)), *terms))
      changes.append((row, h, D, chi))
    for row, h, D, chi in changes:
      U = [add((1.0, u), (-lr * a, D[0])) for u, a in zip(U, row, strict=True)]
      V = [add((1.0, v), (-lr * c, h[-1])) for v, c in zip(V, chi, strict=True)]
      for i in range(len(W)):
        past[i].append((lr, D[i + 1], h[i]))
  out.append([forward(row)[1] for row in probe])
  return np.array(out)
