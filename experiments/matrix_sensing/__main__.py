"""`python -m experiments.matrix_sensing`."""

from experiments.matrix_sensing import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
