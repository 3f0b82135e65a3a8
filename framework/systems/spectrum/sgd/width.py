"""The compute-optimal width of a model that sees every sample once.

A step of a model of N modes costs N, so a budget C buys T = C/N steps. Its
excess risk at the end is that of the recursion on N modes, plus what it misses:

    N*(C) = argmin_N  excess(N, ⌊C/N⌋).

On power laws the bias falls as T^−(β−1)/α and what is missing as N^−(β−1); the
two are in balance where N ~ T^(1/α), so that N* ~ C^(1/(1+α)).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from framework.systems.spectrum.sgd.expected import (
  Hp,
  one_pass_risk,
  problem_of,
)
from framework.systems.spectrum.spectra import Spectrum

__all__ = ['Optimal', 'compute_optimal_width', 'loss_table']

from typing import NamedTuple


class Optimal(NamedTuple):
  """The best width of each budget."""

  width: Int[np.ndarray, ' budgets']
  steps: Int[np.ndarray, ' budgets']
  excess: Float[np.ndarray, ' budgets']


def loss_table(
  spectrum: Spectrum,
  hp: Hp,
  widths: Int[Array, ' widths'],
  steps: Int[Array, 'widths records'],
) -> Float[Array, 'widths records']:
  """The exact excess risk over width and steps.

  Args:
    spectrum: At least as many modes as the largest width.
    hp: eta, noise and decay; its width is not looked at.
    widths: N.
    steps: For each width, not decreasing along the last axis.

  Returns:
    (widths, records).
  """

  def one(row):
    width, steps = row
    return one_pass_risk(problem_of(spectrum, hp._replace(width=width)), steps)

  # One after the other: rows have all modes, and as many steps as they need.
  return jax.lax.map(one, (jnp.asarray(widths), jnp.asarray(steps)))


def compute_optimal_width(
  spectrum: Spectrum,
  hp: Hp,
  budgets: Int[np.ndarray, ' budgets'],
  widths: Int[np.ndarray, ' widths'],
) -> Optimal:
  """The width of the least excess risk for each budget of N·T.

  Args:
    spectrum: At least as many modes as the largest width.
    hp: eta, noise and decay.
    budgets: C, increasing.
    widths: Widths to choose from.

  Returns:
    The best width, its steps and its excess risk, for each budget.

  Raises:
    ValueError: If a budget is below the smallest width.

  >>> from framework.systems.spectrum import spectra
  >>> s = spectra.power_law(1.5, 1.8, 16)
  >>> compute_optimal_width(s, Hp(), [100, 429], [2, 4, 8, 16]).width.tolist()
  [4, 8]
  """
  budgets, widths = np.asarray(budgets), np.asarray(widths)
  if budgets.min() < widths.min():
    raise ValueError(
      f'a budget is {budgets.min()}, expected at least the smallest width, '
      f'{widths.min()}'
    )
  steps = budgets[None, :] // widths[:, None]
  table = jax.jit(loss_table)(spectrum, hp, widths, steps)
  table = np.where(steps >= 1, np.asarray(table), np.inf)
  best, at = table.argmin(0), np.arange(len(budgets))
  return Optimal(widths[best], steps[best, at], table[best, at])
