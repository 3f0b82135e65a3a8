"""`python -m experiments.spectrum`."""

from experiments.spectrum import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
