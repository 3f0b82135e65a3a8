"""Mutants: the same code with one number or operator wrong; do tests notice?

    python tests/mutants.py                      12 mutants of every room
    python tests/mutants.py --each=30 maths mup  30 of two rooms
    python tests/mutants.py --list               what would be tried

A mutant adds 1 to an integer, 10 % to a float, or takes + for -, * for / and
the other way round, in a place chosen by a fixed seed among all arithmetic of
the room. It is killed if a test of the mutated file (doctests, the test file
that mirrors it, its slow tests, then the tests of its folder, its laws, and the
slow tests of its folder) fails or takes over a minute and a half of CPU time.
Each mutant that survives is printed with its line: either a test is missing, or
the number does not matter (a count of iterations, a tolerance). Sources on disk
are not touched: a mutant lives in the memory of one process.

Exit code 1 if a mutant survives that is not excused in `tests/mutants.txt`, a
line `file: source line` for each of those whose number does not matter.
"""

import argparse
import ast
import contextlib
import functools
import importlib.abc
import importlib.util
import os
import pathlib
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[1]
EXCUSED = ROOT / 'tests/mutants.txt'
# A room, the folders of its sources, and tests beside those that mirror them.
ROOMS: dict[str, tuple[str, ...]] = {
  'heart': (
    'framework/descent.py',
    'framework/system.py',
    'framework/leaves.py',
  ),
  'maths': ('framework/maths',),
  'optimizers': ('framework/optimizers',),
  'mup': ('framework/mup',),
  'kernels': ('framework/kernels',),
  'probes': ('framework/probes',),
  'evidence': ('framework/evidence',),
  'run': ('framework/run',),
  **{
    name: (f'framework/systems/{name}',)
    for name in sorted(
      p.name
      for p in (ROOT / 'framework/systems').iterdir()
      if (p / '__init__.py').exists()
    )
  },
  **{
    f'experiments.{name}': (f'experiments/{name}', f'configs/{name}.py')
    for name in sorted(
      p.name
      for p in (ROOT / 'experiments').iterdir()
      if (p / '__main__.py').exists()
    )
  },
}
SWAPPED = {
  ast.Add: ast.Sub,
  ast.Sub: ast.Add,
  ast.Mult: ast.Div,
  ast.Div: ast.Mult,
}
# Arguments that say where and how, not how much.
SETTINGS = {
  *('axis', 'axes', 'ndim', 'shape', 'dtype', 'static_argnums', 'argnums'),
  *('length', 'max_iterations', 'maxiter', 'precision', 'indent', 'zorder'),
  *('figsize', 'fontsize', 'linewidth', 'lw', 'alpha', 'ms', 'markersize'),
}
TIMEOUT = 90  # s of CPU time, so that a busy machine kills nothing


class Mutant(NamedTuple):
  """One wrong number."""

  path: pathlib.Path  # relative to the root
  line: int
  was: str  # the source line
  change: str
  tree: ast.Module


def sources(room: str) -> list[pathlib.Path]:
  """The files of a room."""
  found = []
  for name in ROOMS[room]:
    path = ROOT / name
    found += [path] if path.is_file() else sorted(path.rglob('*.py'))
  skipped = 'drawing.py', 'figures.py', 'labels.py', 'page.py'
  return [p for p in found if p.exists() and p.name not in skipped]


class _Places(ast.NodeVisitor):
  """Numbers and operators of arithmetic; not of indices, shapes or messages."""

  def __init__(self):
    self.found: list[ast.AST] = []
    self.arithmetic = False

  def visit_BinOp(self, node: ast.BinOp):
    text = any(
      isinstance(side, (ast.JoinedStr, ast.List, ast.Tuple))
      or (isinstance(side, ast.Constant) and isinstance(side.value, str))
      for side in (node.left, node.right)
    )
    if text or isinstance(node.op, (ast.BitOr, ast.Mod, ast.MatMult)):
      return self.generic_visit(node)
    if type(node.op) in SWAPPED:
      self.found.append(node)
    before, self.arithmetic = self.arithmetic, True
    self.generic_visit(node)
    self.arithmetic = before

  def visit_Constant(self, node: ast.Constant):
    if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
      return
    whole = isinstance(node.value, int)
    # A lone integer is a count, an axis or an index; a lone float is a number.
    if self.arithmetic or not whole:
      self.found.append(node)

  def visit_Subscript(self, node: ast.Subscript):
    self.visit(node.value)

  def visit_keyword(self, node: ast.keyword):
    if node.arg not in SETTINGS:
      self.visit(node.value)

  def _skip(self, node):
    return

  visit_Raise = visit_JoinedStr = visit_AnnAssign = visit_Import = _skip
  visit_Assert = visit_ImportFrom = _skip

  def visit_If(self, node: ast.If):
    if not any(isinstance(part, ast.Raise) for part in node.body):
      self.generic_visit(node)

  def visit_FunctionDef(self, node: ast.FunctionDef):
    given = {arg.arg for arg in node.args.args}
    if given & {'ax', 'axes', 'fig'} or 'figures' in node.name:
      return  # looks are looked at
    for part in node.body:
      self.visit(part)


def mutants(room: str, each: int) -> list[Mutant]:
  """A sample of the mutants of a room."""
  places = []
  for path in sources(room):
    text = path.read_text()
    finder = _Places()
    finder.visit(ast.parse(text))
    places += [(path, i) for i in range(len(finder.found))]
  drawn = random.Random(room).sample(places, min(each, len(places)))
  return [_mutant(path, i) for path, i in sorted(drawn)]


def _mutant(path: pathlib.Path, index: int) -> Mutant:
  text = path.read_text()
  tree = ast.parse(text)
  finder = _Places()
  finder.visit(tree)
  node = finder.found[index]
  if isinstance(node, ast.BinOp):
    before = ast.unparse(node)
    node.op = SWAPPED[type(node.op)]()
    change = f'{before}  ->  {ast.unparse(node)}'
  else:
    assert isinstance(node, ast.Constant)
    was = node.value
    assert isinstance(was, (int, float))
    node.value = was + 1 if isinstance(was, int) else (was * 1.1 or 0.1)
    change = f'{was}  ->  {node.value}'
  line = node.lineno
  was_line = text.splitlines()[line - 1].strip()
  return Mutant(path.relative_to(ROOT), line, was_line, change, tree)


def tests_of(path: pathlib.Path) -> list[list[str]]:
  """Tests to try, one after the other: nearest first."""
  parts = path.with_suffix('').parts
  tries = []
  if parts[0] == 'configs':
    parts = 'experiments', parts[1]
  if parts[0] == 'experiments':
    tests = sorted((ROOT / 'tests/experiments').glob(f'{parts[1]}*_test.py'))
    tries += [[str(t), *more] for more in ([], ['-m', 'slow']) for t in tests]
    every = ['-k', parts[1], '-m', 'slow or not slow']
    return [[str(ROOT / 'tests/experiments/adversary_test.py'), *every], *tries]
  mirror = ROOT.joinpath('tests', *parts[1:])
  near = [ROOT / path] if '>>>' in (ROOT / path).read_text() else []
  own = mirror.with_name(mirror.name + '_test.py')
  near += [own] if own.exists() else []
  tries.append([str(p) for p in near])
  tries += [[*map(str, near), '-m', 'slow']] if near else []
  folder = mirror.parent
  around = sorted(t for t in folder.rglob('*_test.py') if t != own)
  tries += [[str(t)] for t in around]
  if parts[1] == 'systems':
    entries = ROOT / f'tests/laws/entries/{parts[2]}.py'
    if entries.exists():
      tries.append([str(ROOT / 'tests/laws'), '-k', parts[2]])
  tries += [[str(t), '-m', 'slow'] for t in around]
  return [t for t in tries if t]


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  """Imports the mutant where the file is asked for."""

  def __init__(self, mutant: Mutant):
    self.mutant = mutant
    parts = list(mutant.path.with_suffix('').parts)
    self.package = parts[-1] == '__init__'
    self.name = '.'.join(parts[:-1] if self.package else parts)

  def find_spec(self, fullname, path=None, target=None):
    if fullname != self.name:
      return None
    file = str(ROOT / self.mutant.path)
    return importlib.util.spec_from_file_location(
      fullname,
      file,
      loader=self,
      submodule_search_locations=[os.path.dirname(file)]
      if self.package
      else None,
    )

  def pytest_collection(self):
    """Imports it before pytest, for doctests, imports the file itself."""
    importlib.import_module(self.name)

  def exec_module(self, module):
    code = compile(self.mutant.tree, str(ROOT / self.mutant.path), 'exec')
    exec(code, module.__dict__)


@functools.cache
def _pass(path: pathlib.Path, tests: tuple[str, ...]) -> bool:
  """Whether tests of a file pass as it is: those that do not, tell nothing."""
  text = (ROOT / path).read_text()
  same = Mutant(path, 0, '', '', ast.parse(text))
  good = not _try(same, tests)
  if not good:
    print(f'not used, it fails as it is: {" ".join(tests)}', flush=True)
  return good


def _try(mutant: Mutant, tests: Sequence[str]) -> bool:
  """Whether tests notice, in a process of their own."""
  child = os.fork()
  if not child:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT, TIMEOUT))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    loader = _Loader(mutant)
    sys.meta_path.insert(0, loader)
    import pytest

    options = ['-x', '-q', '-p', 'no:cacheprovider', '-p', 'no:xdist']
    os._exit(int(pytest.main([*options, *tests], plugins=[loader])))
  began = time.monotonic()
  while time.monotonic() - began < 10 * TIMEOUT:  # or it waits for something
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
      # 5: no test was found.
      return os.waitstatus_to_exitcode(status) not in (0, 5)
    time.sleep(0.05)
  with contextlib.suppress(ProcessLookupError):
    os.killpg(child, signal.SIGKILL)
  os.waitpid(child, 0)
  return True


def _cpu_time() -> float:
  """Of the processes that were waited for."""
  return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def killed(mutant: Mutant, budget: float) -> bool | None:
  """Whether a test notices; None if the time was over before all were tried."""
  began = _cpu_time()
  for tests in tests_of(mutant.path):
    if _try(mutant, tests) and _pass(mutant.path, tuple(tests)):
      return True
    if _cpu_time() - began > budget:
      return None
  return False


def excused() -> Iterator[tuple[str, str]]:
  """(file, source line) of numbers that do not matter."""
  for line in EXCUSED.read_text().splitlines() if EXCUSED.exists() else []:
    if line.strip() and not line.startswith('#'):
      file, _, source = line.partition(': ')
      yield file, source.strip()


def main() -> int:
  """Tries the mutants of rooms and prints those that live."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('rooms', nargs='*', metavar='room', help=', '.join(ROOMS))
  parser.add_argument('--each', type=int, default=12)
  parser.add_argument(
    '--budget', type=float, default=240, help='CPU s a mutant'
  )
  parser.add_argument('--list', action='store_true')
  given = parser.parse_args()
  unknown = set(given.rooms) - set(ROOMS)
  if unknown:
    parser.error(f'no room {sorted(unknown)}, there are {", ".join(ROOMS)}')
  os.chdir(ROOT)
  sys.path.insert(0, str(ROOT))
  known, survivors, table = set(excused()), 0, {}
  if not given.list:  # imported once, before any process is split off
    import flax  # noqa: F401
    import jax  # noqa: F401
    import optax  # noqa: F401
    import pytest  # noqa: F401
    import xarray  # noqa: F401
  for room in given.rooms or ROOMS:
    count = Counter()
    for mutant in mutants(room, given.each):
      where = f'{mutant.path}:{mutant.line}: {mutant.change}'
      if given.list:
        print(where)
        continue
      if (str(mutant.path), mutant.was) in known:
        verdict = 'excused'
      else:
        dead = killed(mutant, given.budget)
        verdict = {True: 'killed', False: 'survived', None: 'not decided'}[dead]
      count[verdict] += 1
      if verdict in ('survived', 'not decided'):
        survivors += 1
        print(f'{verdict}: {where}\n    {mutant.was}', flush=True)
    table[room] = count
    print(f'{room}: {dict(count)}', flush=True)
  return int(survivors > 0)


if __name__ == '__main__':
  sys.exit(main())
