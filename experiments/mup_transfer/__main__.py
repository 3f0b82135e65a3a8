"""`python -m experiments.mup_transfer`."""

from experiments import launch
from experiments.mup_transfer import EXPERIMENT

if __name__ == '__main__':
  launch.main(EXPERIMENT)
