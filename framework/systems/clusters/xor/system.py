"""Full-batch gradient descent on XOR clusters, as a `System` in three forms.

    w_j⁺ = w_j + (α a_j/n) Σ_i g_i 1[⟨w_j, x_i⟩ > 0] y_i x_i,
    g_i = σ(−y_i f(x_i; W))

    explicit_problem   points in R^p, descent on W
    gram_problem       the same points, descent on B in W = W(0) + XᵀB
    bartlett_problem   the Gram form of points never drawn: any p

The first two are one trajectory, and all three have one law. As long as outputs
are far below 1 all g_i are ½, and a run depends on α and ω through α/ω alone.

References:
  [1] Xu, Wang, Frei, Vardi, Hu, "Benign Overfitting and Grokking in ReLU
      Networks for XOR Cluster Data", 2023.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from framework.descent import DescentState, descent
from framework.system import System
from framework.systems.clusters.xor import probes as xor_probes
from framework.systems.clusters.xor.bartlett import bartlett_problem
from framework.systems.clusters.xor.explicit import (
  Explicit,
  explicit_problem,
  gram_problem,
)
from framework.systems.clusters.xor.facts import Facts, View
from framework.systems.clusters.xor.gram import Gram

__all__ = [
  'ATTRIBUTES',
  'Choice',
  'Draw',
  'Hp',
  'Structure',
  'choose',
  'final',
  'gradient_descent',
  'mu_norm',
  'system',
  'view',
]

Draw: TypeAlias = Callable[..., Explicit | Gram]
_IN_SPACE = (explicit_problem, gram_problem)  # draw arrays of length p
_MOST_BYTES = 8e9  # of W, its gradient and the points, in R^p

ATTRIBUTES = {
  'loss': {'long_name': 'mean of ln(1 + exp(−y f))', 'units': '1'},
  'train_accuracy': {'long_name': 'on noisy labels', 'units': '1'},
  'test_accuracy': {'long_name': 'on clean labels', 'units': '1'},
  'cluster_accuracy': {
    'long_name': 'clean test accuracy on +μ1, −μ1, +μ2, −μ2',
    'units': '1',
  },
  'linear_agreement': {
    'long_name': 'share of test points with sgn f = sgn⟨Σ y x, x⟩',
    'units': '1',
  },
  'linear_accuracy': {'long_name': 'of sgn⟨Σ y x, x⟩', 'units': '1'},
  'linear_slope': {'long_name': 'of f on (α/8n)⟨Σ y x, x⟩', 'units': '1'},
  'linear_correlation': {'long_name': 'of f and ⟨Σ y x, x⟩', 'units': '1'},
  'projection': {
    'long_name': 'mean |⟨w_j, μ_k⟩| over positive, negative neurons',
    'units': '1',
  },
  'cosine': {'long_name': 'mean |cos(w_j, μ_k)|, likewise', 'units': '1'},
  'pull': {'long_name': 'mean |D_μk,j|, likewise', 'units': 'points'},
  'aligned': {'long_name': 'mean ⟨w_j, μ1⟩ over J1, |·| over J2', 'units': '1'},
  'aligned_fraction': {'long_name': '|J1|/m, |J2|/m', 'units': '1'},
  'weight_ratio': {'long_name': 'max g_i / min g_i', 'units': '1'},
  'gates_flipped': {'long_name': 'gates unlike those at 0', 'units': '1'},
  'weight_norm': {'long_name': '‖W‖_F', 'units': '1'},
  'output': {'long_name': 'max |f(x_i)|', 'units': '1'},
  'neurons': {'long_name': '⟨w_j, μ_k⟩', 'units': '1'},
  'second_layer': {'long_name': 'a_j', 'units': '1'},
  'plane': {'long_name': 'x_i along μ1/‖μ‖ and μ2/‖μ‖', 'units': '1'},
  'labels': {'long_name': 'y_i, flipped ones included', 'units': '1'},
  'counts': {'long_name': 'clean, flipped points of a cluster', 'units': '1'},
  'support': {'long_name': 'neurons pulled to a cluster at 0', 'units': '1'},
  'mu_norm': {'long_name': '‖μ‖', 'units': '1'},
  'time': {'long_name': 'steps of gradient descent', 'units': 'step'},
}


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


def gradient_descent(hp: Any) -> optax.GradientTransformation:
  """The rule of the paper: plain gradient descent of step size α."""
  return optax.sgd(hp.alpha)


class Choice(NamedTuple):
  """A form and why it was chosen."""

  draw: Draw
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

  >>> choose(200, 40000, 1000).draw.__name__
  'bartlett_problem'
  >>> choose(200, 60, 1000).draw.__name__
  'explicit_problem'
  """
  explicit, gram = 4 * n * p * m, 2 * n * n * m
  cost = f'{explicit:.3g} flops a step in R^p, {gram:.3g} in the Gram form'
  if explicit < gram:
    return Choice(explicit_problem, cost)
  if p < n + 3:
    reason = f'{cost}; p < n + 3 leaves nothing off the span'
    return Choice(gram_problem, reason)
  return Choice(
    bartlett_problem, f'{cost}; points of any p cost as if p were n'
  )


@dataclasses.dataclass(frozen=True)
class Structure:
  """Sizes and form of a run: what is fixed in the compiled program.

  A rule that is linear in gradients (plain, with momentum, averaged) makes the
  same trajectory in every form; any other is at home in `explicit_problem`.

  Raises:
    ValueError: If a size is out of range, naming it.
  """

  n: int = 200  # training points
  n_test: int = 200
  m: int = 1000  # neurons
  draw: Draw = bartlett_problem  # the form; takes what `bartlett_problem` does
  p: int | None = None  # dimension in R^p; bartlett_problem takes hp.p
  rule: Callable[..., Any] = gradient_descent  # hp -> optax transformation
  neurons: bool = False  # whether every neuron's projections are recorded
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name, low in (('n', 4), ('n_test', 1), ('m', 2)):
      value = getattr(self, name)
      if value < low:
        raise ValueError(f'{name} is {value}, expected an integer >= {low}')
    if self.draw is bartlett_problem and self.p is not None:
      raise ValueError(f'p is {self.p}, expected None: bartlett takes hp.p')
    if self.draw not in _IN_SPACE:
      return
    if self.p is None or self.p < 2:
      raise ValueError(f'p is {self.p}, expected an integer >= 2')
    w = jnp.dtype(self.dtype).itemsize
    size = w * self.p * (3 * self.m + self.n + self.n_test)
    if size > _MOST_BYTES:
      raise ValueError(
        f'p is {self.p}, which takes {size:.1e} bytes in R^p; expected at most '
        f'{_MOST_BYTES:.0e}: bartlett takes any p'
      )


def mu_norm(structure: Structure, hp: Hp) -> Float[ArrayLike, '']:
  """‖μ‖ = signal √(p/n)."""
  p = jnp.asarray(_dimension(structure, hp), structure.dtype)
  return hp.signal * (p / structure.n) ** 0.5


def _dimension(structure: Structure, hp: Hp) -> Any:
  return hp.p if structure.p is None else structure.p


def system(structure: Structure) -> System:
  """Gradient descent on XOR clusters.

  Args:
    structure: Sizes, form and rule.

  Returns:
    A `System` over `Hp`. Observations: those of `probes.watched`, projection
    (sign of a, μ_k) with the mean |⟨w_j, μ_k⟩|, aligned (mean ⟨w_j, μ_1⟩ over
    J1, mean |⟨w_j, μ_1⟩| over J2; sets of Lemma 4.7 in row 0, by the pull alone
    in row 1) and, if asked for, neurons with all ⟨w_j, μ_k⟩; their units are in
    `ATTRIBUTES`.

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
  s = structure
  down = descent(
    lambda key, problem, hp: problem.params(hp.omega),
    None,
    s.rule,
    value_and_grad=lambda params, problem, hp: problem.value_and_grad(
      params, hp.leak
    ),
  )

  def sample(key: Key[Array, ''], hp: Hp) -> Explicit | Gram:
    return s.draw(
      key,
      s.n,
      s.n_test,
      s.m,
      _dimension(s, hp),
      mu_norm(s, hp),
      hp.eta,
      hp.omega,
      hp.stratified,
      s.dtype,
    )

  def observe(
    state: DescentState, problem: Explicit | Gram, hp: Hp
  ) -> dict[str, Array]:
    seen, facts = view(state, problem), problem.facts
    P = jnp.asarray(mu_norm(s, hp) * seen.P)
    members = _members(facts, hp)
    along = jnp.stack([P[0], jnp.abs(P[0])])[None]
    sizes = jnp.maximum(jnp.sum(members, -1), 1)
    scale = jnp.asarray(hp.alpha, P.dtype) / (8 * s.n)
    found = xor_probes.watched(seen, facts, scale, hp.leak) | {
      'projection': xor_probes.mean_by_sign(jnp.abs(P), facts.a),
      'aligned': jnp.sum(members * along, -1) / sizes,
    }
    return found | ({'neurons': P} if s.neurons else {})

  return System(sample, down.init, down.step, observe)


def view(state: DescentState, problem: Explicit | Gram) -> View:
  """Pre-activations, projections and norms of a state of any form."""
  return problem.view(state.params)


def _members(facts: Facts, hp: Hp) -> Float[Array, '2 2 m']:
  """Indicators of (J1, J2): of Lemma 4.7, and by the pull alone."""
  both = [xor_probes.aligned(facts, hp.kappa, strict=x) for x in (True, False)]
  found = jnp.stack([jnp.stack([s.J1, s.J2]) for s in both])
  return found.astype(facts.a.dtype)


def final(structure: Structure):
  """Observations that are fixed over time and recorded once.

  Args:
    structure: Sizes, form and rule.

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
    return fixed | {
      'second_layer': facts.a,
      'plane': problem.S,
      'labels': facts.train.y,
    }

  return observe
