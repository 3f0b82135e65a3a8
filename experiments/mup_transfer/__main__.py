"""`python -m experiments.mup_transfer`."""

from experiments.mup_transfer import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
