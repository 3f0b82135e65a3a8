"""Lemma 4.7 and the assumptions of the theorem, wherever they are asked for."""

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.setting import PAPER, assumptions, mu_norm
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)
from framework.evidence.lanes import lanes
from framework.systems.clusters.xor import theory

__all__ = ['assumed', 'lemma']


def lemma(
  config: Config, ds: Dataset, s: Config, prefix: str = ''
) -> list[Claim]:
  """Lemma 4.7 with both index sets, and the ratio of sigmoid weights.

  Args:
    config: The config.
    ds: Results of one setting.
    s: The numbers of that setting.
    prefix: Of the claims' ids.

  Returns:
    Claims.
  """
  t = ds['time'].values
  upto = (t >= 1) & (t <= theory.horizon(s.n))
  made = [
    at_most(
      f'{prefix}r',
      'max g_i/min g_i up to t = √n: all sigmoid weights are equal',
      f'{PAPER}, section 4: the proof needs it',
      1.01,
      lanes(ds, 'weight_ratio')[:, upto].max(1),
      each=True,
      derivation='exp(2 max|f|), with outputs below 5e-3',
    )
  ]
  sizes = lanes(ds, 'aligned_fraction')  # (lanes, lemma or pull alone, J)
  with_members = (sizes[:, 0] > 0).all(1)
  sets = [(1, 'sets by D > n^(½−κ) alone', '', (sizes[:, 1] > 0).all(1))]
  if with_members.sum() >= 10:
    sets.append((0, 'its own sets', 'literal.', with_members))
  else:
    made.append(
      untestable(
        f'{prefix}J.literal',
        'growth over J1 and J2 as Lemma 4.7 defines them',
        f'{PAPER}, Lemma 4.7',
        f'they have members in {with_members.sum()} of {len(sizes)} seeds, ten '
        'are needed: max(d_ν, d_−ν) < min(c_ν, c_−ν) − 2(n_ν + n_−ν) − √n '
        f'asks for n/8 ≫ √n, n = {s.n}',
      )
    )
  inside = (t >= 1) & (t <= min(20, config.steps))
  for row, which, name, some in sets:
    values = lanes(ds, 'aligned')[some][:, inside, row]
    slopes = fits.line(t[inside], np.moveaxis(values, 1, -1)).slope
    slope = slopes / theory.growth(s.alpha, mu_norm(s), s.eta, s.m)
    source = f'{PAPER}, Lemma 4.7, {which}'
    made += [
      within(
        f'{prefix}{name}J1',
        'mean ⟨w, μ1⟩ over J1 grows by α‖μ‖²(1 − 2η)/(8√m) a step, t <= 20: '
        'ratio to it',
        source,
        0.5,
        1.1,
        slope[:, 0],
        derivation='Ω(·), with the constant 1 if all points of +μ1 and none '
        'of −μ1 activate them; gates that lag take some of it',
      ),
      at_most(
        f'{prefix}{name}J2',
        'mean |⟨w, μ1⟩| over J2 hardly grows: slope over that of J1',
        source,
        float(np.sqrt(np.log(s.n) / s.n)),
        slope[:, 1] / slope[:, 0],
        derivation='√(ln n/n), the ratio of the two rates in the lemma',
      ),
    ]
  return made


def assumed(
  config: Config, s: Config, wanted: bool, prefix: str = ''
) -> list[Claim]:
  """One claim an assumption, both of its sides in the statement.

  Args:
    config: The config, for the constant C.
    s: The numbers of the run.
    wanted: Whether it should hold; else which of them hold is only stated.
    prefix: Of the claims' ids.

  Returns:
    Claims.
  """
  made = []
  for a in assumptions(s):
    sides = f'{a.left:.3g} against {a.right:.3g}'
    text = f'{a.name}: {a.statement} with C = {config.constant:g}: {sides}'
    source = f'{PAPER}, section 3'
    if wanted or a.holds:
      made.append(
        at_least(
          f'{prefix}{a.name}',
          text,
          source,
          1.0,
          a.left / a.right,
          derivation='left side over right side',
        )
      )
    else:
      made.append(
        at_most(
          f'{prefix}{a.name}',
          f'not met by the published experiment, {text}',
          'derived: left side over right side',
          1.0,
          a.left / a.right,
          derivation='the theorem does not speak of these numbers',
        )
      )
  return made
