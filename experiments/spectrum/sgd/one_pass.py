"""The exact expectation of one pass beside the mean of runs."""

import itertools

import numpy as np
from xarray import Dataset

from configs.spectrum import Sgd
from experiments.spectrum.reading import inside
from experiments.spectrum.sgd import runs
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_most, untestable
from framework.launch import Figures, Variant

_AXES = ('data', 'noise', 'decay', 'eta', 'alpha', 'beta', 'width')


def _settings(config: Sgd) -> list[dict[str, float]]:
  values = itertools.product(*map(config.axis, _AXES[1:]))
  return [dict(zip(_AXES[1:], v, strict=True)) for v in values]


def claims(config: Sgd, ds: Dataset) -> list[Claim]:
  """Claims on every record of every setting, each against the recursion."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    made += _claims(text, own, part)
  return made


def _claims(text: str, config: Sgd, ds: Dataset) -> list[Claim]:
  whole, t = lanes.prepared(config, ds, _AXES), ds['time'].values
  laws = [runs.law(config, t, **setting) for setting in _settings(config)]
  source = 'derived: the second moments of w − w* close'
  texts = (
    f'inside{text}',
    'the mean excess risk of runs on fresh samples is that of the recursion',
    source,
  )
  made = []
  if 'fresh' not in config.axis('data') or config.seeds < 100:
    why = 'needs at least 100 runs on fresh samples'
    made.append(untestable(*texts, why, kind='theorem', headline=True))
  else:
    mean, error = [], []
    for setting in _settings(config):
      x = lanes.lanes(whole, 'excess', data='fresh', **setting)
      # At step 0 all are equal: what they start at is no sample.
      mean.append(x.mean(0)[t > 0])
      error.append(x.std(0, ddof=1)[t > 0] / np.sqrt(len(x)))
    theory = [law[t > 0] for law in laws]
    made.append(
      inside(*texts, mean, error, theory, config.seeds, headline=True)
    )
  if 'expected' in config.axis('data'):
    off = [
      lanes.lanes(whole, 'excess', data='expected', **setting) / law - 1
      for setting, law in zip(_settings(config), laws, strict=True)
    ]
    made.append(
      at_most(
        f'recursion{text}',
        'the System of the expectation makes the steps of the plain recursion',
        source,
        1e-9 if config.precision == 'float64' else 1e-3,
        np.abs(off),
        each=True,
        derivation='rounding of its steps',
        kind='theorem',
      )
    )
  return made


def figures(config: Sgd, ds: Dataset) -> Figures:
  """Runs and their expectation, from the same records."""
  from framework.evidence import figures as plotting

  whole, t = lanes.prepared(config, ds, _AXES), ds['time'].values
  fixed = {x: config.axis(x)[0] for x in _AXES[3:]}
  decays, noises = config.axis('decay'), config.axis('noise')
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(decays), sharey=True, squeeze=False
    )
    for ax, decay in zip(axes[0], decays, strict=True):
      ax.set(
        xscale='log', yscale='log', xlabel='steps', title=f'decay {decay:g}'
      )
      colors = plotting.palette(range(len(noises)))
      for noise, color in zip(noises, colors, strict=True):
        setting = {'noise': noise, 'decay': decay, **fixed}
        if 'fresh' in config.axis('data'):
          x = lanes.lanes(whole, 'excess', data='fresh', **setting)[:, t > 0]
          ax.errorbar(
            t[t > 0], x.mean(0), 3 * x.std(0) / np.sqrt(len(x)), fmt='o', ms=3,
            color=color, label=f'σ² = {noise:g}',
          )  # fmt: skip
        curve = runs.law(config, t, **setting)
        first = noise == noises[0] and decay == decays[0]
        plotting.law(
          ax, t[t > 0], curve[t > 0], 'exact expectation' if first else ''
        )
    axes[0][0].set_ylabel('excess risk')
    if axes[0][0].get_legend_handles_labels()[0]:
      plotting.legend(axes[0][0])
  return {
    'one_pass': (
      fig,
      f'Excess risk of one pass. Points: means of {config.seeds} runs, bars of '
      'three standard errors; dashed: the recursion, which draws nothing.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
