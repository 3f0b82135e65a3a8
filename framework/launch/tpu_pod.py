"""Any experiment on every worker of a Cloud TPU, again after each preemption.

    python -m framework.launch.tpu_pod --tpu=NAME --zone=ZONE MODULE -- FLAGS

By default it only prints the commands; `--nodry_run` executes them. Workers
find each other by themselves (`jax.distributed` on Cloud TPU); the work
directory must be one that all of them see, a bucket.
"""

import importlib.util
import shlex
import subprocess
import sys
from collections.abc import Sequence

from absl import app, flags

__all__ = ['commands', 'define', 'retry']


def define() -> None:
  """Defines the flags: when run, not when imported beside the launcher."""
  flags.DEFINE_string('tpu', None, 'Name of the TPU.', required=True)
  flags.DEFINE_string('zone', None, 'Its zone.', required=True)
  flags.DEFINE_string(
    'source',
    '.',
    'What pip installs on each worker: a path there, or git+https.',
  )
  flags.DEFINE_bool('dry_run', True, 'Print the commands, no more.')


def retry(command: Sequence[str]) -> str:
  """A shell line that runs a command again for as long as it exits with 75.

  Args:
    command: The words of the command.

  Returns:
    The line; its exit code is that of the last run.

  >>> retry(['train', '--a=b c'])
  "while train '--a=b c'; code=$?; [ $code -eq 75 ]; do :; done; (exit $code)"
  """
  words = shlex.join(command)
  return f'while {words}; code=$?; [ $code -eq 75 ]; do :; done; (exit $code)'


def commands(
  tpu: str, zone: str, source: str, experiment: str, words: Sequence[str]
) -> list[list[str]]:
  """What is to be executed, in order.

  Args:
    tpu: Name of the TPU.
    zone: Its zone.
    source: What pip installs.
    experiment: The module that launches it, as after `python -m`, such as
      `experiments.matrix_sensing`.
    words: Flags of the experiment, with a `--workdir` in a bucket.

  Returns:
    Commands as lists of words: install on all workers, run on all workers.

  Raises:
    ValueError: If there is no such module, or the work directory is not one
      that all workers see.
  """
  if not _found(experiment):
    raise ValueError(
      f'there is no module {experiment!r}, expected one that launches an '
      'experiment, such as experiments.matrix_sensing'
    )
  places = [w.partition('=')[2] for w in words if w.startswith('--workdir=')]
  if not (places and places[-1].startswith('gs://')):
    raise ValueError(
      f'--workdir is {places[-1] if places else None}, expected gs://BUCKET/'
      '..., which all workers see'
    )
  ssh = ['gcloud', 'compute', 'tpus', 'tpu-vm', 'ssh', tpu]
  ssh += [f'--zone={zone}', '--worker=all']
  if '+' in source.partition(':')[0]:  # git+https://...
    install = f'training-dynamics[tpu] @ {source}'
  else:
    install = f'{source}[tpu]'
  run = ['python3', '-m', experiment, '--distributed=on']
  return [
    [*ssh, f'--command=pip install {shlex.quote(install)}'],
    [*ssh, f'--command={retry([*run, *words])}'],
  ]


def _found(module: str) -> bool:
  try:
    return importlib.util.find_spec(module) is not None
  except ModuleNotFoundError:  # of a package above it
    return False


def main(argv: Sequence[str]) -> None:
  """Prints, or executes, the commands."""
  _, *words = argv
  given = flags.FLAGS
  if not words:
    raise app.UsageError(
      'name a module that launches an experiment, then -- and its flags'
    )
  try:
    made = commands(given.tpu, given.zone, given.source, words[0], words[1:])
  except ValueError as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(2)
  for command in made:
    print(shlex.join(command), flush=True)
    if not given.dry_run:
      code = subprocess.run(command).returncode
      if code:
        sys.exit(code)


if __name__ == '__main__':
  define()
  app.run(main)
