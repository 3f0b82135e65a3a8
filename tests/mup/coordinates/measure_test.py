"""The coordinate check passes what is right and finds what is not."""

import functools
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.mup import coordinates, initialisers, optimizers
from framework.mup import multipliers as mults_lib
from framework.mup.coordinates import Check
from framework.mup.net import Net, infer, parametrise
from framework.systems.width.transfer.models import Perceptron, Transformer
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
    own = {p: 1.0 if 'readout' in p else x for p, x in mults.forward.items()}
    return mults._replace(forward=own)
  if mistake == 'logits over the root of d':
    own = {p: 1.0 if 'query' in p else x for p, x in mults.forward.items()}
    return mults._replace(forward=own)
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
  return coordinates.coord_check(make, widths, (X, Y), loss, **how)


def output(found, t):
  return coordinates.slopes(found).size[t, found.modules.index('')]


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
def test_mup_is_flat_and_sp_is_not(optimizer):
  right = check(optimizer)
  assert coordinates.failures(right) == []
  wrong = check(optimizer, 'sp')
  # One step of SP moves the output by n (Adam), or by n^1/2 and more (SGD).
  assert output(wrong, 1) > 0.4
  lines = coordinates.failures(wrong)
  assert any(line.startswith('output: size at t = 2') for line in lines)


@pytest.mark.parametrize(
  'optimizer, mistake',
  [
    ('sgd', 'fans swapped'),
    # These and more are found in `judge_test` without `coord_check`.
    pytest.param('sgd', 'no readout multiplier', marks=pytest.mark.slow),
    pytest.param('adam', 'no readout multiplier', marks=pytest.mark.slow),
    pytest.param('adam', 'rate not scaled', marks=pytest.mark.slow),
    pytest.param('adam', 'fans swapped', marks=pytest.mark.slow),
  ],
)
def test_classic_mistakes_are_found(optimizer, mistake):
  found = check(optimizer, mistake=mistake)
  # Twice what passes.
  assert coordinates.steepest(found) > 0.2, coordinates.table(found)


def test_a_readout_that_is_not_zero_may_fall_at_the_start():
  found = check('adam', steps=2, prepare=None)
  # f_0 of muP is a sum of n terms of size 1/n: n^-1/2. Twelve outputs of four
  # starts tell the slope to about ±0.1.
  assert -0.8 < output(found, 0) < -0.25
  falls = [x for x in coordinates.failures(found) if 't = 1' in x]
  assert falls == []


def test_changes_are_of_what_was_there_at_the_start():
  found = check('adam', widths=(16, 32), seeds=2, steps=2)
  assert found.size.shape == found.change.shape == (2, 2, 2, 4)
  # As many coordinates at every width: those of the output and the readout.
  assert found.finite == found.outputs == (True, False, False, True)
  np.testing.assert_array_equal(found.change[:, :, 0], 0)
  # The readout starts at zero: all there is of it has changed.
  place = found.modules.index('readout')
  assert (found.size[:, :, 0, place] == 0).all()
  np.testing.assert_array_equal(
    found.change[..., place], found.size[..., place]
  )


class Convolutional(nn.Module):
  """Two convolutions, the mean over places, a readout."""

  width: int

  @nn.compact
  def __call__(self, x):
    x = x.reshape(len(x), 4, 2, 1)
    for i in range(2):
      x = nn.relu(nn.Conv(self.width, (2, 2), name=f'conv_{i + 1}')(x))
    return nn.Dense(3, name='readout')(x.mean((1, 2)))


class Attending(nn.Module):
  """A transformer whose logits are those of its last place."""

  width: int

  @nn.compact
  def __call__(self, x):
    net = Transformer(self.width, symbols=3, heads=2, depth=1, context=8)
    return net((x > 0).astype(jnp.int32))[:, -1]


class Normed(nn.Module):
  """One that keeps running averages."""

  width: int

  @nn.compact
  def __call__(self, x):
    for i in range(2):
      x = nn.Dense(self.width, name=f'layer_{i + 1}')(x)
      x = nn.relu(nn.BatchNorm(use_running_average=False)(x))
    return nn.Dense(3, name='readout')(x)


def check_of(model, mistake=''):
  # A convolution for each seed is slow.
  widths = (16, 64) if model is Convolutional else (16, 256)

  def make(width):
    modules = [model(n) for n in (16, 32, width)]
    shapes = infer(*modules, X)
    mults = mults_lib.multipliers(shapes, '8', 'adam')
    mults = mistaken(mults, shapes, 'adam', mistake)
    return Net(modules[-1], shapes, mults), optimizers.mu_adam(0.005, mults)

  def prepare(params):
    return initialisers.zeros_at_start(params, 'readout')

  return coordinates.coord_check(
    make, widths, (X, Y), loss, seeds=4, steps=3, prepare=prepare
  )


@pytest.mark.parametrize('model', [Convolutional, Attending])
def test_other_modules_are_flat_as_well(model):
  assert coordinates.failures(check_of(model)) == []


def test_modules_with_other_variables_and_names_of_their_own():
  found = check_of(Normed)
  assert coordinates.failures(found) == []
  # Capitals sort before '__call__', yet every size is of what it is called.
  names = '', 'BatchNorm_0', 'BatchNorm_1', 'layer_1', 'layer_2', 'readout'
  assert found.modules == names
  size = dict(zip(names, found.size[:, :, 0].mean((0, 1)), strict=True))
  assert size[''] == size['readout'] == 0
  for name in ('BatchNorm_0', 'BatchNorm_1'):
    assert abs(size[name] - (2 / np.pi) ** 0.5) < 0.05  # of a Gaussian
  assert size['layer_2'] < 0.65  # of rectified ones: half the variance


@pytest.mark.parametrize(
  'model, mistake',
  [
    pytest.param(model, mistake, marks=() if fast else pytest.mark.slow)
    for model, mistake, fast in (
      (Convolutional, 'no readout multiplier', False),
      (Convolutional, 'rate not scaled', False),
      (Convolutional, 'fans swapped', False),
      (Attending, 'no readout multiplier', False),
      (Attending, 'rate not scaled', False),
      (Attending, 'fans swapped', False),
      (Attending, 'logits over the root of d', False),
      (Normed, 'no readout multiplier', False),
      (Normed, 'rate not scaled', False),
      (Normed, 'fans swapped', True),
    )
  ],
)
def test_mistakes_are_found_in_other_modules(model, mistake):
  found = check_of(model, mistake)
  lines = coordinates.failures(found)
  assert coordinates.steepest(found) > 0.2, coordinates.table(found)
  if mistake == 'logits over the root of d':
    # The one place where that shows in a few steps.
    assert all('attention_1/query' in line for line in lines)


@pytest.mark.slow
def test_a_transformer_over_four_widths():
  """Every place predicts; two blocks, four heads, from the base width up."""
  x = jax.random.randint(jax.random.key(2), (8, 8), 0, 5)

  def make(width):
    nets = [Transformer(n, 5, context=8) for n in (32, 64, width)]
    net = parametrise(*nets, x)
    return net, optimizers.mu_adam(0.005, net.mults)

  found = coordinates.coord_check(
    make,
    (32, 64, 128, 256),
    (x, jnp.roll(x, -1, 1)),
    loss,
    prepare=lambda w: initialisers.zeros_at_start(w, 'readout'),
  )
  assert coordinates.failures(found) == []


def test_queries_are_those_of_logits_over_d():
  """Twice what the module's are, the head dimension being four times as large.

  The same for SP, where the module's q is another: there it is what grows.
  """
  sizes = 8, 16, 32
  modules = [nn.MultiHeadDotProductAttention(2, qkv_features=n) for n in sizes]
  x = X[None]
  net = parametrise(*modules, x)
  rng = np.random.default_rng(0)
  params = {
    path: {'kernel': rng.normal(size=shape), 'bias': rng.normal(size=shape[1:])}
    for path, shape in (
      *((name, (8, 2, 16)) for name in ('query', 'key', 'value')),
      ('out', (2, 16, 8)),
    )
  }
  params['out']['bias'] = rng.normal(size=8)
  ones = dict.fromkeys(net.shapes, 1.0)
  sp = net._replace(mults=net.mults._replace(forward=ones))
  for some in net, sp:
    seen = coordinates.activations(some, params, x)
    _, own = some.apply(params, x, capture_intermediates=True)
    for name, factor in (('query', 2), ('key', 1), ('value', 1), ('out', 1)):
      module_s = own['intermediates'][name]['__call__'][0]
      np.testing.assert_allclose(
        seen[name], factor * module_s, rtol=1e-6, atol=0
      )


def test_missing_variables_are_refused_in_one_line():
  nets = [nn.Sequential([nn.Dense(n), nn.BatchNorm(True)]) for n in (8, 16, 32)]
  net = parametrise(*nets, X)
  with pytest.raises(ValueError, match='Sequential has variables in batch_st'):
    net.init(jax.random.key(0), X)
  params = {
    'layers_0': {'kernel': jnp.ones((8, 32)), 'bias': jnp.ones(32)},
    'layers_1': {'scale': jnp.ones(32), 'bias': jnp.ones(32)},
  }
  line = '^Sequential lacks a collection, expected in the argument variables: '
  for call in net.apply, functools.partial(coordinates.activations, net):
    with pytest.raises(ValueError, match=line + '.*batch_stats') as caught:
      call(params, X)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize('name', ['seeds', 'steps'])
def test_something_has_to_be_seen(name):
  with pytest.raises(ValueError, match=f'^{name} is 0, expected an integer'):
    check('sgd', **{name: 0})


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
def test_the_package_s_own_check(optimizer):
  """Sizes that the `mup` package measured, widths 64 to 2048, five seeds."""
  path = pathlib.Path(__file__).parents[2] / 'golden/mup_microsoft_rules.npz'
  with np.load(path) as golden:
    widths = tuple(golden['coord/widths'].tolist())
    modules = tuple(golden['coord/modules'].tolist())
    stored = {
      rule: (
        golden[f'coord/{rule}_{optimizer}'],
        golden[f'coord_slope/{rule}_{optimizer}'],
      )
      for rule in ('mup', 'sp')
    }
  for rule, (size, slope) in stored.items():
    size = np.transpose(size, (2, 1, 0))[:, None]  # of means over seeds
    found = Check(widths, modules, size, np.zeros_like(size))
    ours, theirs = coordinates.slopes(found).size, slope.T
    # The package adds something tiny before it takes the logarithm.
    ours = np.where((size == 0).all((0, 1)), 0, ours)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    lines = coordinates.failures(found)
    assert (lines == []) == (rule == 'mup')


def test_two_rules_share_what_draws():
  check('sgd', widths=(8, 24), seeds=2, steps=2)
  with counted() as count:
    check('adam', widths=(8, 24), seeds=2, steps=2)
  assert count.compiled <= 2 * 3  # the steps; not the draws, the larger part


def test_lost_numbers_are_failures():
  size = np.ones((2, 1, 2, 1))
  size[1, 0, 1, 0] = np.nan
  lines = coordinates.failures(Check((2, 4), ('',), size, np.zeros_like(size)))
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
    coordinates.coord_check(make, (8, 16), (X, Y), loss, seeds=1, steps=1)
