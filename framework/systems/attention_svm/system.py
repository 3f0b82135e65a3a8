"""Training one attention layer with a fixed head, as a `System`.

    L = (1/n) Σ_i ℓ(Y_i h(X_iᵀ s_i)),   s_i = softmax(X_i W z_i)

over W, or over (K, Q) with W = KQᵀ and λ(‖K‖² + ‖Q‖²) added. The gradient is
the one that is exact at every horizon, or automatic differentiation, which is
rounding noise once attention has settled; then it is normalised, or not, and
handed to an optax rule.

*Deviation*: the published code trains with automatic differentiation,
ε = λ = 2.22e-16; both are zero here unless asked for.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int, Key, PyTree

from framework.system import System
from framework.systems.attention_svm import gradient as horizon
from framework.systems.attention_svm import heads, instances, layer, rules
from framework.systems.attention_svm import losses as losses_lib
from framework.systems.attention_svm.ensembles import relu, sphere
from framework.systems.attention_svm.heads import Head
from framework.systems.attention_svm.instances import Instance
from framework.systems.attention_svm.losses import Loss
from framework.systems.attention_svm.rules import Normalise, Rule, Scaled

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'gradient_of',
  'init',
  'logits_of',
  'observe',
  'sample',
  'system',
  'train',
]

ATTRIBUTES = {
  'loss': {'long_name': 'mean loss of the margin', 'units': '1'},
  'log_gradient': {'long_name': 'ln ‖∇L‖_F', 'units': '1'},
  'share': {'long_name': 'largest softmax, mean over samples', 'units': '1'},
  'share_min': {'long_name': 'largest softmax, least of all', 'units': '1'},
  'weight_norm': {'long_name': '‖W‖_F', 'units': '1'},
  'optimal': {'long_name': 'samples on their best token', 'units': '1'},
  'switches': {'long_name': 'changes of token so far', 'units': '1'},
  'switched': {'long_name': 'step of the last of them', 'units': 'step'},
  'W': {'long_name': 'attention weights', 'units': '1'},
  'tokens': {'long_name': 'argmax of the softmax', 'units': '1'},
}


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  eta: Float[ArrayLike, ''] = 0.1  # step size η
  epsilon: Float[ArrayLike, ''] = 0.0  # ε added to the norm
  lam: Float[ArrayLike, ''] = 0.0  # λ of λ(‖K‖² + ‖Q‖²), part of the loss
  decay: Float[ArrayLike, ''] = 0.0  # decoupled weight decay
  init_scale: Float[ArrayLike, ''] = 1.0  # of all parameters at the start
  balance: Float[ArrayLike, ''] = 1.0  # K(0) times, Q(0) over it
  strength: Float[ArrayLike, ''] = 0.1  # λ of the head vᵀx − λ‖x‖²
  beta1: Float[ArrayLike, ''] = 0.9
  beta2: Float[ArrayLike, ''] = 0.999
  adam_epsilon: Float[ArrayLike, ''] = 1e-8


@dataclasses.dataclass(frozen=True)
class Structure:
  """The layer and how it is trained; each compiles a program of its own.

  Raises:
    ValueError: If a size is out of range, or choices do not fit together.

  >>> Structure(T=1)
  Traceback (most recent call last):
  ValueError: T is 1, expected an integer >= 2
  """

  n: int = 6  # samples; given data bring sizes of their own
  T: int = 8  # tokens a sample
  d: int = 10  # dimension
  draw: Callable[..., Instance] = sphere  # (key, n, T, d, dtype) -> instance
  queries: Callable[[Instance], Instance] = instances.cross_attention
  scores: Callable[..., Array] | None = None  # (key, mask, dtype) -> γ
  rank: int | None = None  # columns of K and Q, W = KQᵀ; None: W itself
  head: Head = heads.linear
  loss: Loss = losses_lib.logistic
  exact: bool = True  # the gradient; False: automatic differentiation
  normalise: Normalise = rules.each_normalised
  rule: Rule = rules.constant
  start: layer.Start = layer.uniform_start
  weights: bool = False  # whether W and the tokens are observed
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name, low in (('n', 1), ('T', 2), ('d', 1)):
      value = getattr(self, name)
      if value < low:
        raise ValueError(f'{name} is {value}, expected an integer >= {low}')
    if self.rank is not None and self.rank < 1:
      raise ValueError(f'rank is {self.rank}, expected an integer >= 1')
    linear = self.head is heads.linear
    if self.scores is not None and not linear:
      raise ValueError(
        'scores of their own need the linear head, which sees nothing else'
      )
    if self.rule is rules.polyak and not (
      linear and self.normalise is rules.not_normalised
    ):
      raise ValueError(
        'polyak needs the least loss, known for the linear head, and the '
        'gradient itself: not_normalised'
      )
    if self.draw is relu and self.head is not heads.relu:
      raise ValueError('instances with ReLU units need the head relu')
    # What the ensemble refuses is refused here.
    jax.eval_shape(
      lambda: self.draw(jax.random.key(0), self.n, self.T, self.d, self.dtype)
    )


class Problem(NamedTuple):
  """An instance with its optimal tokens, and θ_0 where it is given."""

  data: Instance
  optimal: Int[Array, ' n']
  start: PyTree = None  # θ_0, where it is given


class State(NamedTuple):
  """Parameters, the rule's state, and what the tokens have done."""

  params: dict[str, Array]
  opt_state: PyTree
  tokens: Int[Array, ' n']  # one step ago
  t: Int[Array, '']
  switches: Int[Array, '']  # samples times changes of token, up to one step ago
  switched: Int[Array, '']  # the last step at which one changed


def logits_of(params: dict[str, Array], data: Instance) -> Array:
  """a_it = x_itᵀ W z_i of either parametrisation; −∞ where there is no token.

  Through K and Q one after the other: W is never formed.
  """
  if 'W' in params:
    U = data.Z @ params['W'].T
  else:
    U = (data.Z @ params['Q']) @ params['K'].T
  a = jnp.einsum('ntd,nd->nt', data.X, U)
  return jnp.where(data.mask, a, -jnp.inf)


def gradient_of(s: Structure) -> Callable[..., tuple[Array, Scaled]]:
  """The loss and its gradient.

  Args:
    s: Has loss, head and how to differentiate.

  Returns:
    (params, instance, hp) -> (L, exp(scale) times a tree); without λ.
  """
  linear = s.head is heads.linear

  def margins(share, data, hp):
    """(Y_i f_i, scores of the head's linearisation)."""
    if linear:
      return jnp.sum(share * data.gamma, -1), data.gamma
    mixed = jnp.einsum('nt,ntd->nd', share, data.X)
    return heads.local_scores(
      s.head, mixed, data.X, data.Y, data.v, hp.strength
    )

  def plain(params, data, hp):
    share = jax.nn.softmax(logits_of(params, data), -1)
    return jnp.mean(s.loss.value(margins(share, data, hp)[0]))

  def autodiff(params, data, hp):
    value, tree = jax.value_and_grad(plain)(params, data, hp)
    return value, Scaled(tree, jnp.zeros((), value.dtype))

  def exact(params, data, hp):
    a = logits_of(params, data)
    if linear:
      j = horizon.jacobian(a, data.gamma, data.mask)
      margin = j.margin
    else:
      margin, gamma = margins(jax.nn.softmax(a, -1), data, hp)
      j = horizon.jacobian(a, gamma, data.mask)
    q = (s.loss.slope(margin) / len(a))[:, None] * j.q
    P = jnp.einsum('nt,ntd->nd', q, data.X)  # ∇L(W) = Pᵀ Z
    if 'W' in params:
      tree = {'W': P.T @ data.Z}
    else:
      K, Q = params['K'], params['Q']
      tree = {'K': P.T @ (data.Z @ Q), 'Q': data.Z.T @ (P @ K)}
    return jnp.mean(s.loss.value(margin)), Scaled(tree, j.scale)

  return exact if s.exact else autodiff


def system(structure: Structure) -> System:
  """Training of one attention layer.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`; its `sample` takes an `Instance` as data, or draws
    one. Observations, with units in `ATTRIBUTES`: loss, log_gradient (ln
    ‖∇L‖_F, exact where the gradient is), share (mean over samples of the
    largest softmax) and share_min, weight_norm ‖W‖_F, optimal (share of samples
    whose token has the best score), switches and switched (how often tokens
    changed, and when last); with `weights` also W and tokens.

  >>> from framework.system import rollout
  >>> run = system(Structure(n=2, T=3, d=4))
  >>> times, hp = jnp.array([0, 300]), jax.tree.map(jnp.float32, Hp())
  >>> seen = rollout(run, jax.random.key(0), hp, times)[1]
  >>> print(seen['share'][1].round(2))
  1.0
  """
  s = structure
  return System(
    lambda key, hp, *data: sample(s, key, hp, *data),
    lambda key, problem, hp: init(s, key, problem, hp),
    lambda key, state, problem, hp: train(s, state, problem, hp),
    lambda state, problem, hp: observe(s, state, problem, hp),
  )


def sample(
  s: Structure, key: Key[Array, ''], hp: Hp, data: Instance | None = None
) -> Problem:
  """Draws an instance, or takes the given one."""
  del hp
  key_data, key_scores = jax.random.split(key)
  if data is None:
    made = s.draw(key_data, s.n, s.T, s.d, s.dtype)
  else:
    made = jax.tree.map(
      lambda x: x if x.dtype == bool else jnp.asarray(x, s.dtype), data
    )
  made = s.queries(made)
  if s.scores is not None:
    gamma = s.scores(key_scores, made.mask, s.dtype)
    made = made._replace(gamma=gamma)
  return Problem(made, layer.optimal_tokens(made.gamma, made.mask))


def init(s: Structure, key: Key[Array, ''], problem: Problem, hp: Hp) -> State:
  """θ_0: as given, or as the structure starts, scaled."""
  data, hp = problem.data, _typed(s, hp)
  params = problem.start
  if params is None:
    drawn = s.start(key, data.X, data.Z, s.rank, s.dtype)
    scale = {'W': hp.init_scale, 'K': hp.init_scale * hp.balance}
    scale['Q'] = hp.init_scale / hp.balance
    params = {name: scale[name] * w for name, w in drawn.items()}
  opt_state = s.rule(hp).init(params)
  tokens = jnp.argmax(logits_of(params, data), -1)
  zero = jnp.int32(0)
  return State(params, opt_state, tokens.astype(jnp.int32), zero, zero, zero)


def train(s: Structure, state: State, problem: Problem, hp: Hp) -> State:
  """One step: gradient, λ, normalisation, rule."""
  hp, data = _typed(s, hp), problem.data
  value, gradient = gradient_of(s)(state.params, data, hp)
  if s.rank is not None:
    gradient = rules.regularised(gradient, state.params, hp.lam)
  tree = s.normalise(gradient, hp.epsilon)
  rule = optax.with_extra_args_support(s.rule(hp))
  extra = {'value': value}
  if s.head is heads.linear:
    extra['excess'] = value - _least(s, problem)
  updates, opt_state = rule.update(tree, state.opt_state, state.params, **extra)
  moved = _moved(state, data)
  params: Any = optax.apply_updates(state.params, updates)
  return State(
    params,
    opt_state,
    moved.tokens,
    state.t + 1,
    moved.switches,
    moved.switched,
  )


def _moved(state: State, data: Instance) -> State:
  """The state with what its tokens are now."""
  tokens = jnp.argmax(logits_of(state.params, data), -1).astype(jnp.int32)
  changed = jnp.sum(tokens != state.tokens, dtype=jnp.int32)
  return state._replace(
    tokens=tokens,
    switches=state.switches + changed,
    switched=jnp.where(changed > 0, state.t, state.switched),
  )


def _least(s: Structure, problem: Problem) -> Float[Array, '']:
  """L* = (1/n) Σ ℓ(γ_i,opt): all attention on the best tokens."""
  gamma = problem.data.gamma
  best = jnp.take_along_axis(gamma, problem.optimal[:, None], 1)
  return jnp.mean(s.loss.value(best))


def observe(
  s: Structure, state: State, problem: Problem, hp: Hp
) -> dict[str, Array]:
  """Loss, gradient, attention, tokens of one state: see `ATTRIBUTES`."""
  data, hp = problem.data, _typed(s, hp)
  W = layer.weights_of(state.params)
  share = jax.nn.softmax(logits_of(state.params, data), -1)
  value, (tree, scale) = gradient_of(s)(state.params, data, hp)
  square = sum(jnp.sum(g**2) for g in jax.tree.leaves(tree))
  there = square > 0
  size = jnp.log(jnp.where(there, square, 1)) / 2
  now = _moved(state, data)
  top = jnp.max(share, -1)
  seen = {
    'loss': value,
    'log_gradient': jnp.where(there, scale + size, _FLOOR),
    'share': jnp.mean(top),
    'share_min': jnp.min(top),
    'weight_norm': jnp.sqrt(jnp.sum(W**2)),
    'optimal': jnp.mean((now.tokens == problem.optimal).astype(s.dtype)),
    'switches': now.switches,
    'switched': now.switched,
  }
  if s.weights:
    seen |= {'W': W, 'tokens': now.tokens}
  return seen


_FLOOR = -1e30  # ln of a gradient that is exactly zero


def _typed(s: Structure, hp: Hp) -> Any:
  """Numbers of the structure's dtype, whatever Python numbers would become."""
  return jax.tree.map(lambda x: jnp.asarray(x, s.dtype), hp)
