"""Maximal update parametrisation: hyperparameters that transfer across widths.

A flax module at three widths (base, delta, target), and an optax rule:

    net = mup.parametrise(MLP(64), MLP(128), MLP(1024), x)
    w = net.init(key, x)
    y = net.apply(w, x)
    rule = mup.mu_adamw(1e-3, net.mults)

Contents:
  The module      `parametrise`, `Net`, `infer`; what is known of each tensor:
                  `InfShapes` (also as JSON), `Role` of its axes, `Multipliers`
  The start       `start`, `rescale`, `scaled`, `zeros_at_start`
  The rule        `mu_sgd`, `mu_adam`, `mu_adamw`, `mup` (of any optax rule)
  Layers          `attend` (tied readout), `attention_fn`, `logit_scale`
  The check       `coord_check`, `failures`, `findings`, `slopes`, `steepest`,
                  `table`, `unseen`: does any activation depend on the width?
  Theory          `Abc`, `parametrisation`, `classify`, `invariants`, `shift`,
                  `zero_readout`: stable? features, or a kernel?

Modules: `net`, `infshape`, `roles`, `laws`, `multipliers`, `initialisers`,
`optimizers`, `layers`, `coordinates`, `abc`, `parametrisations`, `lattice`.

References:
  Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
  Yang, Hu, Babuschkin, Sidor, et al., "Tensor Programs V: Tuning Large Neural
  Networks via Zero-Shot Hyperparameter Transfer", 2022.
"""

from framework.mup.abc import (
  Abc,
  Classification,
  classify,
  invariants,
  shift,
)
from framework.mup.coordinates import (
  Check,
  Slopes,
  activations,
  coord_check,
  failures,
  findings,
  slopes,
  steepest,
  table,
  unseen,
)
from framework.mup.infshape import InfShape, InfShapes
from framework.mup.initialisers import rescale, scaled, start, zeros_at_start
from framework.mup.layers import attend, attention_fn, logit_scale
from framework.mup.multipliers import Multipliers
from framework.mup.net import Net, infer, parametrise
from framework.mup.optimizers import mu_adam, mu_adamw, mu_sgd, mup
from framework.mup.parametrisations import parametrisation, zero_readout
from framework.mup.roles import Role

__all__ = [
  'Abc',
  'Check',
  'Classification',
  'InfShape',
  'InfShapes',
  'Multipliers',
  'Net',
  'Role',
  'Slopes',
  'activations',
  'attend',
  'attention_fn',
  'classify',
  'coord_check',
  'failures',
  'findings',
  'infer',
  'invariants',
  'logit_scale',
  'mu_adam',
  'mu_adamw',
  'mu_sgd',
  'mup',
  'parametrisation',
  'parametrise',
  'rescale',
  'scaled',
  'shift',
  'slopes',
  'start',
  'steepest',
  'table',
  'unseen',
  'zero_readout',
  'zeros_at_start',
]
