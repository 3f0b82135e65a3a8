"""`python -m experiments.infinite_width`."""

from experiments.infinite_width import EXPERIMENT
from framework.launch import app as launch

if __name__ == '__main__':
  launch.main(EXPERIMENT)
