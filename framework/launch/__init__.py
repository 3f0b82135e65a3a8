"""Experiments: from the command line, a notebook or a test.

main        an experiment from the command line, with all flags
run         the same, returning its exit code
Study       the same without flags: run, results, claims, figures, report
Experiment  a table of variants
Variant     arm, record times, claims and figures of one of them
Arm         a System with its hp, data and what is observed at the end
hp_of, structure_of   fields of a config as hp and as structure
"""

from framework.launch.app import main, run
from framework.launch.arms import hp_of, structure_of
from framework.launch.experiment import Experiment, Figures, Variant, job_of
from framework.launch.study import Study
from framework.run.job import Arm

__all__ = [
  'Arm',
  'Experiment',
  'Figures',
  'Study',
  'Variant',
  'hp_of',
  'job_of',
  'main',
  'run',
  'structure_of',
]
