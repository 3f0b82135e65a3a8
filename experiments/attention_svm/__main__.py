"""`python -m experiments.attention_svm`."""

from experiments import launch
from experiments.attention_svm import EXPERIMENT

if __name__ == '__main__':
  launch.main(EXPERIMENT)
