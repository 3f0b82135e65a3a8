"""Observations of a run: at every record time, and once at the end."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from framework.maths import linalg
from framework.optimizers import quantiles
from framework.probes import effective_rank
from framework.systems.matrix_sensing import probes
from framework.systems.matrix_sensing.problem import Problem, unit_residuals

__all__ = [
  'ATTRIBUTES',
  'QUANTILES',
  'factors',
  'final',
  'observe',
  'of_residuals',
]

ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
  'squared_error': {'long_name': '‖FGᵀ − M‖_F²', 'units': '1'},
  'loss': {'long_name': '¼ or ½ ‖A(FGᵀ) − y‖²', 'units': '1'},
  'signal': {'long_name': '‖Uᵀ(FGᵀ − M)V‖_F', 'units': '1'},
  'cross': {'long_name': 'rms of the two cross blocks', 'units': '1'},
  'residual': {'long_name': '‖U_⊥ᵀ FGᵀ V_⊥‖_F', 'units': '1'},
  'singular_values': {'long_name': 'of FGᵀ', 'units': '1'},
  'effective_rank': {'long_name': 'exp of the entropy', 'units': '1'},
  'imbalance_min': {'long_name': 'λ_min(FᵀF − GᵀG)', 'units': '1'},
  'imbalance_max': {'long_name': 'λ_max(FᵀF − GᵀG)', 'units': '1'},
  'balanced_at': {'long_name': 'step of the re-gauging', 'units': 'step'},
  'sigma_r': {'long_name': 'σ_r of the truth', 'units': '1'},
  'ntk_min': {'long_name': 'λ⁺_min(JᵀJ) at the last step', 'units': '1'},
  'ntk_max': {'long_name': 'λ_max(JᵀJ) at the last step', 'units': '1'},
  'noise_eigenvalue': {'long_name': 'λ_min(NᵀFᵀFN)', 'units': '1'},
  'step_size': {'long_name': 'η of the last step', 'units': '1'},
  'residual_quantiles': {'long_name': 'of |√m z|, at QUANTILES', 'units': '1'},
  'time': {'long_name': 'steps of gradient descent', 'units': 'step'},
}

# Levels at which the sizes of residuals are recorded.
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)

# Most parameters for which JᵀJ is formed and diagonalised at the last step: at
# 600 that takes about a tenth of a second a lane.
_DENSE = 600


def factors(params: dict[str, Array]) -> tuple[Array, Array]:
  """(F, G) of either parametrisation; (X, X) of the symmetric one."""
  return (params['X'],) * 2 if 'X' in params else (params['F'], params['G'])


def observe(state: Any, problem: Problem, loss: Array) -> dict[str, Array]:
  """A state in numbers.

  Args:
    state: A state of gradient descent.
    problem: What it descends on.
    loss: Its loss.

  Returns:
    squared_error ‖FGᵀ − M‖_F², loss, signal / cross / residual (norms of the
    blocks of the error in the truth's basis), singular_values of FGᵀ and their
    effective_rank; of FGᵀ also imbalance_min and imbalance_max, the edges of
    the spectrum of FᵀF − GᵀG; with a rule that balances, balanced_at. Without a
    truth none that needs it.
  """
  F, G = factors(state.params)
  singular = probes.singular_values(F, G)
  seen = {
    'loss': loss,
    'singular_values': singular,
    'effective_rank': effective_rank(singular),
  }
  if problem.truth is not None:
    blocks = probes.error_blocks(F, G, problem.truth)
    seen |= {
      'squared_error': probes.squared_error(F, G, problem.truth),
      'signal': blocks.signal,
      'cross': jnp.sqrt((blocks.left**2 + blocks.right**2) / 2),
      'residual': blocks.residual,
    }
  elif problem.M is not None:
    seen['squared_error'] = jnp.sum((F @ G.T - problem.M) ** 2)
  if F is not G:
    edges = linalg.eigvalsh(probes.imbalance(F, G))
    seen |= {'imbalance_min': edges[0], 'imbalance_max': edges[-1]}
  balanced_at = optax.tree_utils.tree_get(state.opt_state, 'balanced_at')
  if balanced_at is not None:
    seen['balanced_at'] = balanced_at
  return seen


def of_residuals(state: Any, problem: Problem) -> dict[str, Array]:
  """Residuals and step of the sub-gradient method.

  Args:
    state: A state of descent on a loss of the residuals.
    problem: What it descends on.

  Returns:
    residual_quantiles of |√m z| at the levels `QUANTILES`; with a rule that
    keeps it, step_size, η of the last step.
  """
  F, G = factors(state.params)
  e = jnp.abs(unit_residuals(problem, F, G))
  levels = jnp.asarray(QUANTILES, e.dtype)
  seen = {'residual_quantiles': quantiles(e, levels)}
  step_size = optax.tree_utils.tree_get(state.opt_state, 'step_size')
  if step_size is not None:
    seen['step_size'] = step_size
  return seen


def final(state: PyTree, problem: Problem, hp: Any) -> dict[str, Array]:
  """The linearisation at the last step, observed once.

  Args:
    state: The last state.
    problem: What was descended on.
    hp: Its hyperparameters, of which k is used.

  Returns:
    sigma_r of the truth; for FGᵀ noise_eigenvalue, λ_min(FᵀF), at which the
    noise rows of G die; up to 600 parameters ntk_min, λ⁺_min(JᵀJ), and ntk_max,
    λ_max(JᵀJ).
  """
  F, G = factors(state.params)
  symmetric = F is G
  parameters = F.size if symmetric else F.size + G.size
  seen = {'sigma_r': problem.truth.s[-1]}
  if not symmetric:
    seen['noise_eigenvalue'] = probes.noise_eigenvalue(F, hp.k)
  if parameters > _DENSE:
    return seen
  kernel = probes.ntk(F, G, problem.operator, symmetric)
  (n1, k_max), n2, r = F.shape, len(G), len(problem.truth.s)
  zeros = probes.structural_zeros(n1, n2, hp.k, r, symmetric, k_max=k_max)
  lowest, highest = probes.ntk_edges(kernel, zeros)
  return seen | {'ntk_min': lowest, 'ntk_max': highest}
