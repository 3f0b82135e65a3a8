"""Prompt attention: basins, several inputs, joint training, losses."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.attention_svm import SETUPS, Prompt
from experiments.attention_svm.gates import gated
from framework.evidence.claims import Claim, at_least, at_most, equals
from framework.evidence.lanes import over, select
from framework.launch import Arm, Figures, Variant, hp_of
from framework.system import logspaced
from framework.systems.attention_svm import prompt
from framework.systems.attention_svm.prompt import setups

__all__ = ['VARIANT']

SOURCE = 'Tarzanagh et al. 2023, Max-Margin Token Selection'
_NAMED = {name: getattr(setups, name) for name in SETUPS}


def arm(config: Prompt) -> Arm:
  """Descent on p, or on p and v."""
  structure = prompt.Structure(_NAMED[config.setup], np.dtype(config.precision))
  return Arm(
    prompt.system(structure),
    hp_of(prompt.Hp, config),
    attributes=prompt.ATTRIBUTES,
  )


def times(config: Prompt) -> np.ndarray:
  """Evenly in ln t."""
  return logspaced(config.steps, config.records)


def ends(
  config: Prompt, ds: Dataset, name: str, setup: str, C: float | None = None
) -> np.ndarray:
  """A scalar at the last step, (p0, lanes); at the first C if none is given."""
  first = config.axis('C')[0] if C is None else C
  last = ds.isel(time=-1)
  found = over(last, name, ('p0', 'seed'), setup=setup, C=first)
  return found.reshape(len(found), -1)


def _few(config: Prompt, length: float = 100.0) -> str:
  """Steps of length η that reach ‖p‖ = η t, and starts that are let go of."""
  path = min(config.axis('eta')) * config.steps
  if path < length:
    return f'needs η t = {length:g}, this is {path:g}'
  if max(config.axis('epsilon')) > 0:
    return 'needs ε = 0: else ‖p‖ stops growing where ‖∇L‖ is ε'
  far = max(abs(a) for a in config.axis('p0'))
  return '' if far <= 0.02 * path else f'needs |p0| ≤ {0.02 * path:g}'


def claims(config: Prompt, ds: Dataset) -> list[Claim]:
  """The four kinds of set-ups, as far as they were run."""
  made: list[Claim] = []
  for setup, make in (
    ('single_global', _single_global),
    ('single_local', _single_local),
    ('multi', _multi),
    ('joint_tight', _joint),
    ('joint_loose', _joint),
    ('loss_linear', _loss),
    ('loss_logistic', _loss),
  ):
    if setup in config.axis('setup'):
      made += make(config, ds, setup)
  return made


def _norm(setup: str, value: float, config: Prompt, ds: Dataset) -> Claim:
  return equals(
    f'{setup}.norm',
    f'{setup}: ½‖p‖² of the solution',
    f'{SOURCE}, published notebook',
    value,
    ends(config, ds, 'half_square', setup),
    atol=1e-6,
    derivation='published to 7 digits',
  )


def _single_global(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  return [
    _norm(setup, 0.4950495, config, ds),
    gated(
      _few(config),
      at_least,
      f'{setup}.direction',
      'one input, equal scores of the other tokens: p turns to the solution of '
      'the best token from every start',
      SOURCE,
      0.99,
      lambda: ends(config, ds, 'cos_law', setup),
      each=True,
      derivation='the published runs, which stop at ‖∇L‖ = 1e-9, have 0.994',
      headline=True,
    ),
  ]


def _single_local(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  starts = np.asarray(config.axis('p0'))
  made = []
  for id, name, some, words, seen in (
    (
      'global',
      'cos_law',
      starts >= -0.5,
      'one input, two good tokens: from p(0) = (0, a), a ≥ −½, p turns to the '
      'solution of the best',
      0.9998,
    ),
    (
      'local',
      'cos_rival',
      starts <= -1,
      'and from a ≤ −1 to that of the second best, which is locally optimal',
      0.9994,
    ),
  ):
    if some.any():
      made.append(
        gated(
          _few(config),
          at_least,
          f'{setup}.{id}',
          words,
          SOURCE,
          0.999,
          lambda name=name, some=some: ends(config, ds, name, setup)[some],
          each=True,
          derivation=f'published runs have {seen}',
          headline=True,
        )
      )
  return made


def _multi(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  reason = _few(config, 1000.0)
  made = [
    gated(
      reason,
      at_least,
      f'{setup}.direction',
      'three inputs of seven tokens: normalised descent turns p to its '
      'solution, every start and seed',
      SOURCE,
      0.999,
      lambda: ends(config, ds, 'cos_law', setup),
      each=True,
      derivation='O(1/‖p‖²) with ‖p‖ about 100; the published run, stopped at '
      '‖p‖ = 20, has 0.9996',
      headline=True,
    )
  ]
  if 'multi_gd' not in config.axis('setup'):
    return made

  def behind():
    plain, own = (
      1 - ends(config, ds, 'cos_law', x) for x in ('multi_gd', setup)
    )
    return float(np.median(plain / own))

  return [
    *made,
    gated(
      reason,
      at_least,
      f'{setup}.gd',
      'plain descent with ten times the step is behind: 1 − cos over that of '
      'normalised descent, median',
      SOURCE,
      3.0,
      behind,
      derivation='‖p‖ grows as ln t in place of t; published runs: 37',
    ),
  ]


def _joint(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  """From the published start, p(0) = (0, −1)."""
  starts = np.asarray(config.axis('p0'))
  reason = _few(config) or ('' if -1 in starts else 'needs the start p0 = −1')
  value = {'joint_tight': 0.9444444, 'joint_loose': 0.5}[setup]
  words = {
    'joint_tight': 'all tokens support v^mm: p turns to its margin problem',
    'joint_loose': 'the third token does not support v^mm: p turns to the '
    'relaxed problem',
  }[setup]

  def at(name):
    return ends(config, ds, name, setup)[starts == -1]

  made = [
    _norm(setup, value, config, ds),
    gated(
      reason,
      at_least,
      f'{setup}.p',
      f'{words}, from the published start',
      SOURCE,
      0.999,
      lambda: at('cos_law'),
      each=True,
      derivation='published runs have 0.9997',
      headline=True,
    ),
    gated(
      reason,
      at_least,
      f'{setup}.v',
      f'{setup}: v turns to v^mm',
      SOURCE,
      0.999,
      lambda: at('cos_v'),
      each=True,
      derivation='published runs have 1.0000',
      headline=True,
    ),
  ]
  if setup == 'joint_loose':
    made.append(
      gated(
        reason,
        at_most,
        f'{setup}.unrelaxed',
        'control: and not to the problem with all margins',
        SOURCE,
        0.99,
        lambda: at('cos_rival'),
        each=True,
        derivation='the two solutions are 10° apart: cos = 0.981',
        kind='theorem',
      )
    )
  return made


def bend(setup: str, C: float) -> float:
  """How far p stays off the ray of the solution: p_2 in the limit.

  Inputs pull with |ℓ'(γ)| γ e^(−logit), and do so equally in the end, where the
  logits are p_1 ± p_2 and the scores C and 1:

      p_2 = ½ ln(C |ℓ'(C)| / |ℓ'(1)|)
  """
  steep = _NAMED[setup].log_slope
  one, large = (float(steep(np.float64(x))) for x in (1.0, C))
  return 0.5 * (float(np.log(C)) + large - one)


def _loss(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  """The loss decides how far p stays off its ray, which it turns to."""
  starts, made = np.asarray(config.axis('p0')), []
  for C in config.axis('C'):
    law = bend(setup, C) if C > 0 else np.nan
    reason = _few(config, max(100.0, 20 * abs(law)))
    if C <= 0:
      reason = f'needs scores above 0, this is {C:g}'
    if 0.0 not in starts:
      reason = reason or 'needs the start p0 = 0'

    def off(C=C):
      angle, norm = (
        ends(config, ds, name, setup, C)[starts == 0]
        for name in ('angle', 'norm')
      )
      # A p that went nowhere is off by nothing.
      away = norm > 0.5 * min(config.axis('eta')) * config.steps
      return np.where(away, norm * np.sin(np.deg2rad(angle)), np.nan)

    made.append(
      gated(
        reason,
        equals,
        f'{setup}.C{C:g}',
        f'{setup}, one score {C:g} times the other: p stays off the ray of its '
        'solution by a constant, so that it turns to it',
        'derived: both inputs pull equally in the end',
        0.0 if np.isnan(law) else law,
        off,
        atol=0.02,
        rtol=0.05,
        derivation='½ ln(C |ℓ′(C)|/|ℓ′(1)|), up to O(1/‖p‖); with ε = 1e-9, as '
        'published, ‖p‖ stops at 20',
        kind='theorem',
        headline=True,
      )
    )
  return made


def figures(config: Prompt, ds: Dataset) -> Figures:
  """Paths of p in the plane; angles of the two losses."""
  setups = config.axis('setup')
  made = {}
  planes = [s for s in setups if not s.startswith('loss')]
  if planes:
    made['prompt_planes'] = _planes(config, ds, planes)
  bent = [s for s in setups if s.startswith('loss')]
  if bent:
    made['prompt_losses'] = _losses(config, ds, bent)
  return made


_EARLY = 200  # steps whose paths are drawn: later they follow the rays
_TITLES = {
  'single_global': 'one input, one optimum',
  'single_local': 'one input, two optima',
  'multi': 'three inputs, normalised',
  'multi_gd': 'three inputs, plain',
  'joint_tight': 'with $v$, all support it',
  'joint_loose': 'with $v$, one does not',
}


def _planes(config: Prompt, ds: Dataset, setups: list[str]) -> tuple:
  from framework.evidence import figures as plotting

  cols = min(3, len(setups))
  rows = -(-len(setups) // cols)
  fig, axes = plotting.figure(
    'double', height=2.5 * rows, nrows=rows, ncols=cols, squeeze=False
  )
  starts = config.axis('p0')
  for ax in axes.ravel()[len(setups) :]:
    ax.set_visible(False)
  for ax, setup in zip(axes.ravel(), setups, strict=False):
    part = select(ds, setup=setup, C=config.axis('C')[0]).isel(seed=0)
    part = part.sel(time=part['time'] <= _EARLY)
    for i, start in enumerate(starts):
      path = select(part, p0=start)['p'].values
      ax.plot(*path.T, color=f'C{i % 6}', lw=1, label=f'{start:g}')
      ax.plot(*path[0], 'o', ms=3, color=f'C{i % 6}', mew=0)
    if part.sizes['time']:
      _rays(ax, config, setup, int(part['seed']))
    ax.set_title(_TITLES[setup])
    ax.set(xlabel='$p_1$', ylabel='$p_2$')
  handles, names = axes[0, 0].get_legend_handles_labels()
  for color, name in (('black', 'its solution'), ('0.6', 'another solution')):
    handles += axes[0, 0].plot([], [], '--', color=color)
    names.append(name)
  fig.legend(
    handles, names, loc='outside lower center', ncols=8, title='$a$ of $p(0)$'
  )
  return fig, (
    f'The prompt in the first {_EARLY} steps, from starts on an axis, (0, a) '
    'or (a, 0), and the rays of solutions: black, the one it should turn to; '
    'grey, another local optimum or, with v, the problem that is not relaxed.'
  )


def _rays(ax: Any, config: Prompt, setup: str, seed: int) -> None:
  """The two solutions as rays to the edge of what is drawn."""
  import jax

  from framework import system as system_lib

  key = system_lib.keys(jax.random.key(seed)).sample
  given = _NAMED[setup].draw(key, 1.0, np.dtype(config.precision))
  limits = ax.get_xlim(), ax.get_ylim()
  reach = 2 * np.max(np.abs(limits))
  ax.set(xlim=limits[0], ylim=limits[1], autoscale_on=False)
  for target, color in ((given.rival, '0.6'), (given.law, 'black')):
    size = float(np.linalg.norm(target))
    if size > 0:
      end = np.asarray(target) / size * reach
      ax.plot(*np.stack([0 * end, end]).T, '--', color=color, lw=1.1, zorder=5)


def _losses(config: Prompt, ds: Dataset, setups: list[str]) -> tuple:
  from framework.evidence import figures as plotting

  t = ds['time'].values
  fig, axes = plotting.figure(
    'double', height=2.6, ncols=len(setups), sharey=True, squeeze=False
  )
  starts = config.axis('p0')
  start = 0.0 if 0.0 in starts else starts[0]
  for ax, setup in zip(axes[0], setups, strict=True):
    ax.set(xscale='log', xlabel='steps $t$')
    ax.set_title({'loss_linear': '$-u$'}.get(setup, r'$\ln(1+e^{-u})$'))
    for C in config.axis('C'):
      part = select(ds, setup=setup, C=C, p0=start).isel(seed=0)
      ax.plot(t[1:], part['angle'].values[1:], label=f'{C:g}')
    plotting.law(ax, t[1:], np.zeros(len(t) - 1))
  axes[0, 0].set_ylabel('angle of $p$ from $p^{mm}$ (degrees)')
  plotting.legend(axes[0, -1], title='ratio of scores')
  return fig, (
    'Two inputs, one of a larger score: the loss decides the way, the SVM '
    '(dashed) the end. Under the logistic loss an input that scores well '
    'hardly pulls, until its attention lags far enough behind.'
  )


VARIANT = Variant(arm, times, claims, figures)
