"""Axes of every layer that flax has, and of what it makes of layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.mup import initialisers, multipliers, optimizers
from framework.mup.infshape import InfShapes
from framework.mup.net import infer, parametrise
from framework.mup.roles import Role, stacked

X = jnp.ones((1, 5))
IMAGE = jnp.ones((1, 6, 6, 3))


def of(module, x, *sizes, **how):
  """Infinite shapes of layers (base, delta, target) between two that grow."""

  class Net(nn.Module):
    n: tuple

    @nn.compact
    def __call__(self, x):
      x = nn.Dense(self.n[0], name='first')(x)
      return module(self.n[1], name='own')(x)

  return infer(*map(Net, sizes), x, **how)['own/kernel']


GROWS = (8, 4), (16, 8), (32, 12)  # in by 4, out by 3


ROWS = IMAGE[0]
BATCHED = IMAGE[0, :5]


@pytest.mark.parametrize(
  'kind, size, x, options, fan_in, fan_out, fans',
  [
    (nn.Conv, (3,), ROWS, {}, (1,), (2,), ((24, 12), (96, 36))),
    (nn.Conv, (3, 2), IMAGE, {'kernel_dilation': 2}, (2,), (3,),
     ((48, 24), (192, 72))),
    (nn.Conv, (2, 2), IMAGE, {'feature_group_count': 4}, (2,), (3,),
     ((8, 16), (32, 48))),
    (nn.ConvTranspose, (3,), ROWS, {}, (1,), (2,), ((24, 12), (96, 36))),
    # (..., out, in): its initialiser takes the last but one for the input.
    (nn.ConvTranspose, (3, 2), IMAGE, {'transpose_kernel': True}, (3,), (2,),
     ((24, 48), (72, 192))),
    (nn.ConvTranspose, (3,), ROWS, {'transpose_kernel': True}, (2,), (1,),
     ((12, 24), (36, 96))),
    (nn.ConvLocal, (2,), ROWS, {}, (1,), (2,), ((96, 24), (384, 72))),
    (nn.DenseGeneral, (), X, {}, (0,), (1,), ((8, 4), (32, 12))),
    (nn.DenseGeneral, (), ROWS, {'axis': (-2, -1)}, (0, 1), (2,),
     ((48, 4), (192, 12))),
    (nn.DenseGeneral, (), BATCHED, {'batch_dims': (0,)}, (1,), (0, 2),
     ((40, 4), (160, 12))),
  ],
)  # fmt: skip
def test_axes_and_fans_of_a_layer(
  kind, size, x, options, fan_in, fan_out, fans
):
  """Fans are those that the layer's initialiser divides by."""

  def layer(n, **named):
    return kind(n, *[size][: len(size)], **options, **named)

  found = of(layer, x, *GROWS)
  assert (found.role.fan_in, found.role.fan_out) == (fan_in, fan_out)
  assert (found.m_in, found.m_out) == (4, 3)
  assert found.role.law == 'fan_in' and found.fans() == fans


def test_heads_are_of_the_output():
  def layer(n, **named):
    return nn.DenseGeneral((2, n), **named)

  found = of(layer, X, *GROWS)
  assert (found.role.fan_in, found.role.fan_out) == ((0,), (1, 2))
  assert found.fans() == ((8, 8), (32, 24))


@pytest.mark.parametrize(
  'letters, shape, fan_in, fan_out, ms',
  [
    ('bi,io->bo', lambda n, m: (n, m), (0,), (1,), (4, 3)),
    ('bi,oi->bo', lambda n, m: (m, n), (1,), (0,), (4, 3)),
    ('...i,hio->...ho', lambda n, m: (2, n, m), (1,), (0, 2), (4, 3)),
    ('...i, i -> ...i', lambda n, m: (n,), (), (0,), (1, 4)),
  ],
)  # fmt: skip
def test_an_einsum_says_by_its_letters(letters, shape, fan_in, fan_out, ms):
  zeros = nn.initializers.zeros

  def by_field(n, **how):
    shapes = shape(2 * n, n)
    return nn.Einsum(shapes, letters, False, kernel_init=zeros, **how)

  # The input is 8, 16, 32 wide for 4, 8, 16: in and out both grow by 4.
  found = of(by_field, X, (8, 4), (16, 8), (32, 16))
  assert (found.role.fan_in, found.role.fan_out) == (fan_in, fan_out)
  assert (found.m_in > 1, found.m_out > 1) == tuple(m > 1 for m in ms)
  assert found.role.query is False


def test_an_einsum_in_all_its_forms():
  """Letters that come with the call; a bias; what its initialiser looks at."""

  class Net(nn.Module):
    n: int
    letters: str = 'bi,oi->bo'

    @nn.compact
    def __call__(self, x):
      h = nn.Dense(self.n, name='first')(x)
      h = nn.Einsum((3 * self.n, self.n), name='own')(h, self.letters)
      return nn.Einsum((h.shape[-1], 2), name='last')(h, einsum_str='bi,io->bo')

  found = infer(Net(4), Net(8), Net(16), X)
  own = found['own/kernel']
  assert (own.role.fan_in, own.role.fan_out) == ((1,), (0,))
  # lecun_normal divides by the last axis but one, the output here.
  assert own.fans() == ((12, 4), (48, 16)) and own.role.law == 'fan_in'
  assert found['own/bias'].role[:2] == ((), (0,))
  assert found['last/kernel'].ninf == 1 and found['last/kernel'].m_in == 4

  line = (
    '^axis 0 of parameter kernel of module own grows .4 in base, 8 in delta'
  )

  class Diagonal(nn.Module):
    n: int

    @nn.compact
    def __call__(self, x):
      h = nn.Dense(self.n, name='first')(x)
      return nn.Einsum((self.n, self.n), 'bi,ii->bi', False, name='own')(h)

  with pytest.raises(ValueError, match=line):
    infer(Diagonal(4), Diagonal(8), Diagonal(16), X)


def test_a_transposed_kernel_starts_and_trains_as_the_usual_one():
  """Of two layers that compute the same, the same multipliers but for the law.

  Input and output grow by different factors, so swapped axes would show.
  """

  def net(n, flag):
    inner, outer = n

    class Net(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.Dense(inner)(x)
        init = nn.initializers.normal(0.1)
        return nn.ConvTranspose(
          outer, (3,), transpose_kernel=flag, name='own', kernel_init=init
        )(x)

    return Net()

  found = []
  for flag in (False, True):
    nets = (net(n, flag) for n in GROWS)
    shapes = infer(*nets, IMAGE[0])
    for kind in 'sgd', 'adam':
      mults = multipliers.multipliers(shapes, '9', kind)
      found.append([field['own/kernel'] for field in mults])
  assert found[:2] == found[2:]
  np.testing.assert_allclose(found[0][2], 3 / 4, rtol=1e-12, atol=0)


def test_norms_over_several_axes_are_vectors():
  class Net(nn.Module):
    n: int

    @nn.compact
    def __call__(self, x):
      h = nn.DenseGeneral((2, self.n))(x)
      return nn.LayerNorm(
        reduction_axes=(-2, -1), feature_axes=(-2, -1), name='norm'
      )(h)

  found = infer(Net(4), Net(8), Net(16), X)
  for name in 'norm/scale', 'norm/bias':
    assert found[name].role[:3] == ((), (0, 1), 'constant')
    assert (found[name].m_in, found[name].m_out) == (1, 4)


def test_a_kernel_of_your_own_is_not_guessed():
  class Own(nn.Module):
    n: int
    kernel_init = staticmethod(nn.initializers.lecun_normal())

    @nn.compact
    def __call__(self, x):
      w = self.param('kernel', self.kernel_init, (self.n, x.shape[-1]))
      return x @ w.T  # (out, in)

  nets = Own(4), Own(8), Own(16)
  with pytest.raises(ValueError, match='tensor kernel: it is not known how'):
    parametrise(*nets, X)
  role = Role((1,), (0,), 'fan_in', drawn=((0,), (1,)))
  net = parametrise(*nets, X, overrides={'kernel': role})
  np.testing.assert_allclose(net.mults.init['kernel'], 2, rtol=1e-12, atol=0)


def test_a_layer_made_of_one_of_flax_is_one_of_flax():
  class Mine(nn.Dense):
    pass

  found = of(Mine, X, *GROWS)
  assert found.role == Role((0,), (1,), 'fan_in') and found.m_out == 3


def test_an_initialiser_that_knows_the_width_is_not_guessed():
  """Of shapes alone its law is 'constant', and yet it falls with the width."""

  def net(n):
    init = nn.initializers.normal(n**-0.5)
    return nn.Sequential([nn.Dense(n), nn.Dense(n, kernel_init=init)])

  nets = net(4), net(8), net(16)
  with pytest.raises(ValueError, match='tensor layers_1/kernel: it is not kn'):
    parametrise(*nets, X)
  role = Role((0,), (1,), 'fan_in')  # from base to target
  made = parametrise(*nets, X, overrides={'layers_1/kernel': role})
  assert made.mults.init['layers_1/kernel'] == 1


class Block(nn.Module):
  n: int

  @nn.compact
  def __call__(self, x, _):
    h = nn.Dense(2 * self.n, name='up')(x)
    return nn.Dense(self.n, name='down')(nn.relu(h)), None


class Stack(nn.Module):
  n: int
  depth: int = 3
  axis: int = 0

  @nn.compact
  def __call__(self, x):
    h = nn.Dense(self.n, name='first')(x)
    blocks = nn.scan(
      Block,
      variable_axes={'params': self.axis},
      split_rngs={'params': True},
      length=self.depth,
    )
    return blocks(self.n, name='blocks')(h, None)[0]


@pytest.mark.parametrize('axis, place', [(0, (1, 2)), (1, (0, 2))])
@pytest.mark.parametrize(
  'depths', [(3, 3, 3), (2, 2, 8), (2, 4, 8), (4, 4, 16)]
)
def test_stacked_layers_are_as_they_are_alone(depths, axis, place):
  """Layers under scan, along either axis, however many: no fan, no field."""
  widths = 4, 8, 16
  nets = [Stack(n, L, axis) for n, L in zip(widths, depths, strict=True)]
  found = infer(*nets, X)
  up, down = found['blocks/up/kernel'], found['blocks/down/kernel']
  assert (up.role.fan_in, up.role.fan_out) == ((place[0],), (place[1],))
  assert up.role.stack == (axis,) == found['blocks/up/bias'].role.stack
  assert up.fans() == ((4, 8), (16, 32)) and down.fans() == ((8, 4), (32, 16))
  assert (up.m_in, up.m_out, found['blocks/up/bias'].m_out) == (4, 4, 4)
  mults = multipliers.multipliers(found)
  assert mults.init['blocks/up/kernel'] == 1  # lecun_normal is right as it is
  assert mults.lr['blocks/up/kernel'] == 0.25
  assert InfShapes.from_json(found.to_json()) == found


def test_where_layers_are_stacked_can_be_in_doubt():
  """As many layers as neurons, and they grow: nobody can tell."""
  role = Role((0,), (1,), 'fan_in')
  square = [((4, 4), (4, 4, 4)), ((8, 8), (8, 8, 8))]
  with pytest.raises(
    ValueError, match=r'^tensor w has shape \(8, 8, 8\).*stack$'
  ):
    stacked('w', role, square)
  vector = Role((), (0,))
  with pytest.raises(ValueError, match=r'^tensor b has shape \(8, 8\)'):
    stacked('b', vector, [((4,), (4, 4)), ((8,), (8, 8))])
  one = stacked('w', role, [*square, ((16, 16), (16, 3, 16))])
  assert (one.fan_in, one.stack, one.fan_out) == ((0,), (1,), (2,))
  # Twice stacked; and what does not grow has no multiplier, wherever it is.
  two = stacked('w', role, [((4, 5), (2, 4, 3, 5))])
  assert (two.fan_in, two.fan_out, two.stack) == ((1,), (3,), (0, 2))
  assert stacked('b', vector, [((3,), (3, 3))] * 2).stack == (0,)
  with pytest.raises(
    ValueError, match=r'^tensor w has shape \(4, 5\), and \(5, 4\)'
  ):
    stacked('w', role, [((5, 4), (4, 5))])


def test_experts_of_your_own_that_grow_in_number_are_refused():
  class Experts(nn.Module):
    n: int
    experts: int

    @nn.compact
    def __call__(self, x):
      shape = self.experts, x.shape[-1], self.n
      w = self.param('w', nn.initializers.normal(0.1), shape)
      return jnp.einsum('bi,eio->beo', x, w)

  nets = Experts(4, 2), Experts(8, 4), Experts(16, 8)
  line = (
    '^axis 0 of parameter w of the net grows .2 in base, 4 in delta., and is'
  )
  with pytest.raises(ValueError, match=line) as caught:
    infer(*nets, X)
  assert len(str(caught.value).splitlines()) == 1
  role = Role((1,), (2,), 'constant', stack=(0,))
  found = infer(*nets, X, overrides={'w': role})
  assert (found['w'].m_in, found['w'].m_out) == (1, 4)
  only_more = Experts(4, 2), Experts(4, 4), Experts(4, 8)
  with pytest.raises(ValueError, match='differ in their depth alone'):
    infer(*only_more, X, overrides={'w': role})


def filled(net):
  """Parameters, started without drawing any."""
  made = jax.eval_shape(net.module.init, jax.random.key(0), X)['params']
  w = jax.tree.map(lambda s: jnp.linspace(0, 1, s.size).reshape(s.shape), made)
  return initialisers.rescale(w, net.mults)


class Adapted(nn.Module):
  """A readout with an adapter of some rank."""

  n: int
  rank: int

  @nn.compact
  def __call__(self, x):
    start = {'use_bias': False, 'kernel_init': nn.initializers.normal(0.1)}
    h = nn.Dense(self.n, name='first')(x)
    low = nn.Dense(self.rank, name='down', **start)(h)
    return nn.Dense(3, name='up', **start)(low) + nn.Dense(3, name='out')(h)


def test_an_adapter_of_rank_zero_has_nothing_to_multiply():
  net = parametrise(*(Adapted(n, 0) for n in (4, 8, 16)), X)
  assert net.shapes['down/kernel'].size == (16, 0)
  assert net.mults.init['down/kernel'] == 1
  w = filled(net)
  assert net.apply(w, X).shape == (1, 3)
  with pytest.raises(
    ValueError, match=r'^axis 1 of parameter kernel of module down is 0 in base'
  ):
    infer(Adapted(4, 0), Adapted(8, 2), Adapted(16, 4), X)


class Wrapped(nn.Module):
  """A layer in the middle and a readout, one of them in a wrapper."""

  n: int
  wrap: tuple = ()
  norm: str = 'weight'
  options: tuple = ()

  @nn.compact
  def __call__(self, x):
    for name, n in (('first', self.n), ('middle', self.n), ('last', 2)):
      layer = nn.Dense(n, name=name)
      if name not in self.wrap:
        x = layer(x)
      elif self.norm == 'weight':
        x = nn.WeightNorm(layer, **dict(self.options))(x)
      else:
        x = nn.SpectralNorm(layer)(x, update_stats=True)
    return x


def test_a_norm_around_a_readout_is_refused():
  """It divides the multiplier out, and so W would not fall as muP wants it."""

  def wrapped(*args, **kwargs):
    return infer(*(Wrapped(n, *args) for n in (4, 8, 16)), X, **kwargs)

  line = '^axis 0 of parameter kernel of module last grows, and WeightNorm'
  with pytest.raises(ValueError, match=line) as caught:
    wrapped(('middle', 'last'))
  assert len(str(caught.value).splitlines()) == 1
  role = Role((0,), (1,), 'fan_in')
  assert wrapped(('last',), overrides={'last/kernel': role})
  assert wrapped(('last',), 'weight', (('variable_filter', ('bias',)),))
  with pytest.raises(ValueError, match='module middle grows, and WeightNorm'):
    wrapped(('middle',), 'weight', (('feature_axes', None),))
  for layer in 'first', 'last':
    with pytest.raises(
      ValueError, match=f'module {layer} grows, and SpectralN'
    ):
      wrapped((layer,), 'spectral')
  assert wrapped(('middle',), 'spectral')
  found = wrapped(('first', 'middle'))
  # The scales are one a neuron.
  scale = found['WeightNorm_1/middle/kernel/scale']
  assert scale.role == Role((), (0,)) and scale.m_out == 4


def boxed(n):
  start = nn.initializers.lecun_normal()
  into = nn.with_partitioning(start, (None, 'model'))
  out = nn.with_partitioning(start, ('model', None))
  return nn.Sequential(
    [nn.Dense(n, kernel_init=into), nn.relu, nn.Dense(3, kernel_init=out)]
  )


def test_parameters_in_boxes_are_those_inside():
  """With metadata for sharding, which stays where it is."""
  plain = nn.Sequential([nn.Dense(16), nn.relu, nn.Dense(3)])
  nets = [nn.Sequential([nn.Dense(n), nn.relu, nn.Dense(3)]) for n in (4, 8)]
  want = parametrise(*nets, plain, X)
  net = parametrise(boxed(4), boxed(8), boxed(16), X)
  assert net.mults == want.mults and net.shapes == want.shapes
  w, raw = filled(net), filled(want)
  spec = nn.get_partition_spec(w)
  assert spec['layers_2']['kernel'] == jax.P('model', None)
  jax.tree.map(np.testing.assert_array_equal, nn.unbox(w), raw)
  np.testing.assert_array_equal(net.apply(w, X), want.apply(raw, X))
  tree = nn.unbox(net.shapes.tree(w))
  assert tree['layers_2']['kernel'] == net.shapes['layers_2/kernel']

  def step(net, w):
    rule = optimizers.mu_adamw(0.1, net.mults, weight_decay=0.5)
    grads = jax.grad(lambda w: net.apply(w, X).sum())(w)
    return rule.update(grads, rule.init(w), w)[0]

  jax.tree.map(
    np.testing.assert_array_equal, nn.unbox(step(net, w)), step(want, raw)
  )
  zero = initialisers.zeros_at_start(w, 'layers_2')
  assert isinstance(zero['layers_2']['kernel'], nn.Partitioned)
  assert not zero['layers_2']['kernel'].value.any()


def test_all_growing_axes_are_in_one_fan():
  """Over layers of every kind: of no tensor an axis is forgotten."""

  class Net(nn.Module):
    n: int

    @nn.compact
    def __call__(self, x):
      h = nn.RNN(nn.GRUCell(self.n), name='gru')(x)
      h = nn.MultiHeadAttention(2, name='attention')(h)
      h = nn.PReLU(name='prelu')(nn.GroupNorm(2, name='norm')(h))
      return nn.Dense(3, name='out')(nn.RMSNorm(name='rms')(h))

  found = infer(Net(4), Net(8), Net(16), jnp.ones((1, 3, 5), jnp.float32))
  for path, shape in found.items():
    grows = [i for i, b in enumerate(shape.base) if b is not None]
    both = shape.role.fan_in + shape.role.fan_out
    assert all(both.count(i) == 1 for i in grows), path
  unknown = {p for p, s in found.items() if s.role.law == 'unknown'}
  # Orthogonal ones: of the square root of the larger side.
  own = {p for p in found if p.startswith('GRUCell_0/h')}
  assert unknown == {p for p in own if p.endswith('kernel')}
  kinds = {path: s.ninf for path, s in found.items()}
  assert kinds['GRUCell_0/hn/kernel'] == 2
  assert kinds['out/kernel'] == kinds['rms/scale'] == 1
