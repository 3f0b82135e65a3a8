"""`python -m experiments.infinite_width`."""

from experiments.infinite_width import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
