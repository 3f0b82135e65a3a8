"""What is right passes and what is wrong does not, at any width and rate."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.mup import coordinates, initialisers, optimizers
from framework.mup import multipliers as mults_lib
from framework.mup.coordinates import Check
from framework.mup.net import Net, infer
from framework.systems.width.transfer.models import Perceptron

X = jax.random.normal(jax.random.key(1), (16, 8), jnp.float32)
Y = jnp.arange(16) % 3
PHI = {'relu': nn.relu, 'tanh': nn.tanh, 'gelu': nn.gelu}
NARROW, WIDE = (48, 96, 192, 384), (256, 1024, 4096)
MISTAKES = (
  'sp',
  'no readout multiplier',
  'rate not scaled',
  'fans swapped',
  'readout starts as in sp',
)


def rules(shapes, optimizer):
  """Multipliers of muP, and with each mistake."""
  mup = mults_lib.multipliers(shapes, '8', optimizer)
  ones = dict.fromkeys(shapes, 1.0)
  last = {p for p in shapes if 'readout' in p}
  swapped = mults_lib.multipliers(shapes.swapped(), '8', optimizer)
  wrong = (
    mults_lib.multipliers(shapes, 'sp', optimizer),
    mup._replace(forward={p: 1.0 if p in last else x
                          for p, x in mup.forward.items()}),
    mup._replace(lr=ones),
    swapped._replace(init=mup.init),
    mup._replace(init={p: x * shapes[p].m_in**0.5 if p in last else x
                       for p, x in mup.init.items()}),
  )  # fmt: skip
  return {'mup': mup, **dict(zip(MISTAKES, wrong, strict=True))}


def lecun(shapes, seed):
  """What the perceptron's own initialiser might have drawn."""
  rng = np.random.default_rng(seed)
  return {
    path.split('/')[0]: {
      'kernel': rng.normal(0, shape.size[0] ** -0.5, shape.size).astype('f4')
    }
    for path, shape in shapes.items()
  }


def loss(f, y):
  return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(f, y))


def checks(activation, depth, widths, optimizer, rates, zero, seeds=5, steps=4):
  """Checks of muP and of all mistakes at all rates: {(rule, rate): check}.

  One program a width, in which rules and rates are lanes.
  """
  names = ('', *(f'layer_{i + 1}' for i in range(depth)), 'readout')
  make = optimizers.mu_sgd if optimizer == 'sgd' else optimizers.mu_adamw
  found = []
  for width in widths:
    sizes = widths[0], 2 * widths[0], width
    modules = [Perceptron(n, 3, depth, PHI[activation]) for n in sizes]
    shapes = infer(*modules, X)
    every = [*rules(shapes, optimizer).values()]
    drawn = [lecun(shapes, seed) for seed in range(seeds)]

    def one(rule, rate, w, every=every, module=modules[-1], shapes=shapes):
      net = Net(module, shapes, mults_lib.select(every, rule))
      w = initialisers.rescale(w, net.mults)
      w = initialisers.zeros_at_start(w, 'readout') if zero else w
      tx = make(rate, net.mults)

      def watched(w):
        seen = coordinates.activations(net, w, X)
        return loss(seen[''], Y), seen

      start = coordinates.activations(net, w, X)

      def step(carry, _):
        w, state = carry
        grads, seen = jax.grad(watched, has_aux=True)(w)
        updates, state = tx.update(grads, state, w)
        sizes = coordinates.sizes(seen), coordinates.sizes(seen, start)
        return (optax.apply_updates(w, updates), state), sizes

      return jax.lax.scan(step, (w, tx.init(w)), None, steps)[1]

    grid = [(r, x) for r in range(len(every)) for x in rates]
    lanes = tuple(jnp.array(x) for x in zip(*grid, strict=True))
    drawn = jax.tree.map(lambda *x: jnp.stack(x), *drawn)
    over_seeds = jax.vmap(one, (None, None, 0))

    @jax.jit
    def run(lanes, drawn, over_seeds=over_seeds):
      return jax.lax.map(lambda lane: over_seeds(*lane, drawn), lanes)

    found.append(run(lanes, drawn))
  size, change = (np.stack(x) for x in zip(*found, strict=True))
  finite = tuple(name in ('', 'readout') for name in names)
  lanes = [(rule, rate) for rule in ('mup', *MISTAKES) for rate in rates]
  return {
    lane: Check(widths, names, size[:, i], change[:, i], finite)
    for i, lane in enumerate(lanes)
  }


def shows(rule, depth, optimizer, zero):
  """Whether a mistake is one: makes a difference to this network."""
  if rule == 'readout starts as in sp':
    return not zero
  # Without hidden weights no rate of Adam's depends on the width.
  return not (rule == 'rate not scaled' and optimizer == 'adam' and depth == 1)


def judged(activation, depth, widths, optimizer, rates, zero, **how):
  every = checks(activation, depth, widths, optimizer, rates, zero, **how)
  for (rule, rate), check in every.items():
    lines = coordinates.failures(check)
    where = rule, rate, coordinates.slopes(check), lines
    if rule == 'mup':
      assert lines == [], where
    elif shows(rule, depth, optimizer, zero):
      # Or the check says that the rate is too small to see it.
      assert lines or (rate < 1e-3 and coordinates.unseen(check)), where
      # It is not a close thing.
      start = rule == 'readout starts as in sp'
      if lines and rate > 1e-4:
        assert coordinates.steepest(check) > (0.1 if start else 0.3), where
    # The output is always seen.
    assert not any('output' in line for line in coordinates.unseen(check))


@pytest.mark.parametrize(
  'activation, depth, optimizer, rates, zero',
  [
    ('tanh', 2, 'adam', (1e-4, 1e-3, 1e-2, 1e-1), False),
    ('relu', 1, 'sgd', (1e-2,), False),
  ],
)
def test_mup_passes_and_mistakes_do_not(
  activation, depth, optimizer, rates, zero
):
  """At rates at which the start of the output outweighs its change, too."""
  judged(activation, depth, NARROW, optimizer, rates, zero)


RATES = 1e-4, 1e-3, 1e-2, 1e-1


@pytest.mark.slow
@pytest.mark.parametrize('zero', [False, True])
@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
@pytest.mark.parametrize('depth', [1, 2, 3, 4])
@pytest.mark.parametrize('activation', ['relu', 'tanh', 'gelu'])
def test_the_whole_grid(activation, depth, optimizer, zero):
  judged(activation, depth, NARROW, optimizer, RATES, zero)


@pytest.mark.slow
@pytest.mark.parametrize('zero', [False, True])
@pytest.mark.parametrize(
  'activation, depth, optimizer',
  [
    ('tanh', 2, 'adam'),
    ('relu', 3, 'adam'),
    ('gelu', 2, 'sgd'),
    ('relu', 1, 'sgd'),
  ],
)
def test_the_whole_grid_wide(activation, depth, optimizer, zero):
  judged(activation, depth, WIDE, optimizer, RATES, zero, seeds=3, steps=3)


def made(size, change=None, widths=(64, 256, 1024), modules=('a', ''), **how):
  """A check of sizes n -> (record, module), for two seeds that agree."""

  def values(f):
    each = [np.broadcast_to(f(n), (2, 2, len(modules))) for n in widths]
    return np.stack(each).astype(np.float32)

  change = change or (lambda n: [[0, 0], [0.1, 0.1]])
  return Check(widths, modules, values(size), values(change), **how)


def lines(*args, tolerance=0.1, **how):
  return coordinates.failures(made(*args, **how), tolerance)


def flat(n):
  return [[1, 1], [1, 1]]


def test_a_start_may_fall_if_it_is_the_output_s():
  def falls(n):
    return [[1, n**-0.5], [1, n**-0.5]]

  assert lines(falls, finite=(False, True)) == []
  # Of a hidden layer it is wrong, from the start.
  assert lines(falls, finite=(False, False)) == [
    'output: size at t = 1 goes as n^-0.50',
    'output: size at t = 2 goes as n^-0.50',
  ]
  # What may fall is found by what is equal to the output, without word of it.
  assert lines(falls) == []
  assert made(falls).outputs == (False, True)
  assert made(lambda n: [[n**-0.5] * 2] * 2).outputs == (True, True)
  assert made(lambda n: [[n**-0.5] * 2, [1, 2]]).outputs == (False, True)
  assert made(falls, modules=('a', 'b')).outputs == (False, False)
  hidden = lines(falls, modules=('a', 'b'))
  assert hidden[0] == 'b: size at t = 1 goes as n^-0.50' and len(hidden) == 2


def test_changes_keep_their_order_whatever_the_start_is():
  def small(n, p):
    return [[0, 0], [0.1 * n**p, 0.1]]

  for p in (0.5, 1, -0.5, -1):
    found = lines(flat, lambda n, p=p: small(n, p))
    assert found == [f'a: change at t = 2 goes as n^{p:.2f}']
  assert lines(flat, lambda n: small(n, 0.05)) == []
  # The output's change too, though its size may fall.
  found = lines(flat, lambda n: [[0, 0], [0.1, 0.1 * n**-0.5]])
  assert found == ['output: change at t = 2 goes as n^-0.50']


def test_a_limit_that_is_approached_as_one_over_the_root_passes():
  """1 - 3 n^-1/2: slopes of 0.2 and 0.06, and of n^1/2 no more than half."""
  for widths in (NARROW, WIDE):
    room = coordinates.allowance(widths)
    x = np.log(widths)
    root = np.array(widths) ** -0.5
    want = -3 * np.cov(x, root)[0, 1] / np.var(x, ddof=1)
    np.testing.assert_allclose(room, want, rtol=1e-9, atol=0)

    def near(n):
      return [[1, 1], [1 - 3 * n**-0.5, 1]]

    def away(n):
      return [[1, 1], [n**0.5, 1]]

    assert lines(near, widths=widths) == []
    assert lines(near, widths=widths, tolerance=0) != []  # second order
    assert lines(away, widths=widths) == ['a: size at t = 2 goes as n^0.50']
  np.testing.assert_allclose(
    coordinates.allowance(NARROW), 0.134, rtol=0, atol=1e-3
  )
  np.testing.assert_allclose(
    coordinates.allowance(WIDE), 0.0507, rtol=0, atol=1e-3
  )


def test_no_width_is_so_small_that_anything_passes():
  """At widths 4 to 8 the correction might be all there is."""
  assert coordinates.allowance((4, 8)) > 0.5
  found = lines(lambda n: [[n**0.41, 1], [1, 1]], widths=(4, 8))
  assert found == ['a: size at t = 1 goes as n^0.41']
  assert lines(lambda n: [[n**0.39, 1], [1, 1]], widths=(4, 8)) == []
  # At widths that no network has it is the tolerance, which is a tenth.
  for slope in (0.099, 0.101):
    check = made(lambda n, s=slope: [[n**s, 1], [1, 1]], widths=(1e12, 1e16))
    assert (coordinates.failures(check) == []) == (slope < 0.1)


def scattered(spread, slope, seeds=8):
  """Sizes n^slope whose mean over seeds has a relative error of `spread`."""
  widths = 256, 1024, 4096
  signs = np.resize([1, -1], seeds) * (seeds - 1) ** 0.5
  size = np.stack([n**slope * (1 + spread * signs) for n in widths])
  size = np.repeat(size[:, :, None, None], 2, 2)
  return Check(widths, ('a',), size, np.zeros_like(size))


def test_seeds_that_scatter_are_trusted_less():
  found = coordinates.findings(scattered(0.1, 0.0))[0]
  # Of a slope through three points log 4 apart.
  stderr = 0.1 / (2**0.5 * math.log(4))
  room = coordinates.allowance((256, 1024, 4096))
  np.testing.assert_allclose(found.high, room + 2 * stderr, rtol=1e-9, atol=0)
  np.testing.assert_allclose(found.low, -found.high, rtol=1e-9, atol=0)
  assert coordinates.failures(scattered(0.0, 0.25)) != []
  assert coordinates.failures(scattered(0.1, 0.25)) == []
  two = coordinates.findings(scattered(0.1, 0.0, 2))[0]
  np.testing.assert_allclose(two.high, found.high, rtol=1e-9, atol=0)
  # One seed has no scatter that could be seen.
  one = scattered(0.1, 0.0, 8)._replace(
    size=scattered(0.1, 0.0).size[:, :1], change=np.zeros((3, 1, 2, 1))
  )
  alone = coordinates.findings(one)[0]
  np.testing.assert_allclose(alone.high, room, rtol=1e-9, atol=0)


def test_an_output_that_starts_too_large_may_not_grow():
  """As 1 instead of n^-1/2, and its change by less than n^1/2 yet."""

  def change(n):
    return [[0, 0], [0.1, 0.1 * n**0.15]]

  found = lines(flat, change, finite=(False, True))
  assert found == ['output: change at t = 2 goes as n^0.15']
  start = [
    lambda n: [[1, n**-0.5], [1, 1]],
    lambda n: [[1, n**-0.26], [1, 1]],
    lambda n: [[1, 0], [1, 1]],
  ]
  for size in start:
    assert lines(size, change, finite=(False, True)) == []
  kept = lines(lambda n: [[1, n**-0.24], [1, 1]], change, finite=(False, True))
  assert kept == found


def test_a_start_that_scatters_may_be_one_that_falls():
  """n^-0.2 with a standard error of 0.155 is n^-1/2 within two of them."""
  widths = 256, 1024, 4096
  for stderr in (0.155, 0.1):
    spread = stderr * 2**0.5 * math.log(4)
    parts = 1 + spread * np.array([1, -1])
    size = np.stack([n**-0.2 * parts for n in widths])[:, :, None, None]
    size = np.repeat(size, 2, 2)
    change = np.stack([n**0.15 * np.ones((2, 2, 1)) for n in widths])
    check = Check(widths, ('',), size, change)
    found = coordinates.failures(check)
    assert (found == []) == (stderr > 0.15)


def test_changes_within_rounding_are_none():
  def rounding(n):
    return [[0, 0], [1e-7 * n**0.5, 0.1]]

  found = made(flat, rounding)
  assert coordinates.failures(found) == []
  assert coordinates.unseen(found) == [
    'a: changes by rounding alone at some width until t = 2, take a rate at '
    'least 1e+01 times as large'
  ]
  # What falls into the rounding has fallen.
  found = made(flat, lambda n: [[0, 0], [1.0 / n**2, 0.1]])
  assert coordinates.failures(found)[0].startswith('a: change at t = 2 goes as')
  assert len(coordinates.unseen(found)) == 1
  for parts in (98, 102):
    small = parts * np.finfo(np.float32).eps
    # Of sizes of 8.
    seen = made(
      lambda n: [[8, 1], [8, 1]], lambda n, x=8 * small: [[0, 0], [x, 0.1]]
    )
    assert (coordinates.unseen(seen) == []) == (parts > 100)
    assert len(coordinates.findings(seen)) == (6 if parts > 100 else 5)
  nothing = made(flat, lambda n: [[0, 0], [0, 0.1]])
  assert coordinates.failures(nothing) == []
  assert 'take a rate far larger' in coordinates.unseen(nothing)[0]
  assert coordinates.unseen(made(flat)) == []


def test_what_is_zero_or_lost_at_some_widths_has_no_order():
  for bad in (np.nan, np.inf, 0.0):
    size = np.ones((2, 1, 2, 1))
    size[1, 0, 1, 0] = bad
    check = Check((2, 4), ('',), size, np.zeros_like(size))
    lines = coordinates.failures(check)
    assert lines == ['output: size at t = 2 goes as n^nan']
    assert math.isnan(coordinates.steepest(check))
  zero = Check((2, 4), ('',), np.zeros((2, 1, 2, 1)), np.zeros((2, 1, 2, 1)))
  assert coordinates.failures(zero) == [] and coordinates.steepest(zero) == 0
  assert coordinates.unseen(zero) == []


def test_the_slope_is_that_of_least_squares():
  widths = 8, 20, 64, 100
  rng = np.random.default_rng(0)
  size = rng.uniform(1, 3, (4, 5, 3, 2))
  found = coordinates.slopes(Check(widths, ('a', ''), size, size**2))
  for got, values in ((found.size, size), (found.change, size**2)):
    y = np.log(values.mean(1)).reshape(4, -1)
    want = np.polyfit(np.log(widths), y, 1)[0].reshape(3, 2)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_the_steepest_comes_first_and_lost_numbers_before_it():
  size = np.ones((2, 1, 2, 3))
  size[1, 0, 1] = 4.0, np.nan, 2.0
  check = Check((2, 4), ('a', 'b', 'c'), size, np.zeros_like(size))
  assert [line.split(':')[0] for line in coordinates.failures(check)] == [
    'b',
    'a',
    'c',
  ]
  whole = functools.reduce(lambda a, b: a + b, coordinates.failures(check))
  assert 'n^2.00' in whole and 'n^1.00' in whole


def test_a_table_is_a_row_a_module_and_a_column_a_record():
  def size(n):
    return [[n, 1], [n**-0.25, n**2]]

  found = made(size, modules=('layers_0/dense', ''))
  assert coordinates.table(found).splitlines() == [
    'module           t = 1   t = 2',
    'layers_0/dense    1.00   -0.25',
    'output            0.00    2.00',
  ]
