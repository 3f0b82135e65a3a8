"""Three samples of four tokens; steps of the gradient's own direction."""

import numpy as np

from framework.systems import attention_svm as attention
from framework.systems.attention_svm import (
  next_token,
  pretrained,
  prompt,
  reg_path,
  rules,
  separation,
  several_tokens,
)
from tests.laws.entry import Entry


def layer(name, differentiable, slow=False, **options):
  return Entry(
    f'one layer, {name}',
    attention.system,
    lambda dtype: (attention.Structure(n=3, T=4, d=3, dtype=dtype, **options),),
    attention.Hp(eta=0.3, lam=0.01, epsilon=0.1),
    final=attention.final,
    differentiable=differentiable,
    looser=10.0,
    slow=slow,
  )


def heads():
  """Two layers of two heads of dimension two, two passages of five tokens."""
  draw = np.random.default_rng(0).normal
  return pretrained.Data(
    *(draw(size=(2, 4, 4)) for _ in range(2)),
    *(draw(size=(2, 4)) for _ in range(2)),
    draw(size=(2, 2, 5, 4)),
  )


def path(ball, slow=False):
  return Entry(
    f'regularisation path, {ball}',
    reg_path.system,
    lambda dtype: (reg_path.Structure(n=2, T=3, d=3, ball=ball, dtype=dtype),),
    reg_path.Hp(radius=3.0, eta=0.3, along=0.5),
    differentiable=('eta',),
    looser=10.0,
    slow=slow,
  )


ENTRIES = [
  layer('W', ('eta', 'init_scale', 'epsilon')),
  layer(
    '(K, Q) with Adam',
    ('eta', 'lam'),
    slow=True,
    rank=3,
    rule=rules.adam,
    normalise=rules.not_normalised,
    exact=False,
  ),
  Entry(
    'several tokens',
    several_tokens.system,
    lambda dtype: (attention.Structure(n=3, T=4, d=3, dtype=dtype),),
    attention.Hp(eta=0.3, epsilon=0.1),
    final=several_tokens.final,
    final_args=((3, 12),),
    differentiable=('eta', 'init_scale', 'epsilon'),
    looser=10.0,
    slow=True,
  ),
  Entry(
    'next token',
    next_token.system,
    lambda dtype: (next_token.Structure(K=3, d=3, n=3, T=3, dtype=dtype),),
    next_token.Hp(eta=0.5, init_scale=0.5),
    differentiable=('eta', 'init_scale'),
    looser=10.0,
    slow=True,
  ),
  Entry(
    'prompt, alone',
    prompt.system,
    lambda dtype: (prompt.Structure(prompt.setups.multi, dtype),),
    prompt.Hp(epsilon=0.1, p0=0.3),
    differentiable=('eta', 'epsilon'),
    looser=10.0,
    slow=True,
  ),
  Entry(
    'prompt, joint',
    prompt.system,
    lambda dtype: (prompt.Structure(prompt.setups.joint_loose, dtype),),
    prompt.Hp(epsilon=0.1, p0=0.3),
    differentiable=('eta', 'epsilon'),
    looser=10.0,
    slow=True,
  ),
  path('frobenius', slow=True),
  path('nuclear', slow=True),
  Entry(
    'separation',
    separation.system,
    lambda dtype: (separation.Structure(n=2, T=2, d=3, dtype=dtype),),
    separation.Hp(dims=2),
    other=separation.Hp(dims=3),
    slow=True,
  ),
  Entry(
    'pretrained',
    pretrained.system,
    lambda dtype: (pretrained.Structure(heads=2, queries=3, dtype=dtype),),
    pretrained.Hp(),
    heads(),
    differentiable=('eta',),
    looser=10.0,
    slow=True,
  ),
]
