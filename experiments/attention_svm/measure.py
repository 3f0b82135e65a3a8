"""Reading results of attention runs."""

from typing import Any

import numpy as np

from framework.systems.attention_svm.probes import OUTCOMES

__all__ = [
  'ATTRIBUTES',
  'FORMS',
  'OWN',
  'PAPER',
  'TRAINED',
  'cosines',
  'lanes',
  'only',
  'prepared',
  'share',
]

PAPER = 'Tarzanagh et al. 2023'
AXES = ('form', 'method')
OWN = {'w': 'frobenius', 'kq': 'nuclear'}  # the norm that a form selects
TRAINED = {'w': 'W', 'kq': 'KQᵀ'}
FORMS = {'w': '$W$', 'kq': r'$KQ^\top$'}  # the same in figures


def prepared(config: Any, dataset: Any) -> Any:
  """Form and method are dimensions, whether swept or not."""
  for axis in AXES:
    if axis not in dataset.dims:
      dataset = dataset.expand_dims({axis: [getattr(config, axis)]})
  return dataset


def only(dataset: Any, **where: Any) -> Any:
  """The dataset at some coordinates, of the axes that it has."""
  return dataset.sel({k: v for k, v in where.items() if k in dataset.dims})


def lanes(dataset: Any, name: str) -> np.ndarray:
  """An observation as an array (lanes, ...): all axes but its own flattened.

  Args:
    dataset: Results, or a part of them.
    name: The observation.

  Returns:
    (lanes, time, ...) or (lanes, ...), lanes in C order.
  """
  array = dataset[name]
  own = [d for d in array.dims if d == 'time' or d.startswith(f'{name}_')]
  other = [d for d in array.dims if d not in own]
  values = array.transpose(*other, *own).values
  return values.reshape(-1, *values.shape[len(other) :])


def cosines(dataset: Any, norm: str) -> np.ndarray:
  """⟨W_t, W_svm⟩/(‖W_t‖ ‖W_svm‖) of every record, with the final SVM.

  Args:
    dataset: Results with W recorded, or a part of them.
    norm: Which SVM.

  Returns:
    (lanes, time); NaN where there is no SVM.
  """
  W, V = lanes(dataset, 'W'), lanes(dataset, f'svm_{norm}')[:, None]
  size = np.sqrt((W**2).sum((-1, -2)) * (V**2).sum((-1, -2)))
  with np.errstate(invalid='ignore', divide='ignore'):
    found = (W * V).sum((-1, -2)) / size
  return np.where(size == 0, 0.0, found)


def share(dataset: Any, *outcomes: str) -> np.ndarray:
  """Which runs ended so: booleans, one a lane."""
  codes = [OUTCOMES.index(name) for name in outcomes]
  return np.isin(lanes(dataset, 'outcome'), codes)


_NORMS = {
  'frobenius': 'Frobenius',
  'nuclear': 'nuclear',
  'spectral': 'spectral',
  'l1': 'l1',
  'linf': 'linf',
}

ATTRIBUTES = {
  'loss': {'long_name': 'mean loss of the margin', 'units': '1'},
  'log_gradient': {'long_name': 'ln ‖∇L‖_F', 'units': '1'},
  'share': {'long_name': 'largest softmax, mean over samples', 'units': '1'},
  'share_min': {'long_name': 'largest softmax, least of all', 'units': '1'},
  'share_end': {'long_name': 'least softmax of a chosen token', 'units': '1'},
  'weight_norm': {'long_name': '‖W‖_F', 'units': '1'},
  'optimal': {'long_name': 'samples on their best token', 'units': '1'},
  'switches': {'long_name': 'changes of token so far', 'units': '1'},
  'switched': {'long_name': 'step of the last of them', 'units': 'step'},
  'W': {'long_name': 'attention weights', 'units': '1'},
  'tokens': {'long_name': 'argmax of the softmax', 'units': '1'},
  'rank': {'long_name': 'singular values of W above σ_1/100', 'units': '1'},
  'outcome': {'long_name': f'0 ... 4: {", ".join(OUTCOMES)}', 'units': '1'},
  'separates': {'long_name': '−∇L(0) separates optimal tokens', 'units': '1'},
  'b1': {'long_name': 'all tokens support W^mm', 'units': '1'},
  'diverged_at': {'long_name': 'first non-finite record', 'units': 'step'},
  'time': {'long_name': 'steps of gradient descent', 'units': 'step'},
} | {
  f'{name}_{norm}': {'long_name': f'{text}, {title} SVM', 'units': '1'}
  for norm, title in _NORMS.items()
  for name, text in (
    ('alignment', 'cosine of W'),
    ('margin_ratio', 'margin of W over the greatest'),
    ('norm', '‖W_svm‖'),
    ('rank', 'singular values above 1e-5 σ_1'),
    ('gap', '(primal − dual)/primal'),
    ('feasible', 'solution found'),
    ('infeasible', 'proved to have none'),
    ('svm', 'W_svm'),
  )
}
