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
from framework.systems.attention_svm import instances
from framework.systems.attention_svm import layer as attention
from framework.systems.attention_svm.heads import Head, head_named, local_scores
from framework.systems.attention_svm.instances import Instance
from framework.systems.attention_svm.losses import loss_named
from framework.systems.attention_svm.rules import (
  NORMALISE,
  Rule,
  Scaled,
  normalised,
  regularised,
  rule_named,
)

__all__ = [
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


_CHOICES = {
  'data': (*instances.DRAWS, 'given'),
  'queries': instances.QUERIES,
  'scores': ('head', 'random', 'tied'),
  'form': ('w', 'kq'),
  'gradient': ('exact', 'autodiff'),
  'normalise': NORMALISE,
  'start': ('uniform', 'zero'),
}


@dataclasses.dataclass(frozen=True)
class Structure:
  """What is fixed in the compiled program.

  Raises:
    ValueError: If a size or a name is out of range, naming it.
  """

  n: int = 6  # samples
  T: int = 8  # tokens a sample
  d: int = 10
  data: str = 'sphere'  # a key of `instances.DRAWS`, or 'given'
  queries: str = 'cross'
  scores: str = 'head'  # 'random': N(0, 1); 'tied': all but one equal (B.2)
  form: str = 'w'  # 'kq': W = KQᵀ
  m: int | None = None  # columns of K and Q; d when None
  head: str | Head = 'linear'
  loss: str = 'logistic'
  gradient: str = 'exact'
  normalise: str = 'each'  # tensor by its own norm; 'whole' tree; 'no'
  rule: str | Rule = 'constant'
  start: str = 'uniform'  # U(±1/√d); 'zero': W = 0, or Q = 0 and K small
  weights: bool = False  # whether W and the tokens are observed
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name, low in (('n', 1), ('T', 2), ('d', 1)):
      value = getattr(self, name)
      if value < low:
        raise ValueError(f'{name} is {value}, expected an integer >= {low}')
    if self.m is not None and self.m < 1:
      raise ValueError(f'rank m is {self.m}, expected an integer >= 1')
    for name, known in _CHOICES.items():
      value = getattr(self, name)
      if value not in known:
        raise ValueError(f'{name} is {value!r}, expected one of {list(known)}')
    loss_named(self.loss)
    head_named(self.head)
    rule_named(self.rule)
    if self.scores != 'head' and self.head != 'linear':
      raise ValueError(
        f'scores is {self.scores!r} with head {self.head!r}: scores of their '
        'own need the linear head'
      )
    if self.rule == 'polyak' and (
      self.head != 'linear' or self.normalise != 'no'
    ):
      raise ValueError(
        f'rule is polyak with head {self.head!r}, normalise '
        f'{self.normalise!r}: it needs the least loss, known for the linear '
        'head, and the gradient itself (normalise=no)'
      )
    if self.data == 'relu' and self.head != 'relu':
      raise ValueError(f'head is {self.head!r}, expected relu for data=relu')
    if self.head == 'relu' and self.data not in ('relu', 'given'):
      raise ValueError(f'data is {self.data!r}, expected relu for head=relu')
    if self.data == 'orthonormal' and max(self.n, self.T) > self.d:
      raise ValueError(
        f'd is {self.d}, expected at least n = {self.n} and T = {self.T} for '
        'data=orthonormal'
      )


class Problem(NamedTuple):
  """What is fixed over time."""

  data: Instance
  optimal: Int[Array, ' n']
  start: PyTree = None  # θ_0, where it is given
  targets: dict[str, Array] | None = None  # watched: alignment_<name>
  facts: dict[str, Array] | None = None  # reported once


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


def gradient_of(structure: Structure) -> Callable[..., tuple[Array, Scaled]]:
  """The loss and its gradient.

  Args:
    structure: Names loss, head and how to differentiate.

  Returns:
    (params, instance, hp) -> (L, exp(scale) times a tree); without λ.
  """
  s = structure
  loss, head = loss_named(s.loss), head_named(s.head)

  def margins(share, data, hp):
    """(Y_i f_i, scores of the head's linearisation)."""
    if s.head == 'linear':
      return jnp.sum(share * data.gamma, -1), data.gamma
    mixed = jnp.einsum('nt,ntd->nd', share, data.X)
    return local_scores(head, mixed, data.X, data.Y, data.v, hp.strength)

  def plain(params, data, hp):
    share = jax.nn.softmax(logits_of(params, data), -1)
    return jnp.mean(loss.value(margins(share, data, hp)[0]))

  def autodiff(params, data, hp):
    value, tree = jax.value_and_grad(plain)(params, data, hp)
    return value, Scaled(tree, jnp.zeros((), value.dtype))

  def exact(params, data, hp):
    a = logits_of(params, data)
    if s.head == 'linear':
      j = horizon.jacobian(a, data.gamma, data.mask)
      margin = j.margin
    else:
      margin, gamma = margins(jax.nn.softmax(a, -1), data, hp)
      j = horizon.jacobian(a, gamma, data.mask)
    q = (loss.slope(margin) / len(a))[:, None] * j.q
    P = jnp.einsum('nt,ntd->nd', q, data.X)  # ∇L(W) = Pᵀ Z
    if 'W' in params:
      tree = {'W': P.T @ data.Z}
    else:
      K, Q = params['K'], params['Q']
      tree = {'K': P.T @ (data.Z @ Q), 'Q': data.Z.T @ (P @ K)}
    return jnp.mean(loss.value(margin)), Scaled(tree, j.scale)

  return exact if s.gradient == 'exact' else autodiff


def system(structure: Structure) -> System:
  """Training of one attention layer.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`; its `sample` takes an `Instance` as data where
    data='given'. Observations: loss, log_gradient (ln ‖∇L‖_F, exact where the
    gradient is), share (mean over samples of the largest softmax) and
    share_min, weight_norm ‖W‖_F, optimal (share of samples whose token has the
    best score), switches and switched (how often tokens changed, and when
    last), alignment_<name> with every target of the problem; with `weights`
    also W and tokens.

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
  if s.data == 'given':
    if data is None:
      raise ValueError('data is given but no instance was, expected `data`')
    made = jax.tree.map(
      lambda x: x if x.dtype == bool else jnp.asarray(x, s.dtype), data
    )
  else:
    made = instances.DRAWS[s.data](key_data, s.n, s.T, s.d, s.dtype)
  made = instances.asked(made, s.queries)
  if s.scores == 'random':
    gamma = instances.normal(key_scores, made.mask.shape, s.dtype)
    made = made._replace(gamma=gamma)
  elif s.scores == 'tied':
    gamma = instances.tied_scores(key_scores, made.mask, s.dtype)
    made = made._replace(gamma=gamma)
  return Problem(made, attention.optimal_tokens(made.gamma, made.mask))


def init(s: Structure, key: Key[Array, ''], problem: Problem, hp: Hp) -> State:
  """θ_0: as given, from the layer's initialiser, or at zero."""
  data = problem.data
  params = problem.start
  if params is None:
    params = _drawn(s, key, data, hp)
  opt_state = rule_named(s.rule)(_typed(s, hp)).init(params)
  tokens = jnp.argmax(logits_of(params, data), -1)
  zero = jnp.int32(0)
  return State(params, opt_state, tokens.astype(jnp.int32), zero, zero, zero)


def _drawn(s: Structure, key: Key[Array, ''], data: Instance, hp: Hp):
  d, q, m = data.X.shape[-1], data.Z.shape[-1], s.m or s.d
  # The head has no parameters here.
  nothing = jnp.zeros((), s.dtype)
  if s.form == 'w':
    layer: Any = attention.Attention(lambda x: nothing, dtype=s.dtype)
  else:
    layer = attention.KeyQueryAttention(lambda x: nothing, m, dtype=s.dtype)
  if s.start == 'zero':
    K = 0.1 * instances.normal(key, (d, m), s.dtype)
    zero = jnp.zeros((d if s.form == 'w' else q, q if s.form == 'w' else m))
    zero = zero.astype(s.dtype)
    params = {'W': zero} if s.form == 'w' else {'K': K, 'Q': zero}
  else:
    variables: Any = layer.init(key, data.X[:1], data.Z[:1])
    params = variables['params']
  hp = _typed(s, hp)
  scale = {'W': hp.init_scale, 'K': hp.init_scale * hp.balance}
  scale['Q'] = hp.init_scale / hp.balance
  return {name: scale[name] * w for name, w in params.items()}


def train(s: Structure, state: State, problem: Problem, hp: Hp) -> State:
  """One step: gradient, λ, normalisation, rule."""
  hp, data = _typed(s, hp), problem.data
  value, gradient = gradient_of(s)(state.params, data, hp)
  if s.form == 'kq':
    gradient = regularised(gradient, state.params, hp.lam)
  tree = normalised(gradient, s.normalise, hp.epsilon)
  rule = optax.with_extra_args_support(rule_named(s.rule)(hp))
  extra = {'value': value}
  if s.rule == 'polyak':
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
  return jnp.mean(loss_named(s.loss).value(best))


def observe(
  s: Structure, state: State, problem: Problem, hp: Hp
) -> dict[str, Array]:
  """What a person wants to see of one state."""
  data, hp = problem.data, _typed(s, hp)
  W = attention.weights_of(state.params)
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
  for name, target in (problem.targets or {}).items():
    seen[f'alignment_{name}'] = _cosine(W, target)
  return seen


_FLOOR = -1e30  # ln of a gradient that is exactly zero


def _cosine(W, V):
  size = jnp.sqrt(jnp.sum(W**2) * jnp.sum(V**2))
  return jnp.sum(W * V) / jnp.where(size > 0, size, 1)


def _typed(s: Structure, hp: Hp) -> Any:
  """Numbers of the structure's dtype, whatever Python numbers would become."""
  return Hp(*(jnp.asarray(x, s.dtype) for x in hp))
