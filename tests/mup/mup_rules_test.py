"""Rules of width on modules that a user brings: exactness, decay, ε, use."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.mup import initialisers, layers, multipliers, optimizers
from framework.mup.multipliers import Multipliers
from framework.mup.net import Net, infer, parametrise
from framework.mup.roles import Role
from framework.systems.width.transfer.models import Perceptron, Transformer

F64 = {'dtype': jnp.float64, 'param_dtype': jnp.float64}
TOKENS = jnp.array([[3, 1, 4, 1], [5, 9, 2, 6]])
X = jnp.eye(5)
OVERRIDES = {'place': Role((0,), (1,), 'constant')}


class Own(nn.Module):
  """A user's: embedding tied to the readout, attention, convolution, norm."""

  n: int
  base: int = 8

  @nn.compact
  def __call__(self, x):
    embed = nn.Embed(11, self.n, name='embed', **F64)
    start = nn.initializers.normal(0.2)
    h = embed(x) + self.param('place', start, (4, self.n), jnp.float64)[None]
    h = nn.LayerNorm(name='norm', **F64)(h)
    h = h + nn.MultiHeadDotProductAttention(2, name='attention', **F64)(h)
    h = nn.gelu(nn.Conv(3 * self.n // 2, (3,), name='conv', **F64)(h))
    h = nn.Dense(self.n, name='down', **F64)(h)
    return layers.attend(embed, h, self.base)


def own(target, table, optimizer):
  return parametrise(
    *(Own(n) for n in (8, 16, target)),
    TOKENS,
    table=table,
    optimizer=optimizer,
    overrides=OVERRIDES,
  )


def small(target, optimizer):
  sizes = (8, 16, target)
  nets = (Perceptron(n, 3, bias=True, dtype=jnp.float64) for n in sizes)
  return parametrise(*nets, X, optimizer=optimizer)


def drawn(module, *inputs):
  """What a module's initialisers might have drawn, without compiling them."""
  rng = np.random.default_rng(0)
  made = jax.eval_shape(module.init, jax.random.key(0), *inputs)['params']
  return jax.tree.map(
    lambda s: rng.normal(0, 0.3, s.shape).astype(s.dtype), made
  )


def trained(apply, rule, params, x, y, steps=5):
  """Losses and weights of some steps on one batch."""

  def loss(w):
    each = optax.losses.softmax_cross_entropy_with_integer_labels(
      apply(w, x), y
    )
    return jnp.mean(each)

  def step(carry, _):
    w, state = carry
    value, grads = jax.value_and_grad(loss)(w)
    updates, state = rule.update(grads, state, w)
    return (optax.apply_updates(w, updates), state), value

  carry, losses = jax.lax.scan(step, (params, rule.init(params)), None, steps)
  return carry[0], losses


def close(a, b, tolerance):
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=tolerance),
    a,
    b,
  )


RULES = {
  'sgd': lambda m: optimizers.mu_sgd(0.02, m, momentum=0.5, weight_decay=0.1),
  'adam': lambda m: optimizers.mu_adamw(0.02, m, eps=1e-3, weight_decay=0.5),
}


@pytest.mark.parametrize('optimizer', RULES)
def test_the_tables_are_one_network(optimizer):
  """Trajectories of losses and weights W = A w, of a tied embedding as well."""
  nets = [own(24, table, optimizer) for table in ('8', '3', '9')]
  rules = [net.mults for net in nets]
  params = drawn(nets[0].module, TOKENS)

  @jax.jit
  @jax.vmap
  def run(i):
    net = nets[0]._replace(mults=multipliers.select(rules, i))
    w = initialisers.rescale(params, net.mults)
    rule = RULES[optimizer](net.mults)
    w, losses = trained(net.apply, rule, w, TOKENS, jnp.roll(TOKENS, -1, 1))
    return multipliers.effective(w, net.mults), losses

  found = run(jnp.arange(3))
  losses = found[1]
  assert losses[0, -1] < losses[0, 0] - 0.05  # it does train
  for i in (1, 2):
    close(*(jax.tree.map(lambda x: x[j], found) for j in (i, 0)), 1e-9)  # noqa: B023


@pytest.mark.parametrize('optimizer', RULES)
def test_at_the_base_width_nothing_changes(optimizer):
  """Bit for bit the module with the plain optimiser."""
  x, y = X, jnp.array([0, 1, 2, 1, 0])
  net = small(8, optimizer)
  plain = {
    'sgd': optax.chain(
      optax.add_decayed_weights(0.1), optax.sgd(0.02, momentum=0.5)
    ),
    'adam': optax.adamw(0.02, eps=1e-3, weight_decay=0.5),
  }[optimizer]
  raw = drawn(net.module, x)
  params = initialisers.rescale(raw, net.mults)
  jax.tree.map(np.testing.assert_array_equal, params, raw)

  def module(w, x):
    return net.module.apply({'params': w}, x)

  one = jax.jit(
    lambda w: trained(net.apply, RULES[optimizer](net.mults), w, x, y)
  )(params)
  two = jax.jit(lambda w: trained(module, plain, w, x, y))(params)
  jax.tree.map(np.testing.assert_array_equal, one, two)


def test_attention_logits_fall_as_one_over_d():
  """As a multiplier of the query it is flax's attention with q·k/d."""
  net = own(32, '8', 'adam')
  assert net.mults.forward['attention/query/kernel'] == 0.5
  assert net.mults.forward['attention/key/kernel'] == 1
  plain = nn.MultiHeadDotProductAttention(2, **F64)
  explicit = plain.clone(attention_fn=layers.attention_fn(4))
  x = np.random.default_rng(1).standard_normal((1, 5, 32))
  w = {'params': drawn(plain, x)}
  scaled = jax.tree.map(lambda v: v, w)
  scaled['params']['query'] = jax.tree.map(
    lambda v: v * 0.5, w['params']['query']
  )
  found, wanted = jax.jit(plain.apply)(scaled, x), jax.jit(explicit.apply)(w, x)
  np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)


def test_decay_shrinks_every_width_alike():
  """With zero gradients w falls by 1 - ηλ, whatever the multipliers."""
  for optimizer, make in (
    ('sgd', optimizers.mu_sgd),
    ('adam', optimizers.mu_adamw),
  ):
    net = small(32, optimizer)
    rule = make(0.1, net.mults, weight_decay=0.5)
    w = jax.tree.map(np.ones_like, drawn(net.module, X))
    zero = jax.tree.map(np.zeros_like, w)
    updates = jax.jit(lambda g, w: rule.update(g, rule.init(w), w)[0])(zero, w)  # noqa: B023
    jax.tree.map(
      lambda u: np.testing.assert_allclose(u, -0.05, rtol=1e-6, atol=0),
      updates,
    )


def test_adamw_followed_by_a_factor_is_not_mup():
  """The mistake of chain(adamw, scale): decay falls with width, too."""
  net = small(32, 'adam')
  wrong = optax.chain(
    optax.adamw(0.1, weight_decay=0.5), optimizers.scale_by_tensor(net.mults.lr)
  )
  w = {'layer_2': {'kernel': np.ones((32, 32))}}
  zero = jax.tree.map(np.zeros_like, w)
  updates, _ = wrong.update(zero, wrong.init(w), w)
  np.testing.assert_allclose(
    updates['layer_2']['kernel'], -0.05 / 4, rtol=1e-6, atol=0
  )


def test_epsilon_falls_with_the_gradient():
  """Adam(g/m; ε/m) = Adam(g; ε): with ε large, only if it is scaled."""
  mults = Multipliers(*({'w': x} for x in (1.0, 1.0, 1.0, 1.0, 0.25)))
  w = {'w': jnp.ones(3)}
  small = {'w': jnp.array([0.25, 0.5, 1.0])}
  large = jax.tree.map(lambda g: 4 * g, small)

  def step(g, scale):
    rule = optimizers.mu_adam(1.0, mults, eps=2.0, scale_eps=scale)
    return rule.update(g, rule.init(w), w)[0]['w']

  base = optax.adam(1.0, eps=2.0)
  wanted = base.update(large, base.init(w), w)[0]['w']
  np.testing.assert_allclose(step(small, True), wanted, rtol=1e-12, atol=0)
  assert abs(step(small, False) - wanted).max() > 0.1


def test_any_optimiser_schedules_masks_and_parts_of_the_tree():
  net = small(32, 'adam')
  w = drawn(net.module, X)
  g = jax.tree.map(np.ones_like, w)

  def first(rule):
    return rule.update(g, rule.init(w), w)[0]

  lion = first(optimizers.mup(optax.scale_by_lion(), 0.1, net.mults))
  np.testing.assert_allclose(
    lion['layer_2']['kernel'], -0.1 / 4, rtol=1e-6, atol=0
  )
  np.testing.assert_allclose(lion['layer_2']['bias'], -0.1, rtol=1e-6, atol=0)

  schedule = optax.linear_schedule(1.0, 0.0, 4)
  rule = optimizers.mu_adam(schedule, net.mults)
  state = rule.init(w)
  sizes = []
  for _ in range(3):
    u, state = rule.update(g, state, w)
    sizes.append(float(abs(u['layer_2']['kernel']).max()) * 4)
  np.testing.assert_allclose(sizes, [1, 0.75, 0.5], rtol=1e-5, atol=0)

  injected = optax.inject_hyperparams(
    lambda rate: optimizers.mu_adam(rate, net.mults)
  )(rate=0.1)
  close(first(injected), first(optimizers.mu_adam(0.1, net.mults)), 1e-12)

  parts = optax.multi_transform(
    {
      'on': optimizers.mu_adamw(0.1, net.mults, weight_decay=0.0),
      'off': optax.set_to_zero(),
    },
    {'layer_1': 'off', 'layer_2': 'on', 'readout': 'on'},
  )
  u = first(parts)
  assert not u['layer_1']['kernel'].any()
  np.testing.assert_allclose(
    u['layer_2']['kernel'], -0.1 / 4, rtol=1e-5, atol=0
  )

  with pytest.raises(
    ValueError, match='tensor strange/layer_1/bias: no multipl'
  ):
    optimizers.scale_by_tensor(net.mults.lr).update({'strange': g}, None)
  with pytest.raises(ValueError, match='weight decay needs the parameters'):
    rule = optimizers.mu_sgd(0.1, net.mults, weight_decay=0.1)
    rule.update(g, rule.init(w))


def test_rules_are_lanes():
  """SP and muP in one program: multipliers are numbers of a pytree."""
  shapes = infer(*(Perceptron(n, 3) for n in (8, 16, 32)), jnp.ones((1, 5)))
  rules = [multipliers.multipliers(shapes, t, 'sgd') for t in ('sp', '8')]
  x = jnp.ones((1, 5))
  traces = []

  @jax.jit
  @jax.vmap
  def out(i):
    traces.append(1)
    net = Net(Perceptron(32, 3), shapes, multipliers.select(rules, i))
    return net.apply(net.init(jax.random.key(0), x), x)

  found = out(jnp.arange(2))
  # The readout of muP is drawn twice as large (fan-in law) and divided by 4.
  np.testing.assert_allclose(found[1], found[0] / 2, rtol=1e-6, atol=0)
  assert len(traces) == 1


def test_wrapped_initialisers_draw_what_start_rescales():
  shapes = infer(*(Perceptron(n, 3) for n in (8, 16, 32)), jnp.ones((1, 5)))
  key = jax.random.key(0)
  plain = nn.initializers.xavier_uniform()
  drawn_once = {path: plain(key, shape.size) for path, shape in shapes.items()}
  for table in ('3', '8', '9'):
    for path, shape in shapes.items():
      law = shape._replace(role=shape.role._replace(law='fan_avg'))
      factor = multipliers.init_multiplier(law, table)
      one = initialisers.scaled(plain, shape, table)(key, shape.size)
      np.testing.assert_allclose(
        one, drawn_once[path] * factor, rtol=1e-6, atol=0
      )
  with pytest.raises(ValueError, match='called for'):
    initialisers.scaled(plain, shape)(key, (2, 2))
  with pytest.raises(ValueError, match="law 'nonsense', expected one of"):
    initialisers.scaled(plain, shape, law='nonsense')


def test_deviations_depend_on_width_as_they_should():
  """W: constant for inputs, n^-1/2 for hidden, n^-1 for readouts."""
  start = nn.initializers.xavier_uniform()

  class Net(nn.Module):
    n: int

    @nn.compact
    def __call__(self, x):
      for i, n in enumerate((self.n, self.n, 6)):
        x = nn.Dense(n, False, kernel_init=start, name=f'l{i}')(x)
      return x

  x = jnp.ones((1, 6))
  sizes = []
  for n in (64, 256):
    net = parametrise(Net(64), Net(128), Net(n), x)
    w = jax.jit(net.init)(jax.random.key(0), x)
    w = multipliers.effective(jax.device_get(w), net.mults)
    sizes.append([float(np.std(v['kernel'])) for v in w.values()])
  ratio = np.array(sizes[1]) / sizes[0]
  np.testing.assert_allclose(ratio, [1, 0.5, 0.25], rtol=0.1, atol=0)


def test_zeros_at_start():
  net = Transformer(8, symbols=5, heads=2, depth=1, context=4)
  w = drawn(net, TOKENS % 5)
  w = initialisers.zeros_at_start(w, 'readout', 'query')
  assert not w['readout']['kernel'].any()
  assert not w['attention_1']['query']['kernel'].any()
  assert w['attention_1']['key']['kernel'].any()
  with pytest.raises(ValueError, match='raedout: no module or tensor'):
    initialisers.zeros_at_start(w, 'raedout')


def test_mistakes_are_one_line():
  shapes = infer(*(Own(n) for n in (8, 16, 32)), TOKENS)
  with pytest.raises(ValueError, match='tensor place: it is not known how'):
    multipliers.multipliers(shapes)
  with pytest.raises(ValueError, match="table is '7', expected one of sp, 3"):
    multipliers.multipliers(shapes, '7')
  with pytest.raises(ValueError, match="optimizer is 'lion', expected"):
    multipliers.multipliers(shapes, '8', 'lion')
  with pytest.raises(ValueError, match='base width is 0'):
    layers.attend(nn.Embed(2, 2), jnp.ones(2), 0)
  with pytest.raises(ValueError, match='head dimensions are 0 and 4'):
    layers.logit_scale(0, 4)

  class Stats(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.BatchNorm(use_running_average=True)(nn.Dense(4)(x))

  with pytest.raises(ValueError, match='has variables in batch_stats'):
    initialisers.start(
      Stats(),
      Multipliers({}, {}, {}, {}, {}),
      jax.random.key(0),
      jnp.ones((1, 2)),
    )
