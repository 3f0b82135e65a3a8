"""Exact risks: ridge regression, one-pass SGD, and what they predict."""

from configs.spectrum import VARIANTS
from experiments.spectrum.ridge import eigenframework, ratio, tuning
from experiments.spectrum.sgd import decay, epochs, one_pass, slopes, width
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='spectrum',
  title='Exact risks of learners that are linear in their parameters',
  configs=VARIANTS,
  variants={
    'eigenframework': eigenframework.VARIANT,
    'tuning': tuning.VARIANT,
    'ratio': ratio.VARIANT,
    'one_pass': one_pass.VARIANT,
    'epochs': epochs.VARIANT,
    'slopes': slopes.VARIANT,
    'width': width.VARIANT,
    'decay': decay.VARIANT,
  },
)
