"""Full-batch gradient descent on XOR clusters, as a `System` in three forms.

    w_j⁺ = w_j + (α a_j/n) Σ_i g_i 1[⟨w_j, x_i⟩ > 0] y_i x_i,
    g_i = σ(−y_i f(x_i; W))

explicit   points in R^p and descent on W, the flax module of `xor_net`
gram       the same points, and descent on B in W = W(0) + XᵀB (`xor_gram`)
bartlett   the Gram form of points that were never drawn (`xor_bartlett`): any p

The first two are one trajectory, and all three have one law. As long as outputs
are far below 1 all g_i are ½, and a run depends on α and ω through α/ω alone.

References:
  [1] Xu, Wang, Frei, Vardi, Hu, "Benign Overfitting and Grokking in ReLU
      Networks for XOR Cluster Data", 2023.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Key, PyTree, UInt

from framework.descent import DescentState, descent
from framework.system import System
from framework.systems.clusters.xor import data as xor_data
from framework.systems.clusters.xor import gram as xor_gram
from framework.systems.clusters.xor import net as xor_net
from framework.systems.clusters.xor import probes as xor_probes
from framework.systems.clusters.xor.bartlett import bartlett_problem

__all__ = [
  'Choice',
  'Explicit',
  'Hp',
  'Structure',
  'choose',
  'final',
  'mu_norm',
  'system',
  'view',
]

FORMS = ('explicit', 'gram', 'bartlett')
_MOST_BYTES = 8e9  # of W, its gradient and the points, in R^p


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  alpha: Float[ArrayLike, ''] = 1e-12  # step size α
  omega: Float[ArrayLike, ''] = 1e-15  # standard deviation ω of W(0)
  eta: Float[ArrayLike, ''] = 0.05  # probability η of a flipped label
  signal: Float[ArrayLike, ''] = 2.5  # ‖μ‖ over √(p/n)
  leak: Float[ArrayLike, ''] = 0.0  # λ: 0 ReLU, 1 linear
  stratified: Float[ArrayLike, ''] = 0.0  # 1: n/4 points of each cluster
  kappa: Float[ArrayLike, ''] = 0.1  # κ of the sets J1 and J2
  p: Float[ArrayLike, ''] = 40000.0  # dimension, where no array has it


class Choice(NamedTuple):
  """A form and why it was chosen."""

  form: str
  reason: str


def choose(n: int, p: float, m: int) -> Choice:
  """Chooses a form by what a step costs and what has to be drawn.

      explicit 4npm flops a step, Gram forms 2n²m; points in R^p need (2n + m)p
      normal numbers, the p-free form about (2n + m)n.

  Args:
    n: Training points.
    p: Dimension.
    m: Neurons.

  Returns:
    A `Choice`.

  >>> choose(200, 40000, 1000).form, choose(200, 60, 1000).form
  ('bartlett', 'explicit')
  """
  explicit, gram = 4 * n * p * m, 2 * n * n * m
  cost = f'{explicit:.3g} flops a step in R^p, {gram:.3g} in the Gram form'
  if explicit < gram:
    return Choice('explicit', cost)
  if p < n + 3:
    return Choice('gram', f'{cost}; p < n + 3 leaves nothing off the span')
  return Choice('bartlett', f'{cost}; points of any p cost as if p were n')


@dataclasses.dataclass(frozen=True)
class Structure:
  """What is fixed in the compiled program.

  Raises:
    ValueError: If a size or a name is out of range, naming it.
  """

  n: int = 200  # training points
  n_test: int = 200
  m: int = 1000  # neurons
  form: str = 'bartlett'
  p: int | None = None  # dimension in R^p; bartlett takes hp.p
  neurons: bool = False  # whether every neuron's projections are recorded
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    if self.form not in FORMS:
      raise ValueError(
        f'form is {self.form!r}, expected one of {", ".join(FORMS)}'
      )
    for name, low in (('n', 4), ('n_test', 1), ('m', 2)):
      value = getattr(self, name)
      if value < low:
        raise ValueError(f'{name} is {value}, expected an integer >= {low}')
    if self.form == 'bartlett':
      if self.p is not None:
        raise ValueError(f'p is {self.p}, expected None: bartlett takes hp.p')
      return
    if self.p is None or self.p < 2:
      raise ValueError(f'p is {self.p}, expected an integer >= 2')
    w = jnp.dtype(self.dtype).itemsize
    size = w * self.p * (3 * self.m + self.n + self.n_test)
    if size > _MOST_BYTES:
      raise ValueError(
        f'p is {self.p}, which takes {size:.1e} bytes in R^p; expected at most '
        f'{_MOST_BYTES:.0e}: choose the form bartlett'
      )


class Explicit(NamedTuple):
  """What is fixed over time in R^p."""

  facts: xor_gram.Facts
  x: Float[Array, 'n p']
  x_test: Float[Array, 'test p']
  start: UInt[Array, '...']  # words of the key of W(0)


def mu_norm(structure: Structure, hp: Hp) -> Float[ArrayLike, '']:
  """‖μ‖ = signal √(p/n)."""
  p = hp.p if structure.p is None else structure.p
  return hp.signal * (jnp.asarray(p, structure.dtype) / structure.n) ** 0.5


def system(structure: Structure) -> System:
  """Gradient descent on XOR clusters.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`. Observations: those of `xor_probes.watched`,
    projection (sign of a, μ_k) with the mean |⟨w_j, μ_k⟩|, aligned (mean
    ⟨w_j, μ_1⟩ over J1, mean |⟨w_j, μ_1⟩| over J2; sets of Lemma 4.7 in row 0,
    by the pull alone in row 1) and, if asked for, neurons with all ⟨w_j, μ_k⟩.

  >>> import jax, jax.numpy as jnp
  >>> from framework import rollout
  >>> small = system(Structure(n=40, n_test=200, m=200))
  >>> run = jax.jit(lambda hp: rollout(
  ...   small, jax.random.key(2), hp, jnp.array([2, 20])))
  >>> _, seen = run(Hp(p=4000.0, eta=0.0))
  >>> seen['train_accuracy'].tolist()
  [1.0, 1.0]
  >>> bool(seen['test_accuracy'][0] < 0.9 < seen['test_accuracy'][1])
  True
  """
  s, optimizer = structure, lambda hp: optax.sgd(hp.alpha)
  if s.form == 'explicit':
    net = xor_net.TwoLayerNet(s.m, dtype=s.dtype)

    def loss(params, problem, hp):
      facts = problem.facts
      tree = {'params': params, 'frozen': {'a': facts.a}}
      f = net.apply(tree, problem.x, hp.leak)
      return jnp.mean(jax.nn.softplus(-facts.train.y * f))

    def init_params(key, problem, hp):
      del key
      return {'W': _first_layer(s, problem.start, hp)}

    down = descent(init_params, loss, optimizer)
  else:
    down = descent(
      lambda key, problem, hp: {'B': jnp.zeros((s.n, s.m), s.dtype)},
      None,
      optimizer,
      value_and_grad=lambda params, problem, hp: xor_gram.value_and_grad(
        params, problem, hp.leak
      ),
    )

  def sample(key: Key[Array, ''], hp: Hp) -> PyTree:
    if s.form == 'bartlett':
      return bartlett_problem(
        key,
        s.n,
        s.n_test,
        s.m,
        hp.p,
        mu_norm(s, hp),
        hp.eta,
        hp.omega,
        hp.stratified,
        s.dtype,
      )
    return _sample(s, key, hp)

  def observe(state: DescentState, problem: PyTree, hp: Hp) -> dict[str, Array]:
    return _observe(s, state, problem, hp)

  return System(sample, down.init, down.step, observe)


def _first_layer(s: Structure, words: Array, hp: Hp) -> Float[Array, 'p m']:
  key = jax.random.wrap_key_data(words)
  assert s.p is not None  # of the forms in R^p
  return xor_net.first_layer(key, s.p, s.m, hp.omega, s.dtype)


def _sample(s: Structure, key: Key[Array, ''], hp: Hp) -> PyTree:
  """Points in R^p; both forms take the same points and the same W(0)."""
  keys = jax.random.split(key, 4)
  assert s.p is not None
  norm = mu_norm(s, hp)
  train = xor_data.xor_cluster(
    keys[0], s.n, s.p, norm, hp.eta, hp.stratified, s.dtype
  )
  test = xor_data.xor_cluster(keys[1], s.n_test, s.p, norm, 0.0, 0.0, s.dtype)
  a = xor_net.second_layer(keys[2], s.m, s.dtype)
  words = jax.random.key_data(keys[3])
  W0 = _first_layer(s, words, hp)
  if s.form == 'gram':
    return xor_gram.gram_of(train, test, W0, a)
  facts = xor_gram.facts_of(train, test, a, train.x @ W0)
  return Explicit(facts, train.x, test.x, words)


def view(state: DescentState, problem: PyTree) -> xor_gram.View:
  """What the probes look at, from a state of any form."""
  if isinstance(problem, xor_gram.Gram):
    return xor_gram.view(state.params, problem)
  W = state.params['W']
  return xor_gram.View(
    Z=problem.x @ W, T=problem.x_test @ W, P=W[:2], N=jnp.sum(W**2, 0)
  )


def _observe(
  s: Structure, state: DescentState, problem: PyTree, hp: Hp
) -> dict[str, Array]:
  seen, facts = view(state, problem), problem.facts
  norm = mu_norm(s, hp)
  P = jnp.asarray(norm * seen.P)
  members = _members(facts, hp)
  along = jnp.stack([P[0], jnp.abs(P[0])])[None]
  sizes = jnp.maximum(jnp.sum(members, -1), 1)
  scale = jnp.asarray(hp.alpha, P.dtype) / (8 * s.n)
  found = xor_probes.watched(seen, facts, scale, hp.leak) | {
    'projection': xor_probes.mean_by_sign(jnp.abs(P), facts.a),
    'aligned': jnp.sum(members * along, -1) / sizes,
  }
  return found | ({'neurons': P} if s.neurons else {})


def _members(facts: xor_gram.Facts, hp: Hp) -> Float[Array, '2 2 m']:
  """Indicators of (J1, J2): of Lemma 4.7, and by the pull alone."""
  both = [xor_probes.aligned(facts, hp.kappa, strict=x) for x in (True, False)]
  found = jnp.stack([jnp.stack([s.J1, s.J2]) for s in both])
  return found.astype(facts.a.dtype)


def final(structure: Structure):
  """What is fixed over time and recorded once.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    (state, problem, hp) -> {counts (4, 2): c_ν and n_ν, support (4,): share of
    neurons pulled towards each cluster at t = 0, aligned_fraction (2, 2): size
    over m of J1 and J2 of Lemma 4.7, and by the pull alone, mu_norm ‖μ‖, and
    with `neurons` also second_layer a, plane (n, 2): training points along
    μ_1/‖μ‖ and μ_2/‖μ‖, labels y}.
  """

  def observe(state: PyTree, problem: PyTree, hp: Hp) -> dict[str, Array]:
    del state
    facts = problem.facts
    fixed = {
      'counts': xor_probes.counts(facts.train),
      'support': xor_probes.support(facts),
      'aligned_fraction': jnp.mean(_members(facts, hp), -1),
      'mu_norm': jnp.asarray(mu_norm(structure, hp), facts.a.dtype),
    }
    if not structure.neurons:
      return fixed
    gram = isinstance(problem, xor_gram.Gram)
    return fixed | {
      'second_layer': facts.a,
      'plane': problem.S if gram else problem.x[:, :2],
      'labels': facts.train.y,
    }

  return observe
