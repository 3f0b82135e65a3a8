"""gallery.json: every claim of the project that has been computed, as data.

    {"claims": [...], "runs": [...], "missing": [...], "other": N}

A claim is what claims.json has of it, with `experiment`, `variant`, `date` and
`commit`; failing ones come first. A run counts for a variant if its config is
the variant's own, to the last field: `other` is the number of work directories
with other settings. `missing` are variants without a finished run, with the
lanes and steps that one takes.
"""

import importlib
import json
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from experiments import EXPERIMENTS
from framework import config as config_lib
from framework.evidence import claim_tables
from framework.launch import Experiment

__all__ = ['NAME', 'claim_of', 'collect', 'diff', 'experiments', 'workdir']

NAME = 'gallery.json'
_ORDER = ('fails', 'not testable', 'holds', 'fact')


def experiments() -> dict[str, Experiment]:
  """All experiments by name, in the order of `python -m experiments`."""
  return {
    name: importlib.import_module(f'experiments.{name}').EXPERIMENT
    for name in EXPERIMENTS
  }


def workdir(root: pathlib.Path, name: str, config: Any) -> pathlib.Path:
  """Where the gallery keeps the run of a config: as the launcher does."""
  return root / name / f'{config.variant}-{_hash(config)[:8]}'


def collect(root: pathlib.Path) -> dict[str, Any]:
  """The claims of all finished runs below a folder.

  Args:
    root: The folder; work directories lie in it at most two folders deep.

  Returns:
    The content of gallery.json.
  """
  found, other = _newest(root), 0
  runs, claims, missing = [], [], []
  for name, experiment in experiments().items():
    for variant in experiment.configs:
      config = experiment.config(variant)
      key = name, variant, _hash(config)
      if key not in found:
        missing.append({'experiment': name, 'variant': variant} | _cost(config))
        continue
      place, run = found[key]
      facts = {
        'experiment': name,
        'variant': variant,
        'date': run['started'][:10],
        'commit': run.get('git', ''),
      }
      about = {'seconds': run['seconds'], 'lanes': run['lanes']}
      about['workdir'] = f'{place.relative_to(root)}'
      runs.append(facts | about)
      claims += [facts | c for c in _read(place / 'claims.json')]
  other = len(found) - len(runs)
  claims.sort(key=lambda claim: _ORDER.index(claim['verdict']))
  return {'claims': claims, 'runs': runs, 'missing': missing, 'other': other}


def claim_of(row: Mapping[str, Any]) -> claim_tables.Claim:
  """The claim of a row of the gallery."""
  own = {k: row[k] for k in claim_tables.Claim._fields if k in row}
  return claim_tables.from_json(json.dumps([own]))[0]


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
  """One line for each claim that appeared, went or changed.

  Args:
    old: The content of an earlier gallery.json.
    new: The content of a later one.

  Returns:
    Lines; verdicts that changed come first.

  >>> row = {'experiment': 'e', 'variant': 'v', 'id': 'c', 'predicted': 1.0}
  >>> was, now = {'measured': 1.01, 'stderr': 'nan'}, {'measured': 2.0}
  >>> print(*diff({'claims': [row | was | {'verdict': 'holds'}]},
  ...             {'claims': [row | was | now | {'verdict': 'fails'}]}))
  e:v c: holds -> fails, measured 1.01 -> 2
  """
  before, after = _by_claim(old), _by_claim(new)
  lines = []
  for key in before | after:
    label = f'{key[0]}:{key[1]} {key[2]}'
    if key not in after:
      lines.append((1, f'{label}: gone (it was: {before[key]["verdict"]})'))
    elif key not in before:
      lines.append((2, f'{label}: new, {after[key]["verdict"]}'))
    else:
      a, b = before[key], after[key]
      changes = [f'{a["verdict"]} -> {b["verdict"]}']
      changes *= a['verdict'] != b['verdict']
      rank = 0 if changes else 3
      for field in ('predicted', 'measured'):
        if a[field] != b[field]:
          changes.append(f'{field} {_short(a[field])} -> {_short(b[field])}')
      if changes:
        lines.append((rank, f'{label}: {", ".join(changes)}'))
  return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def _by_claim(gallery: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
  names = ('experiment', 'variant', 'id')
  return {tuple(c[n] for n in names): c for c in gallery['claims']}


def _short(value: Any) -> str:
  return f'{value:.4g}' if isinstance(value, (int, float)) else str(value)


def _hash(config: Any) -> str:
  return config_lib.identity(config_lib.normalise(config))


def _cost(config: Any) -> dict[str, Any]:
  """The size of a run, read off its config without building it."""
  lanes = config.seeds * math.prod(map(len, config.sweep.values()))
  steps = getattr(config, 'steps', None)
  return {'lanes': lanes} | ({'steps': steps} if steps else {})


def _newest(root: pathlib.Path) -> dict[tuple[str, str, str], Any]:
  """{(experiment, variant, hash): (place, run.json)} of finished runs."""
  found: dict[tuple[str, str, str], Any] = {}
  for place in _places(root):
    run, config = _read(place / 'run.json'), _read(place / 'config.json')
    if run.get('status') != 'done':
      continue
    variant = config['config'].get('variant', '')
    key = config.get('experiment', ''), variant, config['hash']
    if key not in found or found[key][1]['started'] < run['started']:
      found[key] = place, run
  return found


def _places(root: pathlib.Path) -> Iterator[pathlib.Path]:
  for pattern in ('*/config.json', '*/*/config.json'):
    for file in sorted(root.glob(pattern)):
      names = ('run.json', 'claims.json')
      if all((file.parent / name).exists() for name in names):
        yield file.parent


def _read(file: pathlib.Path) -> Any:
  return json.loads(file.read_text())
