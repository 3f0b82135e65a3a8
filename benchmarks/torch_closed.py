"""Programs in torch, gradients written out, all lanes in one tensor.

The strongest form that we know in torch, on any of its devices: what is left is
how torch and XLA run the same arithmetic. Every program is `steps -> what it
ends with`, and returns when the device is done.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ['attention', 'clusters', 'missing', 'modular', 'sensing']

Run = Callable[[int], Any]


def missing(device: str) -> str:
  """Why torch is not measured on this device; '' if it is."""
  if importlib.util.find_spec('torch') is None:
    return 'torch is not installed'
  import torch

  if device == 'cuda' and not torch.cuda.is_available():
    return 'torch is installed without CUDA'
  return ''


def _done(device: str, x: Any) -> np.ndarray:
  import torch

  if device == 'cuda':
    torch.cuda.synchronize()
  return x.detach().cpu().numpy()


def _moved(device: str, *arrays: np.ndarray) -> list[Any]:
  import torch

  return [torch.from_numpy(np.array(x)).to(device) for x in arrays]


def sensing(
  device: str, H: np.ndarray, M: np.ndarray, X0: np.ndarray, eta: float
) -> Run:
  """X⁺ = X − η D X with svec(D) = H svec(XXᵀ − M), lanes in one product.

  Args:
    device: 'cpu' or 'cuda'.
    H: (p, p), the Gram matrix in svec coordinates.
    M: (n, n), the truth.
    X0: (lanes, n, k).
    eta: Step size.

  Returns:
    steps -> X.
  """
  import torch

  n = len(M)
  i, j = np.triu_indices(n)
  place = np.empty((n, n), np.int64)
  place[i, j] = place[j, i] = np.arange(len(i))
  scale = np.where(i == j, 1.0, 2**0.5).astype(H.dtype)
  H, M, X0, scale, index, place = _moved(
    device, H, M, X0, scale, i * n + j, place.ravel()
  )

  @torch.no_grad()
  def run(steps: int) -> np.ndarray:
    X = X0.clone()
    for _ in range(steps):
      E = (X @ X.mT - M).reshape(len(X), n * n)
      d = (E[:, index] * scale) @ H
      X -= eta * ((d / scale)[:, place].reshape(-1, n, n) @ X)
    return _done(device, X)

  return run


def attention(
  device: str,
  X: np.ndarray,
  Z: np.ndarray,
  gamma: np.ndarray,
  start: Sequence[np.ndarray],
  eta: float,
) -> Run:
  """Normalised descent of attention with a linear head.

      G = Σ_i ℓ'(m_i) X_iᵀ (diag(s_i) − s_i s_iᵀ) γ_i z_iᵀ / n

  W⁺ = W − η G/‖G‖; K and Q of W = KQᵀ likewise, with GQ and GᵀK.

  Args:
    device: 'cpu' or 'cuda'.
    X: (lanes, n, T, d) tokens.
    Z: (lanes, n, d) queries.
    gamma: (lanes, n, T) scores.
    start: W, or K and Q: (lanes, d, d) each.
    eta: Step size.

  Returns:
    steps -> W.
  """
  import torch

  X, Z, gamma, *start = _moved(device, X, Z, gamma, *start)
  lanes, n, T, d = X.shape
  flat = X.reshape(lanes, n * T, d)

  @torch.no_grad()
  def run(steps: int) -> np.ndarray:
    params = [p.clone() for p in start]
    K, Q = params[0], params[-1]
    factored = len(params) > 1
    for _ in range(steps):
      along = Z @ Q @ K.mT if factored else Z @ K.mT
      s = torch.softmax((X @ along[..., None])[..., 0], -1)
      m = (s * gamma).sum(-1, keepdim=True)
      q = torch.sigmoid(-m).neg_() / n * s * (gamma - m)
      right = (q[..., None] * Z[:, :, None]).reshape(lanes, n * T, -1)
      G = flat.mT @ right
      grads = (G @ Q, G.mT @ K) if factored else (G,)
      for p, g in zip(params, grads, strict=True):
        p -= eta * g / g.flatten(1).norm(dim=1)[:, None, None]
    return _done(device, K @ Q.mT if factored else K)

  return run


def clusters(
  device: str,
  K: np.ndarray,
  Z0: np.ndarray,
  y: np.ndarray,
  a: np.ndarray,
  alpha: float,
) -> Run:
  """XOR clusters in the Gram form, one lane: Z = Z_0 + K B.

  Args:
    device: 'cpu' or 'cuda'.
    K: (n, n), inner products of the points.
    Z0: (n, m), pre-activations at the start.
    y: (n,) labels.
    a: (m,) second layer.
    alpha: Step size.

  Returns:
    steps -> outputs (n,).
  """
  import torch

  K, Z0, y, a = _moved(device, K, Z0, y, a)

  @torch.no_grad()
  def run(steps: int) -> np.ndarray:
    B = torch.zeros_like(Z0)
    outer = torch.outer(y * (alpha / len(y)), a)
    for _ in range(steps):
      Z = torch.addmm(Z0, K, B)
      g = torch.sigmoid(-y * (Z.clamp_min(0) @ a))
      B += (Z > 0) * outer * g[:, None]
    return _done(device, torch.addmm(Z0, K, B).clamp_min(0) @ a)

  return run


def modular(
  device: str, modulus: int, lanes: int, width: int, lr: float
) -> Run:
  """Full-batch AdamW on x + y mod p, all seeds in batched products.

  Args:
    device: 'cpu' or 'cuda'.
    modulus: p.
    lanes: Seeds, each with rows and weights of its own.
    width: Of both hidden layers.
    lr: Learning rate.

  Returns:
    steps -> the last layer (lanes, width, p).
  """
  import torch

  count = int(0.4 * modulus**2)
  rng = np.random.default_rng(0)
  pairs = np.stack([rng.permutation(modulus**2)[:count] for _ in range(lanes)])
  x, y = np.stack([pairs // modulus, pairs % modulus]), pairs
  (x,) = _moved(device, x)
  (y,) = _moved(device, (y // modulus + y % modulus) % modulus)
  sizes = [(2 * modulus, width), (width, width), (width, modulus)]
  starts = _moved(
    device,
    *(
      (rng.standard_normal((lanes, *s)) / s[0] ** 0.5).astype(np.float32)
      for s in sizes
    ),
  )
  lane = torch.arange(lanes, device=device)[:, None]

  def run(steps: int) -> np.ndarray:
    weights = [w.clone().requires_grad_() for w in starts]
    rule = torch.optim.AdamW(
      weights, lr=lr, betas=(0.9, 0.99), eps=1e-25, weight_decay=0.0
    )
    for _ in range(steps):
      rule.zero_grad()
      first = weights[0][lane, x[0]] + weights[0][lane, modulus + x[1]]
      z = torch.relu(torch.relu(first) @ weights[1]) @ weights[2]
      # A mean a lane: lanes do not know of one another.
      loss = torch.nn.functional.cross_entropy(
        z.reshape(-1, modulus), y.reshape(-1), reduction='sum'
      )
      (loss / count).backward()
      rule.step()
    return _done(device, weights[-1])

  return run
