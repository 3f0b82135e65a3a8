"""`python -m experiments.xor_grokking`."""

from experiments import launch
from experiments.xor_grokking import EXPERIMENT

if __name__ == '__main__':
  launch.main(EXPERIMENT)
