"""Attention that keeps several tokens of a sample.

    general_svm    W_fin and W_dir of the tokens that are kept
    svm_equivalent W_fin + C W_dir, C fitted to a trained W
    select_tokens  which tokens are kept, and whether that is clear
    system, final  one layer with its start in the problem; what is observed
    accepted       which runs count
    HIGH, LOW      softmax from which a token is kept, up to which it is lost
    NAMES          what W is compared with
    ATTRIBUTES     units of the observations

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

from framework.systems.attention_svm.several_tokens.svm import (
  Equivalent,
  general_svm,
  select_tokens,
  svm_equivalent,
  token_rows,
)
from framework.systems.attention_svm.several_tokens.system import (
  ATTRIBUTES,
  HIGH,
  LOW,
  NAMES,
  accepted,
  final,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'HIGH',
  'LOW',
  'NAMES',
  'Equivalent',
  'accepted',
  'final',
  'general_svm',
  'select_tokens',
  'svm_equivalent',
  'system',
  'token_rows',
]
