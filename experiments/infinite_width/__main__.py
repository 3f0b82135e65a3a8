"""`python -m experiments.infinite_width`."""

from experiments import launch
from experiments.infinite_width import EXPERIMENT

if __name__ == '__main__':
  launch.main(EXPERIMENT)
