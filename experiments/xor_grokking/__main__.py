"""`python -m experiments.xor_grokking`."""

from experiments.xor_grokking import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
