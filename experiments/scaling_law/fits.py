"""Searches of several forms, and what is read off them."""

import numpy as np
from xarray import Dataset

from configs.scaling_law import Fit
from experiments.scaling_law import data
from framework.evidence import lanes
from framework.evidence.scaling import forms, searching
from framework.launch import hp_of
from framework.run.job import Arm
from framework.system import logspaced

__all__ = ['FORMS', 'arm', 'found', 'times']

FORMS = {
  'equal': forms.EQUAL,
  'unequal': forms.UNEQUAL,
  'unequal0': forms.without_floor(forms.UNEQUAL),
  'power_mean': forms.POWER_MEAN,
  'power_mean0': forms.without_floor(forms.POWER_MEAN),
}
_OF = {
  'sgd': tuple(FORMS),
  'random_features': ('equal', 'unequal0', 'power_mean0'),
  'table': ('equal', 'unequal', 'unequal0', 'power_mean', 'power_mean0'),
}


def forms_of(config: Fit) -> dict[str, forms.Form]:
  """The forms that are fitted, by the names of their observations."""
  if config.testbed == 'planted':
    return {'overtrain': forms.OVERTRAIN}
  points = int(data.grid_of(config).near.sum())
  return {
    name: FORMS[name]
    for name in _OF[config.testbed]
    if len(FORMS[name].names) < points
  }


def arm(config: Fit) -> Arm:
  """All searches of all forms, on the table of the config."""
  structure = searching.Structure(
    tuple(forms_of(config).items()),
    data.table_of(config),
    starts=config.starts,
  )
  return Arm(
    searching.searching(structure),
    hp_of(data.Hp, config),
    attributes=searching.attributes(structure),
  )


def times(config: Fit) -> np.ndarray:
  """Eight records in a decade of steps: searches end early."""
  return logspaced(config.steps, 8)


def found(ds: Dataset, name: str, what: str) -> np.ndarray:
  """An end of each lane of a form: rms, median, worst or a parameter."""
  return lanes.lanes(ds.isel(time=-1), f'{name}_{what}')
