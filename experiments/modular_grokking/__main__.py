"""`python -m experiments.modular_grokking`."""

from experiments.modular_grokking import EXPERIMENT
from framework.launch import app as launch

if __name__ == '__main__':
  launch.main(EXPERIMENT)
