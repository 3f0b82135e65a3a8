"""`python -m experiments.matrix_sensing`."""

from experiments import launch
from experiments.matrix_sensing import EXPERIMENT

if __name__ == '__main__':
  launch.main(EXPERIMENT)
