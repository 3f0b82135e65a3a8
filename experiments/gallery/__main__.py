"""`python -m experiments.gallery`: gallery.json and the site of what is there.

Exit codes: 0 done; 1 an experiment did not end; 2 usage; 3 a claim fails, under
--strict.
"""

import argparse
import json
import pathlib
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from experiments.gallery import collect, compute, site

__all__ = ['main']


def main(argv: Sequence[str] | None = None) -> int:
  """Collects claims, runs quick defaults if asked to, and builds the site.

  Args:
    argv: The arguments; those of the process when None.

  Returns:
    The exit code.
  """
  given = _flags().parse_args(argv)
  try:
    old = json.loads(given.diff.read_text()) if given.diff else None
    if given.site:
      site.check(given.notebooks)
  except (OSError, ValueError, site.Missing) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  given.root.mkdir(parents=True, exist_ok=True)
  broken = compute.compute(given.root) if given.quick else []
  gallery = collect.collect(given.root)
  path = given.root / collect.NAME
  path.write_text(json.dumps(gallery, ensure_ascii=False, indent=1) + '\n')
  _tell(gallery)
  print(f'data  {path}')
  if old is not None:
    print(*(collect.diff(old, gallery) or ['no claim changed']), sep='\n')
  if given.site:
    where = given.out or given.root / 'site'
    site.build(given.root, gallery, where, notebooks=given.notebooks)
    print(f'site  {where / "index.html"}')
  for line in broken:
    print(f'error: {line}', file=sys.stderr)
  failing = any(c['verdict'] == 'fails' for c in gallery['claims'])
  return 1 if broken else 3 if failing and given.strict else 0


def _tell(gallery: dict[str, Any]) -> None:
  """Prints failing claims, counts, and what is missing with its cost."""
  for row in gallery['claims']:
    if row['verdict'] == 'fails':
      label = f'{row["experiment"]}:{row["variant"]} {row["id"]}'
      print(f'fails  {label}: {row["reason"]}')
  counts = Counter(row['verdict'] for row in gallery['claims'])
  told = ', '.join(f'{n} {verdict}' for verdict, n in counts.items())
  print(f'{len(gallery["runs"])} runs; claims: {told or "none"}')
  for one in gallery['missing']:
    cost = f'{one["lanes"]} lanes'
    cost += f' of {one["steps"]} steps' if 'steps' in one else ''
    print(f'missing  {one["experiment"]}:{one["variant"]}  {cost}')
  if gallery['missing']:
    print('  what one costs in seconds is said by --dry_run')
  if gallery['other']:
    print(f'{gallery["other"]} runs with other settings are left out')


def _flags() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    'python -m experiments.gallery', description=__doc__.split('\n')[0]
  )
  path = pathlib.Path
  add = parser.add_argument
  add('--root', type=path, default=path('runs'), help='where runs lie')
  add('--quick', action='store_true', help='first run the quick defaults')
  add('--diff', type=path, metavar='OLD.json', help='say what changed since')
  add('--strict', action='store_true', help='exit 3 if a claim fails')
  add(
    '--site',
    action=argparse.BooleanOptionalAction,
    default=True,
    help='build the site',
  )
  add('--out', type=path, help='where the site goes; ROOT/site if unset')
  add('--notebooks', action='store_true', help='execute the notebooks for it')
  return parser


if __name__ == '__main__':
  sys.exit(main())
