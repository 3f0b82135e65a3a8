"""Which norm does a rule maximise the margin in?"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from xarray import Dataset

from configs.attention_svm import Layer
from experiments.attention_svm import gates
from experiments.attention_svm.gates import gated
from experiments.attention_svm.layer.arm import arm as layer_arm
from experiments.attention_svm.layer.arm import times
from experiments.attention_svm.reading import cosines
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  within,
)
from framework.evidence.known import known
from framework.evidence.lanes import lanes, select
from framework.launch import Arm, Figures, Variant

__all__ = ['VARIANT']

# {rule: the norm whose unit ball its steps are taken in}.
HOME = {
  'constant': 'frobenius',
  'rank_one': 'nuclear',
  'spectral': 'spectral',
  'sign': 'linf',
  'adam': 'linf',
  'coordinate': 'l1',
}
NAMES = {
  'constant': 'gradient',
  'rank_one': 'rank one',
  'spectral': 'spectral (Muon)',
  'sign': 'sign',
  'adam': 'Adam',
  'coordinate': 'coordinate',
}
NORMS = {
  'frobenius': 'Frobenius',
  'nuclear': 'nuclear',
  'spectral': 'spectral',
  'linf': r'$\ell_\infty$',
  'l1': r'$\ell_1$',
}
LINEAR = 'Gunasekar et al. 2018 for linear models; a conjecture for attention'
# Adam takes the gradient itself; steps are shorter so that its square does not
# underflow within the run.
_ADAM = {'normalise': 'no', 'adam_epsilon': 1e-150}
SHORT = 0.97  # β2 up to which Adam forgets as fast as the gradient falls
_ADAM_SHARE = 0.2
PATH = 400.0  # η t at which what is missing at home is a tenth at most
_COLOURS = 6  # before they repeat


def arm(config: Layer) -> Arm:
  """One layer under a rule; Adam without normalisation, and with ε = 0."""
  if config.rule == 'adam':
    eta = config.eta * _ADAM_SHARE
    config = dataclasses.replace(config, **_ADAM, eta=eta)
  return layer_arm(config)


class Run(NamedTuple):
  """A rule with what else tells it from others."""

  rule: str
  beta2: float  # of Adam; 0 for others

  @property
  def name(self) -> str:
    """For figures and sentences."""
    base = NAMES[self.rule]
    return base if not self.beta2 else f'{base}, β2 = {self.beta2:g}'

  @property
  def id(self) -> str:
    """For claims."""
    return self.rule if not self.beta2 else f'{self.rule}.{self.beta2:g}'

  @property
  def home(self) -> str:
    """The norm of its steps."""
    return HOME[self.rule]


def runs(config: Layer) -> list[Run]:
  """The rules that were run, and have a norm; Adam once for each β2."""
  betas, named = config.axis('beta2'), config.axis('rule')
  return [
    Run(rule, beta)
    for rule in named
    if rule in HOME
    for beta in (betas if rule == 'adam' else (0.0,))
  ]


def part_of(config: Layer, ds: Dataset, run: Run) -> Any:
  """Results of one of them: other rules do not look at β2."""
  beta = run.beta2 or config.axis('beta2')[0]
  return select(ds, rule=run.rule, beta2=beta)


def _ratio(config: Layer, ds: Dataset, run: Run, norm: str) -> np.ndarray:
  return lanes(part_of(config, ds, run), f'margin_ratio_{norm}')


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """Each rule: nearly the greatest margin at home, less elsewhere."""
  made: list[Claim] = []
  norms = [n for n in config.norms if n in NORMS]
  for run in runs(config):
    if run.home not in norms:
      continue
    if run.rule == 'adam' and run.beta2 > SHORT:
      made += _long_memory(config, ds, run)
    else:
      made += _home(config, ds, run, norms)
  wrong = [r for r in runs(config) if r.home != 'frobenius']
  if wrong and 'frobenius' in norms:
    made.append(
      gated(
        gates.as_measured(config),
        at_most,
        'control.frobenius',
        'control: no other rule than gradient descent has the greatest '
        'Frobenius margin: largest mean ratio',
        'our 20 other instances',
        0.9,
        lambda: max(_ratio(config, ds, r, 'frobenius').mean() for r in wrong),
        derivation='solutions in two norms differ: cosines of 0.6 to 0.9',
        kind='regression',
      )
    )
  return made


def _few(config: Layer, run: Run) -> str:
  """Why a setting cannot show the norm of a rule: steps of a path η t."""
  reason = gates.separable(config)
  if run.rule != 'adam' and 'no' in config.axis('normalise'):
    reason = reason or 'needs normalised steps'
  if run.rule == 'adam' and config.steps < 10 / (1 - run.beta2):
    reason = reason or (
      f'needs {10 / (1 - run.beta2):.0f} steps, there are {config.steps}'
    )
  path = min(config.axis('eta')) * config.steps
  if path < PATH:
    reason = reason or f'needs η t = {PATH:g}, this is {path:g}'
  # One entry a step: each has to be visited often.
  most = max(d for _, _, d in gates.sizes(config)) ** 2 * 100
  if run.rule == 'coordinate' and config.steps < most:
    reason = reason or f'needs {most} steps, there are {config.steps}'
  return reason


def _home(
  config: Layer, ds: Dataset, run: Run, norms: list[str]
) -> list[Claim]:
  reason = _few(config, run)
  made = [
    gated(
      reason,
      at_least,
      f'{run.id}.margin',
      f'{run.name}: descent reaches the greatest margin in the {run.home} '
      'norm: margin over the greatest, mean',
      LINEAR,
      0.9,
      lambda: _ratio(config, ds, run, run.home),
      derivation='1 in the limit; what is missing is O(1/t) times what steps '
      'of length η add',
      headline=True,
    )
  ]
  others = [n for n in norms if n != run.home]
  if not others:
    return made

  def wins():
    rest = [_ratio(config, ds, run, n) for n in others]
    own = _ratio(config, ds, run, run.home)
    return known(np.greater, own, np.stack(rest).max(0))

  return [
    *made,
    gated(
      reason or gates.of_dimension(config, 3),
      at_least,
      f'{run.id}.selects',
      f'{run.name}: nearer the greatest margin in the {run.home} norm than in '
      'any other: share of seeds',
      LINEAR,
      0.9,
      wins,
      derivation='a majority that 10 coins do not give: P = 0.01',
    ),
  ]


def _long_memory(config: Layer, ds: Dataset, run: Run) -> list[Claim]:
  """β2 = 0.999: the gradient cannot fall faster than its own memory."""

  def slopes():
    part = part_of(config, ds, run)
    t, log = part['time'].values, lanes(part, 'log_gradient')
    late = t >= config.steps / 2
    slope = fits.line(t[late], log[:, late]).slope
    return slope / (0.5 * np.log(run.beta2))

  return [
    gated(
      _few(config, run),
      within,
      f'{run.id}.clamp',
      f'{run.name}: the gradient falls no faster than its memory lets go, '
      'as β2^(t/2): d ln‖∇L‖/dt over ½ ln β2, second half of the run',
      'derived: steps are η m/√v with v_t ≥ β2^(t−s) (1 − β2) g_s²',
      (0.9, 1.1),
      slopes,
      derivation='1 after a transient of a few 1/(1 − β2) steps',
      kind='theorem',
      headline=True,
    ),
    gated(
      gates.as_measured(config),
      at_most,
      f'{run.id}.margin',
      f'{run.name}: so it is far from the {run.home} SVM when a shorter memory '
      'is there: margin over the greatest, mean',
      'our 20 other instances, from a usual start',
      0.8,
      lambda: _ratio(config, ds, run, run.home),
      derivation='0.40 there; margins grow by −½ ln β2 a step at most',
      kind='regression',
    ),
  ]


def figures(config: Layer, ds: Dataset) -> Figures:
  """A table of margin ratios; ratios at home over time."""
  from framework.evidence import figures as plotting

  shown = [r for r in runs(config) if r.home in config.norms]
  norms = [n for n in NORMS if n in config.norms]
  table = np.array(
    [[_ratio(config, ds, r, n).mean() for n in norms] for r in shown]
  )
  fig, axes = plotting.figure(
    'double', height=3.1, ncols=2, width_ratios=(1.1, 1)
  )
  ax = axes[0]
  image = ax.imshow(table, vmin=0, vmax=1, cmap='viridis', aspect='auto')
  ax.grid(False)
  ax.set_xticks(range(len(norms)), [NORMS[n] for n in norms])
  ax.set_yticks(range(len(shown)), [r.name for r in shown])
  ax.tick_params(length=0)
  for i, run in enumerate(shown):
    for j, norm in enumerate(norms):
      value = table[i, j]
      ax.text(
        j,
        i,
        f'{value:.2f}',
        ha='center',
        va='center',
        color='black' if value > 0.6 else 'white',
        weight='bold' if run.home == norm else 'normal',
      )
  ax.set(xlabel='norm of the SVM', ylabel='rule')
  ax.set_title('margin over the greatest')
  fig.colorbar(image, ax=ax, label='mean over seeds')
  _times(config, ds, axes[1], shown)
  return {
    'optimizer_geometry': (
      fig,
      f'Left: margin of W at t = {config.steps} on the tokens it has selected, '
      'over the greatest at its norm; bold where the norm is that of the '
      f"rule's steps; mean of {ds.sizes['seed']} seeds. Right: what is missing "
      'at home, median over seeds.',
    )
  }


def _times(config: Layer, ds: Dataset, ax: Any, shown: list[Run]) -> None:
  """1 − cos(W_t, W_svm) in the norm of each rule."""
  from framework.evidence import figures as plotting

  if not config.weights:
    ax.set_visible(False)
    return
  t = ds['time'].values
  ax.set(xscale='log', yscale='log', xlabel='steps $t$')
  ax.set_title(r'$1 - \cos(W, W_{svm})$, norm of the rule')
  for i, run in enumerate(shown):
    found = 1 - cosines(part_of(config, ds, run), run.home)
    middle = np.nanmedian(found, 0)
    style = '-' if i < _COLOURS else '--'
    ax.plot(t[t > 0], middle[t > 0], style, color=f'C{i}', label=run.name)
  plotting.legend(ax, ncols=1)


VARIANT = Variant(arm, times, claims, figures)
