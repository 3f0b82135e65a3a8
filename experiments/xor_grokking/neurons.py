"""Figures of neurons: where they point, and what that makes of the plane."""

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.setting import mu_norm, resolved
from framework.evidence.lanes import at, lanes
from framework.systems.clusters.xor import probes, theory

__all__ = ['growth', 'histograms', 'regions']

PLUS, MINUS = '#4477aa', '#cc6677'  # of labels, and of the neurons' signs


def histograms(config: Config, ds: Dataset, times: list[int]) -> tuple:
  """Figures 3 and 4 of the paper: ⟨w_j, μ_1⟩, ⟨w_j, μ_2⟩ of all seeds."""
  from framework.evidence import figures as plotting

  a = lanes(ds, 'second_layer')
  fig, axes = plotting.figure(
    'double', height=4.0, nrows=2, ncols=len(times), sharey='row', squeeze=False
  )
  for column, t in enumerate(times):
    P = at(ds, 'neurons', t)  # (seeds, 2, m)
    unit = 10.0 ** np.floor(np.log10(np.abs(P).max()))
    edges = np.linspace(-1.04, 1.04, 61) * np.abs(P).max() / unit
    for row, (positive, name) in enumerate(
      ((True, 'positive neurons'), (False, 'negative neurons'))
    ):
      ax = axes[row, column]
      chosen = (a > 0) == positive
      for k, color in ((0, 'C0'), (1, 'C1')):
        values = P[:, k][chosen] / unit
        height, _ = np.histogram(values, edges)
        share = height / len(values)
        ax.stairs(share, edges, fill=True, alpha=0.35, color=color, linewidth=0)
        label = rf'$\langle w_j, \mu_{k + 1}\rangle$'
        ax.stairs(share, edges, color=color, label=label, linewidth=1)
      ax.set_yscale('log')
      ax.set_ylim(1e-5, 1)
      if row == 0:
        ax.set_title(f'$t = {t}$')
      else:
        power = int(np.log10(unit))
        ax.set_xlabel(rf'projection  $/\,10^{{{power}}}$')
      if column == 0:
        ax.set_ylabel(f'{name}\nshare in a bin')
  handles, names = axes[0, 0].get_legend_handles_labels()
  fig.legend(handles, names, loc='outside lower center', ncols=2)
  return fig, (
    'Projections of all neurons of all seeds on the two means. Positive '
    'neurons (above) and negative ones (below) start alike; then positive ones '
    'spread along ±μ1 and stay near 0 along μ2, negative ones the reverse.'
  )


def regions(config: Config, ds: Dataset, times: list[int]) -> tuple:
  """Figure 2 of the paper: decision regions on the plane of the means."""
  from framework.evidence import figures as plotting

  first = ds.isel(seed=[0])
  a, y = lanes(first, 'second_layer')[0], lanes(first, 'labels')[0]
  mu = float(lanes(first, 'mu_norm')[0])
  points = lanes(first, 'plane')[0] / mu
  fig, axes = plotting.figure(
    'double', height=3.05, ncols=len(times), sharey=True, squeeze=False
  )
  u = np.linspace(-1.5, 1.5, 201)
  for ax, t in zip(axes[0], times, strict=True):
    P = at(first, 'neurons', t)[0]
    # In units of the largest: float32 has no numbers for 1e-30.
    plane = jnp.asarray(u, jnp.float32)
    unit = jnp.asarray(P / np.abs(P).max(), jnp.float32)
    head = jnp.asarray(a, jnp.float32)
    f = np.asarray(probes.decision_region(plane, plane, unit, head))
    ax.grid(False)
    ax.contourf(
      u, u, f, levels=[-np.inf, 0, np.inf], colors=[MINUS, PLUS], alpha=0.25
    )
    for value, color in ((1, PLUS), (-1, MINUS)):
      here = points[y == value]
      ax.plot(
        *here.T, 'o', ms=2.2, color=color, mew=0, label=f'$y = {value:+d}$'
      )
    accuracy = float(at(first, 'test_accuracy', t)[0])
    ax.set_title(f'$t = {t}$:  test accuracy {accuracy:.2f}')
    ax.set(xlabel=r'along $\mu_1$  (units of $\|\mu\|$)', xticks=[-1, 0, 1])
    ax.set_aspect('equal')
  axes[0, 0].set(ylabel=r'along $\mu_2$', yticks=[-1, 0, 1])
  handles, names = axes[0, 0].get_legend_handles_labels()
  fig.legend(handles, names, loc='outside lower center', ncols=2, markerscale=2)
  return fig, (
    f'Seed {int(first["seed"][0])}: sign of f (shaded) on the plane of the two '
    'means, and the training points projected on it, flipped labels included. '
    'At t = 1 a half-plane, two of the four clusters wrong; at t = 15 XOR.'
  )


def growth(config: Config, ds: Dataset) -> tuple:
  """Mean |⟨w_j, μ_k⟩| by the neurons' sign, with the rate of Lemma 4.7."""
  from framework.evidence import figures as plotting

  t = ds['time'].values
  shown = t > 0
  s = resolved(config)
  fig, ax = plotting.figure('single', height=2.9)
  ax.set(xscale='log', yscale='log', xlabel='gradient steps $t$')
  ax.set_ylabel(r'mean $|\langle w_j, \mu_k\rangle|$')
  ax.set_title('Each sign keeps one mean, forgets the other')
  found = lanes(ds, 'projection')[:, shown]
  for k, color in ((0, 'C0'), (1, 'C1')):
    for sign, style, name in ((0, '-', 'positive'), (1, '--', 'negative')):
      line = plotting.lanes(
        ax,
        t[shown],
        found[:, :, sign, k],
        rf'{name}, $\mu_{k + 1}$',
        color,
        band=(0.1, 0.9),
      )
      line.set_linestyle(style)
  law = t[shown] * theory.growth(s.alpha, mu_norm(s), s.eta, s.m)
  line = plotting.law(ax, t[shown], law)
  line.set_label(r'$\alpha\|\mu\|^2(1-2\eta)\,t/(8\sqrt{m})$')
  plotting.legend(ax)
  return fig, (
    'Mean projections on each mean by sign of the neuron, median and the '
    'middle 80 % of seeds. Black: every point of a cluster and none of the '
    'opposite one active.'
  )
