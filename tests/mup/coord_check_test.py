"""The coordinate check passes what is right and finds what is not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.mup import coord_check, initialisers, optimizers
from framework.mup import multipliers as mults_lib
from framework.mup.coord_check import Check
from framework.mup.infshape import infer
from framework.mup.models import Perceptron
from framework.mup.net import Net
from tests.compiling import counted

WIDTHS = (16, 64, 256)
X = jax.random.normal(jax.random.key(1), (16, 8), jnp.float32)
Y = jnp.arange(16) % 3
RULES = {'sgd': optimizers.mu_sgd, 'adam': optimizers.mu_adam}
RATES = {'sgd': 0.5, 'adam': 0.02}


def loss(f, y):
  return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(f, y))


def mistaken(mults, shapes, optimizer, mistake):
  """The multipliers of Table 8 with one of the classic mistakes."""
  ones = dict.fromkeys(shapes, 1.0)
  if mistake == 'no readout multiplier':
    return mults._replace(forward=ones)
  if mistake == 'rate not scaled':
    return mults._replace(lr=ones)
  if mistake == 'fans swapped':
    swapped = mults_lib.multipliers(shapes.swapped(), '8', optimizer)
    return swapped._replace(init=mults.init)
  return mults


def check(optimizer, table='8', mistake='', widths=WIDTHS, **how):
  def make(width):
    nets = (Perceptron(n, 3, depth=2) for n in (16, 32, width))
    shapes = infer(*nets, X)
    mults = mults_lib.multipliers(shapes, table, optimizer)
    mults = mistaken(mults, shapes, optimizer, mistake)
    net = Net(Perceptron(width, 3, depth=2), shapes, mults)
    return net, RULES[optimizer](RATES[optimizer], mults)

  def prepare(params):
    return initialisers.zeros_at_start(params, 'readout')

  how = {'seeds': 4, 'steps': 3, 'prepare': prepare} | how
  return coord_check.coord_check(make, widths, (X, Y), loss, **how)


def output(found, t):
  return coord_check.slopes(found).size[t, found.modules.index('')]


# At these widths muP's slopes are what is left of n^-1/2 and the scatter of
# four seeds: 0.10 and less on this task. 0.15 is above that and far below the
# mistakes, whose predicted slopes are 1/2 and more.
FLAT = 0.15


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
def test_mup_is_flat_and_sp_is_not(optimizer):
  right = check(optimizer)
  assert coord_check.failures(right, FLAT) == []
  wrong = check(optimizer, 'sp')
  # One step of SP moves the output by n (Adam), or by n^1/2 and more (SGD).
  assert output(wrong, 1) > 0.4
  lines = coord_check.failures(wrong, FLAT)
  assert any(line.startswith('output: size at t = 2') for line in lines)


@pytest.mark.parametrize(
  'optimizer, mistake',
  [
    ('sgd', 'no readout multiplier'),
    ('sgd', 'fans swapped'),
    ('adam', 'no readout multiplier'),
    ('adam', 'rate not scaled'),
    ('adam', 'fans swapped'),
  ],
)
def test_classic_mistakes_are_found(optimizer, mistake):
  found = check(optimizer, mistake=mistake)
  # Twice what passes.
  assert coord_check.failures(found, 2 * FLAT), coord_check.table(found)


def test_a_readout_that_is_not_zero_may_fall_at_the_start():
  found = check('adam', steps=2, prepare=None)
  # f_0 of muP is a sum of n terms of size 1/n: n^-1/2. Twelve outputs of four
  # starts tell the slope to about ±0.1.
  assert -0.8 < output(found, 0) < -0.25
  falls = [x for x in coord_check.failures(found, FLAT) if 't = 1' in x]
  assert falls == []


def test_changes_are_of_what_was_there_at_the_start():
  found = check('adam', widths=(16, 32), seeds=2, steps=2)
  assert found.size.shape == found.change.shape == (2, 2, 2, 4)
  np.testing.assert_array_equal(found.change[:, :, 0], 0)
  # The readout starts at zero: all there is of it has changed.
  place = found.modules.index('readout')
  assert (found.size[:, :, 0, place] == 0).all()
  np.testing.assert_array_equal(
    found.change[..., place], found.size[..., place]
  )


def test_two_rules_share_what_draws():
  check('sgd', widths=(8, 24), seeds=2, steps=2)
  with counted() as count:
    check('adam', widths=(8, 24), seeds=2, steps=2)
  assert count.compiled <= 2 * 3  # the steps; not the draws, the larger part


def test_lost_numbers_are_failures():
  size = np.ones((2, 1, 2, 1))
  size[1, 0, 1, 0] = np.nan
  lines = coord_check.failures(Check((2, 4), ('',), size, np.zeros_like(size)))
  assert lines == ['output: size at t = 2 goes as n^nan']


def test_widths_must_be_comparable():
  with pytest.raises(ValueError, match=r'widths are \(8,\), expected two'):
    check('sgd', widths=(8,))

  def make(width):
    depth = 1 if width < 16 else 2
    nets = [Perceptron(n, 3, depth) for n in (4, 8, width)]
    module, shapes = nets[-1], infer(*nets, X)
    mults = mults_lib.multipliers(shapes, 'sp', 'sgd')
    return Net(module, shapes, mults), optax.sgd(0.1)

  with pytest.raises(ValueError, match='width 16 has modules'):
    coord_check.coord_check(make, (8, 16), (X, Y), loss, seeds=1, steps=1)
