"""What is observed of a linear network, against numpy."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from framework.systems.grokking.observe import observe


class State(NamedTuple):
  params: Any
  opt_state: Any
  t: Any


def test_sizes_losses_and_directions_of_a_linear_network():
  rng = np.random.default_rng(0)
  x, x_test, W = (rng.normal(size=s) for s in ((6, 4), (5, 4), (4, 3)))
  y, y_test = np.arange(6) % 3, np.arange(5) % 3
  rule = optax.sgd(0.5)
  loss = optax.softmax_cross_entropy_with_integer_labels
  seen = observe(lambda p, x: x @ p['W'], loss, lambda hp: rule, {})
  state = State({'W': jnp.asarray(W)}, rule.init({'W': W}), jnp.int32(0))
  problem = {'x': x, 'y': y, 'x_test': x_test, 'y_test': y_test}
  found = jax.jit(seen)(state, jax.tree.map(jnp.asarray, problem), ())

  def cross_entropy(z, y):
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    return -log_p[np.arange(len(y)), y].mean()

  z, z_test = x @ W, x_test @ W
  p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
  grad = x.T @ (p - np.eye(3)[y]) / 6
  other = np.where(np.eye(3)[y] == 1, -np.inf, z).max(1)
  margin = (z[np.arange(6), y] - other).min()
  size = np.linalg.norm
  wanted = {
    'train_loss': cross_entropy(z, y),
    'test_loss': cross_entropy(z_test, y_test),
    'train_accuracy': (z.argmax(1) == y).mean(),
    'test_accuracy': (z_test.argmax(1) == y_test).mean(),
    'nlm': -(grad * W).sum() / size(grad) / size(W),
    'nlm_update': -(grad * W).sum() / size(grad) / size(W),
    'euler': [(grad * W).sum()],
    'euler_logits': (grad * W).sum(),
    'gradient_norm': size(grad),
    'update_norm': 0.5 * size(grad),
    'margin': margin,
    'normalised_margin': margin / size(W),
    'logit_rms': np.sqrt((z**2).mean()),
    'norm': size(W),
    'norms': [size(W)],
    'exp_collapse': 0,
    'zero_gradient': 0,
    'absorbed': 0,
  }
  for name, value in wanted.items():
    np.testing.assert_allclose(
      found[name], value, rtol=1e-10, atol=1e-12, err_msg=name
    )
