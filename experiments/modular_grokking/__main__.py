"""`python -m experiments.modular_grokking`."""

from experiments import launch
from experiments.modular_grokking import EXPERIMENT

if __name__ == '__main__':
  launch.main(EXPERIMENT)
