"""`python -m experiments`: what can be run and what it reproduces."""

import importlib

EXPERIMENTS = (
  'matrix_sensing',
  'xor_grokking',
  'modular_grokking',
  'attention_svm',
  'mup_transfer',
  'infinite_width',
)


def main() -> None:
  """Lists experiments and their variants."""
  for name in EXPERIMENTS:
    found = importlib.import_module(f'experiments.{name}').EXPERIMENT
    print(f'python -m experiments.{name}\n  {found.title}')
    for variant, (what, _) in found.variants.items():
      print(f'    --config=:{variant:19s}{what}')


if __name__ == '__main__':
  main()
