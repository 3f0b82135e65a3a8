"""From stored results to claims, figures, tables and the report page."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from etils import epath

from framework import config as config_lib
from framework.evidence import claims as claims_lib
from framework.launch.experiment import Experiment
from framework.run import results
from framework.run.workdir import Workdir, WorkdirError

__all__ = [
  'default_workdir',
  'identity',
  'report',
  'stored_config',
  'tensorboard',
]


def identity(experiment: Experiment, config: Any) -> dict[str, Any]:
  """What makes a run this run and no other: goes into config.json."""
  return {
    'experiment': experiment.name,
    'hash': _digest(config),
    'config': config_lib.to_dict(config),
  }


def default_workdir(experiment: Experiment, config: Any) -> str:
  """runs/<experiment>/<variant>-<hash>."""
  return f'runs/{experiment.name}/{config.variant}-{_digest(config)[:8]}'


def _digest(config: Any) -> str:
  """The config's digest; a target file counts by content, not by name alone."""
  digest = config_lib.digest(config)
  target = getattr(config, 'target', None)
  if target is None:
    return digest
  content = hashlib.sha256(epath.Path(target).read_bytes()).hexdigest()
  return hashlib.sha256(f'{digest} {content}'.encode()).hexdigest()[:12]


def stored_config(experiment: Experiment, place: Workdir) -> Any:
  """The config that a work directory was made with.

  Args:
    experiment: The experiment it must be of.
    place: The work directory.

  Returns:
    The config.

  Raises:
    WorkdirError: If there is no run, or one of another experiment.
    ConfigError: If the stored config is not valid here.
  """
  found = place.stored()
  if found is None:
    raise WorkdirError(f'there is no run in {place.path}')
  if found.get('experiment') != experiment.name:
    raise WorkdirError(
      f'{place.path} holds a run of {found.get("experiment")}, not of '
      f'{experiment.name}'
    )
  # Variants of one experiment may have configs of different types.
  variant = found['config'].get('variant')
  known = f':{variant}' if variant in experiment.variants else ''
  own = type(config_lib.load(f'{experiment.config_file}{known}'))
  config = config_lib.from_dict(own, found['config'])
  if _digest(config) != found['hash']:
    raise WorkdirError(
      f'config.json in {place.path} is not what the run was made with: its '
      f'hash is {_digest(config)}, expected {found["hash"]}'
    )
  return config


def report(experiment: Experiment, config: Any, place: Workdir) -> list:
  """Makes claims, figures, results.csv and report.html; prints the table.

  Args:
    experiment: The experiment.
    config: The config of the run.
    place: Its work directory, with records.

  Returns:
    The claims that fail.
  """
  from framework.evidence import figures as plotting
  from framework.evidence import page

  dataset = results.open(place.path)
  run = {k: v for k, v in place.read('run.json').items() if k != 'written'}
  claims = experiment.claims(config, dataset)
  if run['status'] in ('running', 'preempted'):
    claims = claims_lib.unfinished(claims, run['status'])
  place.write('claims.json', claims_lib.to_json(claims))
  place.write('results.csv', results.to_csv(dataset))
  captions = {}
  with plotting.style():
    figures = experiment.figures(config, dataset, claims)
    for name, (figure, caption) in figures.items():
      plotting.save(figure, place.path / 'figures' / name)
      captions[name] = caption
  page.write(
    place.path,
    title=experiment.title,
    summary=experiment.variants[config.variant][0],
    claims=claims,
    figures=captions,
    config_text=config_lib.describe(config),
    run=run,
  )
  print(f'\n{experiment.title}\n')
  print(claims_lib.table(claims))
  for name in captions:
    print(f'figure  {place.path / "figures" / name}.png')
  print(f'report  {place.path / "report.html"}')
  return claims_lib.failed(claims)


def tensorboard(directory: epath.PathLike) -> Callable[..., None]:
  """A listener that writes the median over lanes of every scalar observation.

  Args:
    directory: The work directory; events go to its `tensorboard` folder.

  Returns:
    (structural setting, times, records) -> None.

  Raises:
    ConfigError: If tensorboardX is not installed.
  """
  try:
    from tensorboardX import SummaryWriter
  except ImportError:
    problem = config_lib.Problem(
      '--tensorboard', 'no tensorboardX', 'the package tensorboardX'
    )
    raise config_lib.ConfigError([problem]) from None
  writers: dict[str, Any] = {}

  def listen(setting, times, records) -> None:
    name = json.dumps(setting, default=str) if setting else 'run'
    if name not in writers:
      label = '_'.join(f'{k}={v}' for k, v in setting.items()) or 'run'
      writers[name] = SummaryWriter(
        str(epath.Path(directory) / 'tensorboard' / label)
      )
    for key, values in records.items():
      if values.ndim != 3:
        continue
      for t, column in zip(times, np.moveaxis(values, 2, 0), strict=True):
        if np.isfinite(column).any():
          writers[name].add_scalar(key, np.nanmedian(column), int(t))
    writers[name].flush()

  return listen
