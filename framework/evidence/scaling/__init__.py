"""Laws of scale: forms, their fits, and what they extrapolate.

    fit             the best of many searches, with standard errors
    bootstrap       the same for data sets drawn from the data
    refit           from one start; refits: under many weights, in one program
    forms           power laws with and without floor, additive and power-mean
                    laws of N and D, over-training, error of loss, coverage
    choose          forms by what they extrapolate to, not by how they fit
    difference, log_ratio   residuals

    coverage        unbiased pass@k, and the limit of a majority vote
    trace           asymptotes of a learning curve, and when to stop

    searching, attempts, growing   the same as Systems: the searches of a fit,
                    tries at problems, a curve that grows

>>> import jax.numpy as jnp
>>> from framework.evidence import scaling
>>> x = jnp.arange(1.0, 20.0)
>>> found = scaling.fit(scaling.forms.POWER, (x,), 3 * x**-0.5, starts=4)
>>> print(f'{found.parameters["b"]:.3f}')
0.500
"""

from framework.evidence.scaling import (
  attempts,
  coverage,
  forms,
  growing,
  searching,
  trace,
)
from framework.evidence.scaling.choice import Candidate, choose, extrapolation
from framework.evidence.scaling.fit import (
  Fit,
  bootstrap,
  difference,
  fit,
  log_ratio,
  refit,
  refits,
)
from framework.evidence.scaling.forms import Form

__all__ = [
  'Candidate',
  'Fit',
  'Form',
  'attempts',
  'bootstrap',
  'choose',
  'coverage',
  'difference',
  'extrapolation',
  'fit',
  'forms',
  'growing',
  'log_ratio',
  'refit',
  'refits',
  'searching',
  'trace',
]
