"""`python -m experiments.attention_svm`."""

from experiments.attention_svm import EXPERIMENT
from framework.launch import app as launch

if __name__ == '__main__':
  launch.main(EXPERIMENT)
