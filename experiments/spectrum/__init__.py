"""Exact risks: ridge regression, one-pass SGD, and what they predict."""

from configs.spectrum import VARIANTS
from experiments.spectrum.representation import (
  bandwidth,
  contrastive,
  inductive_bias,
  lazy,
  masking,
  mixture,
  networks,
  pretraining,
)
from experiments.spectrum.ridge import (
  curves,
  eigenframework,
  ratio,
  tuning,
)
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
    'curves': curves.VARIANT,
    'masking': masking.VARIANT,
    'contrastive': contrastive.VARIANT,
    'bandwidth': bandwidth.VARIANT,
    'inductive_bias': inductive_bias.VARIANT,
    'inductive_bias_networks': networks.VARIANT,
    'lazy': lazy.VARIANT,
    'pretraining': pretraining.VARIANT,
    'mixture': mixture.VARIANT,
  },
)
