"""The command line: flags, typed `--config.a.b=v` overrides, help.

Nothing is defined when this module is imported: a program with absl flags of
its own may import the launcher, and calls it when it wants to.
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from framework import config as config_lib
from framework.launch import cite
from framework.launch.experiment import Experiment

__all__ = ['define', 'parse', 'window']


def define() -> flags.FlagValues:
  """Defines the launcher's flags, once a process.

  Returns:
    All flags of the process.

  Raises:
    flags.Error: If the program has a flag of the same name.
  """
  if 'checkpoint_every_secs' in flags.FLAGS:
    return flags.FLAGS
  string, enum, boolean = (
    flags.DEFINE_string,
    flags.DEFINE_enum,
    flags.DEFINE_boolean,
  )
  string('config', None, 'FILE[:variant] with get_config(variant); or :variant')
  string(
    'workdir', None, 'where everything goes; runs/<experiment>/... if unset'
  )
  enum('resume', 'auto', ['auto', 'never', 'must'], 'go on with a run there?')
  string('sweep', None, 'grid, e.g. "alpha=0.1,0.3;k=4,5"; the config has one')
  flags.DEFINE_integer('seeds', None, 'number of seeds', lower_bound=1)
  flags.DEFINE_integer(
    'lanes_per_call', 0, 'most lanes in one call; 0: what fits', lower_bound=0
  )
  flags.DEFINE_integer(
    'model_devices', 1, 'devices that a lane is spread over', lower_bound=1
  )
  enum('batching', 'auto', ['auto', 'vmap', 'map'], 'how lanes run')
  flags.DEFINE_float(
    'checkpoint_every_secs', 300.0, 'seconds between', lower_bound=0.0
  )
  flags.DEFINE_integer('keep', 2, 'checkpoints to keep', lower_bound=1)
  enum('progress', 'auto', ['auto', 'bar', 'log', 'none'], 'how to show it')
  boolean('dry_run', False, 'say what would be run and its cost; write nothing')
  string('topology', None, 'dry run for a TPU that is not here, e.g. v5e:2x2')
  enum('mode', 'run', ['run', 'report'], 'report: from stored results only')
  enum('distributed', 'auto', ['auto', 'on', 'off'], 'jax.distributed')
  string('coordinator_address', None, 'host:port of process 0')
  flags.DEFINE_integer('num_processes', None, 'processes in all')
  flags.DEFINE_integer('process_id', None, 'this process')
  flags.DEFINE_float(
    'distributed_timeout_secs', 300.0, 'how long to wait', lower_bound=1.0
  )
  boolean('tensorboard', False, 'also write TensorBoard events (an extra)')
  string('data_dir', None, 'where real data sets lie; the user cache if unset')
  string('profile', None, 'START:STOP, steps of the first block to profile')
  boolean('deterministic', False, 'deterministic GPU kernels')
  enum('on_nan', 'freeze', ['freeze', 'stop', 'continue'], 'diverged lanes')
  boolean('strict', False, 'exit 3 if a claim fails')
  boolean('cite', False, 'print BibTeX of what the experiment uses, and exit')
  return flags.FLAGS


def parse(argv: Sequence[str], experiment: Experiment) -> Any:
  """Flags into FLAGS, overrides into a validated config.

  Args:
    argv: The command line, with the name of the program.
    experiment: Whose config it is.

  Returns:
    The config.

  Raises:
    flags.Error: For a bad flag.
    ConfigError: For a bad config or override; nothing has been written.
  """
  define()
  argv = flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False)
  if any(a in ('--help', '-h', '-help', '--helpfull') for a in argv[1:]):
    _help(experiment)
  rest, overrides = _split(argv)
  left = flags.FLAGS(rest)[1:]
  if left:
    raise flags.Error(f'unexpected argument {left[0]!r}; flags start with --')
  if flags.FLAGS.cite:
    print(cite.bibtex(experiment), end='')
    sys.exit(0)
  window(flags.FLAGS.profile)
  if flags.FLAGS.topology and not flags.FLAGS.dry_run:
    raise flags.Error('--topology goes with --dry_run: it compiles, no more')
  if flags.FLAGS['workdir'].present and not flags.FLAGS.workdir:
    raise flags.Error('--workdir= is empty: name a directory, or leave it out')
  for name in ('sweep', 'seeds'):
    if (given := flags.FLAGS[name].value) is not None:
      if any(path == name for path, _ in overrides):
        raise flags.Error(f'--{name} and --config.{name}: give one of the two')
      overrides.append((name, str(given)))
  config = _named(experiment, flags.FLAGS.config)
  config = config_lib.override(config, overrides)
  config_lib.validate(config)
  config_lib.check_files(config)
  return config_lib.normalise(config)


def _named(experiment: Experiment, spec: str | None) -> Any:
  """The config of FILE[:variant], or of one of the experiment's variants."""
  if spec is None or spec.startswith(':'):
    return experiment.config((spec or '').removeprefix(':'))
  return config_lib.load(spec)


def _split(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
  """Takes `--config.path=value` and `--config.path value` out of argv."""
  rest, overrides = [argv[0]], []
  words = iter(argv[1:])
  for word in words:
    if word == '--':
      rest += [word, *words]
    elif word.startswith(('--config.', '-config.')):
      path, equals, value = (
        word.lstrip('-').removeprefix('config.').partition('=')
      )
      if not equals:
        value = next(words, None)
        if value is None:
          raise flags.Error(f'{word} needs a value: {word}=VALUE')
      overrides.append((path, value))
    else:
      rest.append(word)
  return rest, overrides


def _help(experiment: Experiment) -> None:
  print(f'{experiment.title}\n\nVariants (--config=:NAME):')
  wide = max(map(len, experiment.configs))
  for name, (what, _) in experiment.configs.items():
    print(f'  {name:{wide}}  {what}')
  print('\nFlags:')
  _print_flags(__name__)
  for module in sorted(flags.FLAGS.flags_by_module_dict()):
    if not module.startswith(('absl.', 'jax.', 'framework.')):
      print(f'\nFlags of {module}:')
      _print_flags(module)
  print('\nConfig (--config.NAME=VALUE):')
  print(config_lib.describe(experiment.config()))
  print("\nJAX's own flags (--jax_platforms, --jax_debug_nans, ...) work too.")
  sys.exit(0)


def _print_flags(module: str) -> None:
  found = sorted(flags.FLAGS.flags_by_module_dict()[module], key=_name)
  wide = max(len(flag.name) for flag in found)
  for flag in found:
    default = flag.default_as_str or 'none'
    print(f'  --{flag.name:{wide}}  {flag.help} (default {default})')


def _name(flag: flags.Flag) -> str:
  return flag.name


def window(text: str | None) -> tuple[int, int] | None:
  """START:STOP as two steps.

  Raises:
    flags.Error: If it is not that.

  >>> window('100:200')
  (100, 200)
  """
  if text is None:
    return None
  start, _, stop = text.partition(':')
  if not (start.isdigit() and stop.isdigit() and int(start) < int(stop)):
    raise flags.Error(f'--profile={text}: expected START:STOP, e.g. 100:200')
  return int(start), int(stop)
