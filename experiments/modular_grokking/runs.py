"""From a config to its run: what its names stand for, its arm and its times."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from configs.modular_grokking import METHODS, Config
from framework import optimizers
from framework import system as system_lib
from framework.data import mnist
from framework.launch import Arm, hp_of
from framework.probes import tensor_names
from framework.supervised import View
from framework.systems import grokking
from framework.systems.grokking.probes import fourier_sparsity
from framework.systems.grokking.tables import Table
from framework.systems.grokking.tasks import stored_split

__all__ = ['arm', 'resolved', 'structure', 'times']

_POOL = 10_000  # images that the training images of a seed are drawn from

_LOSSES = {'softmax': grokking.softmax, 'stablemax': grokking.stablemax}


def resolved(config: Config) -> Config:
  """The config with what its method sets."""
  own = dict(METHODS[config.method])
  if config.weight_decay:
    own.pop('weight_decay', None)
  return dataclasses.replace(config, method='custom', **own)


def structure(config: Config) -> grokking.Structure:
  """Task, network, loss, rule and probes of a config.

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
    return grokking.subset(c.mnist_train, _POOL)
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
    return fourier_sparsity(table[: c.modulus])

  return {'fourier_sparsity': sparsity}


def arm(config: Config) -> Arm:
  """The system of one structural setting, its hp and its data."""
  system = grokking.system(structure(config))
  # Parameters are float32 in every precision, and so is what moves them.
  kinds = dict.fromkeys(grokking.Hp._fields, np.float32)
  kinds |= {'intervene_at': np.int32}
  hp = hp_of(grokking.Hp, resolved(config), **kinds)
  data = _data(config)
  _, state = jax.eval_shape(
    lambda *args: system_lib.start(system, *args), jax.random.key(0), hp, data
  )
  notes = {'tensors': ' '.join(tensor_names(state.params))}
  return Arm(system, hp, data, None, notes, grokking.ATTRIBUTES)


def times(config: Config) -> np.ndarray:
  """Record times of a config."""
  every = max(1, config.steps // config.records)
  return system_lib.linspaced(config.steps, every)


def _data(config: Config) -> grokking.Data | None:
  """Images or a stored split, from disk; None where all is drawn.

  Raises:
    ValueError: If a file is not there or does not fit.
  """
  if config.task == 'mnist':
    images = mnist.load(train=_POOL, test=config.mnist_test)
    x = np.concatenate([images.x_train, images.x_test])
    y = np.concatenate([images.y_train, images.y_test])
    return grokking.Data(Table(x, y))
  if config.split is None:
    return None
  if config.task == 'parity':
    split = stored_split(config.split, 'sparse_parity', config.rows)
    with np.load(config.split) as stored:
      x = stored['sparse_parity_data'].astype(np.float32)
      return grokking.Data(Table(x, stored['sparse_parity_targets']), split)
  name = f'{config.operation}_mod' + '_transformer' * (config.lowest == 1)
  rows = (config.modulus - config.lowest) ** 2
  return grokking.Data(None, stored_split(config.split, name, rows))
