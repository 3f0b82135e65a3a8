"""Next-token prediction with one attention layer.

    system         gradient descent on the next-token loss, as a System
    Structure, Hp  what is fixed in the program; numbers
    random_corpus  random sequences and embeddings; `Corpus` is the type
    laws           where descent goes: W_svm, W_fin and the cyclic subspace
    graph_svm      the direction that W diverges in
    cyclic_subproblem   the part of W that stays finite
    priority_graph, relations   which token wins over which
    loss, split    of a matrix W; W in the cyclic subspace and off it
    ATTRIBUTES     units of the observations

References:
  Li, Huang, Ildiz, Rawat, Oymak, "Mechanics of Next Token Prediction with
  Self-Attention", arXiv:2403.08081.
"""

from framework.systems.attention_svm.next_token.cyclic import cyclic_subproblem
from framework.systems.attention_svm.next_token.graph import (
  graph_rows,
  graph_svm,
  priority_graph,
  relations,
)
from framework.systems.attention_svm.next_token.system import (
  ATTRIBUTES,
  Corpus,
  Hp,
  Laws,
  Structure,
  laws,
  loss,
  random_corpus,
  split,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'Corpus',
  'Hp',
  'Laws',
  'Structure',
  'cyclic_subproblem',
  'graph_rows',
  'graph_svm',
  'laws',
  'loss',
  'priority_graph',
  'random_corpus',
  'relations',
  'split',
  'system',
]
