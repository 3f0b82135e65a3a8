"""Lemma 4.7 and the assumptions of the theorem, wherever they are asked for."""

import numpy as np

from experiments.xor_grokking.setting import (
  PAPER,
  Setting,
  asked,
  assumptions,
  mu_norm,
)
from framework.evidence import fits
from framework.evidence.claims import Claim, at_most, fact, within
from framework.evidence.lanes import lanes
from framework.systems.clusters.xor import laws, theory

__all__ = ['ALL_BUT_A_TENTH', 'assumed', 'growth_unseen', 'lemma']

# Tolerance of rates: in the first steps of a window of 20 gates still turn.
ALL_BUT_A_TENTH = 0.15
_LEAST_RUNS = 10  # with members, for a mean over them


def growth_unseen(here: Setting, steps: int) -> str:
  """Why the growth of neurons up to a step cannot be tested; '' if it can."""
  c = here.config
  if c.steps < steps:
    return f'needs {steps} steps, there are {c.steps}'
  if np.sum(here.ds['time'].values <= steps) < 10:
    return f'needs ten records up to t = {steps}: dense = {c.dense}'
  return laws.growth_out_of_reach(c.n, c.p, c.alpha, c.omega, c.leak, c.eta)


def lemma(here: Setting) -> list[Claim]:
  """Lemma 4.7 with both index sets, and the ratio of sigmoid weights.

  Args:
    here: A setting with its results.

  Returns:
    Claims.
  """
  own, c, ds = here
  end = theory.horizon(c.n)
  numbers = c.n, c.p, mu_norm(c), c.alpha, c.omega
  largest = laws.largest_output(end, *numbers)
  t = ds['time'].values
  upto = (t >= 1) & (t <= end)
  made = [
    asked(
      laws.weights_differ(end, *numbers),
      within,
      f'{own}r',
      'all sigmoid weights are equal up to t = √n: max g_i/min g_i',
      f'{PAPER}, section 4: the proof needs it',
      1 - 1e-5,
      float(np.exp(2 * largest)) + 1e-5,
      lambda: lanes(ds, 'weight_ratio')[:, upto].max(1),
      each=True,
      derivation=f'exp(2 max |f|), |f| <= {largest:.1g} by the sizes of steps; '
      '1e-5 for rounding in float32',
      kind='theorem',
    )
  ]
  reason = growth_unseen(here, 20)
  made += _rates(here, 1, 'by D > n^(½−κ) alone', '', reason)
  chance = laws.lemma_members(c.n, c.m, c.eta, c.kappa, c.stratified > 0.5)
  if not reason and chance * c.seeds < _LEAST_RUNS:
    reason = (
      f'both sets have members in about {chance * c.seeds:.1f} of {c.seeds} '
      f'runs, {_LEAST_RUNS} are needed: max(d_ν, d_−ν) < min(c_ν, c_−ν) − '
      f'2(n_ν + n_−ν) − √n asks for n(1/8 − η) well above √n, n = {c.n}'
    )
  return made + _rates(here, 0, 'its own sets', 'literal.', reason)


def _rates(
  here: Setting, row: int, which: str, name: str, reason: str
) -> list[Claim]:
  """Growth over J1 and J2, in units of that of a fully aligned neuron."""
  own, c, ds = here
  t = ds['time'].values
  inside = (t >= 1) & (t <= 20)
  unit = theory.growth(c.alpha, mu_norm(c), c.eta, c.m)

  def slopes(which):
    some = (lanes(ds, 'aligned_fraction')[:, row] > 0).all(1)
    values = lanes(ds, 'aligned')[some][:, inside, row, which]
    return fits.line(t[inside], values).slope / unit

  low, high = laws.aligned_growth(c.eta)
  text = 'in units of α‖μ‖²(1 − 2η)/(8√m) a step, t <= 20'
  source = f'{PAPER}, Lemma 4.7, {which}'
  return [
    asked(
      reason,
      within,
      f'{own}{name}J1',
      f'mean ⟨w, μ1⟩ over J1 grows at a constant rate {text}',
      f'{source}: Ω(α‖μ‖²/√m); the constants are derived here',
      (1 - ALL_BUT_A_TENTH) * low,
      (1 + ALL_BUT_A_TENTH) * high,
      lambda: slopes(0),
      derivation='[½, 1](1 − η)/(1 − 2η): all points of +μ1 active, half or '
      'none of −μ1; 15 % for the steps until they are',
      kind='theorem',
    ),
    asked(
      reason,
      at_most,
      f'{own}{name}J2',
      f'mean |⟨w, μ1⟩| over J2 hardly changes: |slope| {text}',
      f'{source}: O(α‖μ‖² √(ln n)/√(mn))',
      float(np.sqrt(np.log(c.n) / c.n)),
      lambda: np.abs(slopes(1)),
      derivation='√(ln n/n), the ratio of the two rates in the lemma',
      kind='theorem',
    ),
  ]


def assumed(here: Setting) -> list[Claim]:
  """(A1) ... (A6): what each asks for and what the setting has, as facts."""
  c = here.config
  return [
    fact(
      f'{here.prefix}{a.name}',
      f'{a.statement} with C = {c.constant:g}, {a.left:.3g} against '
      f'{a.right:.3g}: left side over right side',
      f'{PAPER}, section 3',
      a.left / a.right if a.right else np.inf,
      wanted='at least 1',
    )
    for a in assumptions(c)
  ]
