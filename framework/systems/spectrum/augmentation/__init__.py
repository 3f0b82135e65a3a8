"""Augmentations: the kernel that they make, and encoders trained on it.

system         the System: spectral-contrastive training of an encoder
Structure, Hp, Encoder    of it
spectral_contrastive_loss, subspace_angle    what it lowers, what is seen

augmentation_kernel   K = Σ_a p(a|x) p(a|x')/p(a), of any views
views, block_views    p(a|x) of masks and flips, and of masked blocks
eigenvalues, complexity    c^|S| and κ² in closed form
spectrum_of    the same with a target, for exact risks
parities, level_of, degrees, cube    its eigenfunctions, whole levels alone
"""

from framework.systems.spectrum.augmentation.kernel import (
  augmentation_kernel,
  block_views,
  complexity,
  cube,
  degrees,
  eigenvalues,
  level_of,
  parities,
  spectrum_of,
  views,
)
from framework.systems.spectrum.augmentation.system import (
  ATTRIBUTES,
  Encoder,
  Hp,
  Structure,
  spectral_contrastive_loss,
  subspace_angle,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'Encoder',
  'Hp',
  'Structure',
  'augmentation_kernel',
  'block_views',
  'complexity',
  'cube',
  'degrees',
  'eigenvalues',
  'level_of',
  'parities',
  'spectral_contrastive_loss',
  'spectrum_of',
  'subspace_angle',
  'system',
  'views',
]
