"""`python -m experiments.matrix_sensing`."""

from experiments.matrix_sensing import EXPERIMENT
from framework.launch import app as launch

if __name__ == '__main__':
  launch.main(EXPERIMENT)
