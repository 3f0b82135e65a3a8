"""Losses over N and D: exact ones of two testbeds, planted ones, your own."""

import csv
import functools
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from configs.scaling_law import Fit
from framework.config import ConfigError, Problem
from framework.evidence.scaling.forms import OVERTRAIN
from framework.evidence.scaling.searching import Table
from framework.systems import spectrum as s
from framework.systems.spectrum import ridge, sgd

__all__ = ['PLANTED', 'Grid', 'Hp', 'grid', 'read', 'table_of']

# E, a, b and η of the over-training law.
PLANTED = {'E': 1.8, 'a': 100.0, 'b': 140.0, 'eta': 0.12}


class Hp(NamedTuple):
  """Hyperparameters of the testbeds."""

  alpha: float
  beta: float
  noise: float


class Grid(NamedTuple):
  """Where there are losses: what is fitted, and what is held out."""

  n: np.ndarray  # of every point
  d: np.ndarray
  near: np.ndarray  # boolean: fitted
  loss: np.ndarray | None = None  # of a table


@functools.cache
def grid(config_key: tuple) -> Grid:
  """The points of a testbed, split by compute."""
  testbed, split, widest, runs = config_key
  if testbed == 'table':
    n, d, loss = read(runs)
    near = n * d <= split
    return Grid(n, d, near, loss)
  if testbed == 'planted':
    c = np.geomspace(1e16, 1e19, 8)[:, None] * np.ones(5)
    m = np.geomspace(2.0, 640.0, 5)[None] * np.ones((8, 1))
    c = np.append(c.ravel(), [1e22] * 5)
    m = np.append(m.ravel(), m[0])
    n = np.sqrt(c / (6 * m))
    return Grid(n, m * n, c <= split)
  if testbed == 'sgd':
    ns = np.unique(np.rint(np.geomspace(8, widest, 12)))
    ds = np.unique(np.rint(np.geomspace(16, 6e4, 16)))
    low, high = 10, 500
  else:
    ns = ds = np.unique(np.rint(np.geomspace(8, min(widest, 512), 10)))
    low, high = 8, 64
  n, d = (x.ravel() for x in np.meshgrid(ns, ds, indexing='ij'))
  c = n * d
  # What is held out: from ten times beyond what is fitted.
  keep = (c <= split) | ((c >= low * split) & (c <= high * split))
  return Grid(n[keep], d[keep], (c <= split)[keep])


def grid_of(config: Fit) -> Grid:
  """The points of a config's testbed.

  Raises:
    ConfigError: If the split leaves too few points on one side.
  """
  if config.testbed == 'table' and config.runs is None:
    wanted = 'a CSV file with columns N, D, loss'
    raise ConfigError([Problem('config.runs', 'none', wanted)])
  found = grid((config.testbed, config.split, config.widest, config.runs))
  near, far = int(found.near.sum()), int((~found.near).sum())
  if near < 8 or far < 1:
    c = found.n * found.d
    raise ConfigError(
      [
        Problem(
          'config.split',
          config.split,
          f'8 points up to it and one beyond: there are {near} and {far}, '
          f'N·D goes from {c.min():.3g} to {c.max():.3g}',
        )
      ]
    )
  return found


def read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A table of runs.

  Args:
    path: A CSV file whose header has N, D and loss.

  Returns:
    (N, D, loss), one entry a run.

  Raises:
    ConfigError: In one line, if something is missing or not a number > 0.
  """

  def refuse(got: str, expected: str):
    return ConfigError([Problem('config.runs', got, expected)])

  try:
    with pathlib.Path(path).open(newline='', encoding='utf-8-sig') as file:
      rows = list(csv.DictReader(file, skipinitialspace=True))
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise refuse(f'{path} ({error})', 'a CSV file') from None
  names = [*(rows[0] if rows else {})]
  missing = [x for x in ('N', 'D', 'loss') if x not in names]
  if missing:
    have = ', '.join(map(str, names)) or 'nothing'
    raise refuse(f'{path} with {have}', 'columns N, D, loss and a row a run')
  out = np.empty((3, len(rows)))
  for i, row in enumerate(rows):
    for j, name in enumerate(('N', 'D', 'loss')):
      try:
        out[j, i] = float(row[name])
      except (TypeError, ValueError):
        out[j, i] = np.nan
      if not (np.isfinite(out[j, i]) and out[j, i] > 0):
        raise refuse(
          f'{name} of run {i + 1} is {row[name]!r}', f'a number > 0 in {path}'
        )
  return out[0], out[1], out[2]


def table_of(config: Fit) -> Callable[..., Table]:
  """(key, hp) -> the table that is fitted, of whatever testbed."""
  points = grid_of(config)
  exact = _LOSSES[config.testbed](points, config)

  def table(key, hp):
    loss = exact(hp)
    noise = jax.random.normal(key, loss.shape, loss.dtype)
    loss = loss * jnp.exp(jnp.asarray(hp.noise, loss.dtype) * noise)
    columns = [jnp.asarray(points.n), jnp.asarray(points.d)]
    if config.testbed == 'planted':
      n, d = columns
      columns = [6 * n * d, d / n]
    near = np.flatnonzero(points.near)
    far = np.flatnonzero(~points.near)
    return Table(
      tuple(c[near] for c in columns),
      loss[near],
      tuple(c[far] for c in columns),
      loss[far],
    )

  return table


def _one_pass(points: Grid, config: Fit):
  """Excess risk of N modes after D steps: noise of labels is none."""
  widths, which_n = np.unique(points.n, return_inverse=True)
  steps, which_d = np.unique(points.d, return_inverse=True)
  modes = int(widths.max())

  def loss(hp):
    spectrum = s.power_law(hp.alpha, hp.beta, modes)
    own = sgd.Hp(noise=0.0, alpha=hp.alpha, beta=hp.beta)

    def of(width):
      problem = sgd.problem_of(spectrum, own._replace(width=width))
      return sgd.one_pass_risk(problem, jnp.asarray(steps, jnp.int32))

    table = jax.vmap(of)(jnp.asarray(widths, jnp.int32))
    return table[which_n, which_d]

  return loss


def _random_features(points: Grid, config: Fit):
  """Test risk of k = N features and n = D samples at the best ridge."""
  modes = int(4 * points.n.max())

  def loss(hp):
    spectrum = s.power_law(hp.alpha, hp.beta, modes)

    def of(pair):
      return ridge.optimal_ridge(spectrum, 0.0, pair[1], pair[0])[1].test

    # Samples and features differ: the table is not symmetric.
    return jax.lax.map(of, jnp.stack([points.n, points.d], 1), batch_size=16)

  return loss


def _planted(points: Grid, config: Fit):
  c, m = 6 * points.n * points.d, points.d / points.n

  def loss(hp):
    del hp
    return OVERTRAIN.model(
      {name: jnp.asarray(v) for name, v in PLANTED.items()},
      jnp.asarray(c),
      jnp.asarray(m),
    )

  return loss


def _table(points: Grid, config: Fit):
  return lambda hp: jnp.asarray(points.loss)


_LOSSES = {
  'sgd': _one_pass,
  'random_features': _random_features,
  'planted': _planted,
  'table': _table,
}
