"""What a person wants to see of one state of a grokking run."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from framework.maths.norms import norm
from framework.systems.grokking import losses
from framework.systems.grokking import probes as stability_probes

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
  'diverged_at': {'long_name': 'first non-finite record', 'units': 'step'},
  'time': {'long_name': 'steps of descent', 'units': 'step'},
}


def observe(
  structure: Any,
  net: Any,
  loss: Callable[..., Array],
  rule: Callable[[Any], optax.GradientTransformation],
) -> Callable[..., dict[str, Array]]:
  """The observation of a run; what each means is in `ATTRIBUTES`.

  Args:
    structure: Of the run.
    net: Its flax module.
    loss: (params, problem, hp) -> mean training loss.
    rule: hp -> the optax rule.

  Returns:
    (state, problem, hp) -> {name: array}, in the dtype of the parameters.
  """
  from framework.systems.grokking.system import mean_loss

  s = structure

  def seen(state, problem, hp) -> dict[str, Array]:
    params = state.params
    now = problem._replace(t=state.t)
    value, grads = jax.value_and_grad(loss)(params, now, hp)
    extra = optax.with_extra_args_support(rule(hp))
    updates, _ = extra.update(grads, state.opt_state, params, value=value)
    z, z_test = (
      net.apply({'params': params}, x) for x in (problem.x, problem.x_test)
    )
    out = {'train_loss': value}
    out |= _accuracies(z, z_test, problem)
    out['test_loss'] = mean_loss(s, z_test, problem.y_test, hp)
    out |= _collapse(s, z, problem, hp)
    out |= _directions(params, grads, updates)
    slope = jax.grad(lambda z: mean_loss(s, z, problem.y, hp, state.t))(z)
    out['euler_logits'] = jnp.sum(z * slope)
    out |= _sizes(params, z, problem)
    if s.task == 'modular' and s.encoding != 'binary':
      table = params['layer_0']['kernel'] if s.model == 'mlp' else None
      table = params['embed'] if table is None else table
      sparsity = stability_probes.fourier_sparsity(table[: s.modulus])
      out['fourier_sparsity'] = sparsity
    return {name: x.astype(s.dtype) for name, x in out.items()}

  return seen


def _accuracies(z, z_test, problem) -> dict[str, Array]:
  return {
    'train_accuracy': stability_probes.accuracy(z, problem.y),
    'test_accuracy': stability_probes.accuracy(z_test, problem.y_test),
  }


def _collapse(s, z, problem, hp) -> dict[str, Array]:
  # As the loss sees them; float32 exponentials as the authors report them.
  seen = (z * (hp.logit_scale / hp.temperature)).astype(z.dtype)
  own = stability_probes.collapsed(seen, s.compute_dtype, s.loss)
  exponential = stability_probes.collapsed(z, 'float32')
  kind = losses.softmax_ce if s.loss == 'softmax' else losses.stablemax_ce
  each = kind(seen, problem.y, s.compute_dtype)
  return {
    'collapse': jnp.mean(own.astype(z.dtype)),
    'exp_collapse': jnp.mean(exponential.astype(z.dtype)),
    'zero_loss': jnp.mean((each == 0).astype(z.dtype)),
  }


def _directions(params, grads, updates) -> dict[str, Array]:
  downhill = jax.tree.map(jnp.negative, grads)
  nlm_tensor, nlm = stability_probes.cosines(downhill, params)
  of_updates, of_update = stability_probes.cosines(updates, params)
  return {
    'zero_gradient': stability_probes.zero_fraction(grads),
    'absorbed': stability_probes.absorbed_updates(params, updates),
    'nlm': nlm,
    'nlm_tensor': nlm_tensor,
    'nlm_update': of_update,
    'nlm_update_tensor': of_updates,
    'euler': stability_probes.euler_products(params, grads),
    'update_norm': norm(updates),
    'gradient_norm': norm(grads),
  }


def _sizes(params, z, problem) -> dict[str, Array]:
  gaps, margin = stability_probes.logit_gaps(z, problem.y)
  each = stability_probes.norms(params)
  return {
    'gaps': gaps,
    'margin': margin,
    # Biases may start at 0.
    'normalised_margin': margin / jnp.prod(jnp.where(each > 0, each, 1)),
    'logit_rms': norm(z) / z.size**0.5,
    'norm': norm(params),
    'norms': each,
  }
