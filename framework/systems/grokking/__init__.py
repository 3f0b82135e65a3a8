"""Grokking: networks that memorise a table and understand it later.

A run is a task, a flax module, a loss and a rule:

    from framework.systems import grokking

    net = grokking.MLP((200, 200, 41), modulus=41, bias=False)
    run = grokking.system(grokking.Structure(grokking.modular(41), net))

the run
    system      Structure -> System
    Structure   task, network, loss, rule, probes
    Hp          learning rate, weight decay and other traced numbers
    ATTRIBUTES  meaning and unit of each observation

tasks           (key, hp[, data]) -> {'x', 'y', 'x_test', 'y_test'}
    modular     x ∘ y mod p
    parity      of a few bits among many
    subset      a few rows of a table of one's own
    Data        a stored table, or split

networks        flax modules
    MLP         ReLU; on tokens its first layer is a gather
    reference   the transformer layer of Prieto et al.
    nanda       that of Nanda et al.

losses          (logits, labels) -> one a row
    softmax     cross entropy in float16, float32 or float64
    stablemax   with s(x) = x + 1, 1/(1 − x) in place of exp

rules           hp -> optax transformation
    adamw       whose moments do not underflow
    sgd         with momentum
    filtered    gradients first through ⊥Grad, Grokfast, ...
    matched     the same, each step as long as without

Modules: `losses` (the cross entropies as functions), `probes` (of numerical
stability), `tables` (all examples of a task).
"""

from framework.systems.grokking import losses, probes, tables
from framework.systems.grokking.models import MLP
from framework.systems.grokking.objective import softmax, stablemax
from framework.systems.grokking.rules import adamw, filtered, matched, sgd
from framework.systems.grokking.system import ATTRIBUTES, Hp, Structure, system
from framework.systems.grokking.tasks import Data, modular, parity, subset
from framework.systems.grokking.transformer import nanda, reference

__all__ = [
  'ATTRIBUTES',
  'MLP',
  'Data',
  'Hp',
  'Structure',
  'adamw',
  'filtered',
  'losses',
  'matched',
  'modular',
  'nanda',
  'parity',
  'probes',
  'reference',
  'sgd',
  'softmax',
  'stablemax',
  'subset',
  'system',
  'tables',
]
