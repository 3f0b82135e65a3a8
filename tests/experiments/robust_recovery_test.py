"""Own data: a wrong file is one line, a right one comes back."""

import dataclasses

import jax
import numpy as np
import pytest

from configs.robust_recovery import get_config
from experiments.robust_recovery import EXPERIMENT
from experiments.robust_recovery.images import data, runs
from framework import config as config_lib
from framework import linspaced, rollout
from framework.config import ConfigError
from framework.launch import Study

RNG = np.random.default_rng(0)


def own(path, **arrays):
  np.savez(path / 'own.npz', **arrays)
  return dataclasses.replace(
    get_config('own_data'),
    sweep={},
    outliers=0.0,
    measurements=str(path / 'own.npz'),
  )


def line(config):
  with pytest.raises(ConfigError) as found:
    config_lib.validate(config)
    data.load(config)
  text = str(found.value)
  assert '\n' not in text
  return text


A = RNG.normal(size=(6, 3, 2))
Y = RNG.normal(size=6)
HOLES = np.where(np.arange(6) == 2, np.nan, Y)


@pytest.mark.parametrize(
  'arrays, words',
  [
    (dict(A=A, y=Y[:5]), 'A has shape (6, 3, 2) and y (5,)'),
    (dict(A=A, y=HOLES), '1 of y are not finite'),
    (dict(A=np.full_like(A, np.nan), y=Y), '36 entries of A are not finite'),
    (dict(A=0 * A, y=Y), 'A is zero'),
    (dict(A=A.reshape(6, 6), y=Y), 'rows of 6 numbers'),
    (dict(A=A), 'it has no y, but A'),
    (dict(y=Y), 'neither A nor rows and columns'),
    (dict(y=Y.reshape(2, 3), A=A), 'y has shape (2, 3)'),
    (dict(y=Y[:2], rows=np.arange(3), columns=np.arange(3)), 'do not match y'),
    (dict(y=Y[:2], rows=np.zeros(2, int), columns=np.ones(2, int)),
     'none twice'),
    (dict(y=Y[:2], rows=np.zeros(2), columns=np.ones(2)), 'integers'),
  ],
)  # fmt: skip
def test_measurements_that_are_wrong(tmp_path, arrays, words):
  assert words in line(own(tmp_path, **arrays))


def test_files_that_are_none(tmp_path):
  (tmp_path / 'own.npz').write_text('no archive')
  config = dataclasses.replace(
    get_config('own_data'),
    outliers=0.0,
    measurements=str(tmp_path / 'own.npz'),
  )
  assert 'config.measurements: cannot use it: it is no npz' in line(config)
  np.savez(tmp_path / 'own.npz', A=A, y=Y)
  whole = (tmp_path / 'own.npz').read_bytes()
  (tmp_path / 'own.npz').write_bytes(whole[: len(whole) // 2])
  data._load.cache_clear()
  assert 'config.measurements: cannot use it' in line(config)
  (tmp_path / 'picture.png').write_text('no picture')
  config = dataclasses.replace(
    get_config('completion'), target=str(tmp_path / 'picture.png')
  )
  assert 'config.target: cannot read' in line(config)


@pytest.mark.parametrize(
  'variant, fields, words',
  [
    ('robust', dict(k=0), 'config.k'),
    ('robust', dict(k=21, sweep={}), 'k: got 21'),
    ('robust', dict(outliers=1.5), 'outliers'),
    ('own_data', dict(outliers=0.5), 'below 1/2'),
    ('own_data', dict(k=0), 'config.k'),
    ('own_data', dict(observed=0.0), 'observed'),
  ],
)
def test_fields_that_are_wrong(variant, fields, words):
  config = dataclasses.replace(get_config(variant), **fields)
  with pytest.raises(ConfigError, match=words):
    config_lib.validate(config)


def test_half_of_the_measurements_is_beyond_the_theorem(caplog):
  config = dataclasses.replace(get_config('robust'), sweep={}, outliers=0.5)
  with caplog.at_level('WARNING'):
    EXPERIMENT.variant(config).arm(config)
  assert 'theorem' in caplog.text
  caplog.clear()
  config = dataclasses.replace(config, outliers=0.4)
  EXPERIMENT.variant(config).arm(config)
  assert not caplog.text


def test_dense_measurements_scale_out(tmp_path):
  """Units of A and of y change nothing in the problem that is solved."""
  one = own(tmp_path, A=A, y=Y)
  first, _ = data.problem(data.load(one), np.dtype('float64'))
  (tmp_path / 'two').mkdir()
  two = own(tmp_path / 'two', A=7 * A, y=-3 * Y)
  second, why = data.problem(data.load(two), np.dtype('float64'))
  assert why.startswith('dense')
  np.testing.assert_allclose(first.operator.A, second.operator.A, rtol=1e-12,
                             atol=0)  # fmt: skip
  np.testing.assert_allclose(first.y, -second.y, rtol=1e-12, atol=0)


def test_large_measurements_are_read_in_blocks(tmp_path, monkeypatch):
  monkeypatch.setattr(data, '_BLOCK_BYTES', 100)
  given, why = data.problem(
    data.load(own(tmp_path, A=A, y=Y)), np.dtype('float64')
  )
  assert why.startswith('blocks') and len(given.operator.blocks) == 3
  Z = RNG.normal(size=(3, 2))
  unit = 1 / np.sqrt(np.mean(A**2)) / 6**0.5
  np.testing.assert_allclose(
    given.operator.forward(Z),
    unit * np.einsum('mij,ij->m', A, Z),
    rtol=1e-10,
    atol=0,
  )


def descended(config):
  """(F, G) after some steps on the measurements of a config, and the note."""
  arm = EXPERIMENT.variant(config).arm(config)
  state, _ = jax.jit(
    lambda hp, given: rollout(
      arm.system, jax.random.key(0), hp, linspaced(30, 30), given
    )
  )(arm.hp, arm.data)
  found = np.asarray(state.params['F'] @ state.params['G'].T)
  return data.load(config).scale * found, arm.notes


@pytest.mark.parametrize('compressed', [False, True])
def test_measurements_beyond_the_memory_are_streamed(
  tmp_path, monkeypatch, compressed
):
  """A left on the disk, two rows at a time, is A in memory."""
  M, B = RNG.normal(size=(3, 2)), RNG.normal(size=(50, 3, 2))
  config = own(tmp_path, A=B, y=np.einsum('mij,ij->m', B, M))
  if compressed:
    np.savez_compressed(config.measurements, A=B, y=np.load(
      config.measurements)['y'])  # fmt: skip
  config = dataclasses.replace(config, k=2, precision='float64')
  kept = data.load(config).A
  assert isinstance(kept, np.memmap) != compressed
  inside, notes = descended(config)
  assert notes['operator'].startswith('dense')
  monkeypatch.setattr(data, '_room', lambda: 0)
  monkeypatch.setattr(data, '_BLOCK_BYTES', 100)
  outside, notes = descended(config)
  assert notes['operator'].startswith('streamed')
  assert np.linalg.norm(inside - M) < 0.5 * np.linalg.norm(M)  # it descends
  np.testing.assert_allclose(outside, inside, rtol=1e-10, atol=1e-12)
  (F, G), given = np.ones((2, 3, 1)), data.load(config)
  law = np.einsum('mij,ij->m', B, np.ones((3, 2)))
  found = data.explained(given, F, G[:2])
  np.testing.assert_allclose(found, law, rtol=1e-10, atol=1e-12)


def test_one_command_gives_the_matrix_back(tmp_path):
  """Rank one, a tenth of the entries wrong: found, and told which."""
  n, rng = 16, np.random.default_rng(3)
  M = 5 * np.outer(*rng.uniform(0.5, 1.5, (2, n)))
  rows, columns = np.nonzero(rng.random((n, n)) < 0.9)
  y = M[rows, columns]
  wrong = rng.random(y.shape) < 0.1
  y = np.where(wrong, y + 40 * rng.normal(size=y.shape), y)
  shuffled = rng.permutation(y.size)
  config = own(
    tmp_path, y=y[shuffled], rows=rows[shuffled], columns=columns[shuffled]
  )
  out = tmp_path / 'found.npz'
  config = dataclasses.replace(
    config,
    k=1,
    schedule='normalised',
    steps=1200,
    records=4,
    out=str(out),
    alpha=1e-3,
    precision='float64',
  )
  study = Study(EXPERIMENT, config, str(tmp_path / 'run'))
  study.run(progress='none')
  study.figures()
  with np.load(out) as found:
    error = found['F'] @ found['G'].T - M
    assert np.linalg.norm(error) < 1e-3 * np.linalg.norm(M)
    large = wrong & (np.abs(y - M[rows, columns]) > 1)
    assert np.all(found['outliers'][large])
    assert found['residual_quantiles'][2] < 1e-2
  claims = {c.id: c for c in study.claims()}
  assert claims['fits'].verdict == 'holds'
  assert claims['subgradient.better'].verdict == 'not testable'


def test_pictures_are_as_good_as_their_error():
  given = data.load(get_config('completion'))
  assert given.M.min() == 0 and given.M.max() == 1
  assert max(given.shape) <= 128
  assert runs.psnr(runs.mse(given, given.M + 0.0)) == np.inf
  np.testing.assert_allclose(
    runs.psnr(runs.mse(given, np.clip(given.M, 0.1, None))),
    -10 * np.log10(np.mean(np.maximum(0.1 - given.M, 0) ** 2)),
    rtol=1e-9,
    atol=0,
  )
