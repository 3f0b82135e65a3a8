"""`python -m experiments.pi_limit`."""

from experiments.pi_limit import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
