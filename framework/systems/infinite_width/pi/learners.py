r"""Learners of a task: the π-limit, networks of a width, kernels.

    limit      the π-limit: gradient descent on coefficients
    pinet      a π-net of width n drawn from it, with projected gradients
    munet      a network of width n in µP, all of whose weights move freely; at
               one hidden layer its n neurons are the particles of the µP limit
    kernel     ridge regression with the NNGP or the NTK: features that stay

Each is a function of the `Sizes` of a run that returns a `Learner`, so that all
of them are given the same data in the same order.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, DTypeLike, Float, PyTree

from framework.checks import check_sizes
from framework.maths import kernels, linalg
from framework.maths.gaussian import Transform, transform
from framework.systems.infinite_width.pi import finite, gradient, sgd
from framework.systems.infinite_width.pi import net as nets

__all__ = ['Hp', 'Learner', 'Sizes', 'kernel', 'limit', 'munet', 'pinet']

_RELU = transform('relu')


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  lr: Float[Array, ''] | float = 0.1  # η
  momentum: Float[Array, ''] | float = 0.0  # µ
  weight_decay: Float[Array, ''] | float = 0.0  # λ
  clip: Float[Array, ''] | float = 0.0  # largest norm of a gradient; 0: any
  first_lr: Float[Array, ''] | float = 1.0  # multiplier of the rate of A₁
  last_lr: Float[Array, ''] | float = 1.0  # of the readout
  bias_lr: Float[Array, ''] | float = 1.0  # of biases
  first_alpha: Float[Array, ''] | float = 1.0
  last_alpha: Float[Array, ''] | float = 1.0
  bias_alpha: Float[Array, ''] | float = 0.0  # 0: no biases
  ridge: Float[Array, ''] | float = (
    1e-4  # of kernel regression, over the mean K_ii
  )

  @property
  def rates(self) -> sgd.Rates:
    """How far a step goes."""
    return sgd.Rates(*self[:7])

  @property
  def alphas(self) -> nets.Multipliers:
    """Multipliers of the forward pass."""
    return nets.Multipliers(*self[7:10], self.bias_alpha)


class Sizes(NamedTuple):
  """Sizes of a run, known before it is compiled."""

  k: int  # outputs
  batch: int  # rows of a step
  steps: int  # T
  dtype: DTypeLike


class Learner(NamedTuple):
  """A network, or what takes its place; hp are `Hp` of one precision."""

  init: Callable[..., PyTree]  # (key, problem, hp) -> state
  step: Callable[..., PyTree]  # (state, x, loss of outputs, hp) -> state
  apply: Callable[..., Array]  # (state, x, hp) -> (n, k)
  gram: Callable[..., Array]  # (state, x, hp) -> (n, n), of last features
  work: Callable[..., Array]  # (state) -> multiply-adds of a sample's step


def limit(
  depth: int = 2,
  rank: int = 32,
  phi: Transform = _RELU,
  *,
  start: nets.Start | None = None,
  clip: gradient.Clip = gradient.clip_all,
  rows: DTypeLike | None = None,
  normalised: bool | None = None,
  decay_scaled: bool = True,
  spread: int = 1,
  rule: Any = None,
) -> Callable[[Sizes], Learner]:
  """The π-limit.

  Args:
    depth: L, hidden layers.
    rank: r.
    phi: The activation.
    start: `net.gaussian()` when None, or `net.identities()`.
    clip: `gradient.clip_all` or `clip_each`.
    rows: Type of stored rows, such as bfloat16; that of the run when None.
    normalised: Whether rows are stored with |B| = 1, which asks for a
      homogeneous activation; as suits the activation when None.
    decay_scaled: Whether weight decay is multiplied by the rates' multipliers.
    spread: Devices that rows can lie spread over.
    rule: None: `Hp` says all that there is. For networks of finite width there
      is `pinet`, which takes any rule.

  Returns:
    `Sizes` -> `Learner`, which raises ValueError if memory is too small.

  Raises:
    ValueError: If a size is below 1, the store cannot be normalised, or a rule
      is given.
  """
  check_sizes(depth=depth, rank=rank, spread=spread)
  if rule is not None:
    raise ValueError(
      'rule is given, expected None: in the limit only rules linear in past '
      'gradients close, SGD with momentum and weight decay (Hp); Adam is not: '
      'train the finite net, pinet(width, rule=...)'
    )
  if normalised and not phi.homogeneous:
    raise ValueError(
      f'normalised is True, expected False for activation {phi.name}: only of '
      'a homogeneous one such as relu is V(b, g) = |b||g| V(b/|b|, g/|g|)'
    )
  if normalised is False and phi.homogeneous:
    phi = phi._replace(homogeneous=False)
  begin = start or nets.gaussian()

  def made(s: Sizes) -> Learner:
    def begun(key, d):
      net = begin(key, d, s.k, rank, depth, s.dtype)
      return sgd.begin(net, s.steps * s.batch, s.batch, rows, spread)

    def init(key, problem, hp):
      del hp
      return begun(key, problem['x'].shape[1])

    def step(state, x, loss, hp):
      args = phi, state, x, loss, hp.rates, hp.alphas, clip
      return sgd.step(*args, decay_scaled=decay_scaled)

    def apply(state, x, hp):
      return nets.apply(phi, state.net, x, hp.alphas, state.count)

    def gram(state, x, hp):
      g = nets.features(phi, state.net, x, hp.alphas, state.count)
      return nets.kernel(phi, g, g)

    def work(state):
      return sgd.work(state, s.dtype)

    return Learner(init, step, apply, gram, work)

  return made


def _network(s: Sizes, phi, init, project, rule) -> Learner:
  """A finite network; its state is (parameters, bases, state of the rule)."""

  def begin(key, problem, hp):
    params, fixed = init(key, problem['x'].shape[1])
    if rule is None:
      return params, fixed, jax.tree.map(jnp.zeros_like, params)
    return params, fixed, rule(hp).init(params)

  def step(state, x, loss, hp):
    params, fixed, kept = state
    grads = jax.grad(lambda p: loss(finite.apply(phi, p, x, hp.alphas)))(params)
    # Projected first, whatever the rule: h = Ωg stays so.
    grads, _ = project(fixed).update(grads, optax.EmptyState())
    if rule is None:
      params, kept = _descended(params, grads, kept, hp.rates)
    else:
      updates, kept = rule(hp).update(grads, kept, params)
      params = optax.apply_updates(params, updates)
    return params, fixed, kept

  def apply(state, x, hp):
    return finite.apply(phi, state[0], x, hp.alphas)

  def gram(state, x, hp):
    z = finite.hidden(phi, state[0], x, hp.alphas)
    return z @ z.T / z.shape[1]

  def work(state):
    return jnp.asarray(3 * sum(w.size for w in state[0].W), s.dtype)

  return Learner(begin, step, apply, gram, work)


def _descended(params, grads, velocity, rates: sgd.Rates):
  """SGD as the limit has it: (parameters, velocity)."""
  norm = optax.tree.norm(grads)
  over = (rates.clip > 0) & (norm > rates.clip)
  share = jnp.where(over, rates.clip / jnp.where(norm > 0, norm, 1), 1)
  depth = len(params.b) - 1
  one = jnp.ones_like(rates.lr)
  first, last, bias = (one * x for x in rates[-3:])
  m = finite.Params((first, *[one] * (depth - 1), last), (bias,) * (depth + 1))
  velocity = jax.tree.map(
    lambda v, g, p: rates.momentum * v + share * g + rates.weight_decay * p,
    velocity,
    grads,
    params,
  )

  def moved(p, m, v):
    return p - rates.lr * m * v

  return jax.tree.map(moved, params, m, velocity), velocity


def pinet(
  width: int,
  depth: int = 2,
  rank: int = 32,
  phi: Transform = _RELU,
  *,
  start: nets.Start | None = None,
  rule: Callable[[Hp], optax.GradientTransformation] | None = None,
) -> Callable[[Sizes], Learner]:
  """A π-net of a width, drawn from the limit's own start of the same key.

  Args:
    width: n, at least the rank.
    depth: L.
    rank: r.
    phi: The activation.
    start: As in `limit`.
    rule: hp -> optax transformation, any; SGD as in the limit when None.

  Returns:
    `Sizes` -> `Learner`.

  Raises:
    ValueError: If a size is out of range.
  """
  check_sizes(width=width, depth=depth, rank=rank)
  if width < rank:
    raise ValueError(f'width is {width}, expected at least the rank {rank}')
  begin = start or nets.gaussian()

  def made(s: Sizes) -> Learner:
    def init(key, d):
      net = begin(key, d, s.k, rank, depth, s.dtype)
      return finite.sample(jax.random.fold_in(key, 1), phi, net, width)

    return _network(s, phi, init, finite.project, rule)

  return made


def munet(
  width: int,
  depth: int = 2,
  phi: Transform = _RELU,
  *,
  sigma: float = 1.0,
  rule: Callable[[Hp], optax.GradientTransformation] | None = None,
) -> Callable[[Sizes], Learner]:
  """A network of a width in µP.

  Args:
    width: n.
    depth: L.
    phi: The activation.
    sigma: Deviation of its weights.
    rule: As in `pinet`.

  Returns:
    `Sizes` -> `Learner`.

  Raises:
    ValueError: If a size is out of range.
  """
  check_sizes(width=width, depth=depth)

  def made(s: Sizes) -> Learner:
    def init(key, d):
      return finite.munet(key, d, s.k, width, depth, sigma, s.dtype), ()

    return _network(s, phi, init, lambda fixed: optax.identity(), rule)

  return made


def kernel(
  which: str = 'ntk', depth: int = 2, phi: Transform = _RELU
) -> Callable[[Sizes], Learner]:
  """Ridge regression of one-hot targets less ½ with a kernel that stays.

      f(x) = K(x, X) (K + λ mean(K_ii))⁻¹ (Y − ½)

  Args:
    which: 'ntk' or 'nngp'.
    depth: L, hidden layers of the network that it is of.
    phi: The activation.

  Returns:
    `Sizes` -> `Learner` that is done when it begins: steps change nothing.

  Raises:
    ValueError: If there is no such kernel.
  """
  if which not in ('ntk', 'nngp'):
    raise ValueError(f'kernel is {which!r}, expected ntk or nngp')

  def K(x, y):
    # Weights as a ReLU network keeps its size, σ_w² = 2.
    return getattr(kernels.kernels(phi, depth, x, y, 2.0), which)

  def made(s: Sizes) -> Learner:
    def init(key, problem, hp):
      del key
      x = problem['x']
      gram = K(x, x)
      ridge = hp.ridge * jnp.mean(jnp.diagonal(gram))
      target = jax.nn.one_hot(problem['y'], s.k, dtype=s.dtype) - 0.5
      eye = jnp.eye(len(x), dtype=gram.dtype)
      dual = linalg.solve_spd(gram + ridge * eye, target)
      return x, dual.astype(s.dtype)

    def step(state, x, loss, hp):
      del x, loss, hp
      return state

    def apply(state, x, hp):
      del hp
      return K(x, state[0]) @ state[1]

    def gram(state, x, hp):
      del state, hp
      return K(x, x)

    def work(state):
      del state
      return jnp.zeros((), s.dtype)

    return Learner(init, step, apply, gram, work)

  return made
