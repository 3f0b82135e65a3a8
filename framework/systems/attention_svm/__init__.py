"""Attention as a support vector machine: layers, their margin problems, probes.

An attention layer that is trained for long attends to one token a sample, and
its weights turn to the solution of a hard-margin problem of these tokens.

    solve          that problem for tokens of your own
    system         training of one layer as a System; `Structure` says which
    Hp             its hyperparameters
    final          where a run ended: tokens, SVM, alignment, margins
    instance       an instance of arrays of your own; `Instance` is the type
    follow, update the SVMs of a live batch, solved anew where tokens switched

    margin_rows, multipliers_by_token   constraints of that problem
    logits_of, gradient_of              of the parameters of a layer
    margin_ratio, locally_optimal       how near attention is to its SVM
    self_attention, causal              other queries than free ones
    OUTCOMES       how a run can end: global, local, ...
    ATTRIBUTES     units of what `system` and `final` observe

What a Structure is made of, as functions:

    ensembles      sphere, relu, orthonormal, opposed, shared: draw instances
    heads          linear, relu, penalised: read out the mixed token
    losses         logistic, exponential, linear, or `loss_of` your own
    rules          constant, adam, sign, spectral, ...: hp -> optax rule;
                   each_normalised, whole_normalised, not_normalised before it
    layer          the flax modules, attention itself, and how to start

Further systems, each a package with a face of its own:

    several_tokens heads that keep several tokens a sample
    reg_path       the best weights of bounded norm
    separation     the problem alone, without training
    prompt         prompt attention, alone and with its head
    next_token     next-token prediction and the SVM of a graph
    pretrained     heads of trained language models

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.

>>> import jax
>>> X = jax.random.normal(jax.random.key(0), (3, 4, 5))  # samples, tokens
>>> Z = jax.random.normal(jax.random.key(1), (3, 5))
>>> found = solve(X, Z, jax.numpy.array([0, 1, 2]), 'nuclear')
>>> print(found.W.shape, found.certificate.feasible)
(5, 5) True
"""

from framework.systems.attention_svm import (
  ensembles,
  heads,
  layer,
  losses,
  outcome,
  rules,
)
from framework.systems.attention_svm.instances import (
  Instance,
  causal,
  instance,
  self_attention,
)
from framework.systems.attention_svm.outcome import final
from framework.systems.attention_svm.probes import (
  OUTCOMES,
  locally_optimal,
  margin_ratio,
)
from framework.systems.attention_svm.rows import (
  margin_rows,
  multipliers_by_token,
  solve,
)
from framework.systems.attention_svm.system import ATTRIBUTES as _LAYER
from framework.systems.attention_svm.system import (
  Hp,
  Problem,
  State,
  Structure,
  gradient_of,
  logits_of,
  system,
)
from framework.systems.attention_svm.tracking import Followed, follow, update

ATTRIBUTES = _LAYER | outcome.ATTRIBUTES

__all__ = [
  'ATTRIBUTES',
  'OUTCOMES',
  'Followed',
  'Hp',
  'Instance',
  'Problem',
  'State',
  'Structure',
  'causal',
  'ensembles',
  'final',
  'follow',
  'gradient_of',
  'heads',
  'instance',
  'layer',
  'locally_optimal',
  'logits_of',
  'losses',
  'margin_ratio',
  'margin_rows',
  'multipliers_by_token',
  'rules',
  'self_attention',
  'solve',
  'system',
  'update',
]
