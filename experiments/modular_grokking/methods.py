"""What names in a config stand for: losses, rules, networks, tasks, methods."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from configs.modular_grokking import METHODS, Config
from framework import optimizers
from framework.supervised import View
from framework.systems import grokking
from framework.systems.grokking import probes

__all__ = ['LABELS', 'POOL', 'resolved', 'structure']

POOL = 10_000  # images that the training images of a seed are drawn from

LABELS = {
  'custom': 'custom',
  'ce16': 'CE, float16',
  'ce32': 'CE, float32',
  'ce64': 'CE, float64',
  'stablemax': 'StableMax',
  'perp': '⊥Grad',
  'perp_unscaled': '⊥Grad, not rescaled',
  'perp_matched': '⊥Grad, matched',
  'perp_stablemax': '⊥Grad, StableMax',
  'perp_sgd': '⊥SGD, StableMax',
  'grokfast_ema': 'Grokfast-EMA',
  'grokfast_ema_matched': 'Grokfast-EMA, matched',
  'grokfast_ma': 'Grokfast-MA',
  'grokfast_ma_matched': 'Grokfast-MA, matched',
  'hot': 'CE, T = 10',
  'smoothed': 'CE, smoothed',
  'stopped': 'CE, float64, stopped',
  'zeroed': 'CE, float64, zeroed',
  'decayed': 'weight decay 1',
}

_LOSSES = {'softmax': grokking.softmax, 'stablemax': grokking.stablemax}


def resolved(config: Config) -> Config:
  """The config with what its method sets."""
  own = dict(METHODS[config.method])
  if config.weight_decay:
    own.pop('weight_decay', None)
  return dataclasses.replace(config, method='custom', **own)


def structure(config: Config) -> grokking.Structure:
  """What the system of a config is built of.

  Args:
    config: A valid config of one structural setting.

  Returns:
    The structure.

  Raises:
    ValueError: If a size is out of range, naming it.
  """
  c = resolved(config)
  touched = {} if c.intervention == 'none' else {c.intervention: 1.0}
  return grokking.Structure(
    task=_task(c),
    net=_net(c),
    loss=_LOSSES[c.loss](c.compute_dtype, **touched),
    rule=_rule(c),
    probes=_probes(c),
  )


def _task(c: Config) -> Callable[..., Any]:
  if c.task == 'mnist':
    return grokking.subset(c.mnist_train, POOL)
  if c.task == 'parity':
    return grokking.parity(
      c.parity_k, c.parity_bits, c.rows, train_fraction=c.train_fraction
    )
  # A gather does what a layer on one-hots does.
  encoding = 'binary' if c.encoding == 'binary' else 'token'
  return grokking.modular(
    c.modulus,
    c.operation,
    encoding,
    lowest=c.lowest,
    train_fraction=c.train_fraction,
  )


def _net(c: Config) -> Any:
  classes = {'mnist': 10, 'parity': 2}.get(c.task, c.modulus)
  if c.model == 'nanda':
    return grokking.nanda(classes, c.modulus)
  if c.model == 'transformer':
    return grokking.reference(classes, c.modulus, dropout=c.dropout)
  gathers = c.task == 'modular' and c.encoding == 'one_hot'
  widths = (*(c.width,) * c.layers, classes)
  return grokking.MLP(widths, c.modulus if gathers else 0, c.bias)


def _rule(c: Config) -> Callable[[Any], Any]:
  scale = 2.0**40 if c.moments == 'scaled' else 1.0
  adamw = functools.partial(grokking.adamw, gradient_scale=scale)
  base = {'adamw': adamw, 'sgd': grokking.sgd}[c.optimizer]
  filters = {
    'perp': lambda hp: optimizers.perp_grad(c.rescale),
    'grokfast_ema': lambda hp: optimizers.grokfast_ema(hp.alpha, hp.lamb),
    'grokfast_ma': lambda hp: optimizers.grokfast_ma(c.window, hp.lamb),
    'unit': lambda hp: optimizers.normalize_by_global_norm(),
  }
  if c.gradient == 'raw':
    return base
  join = grokking.matched if c.matched else grokking.filtered
  return join(filters[c.gradient], base)


def _probes(c: Config) -> Mapping[str, Callable[[View], Any]]:
  if c.task != 'modular' or c.encoding == 'binary':
    return {}

  def sparsity(view: View) -> Any:
    params = view.params
    mlp = c.model == 'mlp'
    table = params['layer_0']['kernel'] if mlp else params['embed']
    return probes.fourier_sparsity(table[: c.modulus])

  return {'fourier_sparsity': sparsity}
