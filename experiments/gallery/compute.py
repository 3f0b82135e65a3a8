"""The quick default of every experiment, two at a time, each a process."""

import pathlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from experiments.gallery import collect

__all__ = ['compute']

_FINE = (0, 3)  # done, and done with a claim that fails: that is shown


def compute(root: pathlib.Path, together: int = 2) -> list[str]:
  """Runs the first variant of every experiment that has no finished run.

  A run that was stopped goes on where it was.

  Args:
    root: The folder of the work directories.
    together: Processes at a time >= 1.

  Returns:
    The experiments that did not end, with their exit codes.
  """
  done = {
    (r['experiment'], r['variant']) for r in collect.collect(root)['runs']
  }
  wanted = []
  for name, experiment in collect.experiments().items():
    config = experiment.config()
    if (name, config.variant) not in done:
      wanted.append((name, collect.workdir(root, name, config)))
  with ThreadPoolExecutor(together) as pool:
    codes = list(pool.map(_run, wanted))
  return [
    f'{name}: exit {code}'
    for (name, _), code in zip(wanted, codes, strict=True)
    if code not in _FINE
  ]


def _run(one: tuple[str, pathlib.Path]) -> int:
  name, place = one
  began = time.monotonic()
  command = [sys.executable, '-m', f'experiments.{name}', '--progress=none']
  done = subprocess.run(
    [*command, f'--workdir={place}'], capture_output=True, text=True
  )
  print(
    f'{name}: exit {done.returncode} after {time.monotonic() - began:.0f} s',
    flush=True,
  )
  if done.returncode not in _FINE:
    print(done.stderr[-2000:], file=sys.stderr, flush=True)
  return done.returncode
