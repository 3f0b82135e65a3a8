"""Variants by module: each has its arm, claims and figures."""

from types import ModuleType

from experiments.attention_svm import (
  basins,
  decay,
  geometry,
  heads,
  horizon,
  multi_token,
  next_token,
  paths,
  prompt,
  rank,
  real,
  trajectories,
)

__all__ = ['ATTRIBUTES', 'HP_FIELDS', 'MODULES']

MODULES: dict[str, ModuleType] = {
  'multi_token': multi_token,
  'rank': rank,
  'trajectories': trajectories,
  'global': basins,
  'horizon': horizon,
  'reg_path': paths,
  'lambda_head': heads,
  'graph': next_token,
  'precursor': prompt,
  'optimizer_geometry': geometry,
  'kq_decay': decay,
  'pretrained': real,
}
HP_FIELDS: tuple[str, ...] = tuple(
  dict.fromkeys(name for m in MODULES.values() for name in m.HP_FIELDS)
)
ATTRIBUTES: dict[str, dict[str, str]] = {
  name: what for m in MODULES.values() for name, what in m.ATTRIBUTES.items()
}
