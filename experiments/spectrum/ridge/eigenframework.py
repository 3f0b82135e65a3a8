"""Random features and kernels: theory against drawn regressions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.spectrum import Ridge
from experiments.spectrum.reading import inside, last
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, untestable
from framework.launch import Figures, Variant, hp_of, structure_of
from framework.maths.double import in_double
from framework.run.job import Arm
from framework.system import linspaced
from framework.systems import spectrum as s
from framework.systems.spectrum import ridge as system

PAPER = 'Simon, Karkada, Ghosh, Belkin 2023'
_AXES = ('n', 'k', 'ridge', 'noise', 'alpha', 'beta')


def _structure(config: Ridge) -> system.Structure:
  return structure_of(
    system.Structure,
    config,
    n_max=max(config.axis('n')),
    k_max=max(1, *config.axis('k')),
    dtype=jnp.dtype(config.precision),
    spectrum=None,
  )


def arm(config: Ridge) -> Arm:
  """Regressions with up to as many samples and features as are swept."""
  return Arm(
    system.sampled(_structure(config)),
    hp_of(system.Hp, config, n=np.int32, k=np.int32),
    attributes=system.ATTRIBUTES,
  )


def times(config: Ridge) -> np.ndarray:
  """Twenty records of the running means."""
  return linspaced(config.steps, max(1, config.steps // 20))


@in_double
def _theory(config: Ridge, cells: np.ndarray) -> s.Risk:
  """Exact risks of cells (n, k, ridge, noise, alpha, beta)."""

  def one(n, k, ridge, noise, alpha, beta):
    law = s.power_law(alpha, beta, config.modes, tail=False)
    k = jnp.where(k > 0, k, jnp.inf)
    return s.rf_risk(s.unit_power(law), noise, n, k, ridge)

  columns = jnp.asarray(np.asarray(cells, float).T)
  return jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(*columns))


def _cells(config: Ridge) -> np.ndarray:
  return np.array(list(itertools.product(*map(config.axis, _AXES))), float)


def _seen(
  config: Ridge, ds: Dataset, name: str
) -> tuple[np.ndarray, np.ndarray]:
  """(mean over all draws, standard error) of each cell."""
  means = lanes.over(last(ds), name, _AXES).reshape(len(_cells(config)), -1)
  spread = lanes.over(last(ds), f'{name}_var', _AXES).reshape(means.shape)
  return means.mean(1), np.sqrt(spread.mean(1) / means.shape[1])


def claims(config: Ridge, ds: Dataset) -> list[Claim]:
  """Claims on every cell, and on the peak at as many features as samples."""
  theory, made = _theory(config, _cells(config)), []
  draws = config.steps * config.seeds
  for name, what in (('test', 'test'), ('train', 'train')):
    mean, error = _seen(config, ds, name)
    made.append(
      inside(
        f'{name}.inside',
        f'the {what} risk of drawn regressions is that of the eigenframework',
        f'{PAPER}: the eigenframework of random features',
        mean,
        error,
        getattr(theory, name),
        draws,
        headline=name == 'test',
      )
    )
  made.append(_peak(config, ds, theory))
  return made


def _peak(config: Ridge, ds: Dataset, theory: s.Risk) -> Claim:
  """Where theory has a clear peak at k = n, the regressions have one."""
  shape = [len(config.axis(axis)) for axis in _AXES]
  n, k = config.axis('n'), config.axis('k')
  mean = _seen(config, ds, 'test')[0].reshape(shape)
  exact = theory.test.reshape(shape)
  heights = []
  for i, j in itertools.product(range(len(n)), range(len(k))):
    around = [k.index(x) for x in (n[i] // 2, 2 * n[i]) if x in k]
    if k[j] != n[i] or len(around) < 2:
      continue
    over = exact[i, j] / exact[i, around].max(0)
    with np.errstate(divide='ignore', invalid='ignore'):
      heights.append((mean[i, j] / mean[i, around].max(0))[over > 1.5])
  found = np.concatenate([np.ravel(h) for h in heights] or [[]])
  texts = (
    'peak',
    'with a small ridge the test risk peaks at as many features as samples',
    f'{PAPER}: double descent where the ridge is not tuned',
  )
  if not found.size:
    return untestable(
      *texts,
      'no cell with k = n, beside k = n/2 and 2n, is half above both in theory',
      kind='paper',
    )
  return at_least(
    *texts,
    1.0,
    found,
    each=True,
    strict=True,
    derivation='over the higher of k = n/2 and 2n, where theory is half above',
    kind='paper',
  )


def figures(config: Ridge, ds: Dataset) -> Figures:
  """Risk over features: lines of theory through the means of regressions."""
  from framework.evidence import figures as plotting

  ridges, ns, noises = map(config.axis, ('ridge', 'n', 'noise'))
  noise = noises[-1]
  where = {'alpha': config.axis('alpha')[0], 'beta': config.axis('beta')[0]}
  finite = [k for k in config.axis('k') if k]
  kernel = [0] if 0 in config.axis('k') else []
  ks = [*finite, *kernel]
  shown = [k or 4 * max(finite or [1]) for k in ks]
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(ridges), sharey=True, squeeze=False
    )
    colors = plotting.palette(range(len(ns)))
    for ax, ridge in zip(axes[0], ridges, strict=True):
      ax.set(xscale='log', yscale='log', title=f'ridge δ = {ridge:g}')
      for n, color in zip(ns, colors, strict=True):
        cells = [[n, k, ridge, noise, *where.values()] for k in ks]
        part = lanes.select(
          lanes.prepared(config, last(ds), _AXES),
          n=n, ridge=ridge, noise=noise, **where,
        )  # fmt: skip
        mean = [lanes.lanes(part, 'test', k=k).mean() for k in ks]
        error = [
          np.sqrt(lanes.lanes(part, 'test_var', k=k).mean() / config.seeds)
          for k in ks
        ]
        ax.errorbar(
          shown, mean, 3 * np.array(error), fmt='o', ms=3, color=color,
          label=f'$n={n}$',
        )  # fmt: skip
        if finite:
          fine = np.geomspace(min(finite), 2 * max(finite), 120)
          cells = [[n, k, ridge, noise, *where.values()] for k in fine]
          plotting.law(
            ax, fine, np.asarray(_theory(config, np.array(cells)).test),
            'eigenframework' if n == ns[0] else '',
          )  # fmt: skip
      ax.set_xticks(shown, [f'{k}' if k else '∞' for k in ks])
      ax.minorticks_off()
      ax.set_xlabel('random features $k$')
    axes[0][0].set_ylabel('test risk')
    plotting.legend(axes[0][0])
  return {
    'eigenframework': (
      fig,
      f'Test risk over the number of random features, noise σ² = {noise:g}. '
      f'Points: means of {config.steps * config.seeds} regressions, bars of '
      'three standard errors; the last is the kernel itself. Dashed: theory.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
