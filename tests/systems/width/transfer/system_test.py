"""One width as a System: rules as lanes, tables, mistakes, texts, transfer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.system import rollout
from framework.systems import width as width_lib
from framework.systems.width import transfer
from framework.systems.width.transfer import Hp, Structure, lr_sweep

TIMES = jnp.array([0, 1, 4])
RULES = (
  transfer.sp,
  transfer.mup,
  functools.partial(transfer.mup, table='3'),
  functools.partial(transfer.mup, table='9'),
  transfer.no_readout_multiplier,
  transfer.rate_not_scaled,
  transfer.fans_swapped,
)
SMALL = {
  'model': lambda n: width_lib.Perceptron(n, 3, dtype=jnp.float64),
  'task': transfer.classes(5, 3, rows=64, dtype=jnp.float64),
  'parametrisations': RULES,
  'batch': 8,
  'evaluated': 32,
  'base_width': 8,
}
OPTIMIZERS = {
  'adam': {'optimizer': transfer.adamw, 'normalised': True},
  'sgd': {'optimizer': transfer.sgd, 'normalised': False},
}


def transformer(n):
  return width_lib.Transformer(n, symbols=7, depth=1, heads=2, context=4)


def losses(structure, rules, rate, times=TIMES, data=None, **hp):
  """(rule, time), all rules as lanes of one program."""
  system = transfer.system(structure)
  hp = Hp(**hp)._replace(lr=rate)
  hp = jax.tree.map(jnp.float64, hp)

  def run(rule):
    own = hp._replace(rule=rule)
    return rollout(system, jax.random.key(0), own, times, data)[1]

  return jax.jit(jax.vmap(run))(jnp.array(rules, jnp.int32))


@pytest.mark.parametrize('optimizer, rate', [('sgd', 0.5), ('adam', 0.02)])
def test_tables_are_one_network_and_mistakes_are_others(optimizer, rate):
  wide = Structure(width=24, **OPTIMIZERS[optimizer], **SMALL)
  hp = {'weight_decay': 0.01}
  if optimizer == 'sgd':
    hp['momentum'] = 0.5
  found = losses(wide, range(7), rate, **hp)
  loss, size = found['loss'], found['size']
  # The same numbers, multiplied in another order.
  for table in (2, 3):
    np.testing.assert_allclose(loss[table], loss[1], rtol=1e-9, atol=0)
    np.testing.assert_allclose(size[table], size[1], rtol=1e-9, atol=1e-12)
  assert np.all(loss[1:4, -1] < loss[1:4, 0])
  for rule in (0, 4, 5, 6):
    if optimizer == 'sgd' and RULES[rule] is transfer.rate_not_scaled:
      continue
    # Without biases ReLU lets swapped fans cancel in the output: what one layer
    # loses the other gains. It shows in between.
    rest = np.abs(size[rule, -1] / size[1, -1] - 1)
    assert rest.max() > 0.01, rule


def test_at_the_base_width_every_rule_but_none_is_sp():
  base = Structure(width=8, **SMALL)
  found = losses(base, range(7), 0.02)
  for rule in range(1, 7):
    np.testing.assert_array_equal(found['loss'][rule], found['loss'][0])


@pytest.mark.parametrize('fixed', [True, False])
def test_a_fixed_batch_is_the_first_rows_and_no_others(fixed):
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(64, 5)), rng.integers(0, 3, 64)
  other = np.where(np.arange(64)[:, None] < 8, x, -x)
  how = SMALL | {'evaluated': 8}
  if fixed:
    how['task'] = transfer.fixed(SMALL['task'])
  structure = Structure(width=8, **how)
  one, two = (
    losses(structure, [1], 0.02, data=(rows, y))['loss'] for rows in (x, other)
  )
  np.testing.assert_array_equal(one[:, 0], two[:, 0])
  assert np.array_equal(one, two) == fixed


def test_a_text_is_cut_into_windows_and_what_comes_next():
  text = jnp.arange(50, dtype=jnp.uint8) % 7
  structure = Structure(
    width=8, model=transformer, task=transfer.text(4), batch=3, base_width=4,
    evaluated=5,
  )  # fmt: skip
  system = transfer.system(structure)
  problem = system.sample(jax.random.key(0), Hp(), (text, jnp.zeros(0)))
  x, y = problem.seen
  assert x.shape == y.shape == (5, 4)
  np.testing.assert_array_equal(y, (x + 1) % 7)
  # From the first window to the last that fits.
  np.testing.assert_array_equal(x[0], text[:4])
  np.testing.assert_array_equal(y[-1], text[-4:])
  with pytest.raises(ValueError, match='a text is learnt from data'):
    system.sample(jax.random.key(0), Hp())


def test_a_transformer_learns_a_text():
  text = jnp.asarray(np.tile(np.arange(7), 40), jnp.uint8)
  structure = Structure(
    width=16, model=transformer, task=transfer.text(4), batch=4, base_width=8,
    evaluated=8, coordinates=False, parametrisations=RULES,
  )  # fmt: skip
  data = (text, jnp.zeros(0, jnp.int32))
  found = losses(structure, [1, 2], 0.01, jnp.array([0, 40]), data)
  # No readout at the start: every symbol is as likely.
  np.testing.assert_allclose(found['loss'][:, 0], np.log(7), rtol=1e-5, atol=0)
  assert np.all(found['loss'][:, 1] < 0.5 * np.log(7))


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'width': 0}, 'width is 0, expected an integer >= 1'),
    ({'batch': 2.5}, 'batch is 2.5, expected an integer >= 1'),
    ({'parametrisations': ()}, 'parametrisations are empty'),
  ],
)
def test_what_cannot_be_built_is_refused(fields, line):
  with pytest.raises(ValueError, match=line):
    Structure(**fields)


@pytest.mark.slow
@pytest.mark.parametrize(
  'optimizer, powers, sp', [('adam', (-11, -3), 3), ('sgd', (-6, 3), 0)]
)
def test_the_best_rate_stays_under_mup_and_moves_under_sp(
  optimizer, powers, sp
):
  """Factors of two; widths 16 times apart: SP with Adam moves by four.

  With SGD by none to two, other draws other steps, so nothing is asked of it.
  """
  rates = jnp.asarray(2.0 ** np.arange(*powers), jnp.float32)
  times = jnp.arange(40, 81, 10)
  hp = jax.tree.map(jnp.float32, Hp())
  widths = (32, 128, 512)
  best: dict = {0: [], 1: []}
  least: dict = {0: [], 1: []}
  for n in widths:
    structure = Structure(
      width=n, base_width=32, task=transfer.classes(inputs=16, rows=1024),
      evaluated=512, coordinates=False, **OPTIMIZERS[optimizer],
    )  # fmt: skip
    system = transfer.system(structure)

    @jax.jit
    def sweep(rule, system=system):
      own = hp._replace(rule=rule)
      return lr_sweep.lr_sweep(system, own, rates, 2, times)['loss']

    for rule in (0, 1):
      loss = np.asarray(sweep(jnp.int32(rule))).mean((1, 2))
      best[rule].append(lr_sweep.best(loss))
      least[rule].append(np.nanmin(loss))
  # No minimum is at an end of the grid, where it could not move.
  assert all(0 < place < len(rates) - 1 for place in best[1])
  # A neighbour on a flat minimum under muP; with Adam one step less under SP.
  assert lr_sweep.drift(np.array(best[1])) <= 1
  assert lr_sweep.drift(np.array(best[0])) >= sp
  # Wider is better at the best rate.
  assert np.all(np.diff(least[1]) < 0)
