"""From stored results to claims, figures, tables and the report page."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from etils import epath

from framework import config as config_lib
from framework.evidence import claims as claims_lib
from framework.evidence.claims import Claim
from framework.launch.experiment import Experiment
from framework.run import results
from framework.run.workdir import Workdir, WorkdirError

__all__ = [
  'default_workdir',
  'identity',
  'stored_config',
  'tensorboard',
  'write',
]


def identity(experiment: Experiment, config: Any) -> dict[str, Any]:
  """What makes a run this run and no other: goes into config.json."""
  return {
    'experiment': experiment.name,
    'hash': config_lib.identity(config),
    'config': config_lib.to_dict(config),
  }


def default_workdir(experiment: Experiment, config: Any) -> str:
  """runs/<experiment>/<variant>-<hash>."""
  digest = config_lib.identity(config)[:8]
  return f'runs/{experiment.name}/{config.variant}-{digest}'


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
  known = variant if variant in experiment.configs else ''
  own = type(experiment.config(known))
  config = config_lib.from_dict(own, found['config'])
  config_lib.check_files(config)
  digest = config_lib.identity(config)
  if digest != found['hash']:
    raise WorkdirError(
      f'config.json in {place.path} is not what the run was made with: its '
      f'hash is {digest}, expected {found["hash"]}'
    )
  return config


def write(study: Any) -> list[Claim]:
  """Writes claims.json, results.csv, figures and report.html of a study.

  `figures.json` holds the captions of the figures.

  Args:
    study: A `Study` that has been run.

  Returns:
    The claims.
  """
  from framework.evidence import figures as drawing
  from framework.evidence import page

  place, experiment, config = study.place, study.experiment, study.config
  run = {k: v for k, v in place.read('run.json').items() if k != 'written'}
  # Before anything else: the records as a table, whatever claims may do.
  place.write('results.csv', results.to_csv(study.results()))
  claims = study.claims()
  place.write('claims.json', claims_lib.to_json(claims))
  captions, values = {}, {}
  for name, (figure, caption) in study.figures().items():
    with drawing.style():
      drawing.save(figure, place.path / 'figures' / name)
    captions[name], values[name] = caption, page.values(figure)
  place.write('figures.json', captions)
  page.write(
    place.path,
    title=experiment.title,
    summary=experiment.configs[config.variant][0],
    claims=claims,
    figures=captions,
    config_text=config_lib.describe(config),
    run=run,
    values=values,
  )
  return claims


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
