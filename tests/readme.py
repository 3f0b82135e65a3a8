"""Runs every command and every Python block of README and docs.

    python tests/readme.py --print tests    the README's test command
    python tests/readme.py --run            everything else, in order

Experiments run with `--strict`: a claim that fails there fails here.

Blocks marked sh run under bash, blocks marked python in this interpreter's
python, each in a process of its own; anything else (text) is not run. The block
after `<!-- tests -->` is what CI runs as tests, so `--run` leaves it out.
"""

import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
FENCE = re.compile(
  r'(?P<mark><!-- (?:tests|notebook|shell|file [\w.]+) -->\s*)?'
  r'^```(?P<kind>sh|python)\n(?P<body>.*?)^```',
  re.DOTALL | re.MULTILINE,
)

EXPERIMENT = re.compile(r'python -m experiments\.\w+(?! -- )(?=[ \n])')


def blocks(path: pathlib.Path) -> list[tuple[str, str, bool]]:
  """(kind, body, whether it is the test command) of each block."""
  return [
    (m['kind'], m['body'], m['mark'] is not None)
    for m in FENCE.finditer(path.read_text())
  ]


def main() -> int:
  """Prints the test command or runs the rest."""
  if sys.argv[1:] == ['--print', 'tests']:
    marked = [body for _, body, mark in blocks(ROOT / 'README.md') if mark]
    if len(marked) != 1:
      print(f'README.md has {len(marked)} test commands', file=sys.stderr)
      return 1
    print(marked[0].strip())
    return 0
  for path in [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]:
    for kind, body, tests in blocks(path):
      if tests:
        continue
      strict = EXPERIMENT.sub(r'\g<0> --strict', body)
      shell = ['bash', '-euo', 'pipefail', '-c', strict]
      command = shell if kind == 'sh' else [sys.executable, '-c', body]
      print(f'== {path.relative_to(ROOT)}: {body.strip()}', flush=True)
      began = time.monotonic()
      code = subprocess.run(command, cwd=ROOT).returncode
      print(
        f'-- exit {code} after {time.monotonic() - began:.1f} s', flush=True
      )
      if code:
        return 1
  return 0


if __name__ == '__main__':
  sys.exit(main())
