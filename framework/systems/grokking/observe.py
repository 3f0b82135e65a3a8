"""Observations of a run: accuracy, collapse, directions, sizes, with units."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from framework import probes
from framework.supervised import View
from framework.systems.grokking import losses
from framework.systems.grokking.objective import CrossEntropy, mean_loss
from framework.systems.grokking.probes import (
  absorbed_updates,
  euler_products,
  logit_gaps,
  zero_fraction,
)

__all__ = ['ATTRIBUTES', 'observe']

ATTRIBUTES = {
  'train_accuracy': {'long_name': 'of the training rows', 'units': '1'},
  'test_accuracy': {'long_name': 'of all other rows', 'units': '1'},
  'train_loss': {'long_name': 'mean training loss', 'units': 'nat'},
  'test_loss': {'long_name': 'mean loss of the other rows', 'units': 'nat'},
  'collapse': {
    'long_name': 'training rows whose sum absorbs all but its largest term',
    'units': '1',
  },
  'exp_collapse': {
    'long_name': 'the same for float32 exponentials, whatever the loss',
    'units': '1',
  },
  'zero_loss': {'long_name': 'training rows of loss exactly 0', 'units': '1'},
  'zero_gradient': {'long_name': 'entries of ∇L exactly 0', 'units': '1'},
  'absorbed': {
    'long_name': 'weights that a step does not change',
    'units': '1',
  },
  'nlm': {'long_name': 'cos(−∇L, w), all tensors', 'units': '1'},
  'nlm_tensor': {'long_name': 'cos(−∇L, w) of each tensor', 'units': '1'},
  'nlm_update': {'long_name': 'cos(update, w), all tensors', 'units': '1'},
  'nlm_update_tensor': {'long_name': 'of each tensor', 'units': '1'},
  'euler': {'long_name': '<w, ∂L/∂w> of each tensor', 'units': 'nat'},
  'euler_logits': {'long_name': 'Σ_i <z_i, ∂L/∂z_i>', 'units': 'nat'},
  'gaps': {'long_name': '5, 50, 95 % of the logit gaps', 'units': '1'},
  'margin': {'long_name': 'the least logit gap', 'units': '1'},
  'normalised_margin': {
    'long_name': 'the least gap over the product of the norms',
    'units': '1',
  },
  'logit_rms': {'long_name': 'root mean square of the logits', 'units': '1'},
  'norm': {'long_name': '‖w‖, all tensors', 'units': '1'},
  'norms': {'long_name': '‖w‖ of each tensor', 'units': '1'},
  'update_norm': {'long_name': '‖update‖, all tensors', 'units': '1'},
  'gradient_norm': {'long_name': '‖∇L‖, all tensors', 'units': '1'},
  'fourier_sparsity': {
    'long_name': '1 − entropy of the embedding over its frequencies',
    'units': '1',
  },
}


def observe(
  apply: Callable[..., Array],
  loss: Callable[..., Array],
  rule: Callable[[Any], optax.GradientTransformation],
  more: Mapping[str, Callable[[View], Array]],
) -> Callable[..., dict[str, Array]]:
  """The observation of a run; what each means is in `ATTRIBUTES`.

  Args:
    apply: (params, x) -> logits.
    loss: (logits, labels[, hp, t]) -> one loss a row; of a `CrossEntropy` it is
      observed, too, where it collapses.
    rule: hp -> the optax rule.
    more: {name: view of a time -> array}.

  Returns:
    (state, problem, hp) -> {name: array}, in the dtype of the parameters.
  """

  def seen(state: Any, problem: Any, hp: Any) -> dict[str, Array]:
    params, x, y = state.params, problem['x'], problem['y']

    def evaluated(params, rows=problem):
      return mean_loss(loss, apply(params, rows['x']), rows['y'], hp, state.t)

    value, grads = jax.value_and_grad(evaluated)(params)
    extra = optax.with_extra_args_support(rule(hp))
    updates, _ = extra.update(grads, state.opt_state, params, value=value)
    z, z_test = apply(params, x), apply(params, problem['x_test'])
    out = {'train_loss': value}
    out |= _accuracies(z, z_test, problem)
    out['test_loss'] = mean_loss(loss, z_test, problem['y_test'], hp)
    out |= _collapse(loss, z, y, hp)
    out |= _directions(params, grads, updates)
    slope = jax.grad(lambda z: mean_loss(loss, z, y, hp, state.t))(z)
    out['euler_logits'] = jnp.sum(z * slope)
    out |= _sizes(params, z, y)
    view = View(params, state, problem, hp, {'x': x, 'y': y}, evaluated, apply)
    out |= {name: probe(view) for name, probe in more.items()}
    dtype = jax.tree.leaves(params)[0].dtype
    return {name: x.astype(dtype) for name, x in out.items()}

  return seen


def _accuracies(z, z_test, problem) -> dict[str, Array]:
  return {
    'train_accuracy': probes.accuracy(z, problem['y']),
    'test_accuracy': probes.accuracy(z_test, problem['y_test']),
  }


def _collapse(loss, z, y, hp) -> dict[str, Array]:
  """As the loss sees it; float32 exponentials as the authors report them."""
  found: dict[str, Array] = {'exp_collapse': losses.collapsed(z, 'float32')}
  if isinstance(loss, CrossEntropy):
    found['collapse'] = loss.collapsed(z, hp)
    found['zero_loss'] = loss.vanished(z, y, hp)
  return {name: jnp.mean(x.astype(z.dtype)) for name, x in found.items()}


def _directions(params, grads, updates) -> dict[str, Array]:
  downhill = jax.tree.map(jnp.negative, grads)
  nlm_tensor, nlm = probes.cosines(downhill, params)
  of_updates, of_update = probes.cosines(updates, params)
  return {
    'zero_gradient': zero_fraction(grads),
    'absorbed': absorbed_updates(params, updates),
    'nlm': nlm,
    'nlm_tensor': nlm_tensor,
    'nlm_update': of_update,
    'nlm_update_tensor': of_updates,
    'euler': euler_products(params, grads),
    'update_norm': probes.norm(updates),
    'gradient_norm': probes.norm(grads),
  }


def _sizes(params, z, y) -> dict[str, Array]:
  gaps, margin = logit_gaps(z, y)
  each = probes.norms(params)
  return {
    'gaps': gaps,
    'margin': margin,
    # Biases may start at 0.
    'normalised_margin': margin / jnp.prod(jnp.where(each > 0, each, 1)),
    'logit_rms': probes.norm(z) / z.size**0.5,
    'norm': probes.norm(params),
    'norms': each,
  }
