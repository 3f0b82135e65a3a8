"""`python -m experiments.robust_recovery`."""

from experiments.robust_recovery import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
