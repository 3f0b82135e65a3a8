"""`python -m experiments.xor_grokking`."""

from experiments.xor_grokking import EXPERIMENT
from framework.launch import app as launch

if __name__ == '__main__':
  launch.main(EXPERIMENT)
