"""`python -m experiments.mup_transfer`."""

from experiments.mup_transfer import EXPERIMENT
from framework.launch import app as launch

if __name__ == '__main__':
  launch.main(EXPERIMENT)
