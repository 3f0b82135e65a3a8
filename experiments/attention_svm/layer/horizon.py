"""Long runs with the exact gradient, in two precisions, and without it."""

import numpy as np
from xarray import Dataset

from configs.attention_svm import Layer
from experiments.attention_svm.layer.arm import arm, times
from experiments.attention_svm.reading import (
  FORMS,
  OWN,
  PAPER,
  TRAINED,
  cosines,
  ended,
)
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)
from framework.evidence.lanes import lanes, prepared, select
from framework.launch import Figures, Variant

__all__ = ['VARIANT']

SEEN = '100 other instances with the exact gradient'
METHODS = {
  'exact': 'exact, float64',
  'exact32': 'exact, float32',
  'autodiff': 'automatic, float64',
}


def off(ds: Dataset, form: str, method: str) -> np.ndarray:
  """1 − cos to the SVM of the last tokens, (seeds, time)."""
  return 1 - cosines(select(ds, form=form, method=method), OWN[form])


def at(ds: Dataset, t: int) -> int:
  """Index of a record time."""
  return int(np.argmin(np.abs(ds['time'].values - t)))


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """The rate, the tokens, and the same in float32."""
  if config.steps < 20_000:
    reason = f'needs 20000 steps, there are {config.steps}'
    return [untestable('horizon', 'errors fall for ever', PAPER, reason)]
  ds = prepared(config, ds, ('form', 'method'))
  methods, forms = ds['method'].values, ds['form'].values
  made: list[Claim] = []
  if 'w' in forms and 'exact' in methods:
    made += _rate(ds)
  for form in forms:
    if 'exact' in methods:
      made += _tokens(ds, form)
    if {'exact', 'exact32'} <= set(methods):
      made.append(_precisions(ds, form))
  if 'w' in forms and {'exact', 'autodiff'} <= set(methods):
    made += _noise(ds)
  return made


def _rate(ds: Dataset) -> list[Claim]:
  found = np.median(off(ds, 'w', 'exact'), 0)
  t = ds['time'].values
  made = [
    at_most(
      f'w.{step}',
      f'W: median 1 − cos to its Frobenius SVM at step {step}',
      'derived: the angle is O(1)/‖W‖, and ‖W‖ = η t',
      bound,
      float(found[at(ds, step)]),
      derivation=f'{seen} in {SEEN}',
    )
    for step, bound, seen in (
      (2000, 2e-3, '1.3e-3'),
      (10_000, 1e-4, '5.4e-5'),
      (20_000, 3e-5, '1.4e-5'),
    )
  ]
  window = (t >= 2000) & (t <= 20_000)
  slope = fits.power_law(t[window], found[window]).slope
  return [
    *made,
    within(
      'w.rate',
      'W: exponent of the median 1 − cos over 2000 ≤ t ≤ 20000; the law is −2',
      'derived: the angle is O(1)/‖W‖, and ‖W‖ = η t',
      -2.2,
      -1.6,
      float(slope),
      derivation=f'−1.95 in {SEEN}; instances that switch tokens late start '
      'over',
    ),
  ]


def _tokens(ds: Dataset, form: str) -> list[Claim]:
  part = select(ds, form=form, method='exact')
  name = TRAINED[form]
  late = lanes(part.isel(time=-1), 'switched')
  return [
    at_least(
      f'{form}.local',
      f'{name}: runs end at locally optimal tokens: share',
      f'{PAPER}: directions that are not locally optimal do not attract',
      0.99,
      ended(part, 'global', 'local'),
      derivation=f'400 of 400 in {SEEN}; one in a hundred allowed',
    ),
    at_least(
      f'{form}.settled',
      f'{name}: no token changes after step 10000: share of runs',
      f'{PAPER}: local convergence',
      0.99,
      (late <= 10_000).astype(float),
      derivation=f'400 of 400 in {SEEN}; one in a hundred allowed',
    ),
  ]


def _precisions(ds: Dataset, form: str) -> Claim:
  both = [
    cosines(select(ds, form=form, method=m), OWN[form]).mean(0)
    for m in ('exact', 'exact32')
  ]
  t = ds['time'].values
  apart = np.abs(np.subtract(*both))[t >= 100]
  bound = {'w': 5e-5, 'kq': 5e-4}[form]
  return at_most(
    f'{form}.float32',
    f'{TRAINED[form]}: the mean cosine in '
    'float32 is that in float64, t ≥ 100: largest difference',
    'the gradient is a sum of products, on a scale of its own',
    bound,
    float(apart.max()),
    derivation=f'agreed to {"five" if form == "w" else "three"} digits in '
    f'{SEEN}; same instances and starts here',
  )


def _noise(ds: Dataset) -> list[Claim]:
  exact, auto = (
    np.median(off(ds, 'w', m)[:, -1]) for m in METHODS if '32' not in m
  )
  part = select(ds, form='w', method='autodiff')
  last = lanes(part, 'log_gradient')[:, -1]
  true = lanes(select(ds, form='w', method='exact'), 'log_gradient')[:, -1]
  return [
    at_least(
      'autodiff.error',
      'W: without it 1 − cos stops falling: median at the end over that of '
      'the exact gradient',
      'rounding: s_top − Σ s_t² cancels once 1 − max s < 1e-13',
      10.0,
      float(auto / exact),
      derivation='an order of magnitude; the ratio grows with t',
    ),
    at_least(
      'autodiff.noise',
      'W: what automatic differentiation takes for ln ‖∇L‖ at the end, less '
      'the true one, median',
      'the same',
      100.0,
      float(np.median(last) - np.median(true)),
      derivation='noise is about −36 − ln n; the true one is −(margin) ‖W‖, '
      'about −300 at t = 20000',
    ),
  ]


def figures(config: Layer, ds: Dataset) -> Figures:
  """1 − cos over steps, by method; the size of the gradient."""
  from framework.evidence import figures as plotting

  ds = prepared(config, ds, ('form', 'method'))
  t = ds['time'].values
  later = t >= 10
  forms = list(ds['form'].values)
  fig, axes = plotting.figure('double', height=2.9, ncols=len(forms) + 1)
  for ax, form in zip(axes, forms, strict=False):
    for i, method in enumerate(ds['method'].values):
      found = np.maximum(off(ds, form, method)[:, later], 1e-9)
      line = plotting.lanes(
        ax,
        t[later],
        found,
        METHODS.get(method, method),
        f'C{i}',
        band=(0.25, 0.75),
      )
      if method == 'exact32':
        line.set(linestyle=(0, (2, 2)), linewidth=2, zorder=3)
    ax.set(xscale='log', yscale='log', xlabel='gradient steps $t$')
    ax.set_title(f'{FORMS[form]}, {OWN[form].capitalize()} SVM')
    if form == 'w' and 'exact' in ds['method'].values:
      tail = t[t >= t[-1] / 20]
      end = np.median(off(ds, 'w', 'exact')[:, -1])
      plotting.law(ax, tail, end * (tail / t[-1]) ** -2.0, r'$t^{-2}$')
  axes[0].set_ylabel(r'$1 - \cos$')
  ax = axes[-1]
  for i, method in enumerate(ds['method'].values):
    part = select(ds, form=forms[0], method=method)
    size = lanes(part, 'log_gradient')[:, later] / np.log(10)
    line = plotting.lanes(ax, t[later], size, '', f'C{i}', band=(0.25, 0.75))
    if method == 'exact32':
      line.set(linestyle=(0, (2, 2)), linewidth=2, zorder=3)
  ax.set(xscale='log', xlabel='gradient steps $t$')
  ax.set_title(rf'{FORMS[forms[0]]}: $\log_{{10}} \|\nabla L\|$')
  fig.legend(
    *axes[0].get_legend_handles_labels(), loc='outside lower center', ncols=3
  )
  return {
    'horizon': (
      fig,
      f'{ds.sizes["seed"]} runs, median and quartiles. With the top token '
      'eliminated the gradient is exact however small it is, in float32 as in '
      'float64, and the angle goes on falling; automatic differentiation '
      'returns rounding noise once attention has settled.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
