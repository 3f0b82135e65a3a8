"""Experiments: variants of a run, each with what is claimed of it and drawn.

To write one: a config (a frozen dataclass on `framework.config.Run`), a
function that builds the `Arm` of a config, one for its record times, one that
makes claims of the results, one that draws them. A `Variant` is these four, an
`Experiment` a table of them; `launch.main` or a `Study` does the rest.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from framework import config as config_lib
from framework.config import ConfigError, Problem, Variants
from framework.config.values import put
from framework.evidence.claims import Claim
from framework.run import job as job_lib
from framework.run import results, sweep
from framework.run.job import Arm, Job
from framework.system import System

__all__ = ['Experiment', 'Figures', 'Variant', 'check', 'job_of']

Figures = Mapping[str, tuple[Any, str]]  # {name: (matplotlib figure, caption)}


class Variant(NamedTuple):
  """One figure of a paper: how it is computed, what it claims, how it looks.

  `claims` and `figures` are given the results as an `xarray.Dataset`: the
  observations over (swept fields ..., seed, time, own axes ...).
  """

  arm: Callable[[Any], Arm]  # config of one structural setting -> Arm
  times: Callable[[Any], np.ndarray]  # config -> record times
  claims: Callable[[Any, Any], list[Claim]]  # (config, results) -> claims
  figures: Callable[[Any, Any], Figures] = lambda config, results: {}


class Experiment(NamedTuple):
  """A table of variants: all that the launcher and a `Study` need to know."""

  name: str  # as in runs/<name>/...
  title: str  # one line, with the paper
  configs: Variants  # {variant: (what its figure shows, its config)}
  variants: Mapping[str, Variant] | Variant  # one for all, if they share it

  def variant(self, config: Any) -> Variant:
    """The variant that a config is of."""
    if isinstance(self.variants, Variant):
      return self.variants
    return self.variants[config.variant]

  def config(self, variant: str = '') -> Any:
    """The config of a variant; of the first without a name.

    Raises:
      ConfigError: If there is no such variant.
    """
    try:
      return config_lib.variants(self.configs)(variant)
    except ValueError as error:
      problem = Problem(f'--config=:{variant}', str(error), '')
      raise ConfigError([problem]) from None


_RUN = dataclasses.fields(config_lib.Run)


def check(experiment: Any) -> None:
  """Refuses an experiment in which something is missing or of a wrong kind.

  Args:
    experiment: What is to be launched.

  Raises:
    ConfigError: A line for each thing that is wrong.
  """
  problems = [
    Problem(f'Experiment.{path}', got, expected)
    for path, got, expected in _wrong(experiment)
  ]
  if problems:
    raise ConfigError(problems)


def _wrong(e: Any):
  if not isinstance(e, Experiment):
    yield 'type', type(e).__name__, 'a framework.launch.Experiment'
    return
  if not (isinstance(e.name, str) and e.name.isidentifier()):
    yield 'name', repr(e.name), 'a name such as my_theorem'
  if not (isinstance(e.configs, Mapping) and e.configs):
    yield 'configs', repr(e.configs), '{variant: (what it shows, config)}'
    return
  for name, entry in e.configs.items():
    if not (isinstance(entry, tuple) and len(entry) == 2):
      yield f'configs[{name!r}]', repr(entry), '(what it shows, config)'
    elif not all(hasattr(entry[1], f.name) for f in _RUN):
      kind = 'an instance of a frozen dataclass on framework.config.Run'
      yield f'configs[{name!r}]', type(entry[1]).__name__, kind
  table = e.variants
  if isinstance(table, Variant):
    yield from _wrong_functions('variants', table)
    return
  if not isinstance(table, Mapping):
    yield 'variants', repr(table), 'a Variant, or {variant: Variant}'
    return
  for name in {**e.configs, **table}:
    if name not in table or name not in e.configs:
      missing = 'variants' if name in e.configs else 'configs'
      yield missing, f'no {name!r}', 'one: it is in the other table'
    elif not isinstance(table[name], Variant):
      yield f'variants[{name!r}]', repr(table[name]), 'a Variant'
    else:
      yield from _wrong_functions(f'variants[{name!r}]', table[name])


def _wrong_functions(path: str, variant: Variant):
  given = {'arm': 1, 'times': 1, 'claims': 2, 'figures': 2}
  for name, count in given.items():
    function = getattr(variant, name)
    words = ('config', 'results')[:count]
    wanted = f'a function of ({", ".join(words)})'
    if not callable(function):
      yield f'{path}.{name}', repr(function), wanted
      continue
    try:
      inspect.signature(function).bind(*words)
    except TypeError as error:
      yield f'{path}.{name}', str(error), wanted
    except ValueError:  # a built-in function may have no signature
      pass


def job_of(experiment: Experiment, config: Any) -> Job:
  """The whole computation of a config.

  An axis of the sweep that is a leaf of the arm's hp becomes lanes of one
  program; any other loops over programs.

  Args:
    experiment: The experiment.
    config: A valid config.

  Returns:
    A `Job` for `framework.run.runner.run`.

  Raises:
    ConfigError: If a setting cannot be built, with the reason in one line.
  """
  config = config_lib.normalise(config)
  variant = experiment.variant(config)
  lanes = _lane_axes(variant, config)
  hp = {k: v for k, v in config.sweep.items() if k in lanes}
  structure = {k: v for k, v in config.sweep.items() if k not in hp}
  layout = results.Layout(
    structure,
    hp,
    tuple(range(config.first_seed, config.first_seed + config.seeds)),
    _built(variant.times, config),
  )
  arms = []
  for setting in layout.structures:
    one = _placed(config, setting, hp)
    config_lib.validate(one)
    arms.append(_arm(variant, one))
  _trace(arms[0])  # of the others the runner will trace what it needs
  job = Job(arms, layout)
  _built(job_lib.check, job)
  return job


def _lane_axes(variant: Variant, config: Any) -> tuple[str, ...]:
  """The fields that the arm of a config has as hyperparameters."""
  if not config.sweep:
    return ()
  first = {axis: values[0] for axis, values in config.sweep.items()}
  return sweep.names(_arm(variant, _placed(config, first, {})).hp)


def _placed(config: Any, setting: Mapping[str, Any], axes: Any) -> Any:
  """The config of one setting, with the axes that are left."""
  for path, value in setting.items():
    config = put(config, path.split('.'), value)
  return dataclasses.replace(config, sweep=axes)


def _arm(variant: Variant, config: Any) -> Arm:
  arm = _built(variant.arm, config)
  if not isinstance(arm, Arm):
    got = type(arm).__name__
    raise ConfigError([Problem('arm(config)', got, 'a framework.run.Arm')])
  if not isinstance(arm.system, System):
    got = type(arm.system).__name__
    raise ConfigError([Problem('arm(config).system', got, 'a System')])
  return arm


def _trace(arm: Arm) -> None:
  """Refuses a system whose functions do not fit together, from shapes alone."""
  key = jax.random.key(0)
  # As arrays: a Python number has one dtype in a trace, another in a shape.
  hp = jax.tree.map(np.asarray, arm.hp)
  extra = () if arm.data is None else (arm.data,)
  s = arm.system
  problem = _shapes('sample(key, hp)', s.sample, key, hp, *extra)
  state = _shapes('init(key, problem, hp)', s.init, key, problem, hp)
  after = _shapes(
    'step(key, state, problem, hp)', s.step, key, state, problem, hp
  )
  old, new = _described(state), _described(after)
  for leaf in {**old, **new}:
    if old.get(leaf) != new.get(leaf):
      got = f'{leaf} is {new.get(leaf, "gone")} after a step'
      wanted = f'as init returns it: {old.get(leaf, "nothing")}'
      raise ConfigError([Problem('system.step', got, wanted)])
  seen = _shapes('observe(state, problem, hp)', s.observe, state, problem, hp)
  if not isinstance(seen, Mapping):
    got = type(seen).__name__
    raise ConfigError([Problem('system.observe', got, '{name: array}')])


def _shapes(call: str, function: Any, *args: Any) -> Any:
  try:
    return jax.eval_shape(function, *args)
  except Exception as error:  # of the user's own code, of any kind
    line = (str(error).strip().splitlines() or [''])[0]
    got = f'{type(error).__name__}: {line[:200]}{_where(error)}'
    raise ConfigError([Problem(f'system.{call}', got, '')]) from error


def _where(error: BaseException) -> str:
  """The user's own line that an error comes from."""
  trace, place = error.__traceback__, ''
  while trace is not None:
    file = trace.tb_frame.f_code.co_filename
    if 'site-packages' not in file and not file.startswith('<'):
      place = f' ({file.rpartition("/")[2]}:{trace.tb_lineno})'
    trace = trace.tb_next
  return place


def _described(tree: Any) -> dict[str, str]:
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  return {
    f'state{jax.tree_util.keystr(path)}': f'{x.dtype}{list(x.shape)}'
    for path, x in leaves
  }


def _built(make: Callable[[Any], Any], config: Any) -> Any:
  """What a function makes of a config; what it refuses is said in one line."""
  try:
    return make(config)
  except ConfigError:
    raise
  except ValueError as error:
    raise ConfigError([Problem('config', str(error), '')]) from error
  except Exception as error:  # of the experiment's own code, of any kind
    name = getattr(make, '__name__', 'function')
    got = f'{type(error).__name__}: {error}{_where(error)}'
    raise ConfigError([Problem(f'{name}(config)', got, '')]) from error
