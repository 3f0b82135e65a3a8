"""One run of a parametrised network against one written in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.mup.abc import Abc
from framework.system import keys, rollout
from framework.systems.width import dichotomy

# Every exponent another number.
CASE = Abc((0.1, 0.3, 0.7), (0.2, 0.4, 0.0), (0.5, -0.2, 0.6))
WIDTH, LR, KEY = 6, 0.4, jax.random.key(3)


def by_hand(problem, steps):
  """Gradient descent on L = mean of ½(f − y)²; what is observed, by step."""
  a, b, c = (float(WIDTH) ** -np.asarray(row) for row in CASE)
  x, y = np.asarray(problem.x), np.asarray(problem.y)
  w = [b[i] * np.asarray(problem.z[f'w{i + 1}']) for i in range(3)]

  def forward():
    h1 = a[0] * x @ w[0].T
    h2 = a[1] * np.tanh(h1) @ w[1].T
    return h1, h2, (a[2] * np.tanh(h2) @ w[2].T)[:, 0]

  def slopes(df, rows=slice(None)):
    """Gradients of Σ df f."""
    h1, h2, _ = (part[rows] for part in forward())
    d2 = a[2] * df[:, None] * w[2] * (1 - np.tanh(h2) ** 2)
    d1 = a[1] * (d2 @ w[1]) * (1 - np.tanh(h1) ** 2)
    return [
      a[0] * d1.T @ x[rows],
      a[1] * d2.T @ np.tanh(h1),
      a[2] * df[None] @ np.tanh(h2),
    ]

  rms = lambda v: np.sqrt(np.mean(v**2))  # noqa: E731
  first, seen = forward(), []
  for _ in range(steps + 1):
    h1, h2, f = forward()
    kernel = [np.sum(g**2) for g in slopes(np.ones(1), slice(1))]
    seen.append(
      {
        'output': rms(f),
        'change': rms(f - first[2]),
        'moves': [rms(h1 - first[0]), rms(h2 - first[1])],
        'kernel': c * kernel,
      }
    )
    grads = slopes((f - y) / len(y))
    w = [
      v - LR * c[i] * g for i, (v, g) in enumerate(zip(w, grads, strict=True))
    ]
  return {name: np.array([s[name] for s in seen]) for name in seen[0]}


def test_a_run_is_that_of_the_definition():
  structure = dichotomy.Structure(WIDTH, (CASE,), dtype=jnp.float64)
  net = dichotomy.system(structure)
  hp = dichotomy.Hp(jnp.int32(0), jnp.float64(LR))
  _, found = jax.jit(lambda: rollout(net, KEY, hp, jnp.arange(4)))()
  wanted = by_hand(net.sample(keys(KEY).sample, hp), 3)
  assert found.keys() == wanted.keys()
  for name, value in wanted.items():
    np.testing.assert_allclose(
      found[name], value, rtol=1e-10, atol=1e-13, err_msg=name
    )


def test_cases_have_one_depth():
  deeper = Abc(*(3 * (0.0,) + row[:1] for row in CASE))
  with pytest.raises(ValueError, match='different depths'):
    dichotomy.Structure(4, (CASE, deeper))
  with pytest.raises(ValueError, match='cases are empty'):
    dichotomy.Structure(4, ())
