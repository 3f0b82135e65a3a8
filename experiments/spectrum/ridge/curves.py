"""Learning curves on images, predicted from the spectrum of a kernel."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.spectrum import Curves
from experiments.spectrum.reading import last
from experiments.spectrum.ridge.tuning import PAPER
from framework.data import cifar10, fashion_mnist, mnist
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_most, untestable
from framework.launch import Figures, Variant, hp_of
from framework.maths import gaussian
from framework.maths.double import in_double
from framework.maths.kernels import kernels
from framework.run.job import Arm
from framework.system import linspaced
from framework.systems import spectrum as s
from framework.systems.spectrum.ridge import parts

_AXES = ('dataset', 'kernel', 'n', 'ridge')


def _images(dataset: str, points: int) -> tuple[np.ndarray, np.ndarray]:
  if dataset == 'cifar10':
    found = cifar10.load(images=points)
    return found.x, found.y
  load = {'mnist': mnist.load, 'fashion_mnist': fashion_mnist.load}[dataset]
  images = load(train=points)
  return images.x_train, images.y_train


@in_double
@functools.cache
def data(dataset: str, kernel: str, depth: int, points: int) -> parts.Data:
  """A kernel on images of norm 1, and centred labels of power 1."""
  x, labels = _images(dataset, points)
  x = x.astype(np.float64) - x.mean(0)
  x /= np.linalg.norm(x, axis=1, keepdims=True)
  y = np.eye(10)[labels]
  y -= y.mean(0)
  y /= np.sqrt(np.mean(np.sum(y**2, 1)))
  if kernel == 'rbf':
    K = np.exp(2 * (x @ x.T - 1))
  else:
    relu = gaussian.transform('relu')
    # On the sphere, at the scale of He: the diagonal is depth + 1.
    K = np.asarray(
      kernels(relu, depth, jnp.asarray(x), jnp.asarray(x), var_w=2.0).ntk
    )
    K = K / K.diagonal().mean()
  return parts.Data((K + K.T) / 2, y)


@in_double
@functools.cache
def _spectrum(dataset: str, kernel: str, depth: int, points: int):
  found = parts.spectrum_of_data(data(dataset, kernel, depth, points))
  return jax.tree.map(np.asarray, found)


def arm(config: Curves) -> Arm:
  """Regressions on random parts of a data set."""
  structure = parts.PartStructure(
    n_max=max(config.axis('n')), dtype=jnp.dtype(config.precision)
  )
  return Arm(
    parts.resampled(structure),
    hp_of(parts.PartHp, config, n=np.int32),
    data(config.dataset, config.kernel, config.depth, config.points),
    attributes=s.ridge.ATTRIBUTES,
  )


def times(config: Curves) -> np.ndarray:
  """The running means at every tenth of the regressions."""
  return linspaced(config.steps, max(1, config.steps // 10))


@in_double
def predicted(
  config: Curves, dataset: str, kernel: str, n: np.ndarray, ridge: float
) -> np.ndarray:
  """Risks on images that were not fitted, from the spectrum alone.

  The spectrum is of all P points, and so is the exact risk: on all of them,
  n of which were fitted: E_test = (1 − n/P) E_others + (n/P) E_train.
  """
  spectrum = _spectrum(dataset, kernel, config.depth, config.points)
  risks = jax.jit(jax.vmap(lambda n: s.krr_risk(spectrum, 0.0, n, ridge)))(
    jnp.asarray(n, float)
  )
  part = np.asarray(n, float) / config.points
  return np.asarray((risks.test - part * risks.train) / (1 - part))


def _seen(
  whole: Dataset, dataset: str, kernel: str, n: int, ridge: float
) -> float:
  """The mean test risk of all regressions of a cell."""
  where = {'dataset': dataset, 'kernel': kernel, 'n': n, 'ridge': ridge}
  here = {k: v for k, v in where.items() if k in whole.dims}
  return float(whole['test'].sel(here).mean())


def claims(config: Curves, ds: Dataset) -> list[Claim]:
  """Claims on each learning curve."""
  whole = lanes.prepared(config, last(ds), _AXES)
  made = []
  for dataset in config.axis('dataset'):
    for kernel in config.axis('kernel'):
      off = []
      for ridge in config.axis('ridge'):
        law = predicted(
          config, dataset, kernel, np.array(config.axis('n')), ridge
        )
        for n, risk in zip(config.axis('n'), law, strict=True):
          seen = _seen(whole, dataset, kernel, n, ridge)
          off.append(abs(seen / risk - 1))
      texts = (
        f'curve.{dataset}.{kernel}',
        'the risk of kernel ridge regression on images is what the spectrum of '
        'the kernel predicts',
        f'{PAPER}: learning curves of real data',
      )
      draws = config.steps * config.seeds
      if draws < 10 or min(config.axis('n')) < 16:
        why = f'{draws} regressions, expected 10, of at least 16 samples'
        made.append(untestable(*texts, why, headline=True))
        continue
      made.append(
        at_most(
          *texts,
          0.1,
          off,
          each=True,
          derivation='relative; images are not Gaussian, and the spectrum of '
          f'{config.points} points is cut where theirs ends',
          headline=True,
        )
      )
  return made


def figures(config: Curves, ds: Dataset) -> Figures:
  """Measured and predicted learning curves of each data set."""
  from framework.evidence import figures as plotting

  whole = lanes.prepared(config, last(ds), _AXES)
  sets, kernel = config.axis('dataset'), config.axis('kernel')[0]
  ns, ridges = sorted(config.axis('n')), config.axis('ridge')
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(sets), sharey=True, squeeze=False
    )
    colors = plotting.palette(range(len(ridges)))
    for ax, dataset in zip(axes[0], sets, strict=True):
      ax.set(xscale='log', xlabel='samples $n$', title=dataset)
      ax.set_xticks(ns, ns)
      ax.minorticks_off()
      for ridge, color in zip(ridges, colors, strict=True):
        seen = [_seen(whole, dataset, kernel, n, ridge) for n in ns]
        ax.plot(ns, seen, 'o', ms=4, color=color, label=f'δ = {ridge:g}')
        fine = np.geomspace(ns[0], ns[-1], 40)
        first = dataset == sets[0] and ridge == ridges[0]
        plotting.law(
          ax, fine, predicted(config, dataset, kernel, fine, ridge),
          'predicted' if first else '',
        )  # fmt: skip
    axes[0][0].set_ylabel('test risk (1: the mean label)')
    plotting.legend(axes[0][0])
  return {
    'curves': (
      fig,
      f'Kernel ridge regression ({kernel}) on random parts of {config.points} '
      'images, ten classes: points. Dashed: what the eigenvalues of the kernel '
      'and the power of the labels along its eigenvectors predict; nothing is '
      'fitted.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
