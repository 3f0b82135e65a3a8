"""Recovery from corrupted measurements.

noise      outliers, dense, heavy-tailed, sign-aligned
sign_rip   φ and δ of a sub-gradient
"""

from framework.systems.matrix_sensing.robust import noise
from framework.systems.matrix_sensing.robust.sign_rip import SignRip, sign_rip

__all__ = ['SignRip', 'noise', 'sign_rip']
