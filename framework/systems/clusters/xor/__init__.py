"""XOR clusters: benign overfitting and grokking in two-layer ReLU networks.

A run
    system            gradient descent on XOR clusters, a `System` over `Hp`
    Structure         sizes, form and rule: what is compiled in
    Hp                step size, start, noise, signal: every one can be a lane
    ATTRIBUTES        units and long names of what is observed
    gradient_descent  the paper's rule; a Structure takes any other
    final             what is observed once
    mu_norm           ‖μ‖ of a structure and hp
    view              pre-activations, projections and norms of a state

Forms of a run, one of which a Structure draws
    bartlett_problem  of any p, no array has its length
    gram_problem      points in R^p, descent in their span
    explicit_problem  points in R^p, descent on the first layer
    choose            the cheapest of them, and why

Data and network
    xor_cluster       points of four clusters, labels flipped with probability η
    labels            clusters and labels alone
    TwoLayerNet       the network as a flax module

Laws, as plain numbers
    theory            the paper's: assumptions, theorem, lemma
    laws              derived here: first step, times, growth, lost clusters
    probes            observables, as pure functions

>>> import jax, jax.numpy as jnp
>>> from framework import rollout
>>> from framework.systems.clusters import xor
>>> net = xor.system(xor.Structure(n=40, n_test=100, m=64))
>>> run = jax.jit(rollout, static_argnums=0)
>>> _, seen = run(net, jax.random.key(0), xor.Hp(p=4e3), jnp.array([0, 2]))
>>> seen['cluster_accuracy'].shape
(2, 4)
"""

from framework.systems.clusters.xor import laws, probes, theory
from framework.systems.clusters.xor.bartlett import bartlett_problem
from framework.systems.clusters.xor.data import labels, xor_cluster
from framework.systems.clusters.xor.explicit import (
  explicit_problem,
  gram_problem,
)
from framework.systems.clusters.xor.net import TwoLayerNet
from framework.systems.clusters.xor.system import (
  ATTRIBUTES,
  Choice,
  Draw,
  Hp,
  Structure,
  choose,
  final,
  gradient_descent,
  mu_norm,
  system,
  view,
)

__all__ = [
  'ATTRIBUTES',
  'Choice',
  'Draw',
  'Hp',
  'Structure',
  'TwoLayerNet',
  'bartlett_problem',
  'choose',
  'explicit_problem',
  'final',
  'gradient_descent',
  'gram_problem',
  'labels',
  'laws',
  'mu_norm',
  'probes',
  'system',
  'theory',
  'view',
  'xor_cluster',
]
