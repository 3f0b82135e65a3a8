"""`python -m experiments.modular_grokking`."""

from experiments.modular_grokking import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
