"""Prompt attention: basins, several inputs, joint training, losses."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.attention_svm import SETUPS, Prompt
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  equals,
  untestable,
)
from framework.evidence.lanes import select
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
):
  """An observation at the last step, (p0, seeds, ...); the first C if any."""
  last = select(ds.isel(time=-1), setup=setup)[name]
  for dim, value in (('C', config.axis('C')[0] if C is None else C),):
    if dim in last.dims:
      last = last.sel({dim: value})
  for dim in ('p0', 'seed'):
    if dim not in last.dims:
      last = last.expand_dims(dim)
  rest = [d for d in last.dims if d not in ('p0', 'seed')]
  return last.transpose('p0', 'seed', *rest).values


def claims(config: Prompt, ds: Dataset) -> list[Claim]:
  """The four set-ups, as far as they were run."""
  setups = config.axis('setup')
  if config.steps < 1000:
    reason = f'needs 1000 steps, there are {config.steps}'
    return [untestable('setups', 'prompts turn to their SVM', SOURCE, reason)]
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
    if setup in setups:
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
    at_least(
      f'{setup}.direction',
      'one input, equal scores of the other tokens: p turns to the solution of '
      'the best token from every start',
      SOURCE,
      0.99,
      ends(config, ds, 'cos_law', setup),
      each=True,
      derivation='the published runs, which stop at ‖∇L‖ = 1e-9, have 0.994',
    ),
  ]


def _single_local(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  starts = np.asarray(config.axis('p0'))
  other = ends(config, ds, 'cos_rival', setup)
  own = ends(config, ds, 'cos_law', setup)
  local, best = starts <= -1, starts >= -0.5
  made = []
  if best.any():
    made.append(
      at_least(
        f'{setup}.global',
        'one input, two good tokens: from p(0) = (0, a), a ≥ −½, p turns to '
        'the solution of the best',
        SOURCE,
        0.999,
        own[best],
        each=True,
        derivation='published runs have 0.9998',
      )
    )
  if local.any():
    made.append(
      at_least(
        f'{setup}.local',
        'and from a ≤ −1 to that of the second best, which is locally optimal',
        SOURCE,
        0.999,
        other[local],
        each=True,
        derivation='published runs have 0.9994',
      )
    )
  return made


def _multi(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  cosine = ends(config, ds, 'cos_law', setup)
  made = [
    at_least(
      f'{setup}.direction',
      'three inputs of seven tokens: normalised descent turns p to its '
      'solution, every start and seed',
      SOURCE,
      0.999,
      cosine,
      each=True,
      derivation='O(1/‖p‖²) with ‖p‖ about 100; the published run, stopped at '
      '‖p‖ = 20, has 0.9996',
    )
  ]
  if 'multi_gd' in config.axis('setup'):
    plain = ends(config, ds, 'cos_law', 'multi_gd')
    made.append(
      at_least(
        f'{setup}.gd',
        'plain descent with ten times the step is behind: 1 − cos over that of '
        'normalised descent, median',
        SOURCE,
        3.0,
        float(np.median((1 - plain) / (1 - cosine))),
        derivation='‖p‖ grows as ln t in place of t; published runs: 37',
      )
    )
  return made


def _joint(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  starts = np.asarray(config.axis('p0'))
  one = np.flatnonzero(starts == -1)
  if not len(one):
    return []
  p, v, rival = (
    ends(config, ds, name, setup)[one]
    for name in ('cos_law', 'cos_v', 'cos_rival')
  )
  value = {'joint_tight': 0.9444444, 'joint_loose': 0.5}[setup]
  words = {
    'joint_tight': 'all tokens support v^mm: p turns to its margin problem',
    'joint_loose': 'the third token does not support v^mm: p turns to the '
    'relaxed problem',
  }[setup]
  made = [
    _norm(setup, value, config, ds),
    at_least(
      f'{setup}.p',
      f'{words}, from the published start',
      SOURCE,
      0.999,
      p,
      each=True,
      derivation='published runs have 0.9997',
    ),
    at_least(
      f'{setup}.v',
      f'{setup}: v turns to v^mm',
      SOURCE,
      0.999,
      v,
      each=True,
      derivation='published runs have 1.0000',
    ),
  ]
  if setup == 'joint_loose':
    made.append(
      at_most(
        f'{setup}.unrelaxed',
        'control: and not to the problem with all margins',
        SOURCE,
        0.99,
        rival,
        each=True,
        derivation='the two solutions are 10° apart: cos = 0.981',
      )
    )
  return made


def _loss(config: Prompt, ds: Dataset, setup: str) -> list[Claim]:
  """Angles as published, of runs that stop; and what goes on."""
  starts, scores = config.axis('p0'), config.axis('C')
  if 0.0 not in starts:
    return []
  at, made = starts.index(0.0), []
  angles = {C: np.abs(ends(config, ds, 'angle', setup, C))[at] for C in scores}
  bounds = {'loss_linear': 3.0, 'loss_logistic': 6.0}
  for C in scores:
    if C == 1:
      made.append(
        at_most(
          f'{setup}.even',
          f'{setup}: equal scores, p on the solution: |angle| in degrees',
          'derived: symmetry',
          1e-6,
          angles[C],
          derivation='exact up to rounding',
        )
      )
    elif C <= 10:
      made.append(
        at_most(
          f'{setup}.C{C:g}',
          f'{setup}: the loss bends the way, not the end: |angle| at '
          f't = {config.steps} where one score is {C:g} times the other',
          SOURCE,
          bounds[setup],
          angles[C],
          derivation='ln C or so over ‖p‖',
        )
      )
    elif setup == 'loss_logistic':
      made.append(
        at_most(
          f'{setup}.C{C:g}',
          f'{setup}: with a score {C:g} times the other, too, p turns to the '
          f'solution: |angle| at t = {config.steps}',
          SOURCE,
          6.0,
          angles[C],
          derivation='the slope of the loss at the well scored input is e^−C: '
          'p first grows to about C along the other input alone, then the '
          'angle falls as C/‖p‖. With ε = 1e-9, as published, it stays 45°',
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
