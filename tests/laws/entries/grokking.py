"""Full-batch AdamW on x + y mod 5."""

import jax.numpy as jnp

from framework.systems import grokking
from tests.laws.entry import Entry


def entry(name, differentiable, slow=False, **options):
  def args(dtype):
    return (
      grokking.Structure(
        modulus=5,
        widths=(6,),
        compute_dtype=jnp.dtype(dtype).name,
        dtype=dtype,
        **options,
      ),
    )

  return Entry(
    name,
    grokking.system,
    args,
    grokking.Hp(
      lr=0.02, eps=1e-3, weight_decay=0.1, smoothing=0.05, intervene_at=2
    ),
    differentiable=differentiable,
    looser=10.0,
    slow=slow,
  )


ENTRIES = [
  entry(
    'perp',
    ('lr', 'weight_decay', 'init_scale', 'temperature'),
    gradient='perp',
  ),
  entry(
    'matched Grokfast, StableMax',
    ('lr', 'logit_scale', 'smoothing'),
    gradient='grokfast_ema',
    matched=True,
    loss='stablemax',
    slow=True,
  ),
]
