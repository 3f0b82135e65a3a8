"""`python -m experiments`: what can be run, and what each of it shows.

`python -m experiments NAME --flag=...` is `python -m experiments.NAME ...`, and
so is `training-dynamics NAME ...` once installed. NAME may be `gallery`, too.
"""

import importlib
import sys

from experiments import EXPERIMENTS
from framework.config.fields import nearest
from framework.launch import main as launch


def main(argv: list[str] | None = None) -> None:
  """Launches the experiment that is named, or lists all with their variants."""
  argv = sys.argv if argv is None else argv
  if len(argv) > 1:
    name = argv[1]
    if name == 'gallery':
      gallery = importlib.import_module(f'experiments.{name}.__main__')
      sys.exit(gallery.main(argv[2:]))
    if name in EXPERIMENTS:
      found = importlib.import_module(f'experiments.{name}').EXPERIMENT
      launch(found, [f'experiments.{name}', *argv[2:]])
    near = nearest(name, EXPERIMENTS)
    hint = f'; did you mean {near}?' if near else ''
    names = ', '.join(EXPERIMENTS)
    print(
      f'error: no experiment {name!r}, expected one of {names}{hint}',
      file=sys.stderr,
    )
    sys.exit(2)
  for name in EXPERIMENTS:
    found = importlib.import_module(f'experiments.{name}').EXPERIMENT
    print(f'python -m experiments.{name}\n  {found.title}')
    for variant, (what, _) in found.configs.items():
      print(f'    --config=:{variant:20s}  {what}')


if __name__ == '__main__':
  main()
