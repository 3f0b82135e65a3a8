"""Low-rank matrix sensing by gradient descent on factors.

    system          the System: XXᵀ or FGᵀ, population or measurements
    Structure       what is fixed in its program; rule, loss, form are functions
    Hp              what is traced: step size, scale of the start, columns k ...
    value_and_grad  the loss and its gradient in closed form
    factors, final  (F, G) of parameters; the linearisation at the last step
    ATTRIBUTES      units and long names of what it records

    Problem         y = A(M) + s
    least_squares, residual_loss    losses of z = A(FGᵀ) − y: ½‖z‖², any ρ(z)
    mean_residual, huber            separable ones, such as the mean of |e|
    unit_residuals                  e = √m z
    ensembles       truths, measurements and noise, drawn
    targets         a truth of one's own, from a matrix or a file
    operators       forms of A: gram, svec, blocks ..., and which is fastest
    optimizers      the balancing step, ScaledGD(λ), PrecGD
    deep, streaming a product of L factors; SGD on fresh measurements
    convex          the nuclear norm, for comparison
    starts          small random factors, or a spectrum
    robust          noise and outliers; Sign-RIP
    probes          blocks of the error, imbalance, JᵀJ, restricted isometry
    theory          rates, exponents and constants that should be seen

Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
"""

from framework.systems.matrix_sensing import (
  convex,
  deep,
  ensembles,
  operators,
  optimizers,
  probes,
  robust,
  starts,
  streaming,
  targets,
  theory,
)
from framework.systems.matrix_sensing.observations import (
  ATTRIBUTES,
  factors,
  final,
)
from framework.systems.matrix_sensing.problem import (
  Problem,
  huber,
  least_squares,
  mean_residual,
  residual_loss,
  unit_residuals,
)
from framework.systems.matrix_sensing.system import (
  Hp,
  Structure,
  system,
  value_and_grad,
)

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Problem',
  'Structure',
  'convex',
  'deep',
  'ensembles',
  'factors',
  'final',
  'huber',
  'least_squares',
  'mean_residual',
  'operators',
  'optimizers',
  'probes',
  'residual_loss',
  'robust',
  'starts',
  'streaming',
  'system',
  'targets',
  'theory',
  'unit_residuals',
  'value_and_grad',
]
