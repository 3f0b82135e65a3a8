"""Full-batch AdamW on x + y mod 5."""

import jax.numpy as jnp

from framework import optimizers
from framework.systems import grokking
from tests.laws.entry import Entry

PERP = grokking.filtered(lambda hp: optimizers.perp_grad())
EMA = grokking.matched(lambda hp: optimizers.grokfast_ema(hp.alpha, hp.lamb))


def mlp(dtype):
  return grokking.MLP((6, 5), 5, bias=False, dtype=dtype)


def transformer(dtype):
  # Keys' biases have no gradient: its direction would be that of rounding.
  return grokking.reference(5, 5, bias=False, dtype=dtype)


def entry(name, differentiable, loss, rule, net=mlp, slow=False, looser=10.0):
  def args(dtype):
    loss_here = loss(jnp.dtype(dtype).name)
    task = grokking.modular(5)
    return (grokking.Structure(task, net(dtype), loss_here, rule),)

  return Entry(
    name,
    grokking.system,
    args,
    grokking.Hp(
      lr=0.02, eps=1e-3, weight_decay=0.1, smoothing=0.05, intervene_at=2
    ),
    differentiable=differentiable,
    looser=looser,
    slow=slow,
  )


ENTRIES = [
  entry(
    'perp',
    ('lr', 'weight_decay', 'init_scale', 'temperature'),
    grokking.softmax,
    PERP,
  ),
  entry(
    'matched Grokfast, StableMax',
    ('lr', 'logit_scale', 'smoothing'),
    grokking.stablemax,
    EMA,
    slow=True,
  ),
  entry(
    'transformer with dropout',
    (),
    grokking.softmax,
    grokking.sgd,  # Adam would make steps of rounding
    transformer,
    slow=True,
    looser=100.0,  # of many entries one more may be absorbed
  ),
]
