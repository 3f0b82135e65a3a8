"""The rules of the house, read off the source."""

import ast
import functools
import importlib
import pathlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[1]
TREES = 'framework', 'experiments', 'configs'

# Rule 1: the rooms of the framework, each with those that it may import beside
# itself. Arrows go down: no room may import one that stands below it here.
_HEART = {'leaves', 'checks', 'system', 'maths'}
_PIECES = {
  'descent',
  'supervised',
  'optimizers',
  'mup',
  'kernels',
  'probes',
  'data',
}
_HOST = {'config', 'run', 'evidence'}
ROOMS = {
  **dict.fromkeys(sorted(_HEART), _HEART),
  **dict.fromkeys(sorted(_PIECES), _HEART | _PIECES),
  'systems': _HEART | _PIECES,
  'config': _HEART,
  'run': _HEART | {'config'},
  'evidence': _HEART | {'config', 'run'},
  'testing': _HEART | _HOST,
  'launch': _HEART | _HOST,
}

# What still breaks a rule, for its owner to mend and to strike out here.
EXCEPTIONS = {
  'rooms': set(),
  'circles': set(),
  'crowded': set(),
  'long': set(),
  'faces': set(),
}
# Docstrings that open with 'What ', at most, by room.
WHAT = {
  'benchmarks': 3,
  'configs': 1,
  'experiments/xor_grokking': 3,
  'framework': 3,
  'framework/config': 5,
  'framework/launch': 6,
  'framework/optimizers': 2,
  'framework/run': 7,
}

PRIVATE = (
  'jax._src',
  'jax.core',
  'jax.pmap',
  'jax.experimental.host_callback',
  'jax.experimental.pjit',
  'jax.experimental.shard_map',
  'flax.training',
)
HEAVY = 'flax', 'orbax', 'matplotlib', 'xarray', 'pandas'


def files(*trees: str) -> list[pathlib.Path]:
  """Modules of some trees, in order."""
  return [f for tree in trees for f in sorted((ROOT / tree).rglob('*.py'))]


@functools.cache
def parsed(file: pathlib.Path) -> ast.Module:
  return ast.parse(file.read_text())


def module_of(file: pathlib.Path) -> str:
  parts = list(file.relative_to(ROOT).with_suffix('').parts)
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


@functools.cache
def modules() -> dict[str, pathlib.Path]:
  return {module_of(f): f for f in files(*TREES)}


def named(file: pathlib.Path) -> Iterator[str]:
  """Whatever a module imports, anywhere in it, by its full name."""
  for node in ast.walk(parsed(file)):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f'{node.module}.{alias.name}' for alias in node.names)
    elif isinstance(node, ast.Call) and dotted(node.func) in (
      'importlib.import_module',
      'import_module',
    ):
      # A text, or an f-string as far as it is one.
      text = node.args[0]
      text = text.values[0] if isinstance(text, ast.JoinedStr) else text
      if isinstance(text, ast.Constant):
        yield str(text.value).rstrip('.')


@functools.cache
def arrows() -> dict[str, set[str]]:
  """The modules of the house that each of them imports."""
  known = modules()

  def target(name: str) -> str | None:
    if name in known:
      return name
    parent = name.rpartition('.')[0]
    return parent if parent in known else None

  return {
    module: {t for name in named(file) if (t := target(name))} - {module}
    for module, file in known.items()
  }


def room(module: str) -> str:
  return (module.split('.') + [''])[1]


def excused(rule: str, offenders) -> list[str]:
  """Offenders that are no exception, and exceptions that are none any more."""
  known = EXCEPTIONS[rule]
  return [f'{x}' for x in sorted(set(offenders) - known)] + [
    f'{x} keeps the rule now: strike it out of EXCEPTIONS'
    for x in sorted(known - set(offenders))
  ]


def test_every_room_has_a_place():
  found = {room(m) for m in modules() if m.startswith('framework.')}
  assert found <= set(ROOMS)


def test_arrows_between_rooms_go_down():
  offenders = [
    (module, target)
    for module, targets in arrows().items()
    for target in targets
    if module.startswith('framework.') and target.startswith('framework.')
    and room(target) not in {room(module)} | ROOMS[room(module)]
  ]  # fmt: skip
  assert not excused('rooms', offenders)


def test_the_framework_imports_nothing_that_is_built_on_it():
  for file in files('framework'):
    for name in named(file):
      above = name.split('.')[0] in ('experiments', 'configs', 'tests')
      assert not above, f'{module_of(file)} imports {name}'


def test_no_experiment_imports_another():
  for module, targets in arrows().items():
    own = module.split('.')[:2]
    for target in targets:
      if own[0] == 'experiments' and target.startswith('experiments.'):
        assert target.split('.')[:2] == own, f'{module} imports {target}'


def test_no_system_imports_another_family():
  for module, targets in arrows().items():
    for target in targets:
      if room(module) == room(target) == 'systems':
        same = module.split('.')[2:3] == target.split('.')[2:3]
        assert same, f'{module} imports {target}'


def test_modules_go_round_in_no_circle():
  assert not excused('circles', circles(arrows()))


def circles(graph: dict[str, set[str]]) -> list[tuple[str, ...]]:
  """Sets of modules each of which is reached from each other."""
  reached = {m: _reached(graph, m) for m in graph}
  found = {
    tuple(sorted(n for n in reached[m] if m in reached[n]))
    for m in graph
    if m in reached[m]
  }
  return sorted(found)


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
  seen: set[str] = set()
  left = [start]
  while left:
    new = graph[left.pop()] - seen
    seen |= new
    left += new
  return seen


def test_circles_are_found():
  graph = {'a': {'b'}, 'b': {'c'}, 'c': {'b'}, 'd': {'a'}}
  assert circles(graph) == [('b', 'c')]


def test_imports_are_found_wherever_they_are(tmp_path):
  file = tmp_path / 'module.py'
  file.write_text(
    'import a.b\n'
    'from c import d, e\n'
    'def f(name):\n'
    '  from g.h import i\n'
    "  importlib.import_module(f'configs.{name}')\n"
    "  return importlib.import_module('j')\n"
  )
  assert sorted(named(file)) == ['a.b', 'c.d', 'c.e', 'configs', 'g.h.i', 'j']
  assert 'jax.core.Jaxpr' in map(dotted, ast.walk(ast.parse('jax.core.Jaxpr')))


def test_a_folder_holds_twelve_files_at_most():
  crowded = []
  for tree in TREES:
    for folder in [ROOT / tree, *(ROOT / tree).rglob('*/')]:
      own = [f for f in folder.iterdir() if f.is_file() and f.suffix != '.pyc']
      own = [f for f in own if f.name not in ('__init__.py', 'py.typed')]
      if len(own) > 12:
        crowded.append(f'{folder.relative_to(ROOT)}')
  assert not excused('crowded', crowded)


def test_no_file_is_longer_than_500_lines():
  every = files(*TREES, 'tests', 'benchmarks')
  long = [f for f in every if len(f.read_text().splitlines()) > 500]
  assert not excused('long', [f'{f.relative_to(ROOT)}' for f in long])


def test_public_interfaces_alone():
  # Most files have none of these words, and need no parsing.
  words = re.compile('|'.join(rf'\b{p.rpartition(".")[2]}\b' for p in PRIVATE))
  for file in files(*TREES, 'tests', 'benchmarks'):
    if not words.search(file.read_text()):
      continue
    used = [dotted(node) for node in ast.walk(parsed(file))]
    for name in [*named(file), *used]:
      for prefix in PRIVATE:
        private = name == prefix or name.startswith(prefix + '.')
        assert not private, f'{file.relative_to(ROOT)} uses {name}'


def dotted(node: ast.AST) -> str:
  """The text of an attribute of an attribute ... of a name, or none."""
  parts = []
  while isinstance(node, ast.Attribute):
    parts.append(node.attr)
    node = node.value
  parts.append(node.id if isinstance(node, ast.Name) else '')
  return '.'.join(reversed(parts))


def test_the_framework_is_light_to_import():
  code = f"""
import sys
import framework
print(*(name for name in {HEAVY} if name in sys.modules))
"""
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT
  )
  assert done.returncode == 0, done.stderr
  assert not done.stdout.split()


def test_every_system_has_a_face():
  faceless = []
  for folder in (ROOT / 'framework' / 'systems').rglob('*/'):
    if not (folder / '__init__.py').exists():
      continue
    module = importlib.import_module(module_of(folder / '__init__.py'))
    if (folder / 'system.py').exists():
      if len(getattr(module, '__all__', ())) < 5:
        faceless.append(f'{module.__name__} exports fewer than five names')
    else:
      inner = {f.parent.name for f in folder.glob('*/__init__.py')}
      missing = inner - set(getattr(module, '__all__', ()))
      faceless += [f'{module.__name__} lacks {name}' for name in missing]
  assert not excused('faces', faceless)


def test_every_exported_name_exists():
  for name in modules():
    if name.endswith('__main__'):
      continue
    module = importlib.import_module(name)
    exported = getattr(module, '__all__', ())
    missing = [x for x in exported if not hasattr(module, x)]
    assert not missing, f'{name}.__all__ has {missing}'
    assert len(set(exported)) == len(exported), f'{name}.__all__ repeats names'


def test_docstrings_say_what_a_thing_is():
  """Never 'What ...': at most as many as there were, by room."""
  opening = Counter()
  for file in files(*TREES, 'benchmarks'):
    for node in ast.walk(parsed(file)):
      kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
      if isinstance(node, kinds):
        own = '/'.join(file.relative_to(ROOT).parent.parts[:3])
        opening[own] += (ast.get_docstring(node) or '').startswith('What ')
  for own, count in opening.items():
    most = WHAT.get(own, 0)
    assert count <= most, f'{count} docstrings in {own} open with "What "'


def test_closeness_is_said_by_two_numbers():
  """`assert_allclose` adds a default of its own to a tolerance left out."""
  vague = []
  for path in sorted((ROOT / 'tests').rglob('*.py')):
    for node in ast.walk(ast.parse(path.read_text())):
      if not isinstance(node, ast.Call):
        continue
      said = {keyword.arg for keyword in node.keywords}
      name = getattr(node.func, 'attr', '')
      both = None in said or {'rtol', 'atol'} <= said  # ** says both
      if name == 'assert_allclose' and not both:
        vague.append(f'{path.relative_to(ROOT)}:{node.lineno}')
  assert not vague


def test_what_is_called_slow_is_a_test():
  for line in (ROOT / 'tests/slow.txt').read_text().splitlines():
    file, _, name = line.partition('[')[0].partition('::')
    path, name = ROOT / file, re.split(r'::|\.', name)[-1]
    assert path.exists(), f'slow.txt: {line}: no such file'
    # The examples of a package are called as the package.
    called = '>>> ' if name == path.parent.name else f' {name}('
    assert called in path.read_text(), f'slow.txt: {line}: no such test'
