"""What must not generalise does not: no signal, labels at random, no kink."""

from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.setting import PAPER, arm, times
from framework.evidence.claims import (
  Claim,
  at_least,
  within,
)
from framework.evidence.lanes import at, lanes, select
from framework.launch import Variant

__all__ = ['VARIANT']


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """What must stay at chance, and the one setting that must not."""
  end, made = config.steps, []
  random = max(config.sweep.get('eta', (config.eta,)))
  usual = min(config.sweep.get('eta', (config.eta,)))
  strong = max(config.sweep.get('signal', (config.signal,)))

  def final(**where):
    return at(select(ds, **where), 'test_accuracy', end)

  cases = (
    ('signal', 'without signal', dict(signal=0.0, leak=0.0, eta=usual)),
    ('labels', f'with labels at random, η = {random:g}',
     dict(signal=strong, leak=0.0, eta=random)),
    ('linear', 'a linear network', dict(signal=strong, leak=1.0, eta=usual)),
  )  # fmt: skip
  for name, text, where in cases:
    made += [
      within(
        f'control.{name}',
        f'{text}: test accuracy at T stays at chance',
        'derived',
        0.44,
        0.56,
        final(**where),
        derivation='½ ± 0.06, 1.7 standard errors of 200 test points, for the '
        'mean of all seeds',
      )
    ]
    if name != 'linear':
      made.append(
        at_least(
          f'control.{name}.fit',
          f'{text}: all training labels are fitted none the less',
          f'{PAPER}: overfitting',
          0.99,
          at(select(ds, **where), 'train_accuracy', end),
          derivation='near-orthogonal points can be given any labels',
        )
      )
  made.append(
    at_least(
      'grokks',
      'and with signal, labels and ReLU it generalises',
      f'{PAPER}, Figure 1 (left)',
      0.94,
      final(signal=strong, leak=0.0, eta=usual),
      derivation='S4 at t = 15',
    )
  )
  return made


def figures(config: Config, ds: Dataset) -> dict[str, tuple]:
  """Test accuracy of the controls next to that of what they control."""
  from framework.evidence import figures as plotting

  t = ds['time'].values + 1
  random = max(config.sweep.get('eta', (config.eta,)))
  usual = min(config.sweep.get('eta', (config.eta,)))
  strong = max(config.sweep.get('signal', (config.signal,)))
  fig, ax = plotting.figure('single', height=2.9)
  ax.set(xscale='log', xlabel='gradient steps $t + 1$', ylim=(0.35, 1.05))
  ax.set_ylabel('clean test accuracy')
  ax.set_title('What must not generalise does not')
  for label, color, where in (
    ('signal, labels, ReLU', 'C1', dict(signal=strong, leak=0.0, eta=usual)),
    ('no signal', 'C0', dict(signal=0.0, leak=0.0, eta=usual)),
    (rf'$\eta={random:g}$', 'C2', dict(signal=strong, leak=0.0, eta=random)),
    ('linear network', 'C3', dict(signal=strong, leak=1.0, eta=usual)),
  ):
    rows = lanes(select(ds, **where), 'test_accuracy')
    plotting.lanes(ax, t, rows, label, color, band=(0.1, 0.9))
  plotting.legend(ax)
  return {
    'controls': (
      fig,
      'Median and the middle 80 % of seeds. Chance is ½.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
