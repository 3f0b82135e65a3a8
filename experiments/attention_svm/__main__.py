"""`python -m experiments.attention_svm`."""

from experiments.attention_svm import EXPERIMENT
from framework.launch import main

if __name__ == '__main__':
  main(EXPERIMENT)
