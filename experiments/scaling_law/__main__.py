"""`python -m experiments.scaling_law`."""

from experiments.scaling_law import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
