"""Prompt attention, alone and together with its head.

    system         training of a prompt, as a System
    Structure, Hp  which set-up; numbers
    prompt_svm     the shortest prompt that selects given tokens
    joint_svm      where head and prompt tend when both are trained
    gradient       exact at every horizon; `Gradient`, `State` are types
    problem_of     prompt attention with keys and scores of your own
    setups         the published problems: single_local, multi, joint_loose, ...
    Setup          what a set-up is made of
    ATTRIBUTES     units of the observations

References:
  Tarzanagh, Li, Zhang, Oymak, "Max-Margin Token Selection in Attention
  Mechanism", arXiv:2306.13596.
"""

from framework.systems.attention_svm.prompt import setups
from framework.systems.attention_svm.prompt.setups import (
  Prompted,
  Setup,
  problem_of,
)
from framework.systems.attention_svm.prompt.svm import joint_svm, prompt_svm
from framework.systems.attention_svm.prompt.system import (
  ATTRIBUTES,
  Gradient,
  Hp,
  State,
  Structure,
  gradient,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'Gradient',
  'Hp',
  'Prompted',
  'Setup',
  'State',
  'Structure',
  'gradient',
  'joint_svm',
  'problem_of',
  'prompt_svm',
  'setups',
  'system',
]
