"""The pages of the site, laid out in a folder: docs, results, API, notebooks.

The docs are the Markdown of the repository, at the same paths, so that their
links hold; everything else is written here.
"""

import ast
import json
import pathlib
import re
import shutil
from collections.abc import Mapping
from typing import Any

from experiments.gallery import collect, notebooks, tables
from framework.launch import cite

__all__ = ['ROOT', 'stage']

ROOT = pathlib.Path(__file__).parents[2]
_COPIED = (
  'report.html',
  'config.json',
  'run.json',
  'claims.json',
  'results.csv',
  'log.txt',
)
_MARK = re.compile(r'^<!--.*-->\n', re.MULTILINE)  # for tests/readme.py
_IMAGE = re.compile(r'!\[([^]]*)\]\((figures/[^)]+)\)')
_QUESTION = re.compile(r'^\| \[([^]]+)\]\((\w+)\.md\) \| (.+\?) \|$', re.M)
_HOWTO = ('howto', 'extending', 'uses', 'scale', 'gallery')

Nav = list[Any]  # of pages, and of {title: page or Nav}


def stage(
  root: pathlib.Path,
  gallery: Mapping[str, Any],
  pages: pathlib.Path,
  *,
  notebooks: bool = False,
) -> Nav:
  """Writes all pages.

  Args:
    root: The folder of the work directories.
    gallery: The content of gallery.json.
    pages: A folder that is not there yet.
    notebooks: Whether notebooks are executed, or shown as they are stored.

  Returns:
    The navigation, as MkDocs has it.
  """
  docs = ROOT / 'docs'
  shutil.copytree(docs / 'site/assets', pages / 'assets')
  shutil.copytree(docs / 'figures', pages / 'docs/figures')
  sources = {'start': ROOT / 'README.md', 'contributing': ROOT / _CONTRIBUTING}
  sources |= {f'docs/{file.stem}': file for file in docs.glob('*.md')}
  for name, file in sources.items():
    text = _MARK.sub('\n', file.read_text())
    text = text.replace('](../README.md', '](../start.md')
    text = text.replace('](README.md', '](start.md')
    text = text.replace(f'](../{_CONTRIBUTING}', '](../contributing.md')
    text = text.replace(f']({_CONTRIBUTING}', '](contributing.md')
    _write(pages / f'{name}.md', text)
  _write(pages / 'claims.md', tables.claims(gallery))
  _write(pages / collect.NAME, json.dumps(gallery, ensure_ascii=False))
  _write(pages / 'cite.md', _cite())
  _write(pages / 'index.md', _index(gallery))
  results = _results(root, gallery, pages)
  systems = [name for _, name, _ in _questions()]
  return [
    {'Gallery': ['index.md', {'Start': 'start.md'}, {'Cite': 'cite.md'}]},
    {'Claims': ['claims.md', *results]},
    {'Systems': ['docs/index.md', *(f'docs/{name}.md' for name in systems)]},
    {'Laws': ['docs/laws.md']},
    {'How to': [*(f'docs/{x}.md' for x in _HOWTO), 'contributing.md']},
    {'Notebooks': _notebooks(root, pages, notebooks)},
    {'API': _api(pages)},
  ]


_CONTRIBUTING = 'CONTRIBUTING.md'


def _write(path: pathlib.Path, text: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)


def _questions() -> list[tuple[str, str, str]]:
  """(title, name of the page, question) of every system, from docs/index.md."""
  return _QUESTION.findall((ROOT / 'docs/index.md').read_text())


def _index(gallery: Mapping[str, Any]) -> str:
  """The first page: a figure and a question for each system."""
  cards = []
  for title, name, question in _questions():
    found = _IMAGE.search((ROOT / f'docs/{name}.md').read_text())
    link, image = f'docs/{name}.html', ''
    if found:
      alt = tables.text(f'{title}: {found[1]}')
      image = f'<img src="docs/{found[2]}" alt="{alt}" loading="lazy">'
    cards.append(
      f'<figure>{image}<figcaption><a href="{link}">{tables.text(title)}</a>: '
      f'{tables.text(question)}'
      f'<small>{tables.count(gallery, name)}</small></figcaption></figure>'
    )
  body = '\n'.join(cards)
  return (
    '---\nhide: [navigation, toc]\n---\n# Training dynamics\n\n'
    'Theorems about training dynamics, seen, checked, swept and built on, in '
    'JAX. Every experiment compares a *trajectory* with a *law* and says, '
    'claim by claim: predicted, measured, holds or not. '
    '[Start here](start.md), see [every claim](claims.md), or ask '
    '[which law answers your question](docs/laws.md).\n\n'
    f'{tables.summary(gallery)}\n\n<div class="gallery">\n{body}\n</div>\n'
  )


def _results(
  root: pathlib.Path, gallery: Mapping[str, Any], pages: pathlib.Path
) -> Nav:
  """One page an experiment that has been run, with its figures and reports."""
  nav = []
  for name, experiment in collect.experiments().items():
    runs = [run for run in gallery['runs'] if run['experiment'] == name]
    if not runs:
      continue
    text = f'# {experiment.title}\n\n[Cite this](../cite.md#{name}).\n'
    for run in runs:
      label = f'{name}-{run["variant"]}'
      place = root / run['workdir']
      _copy(place, pages / 'results' / label)
      what = experiment.configs[run['variant']][0]
      text += f'\n## {run["variant"]}\n\n{what}\n\n'
      text += tables.run(gallery, run, f'{label}/report.html')
      text += tables.figures(place, label)
    _write(pages / f'results/{name}.md', text)
    nav.append({name.replace('_', ' '): f'results/{name}.md'})
  return nav


def _copy(place: pathlib.Path, target: pathlib.Path) -> None:
  target.mkdir(parents=True)
  for file in _COPIED:
    if (place / file).exists():
      shutil.copy(place / file, target)
  if (place / 'figures').is_dir():
    shutil.copytree(place / 'figures', target / 'figures')


def _cite() -> str:
  text = (
    '# Cite\n\nBibTeX of what each experiment reproduces and uses, and of this '
    'software; `python -m experiments.NAME --cite` prints the same.\n'
  )
  for name, experiment in collect.experiments().items():
    text += f'\n## {experiment.title} {{#{name}}}\n\n'
    text += f'```bibtex\n{cite.bibtex(experiment)}```\n'
  return text


def _notebooks(root: pathlib.Path, pages: pathlib.Path, execute: bool) -> Nav:
  nav = []
  for source in sorted((ROOT / 'docs/notebooks').glob('*.py')):
    page = pages / f'notebooks/{source.stem}.md'
    title = notebooks.page(source, page, root / 'notebooks', execute)
    nav.append({title: f'notebooks/{source.stem}.md'})
  return nav


def _api(pages: pathlib.Path) -> Nav:
  """A page for each package of the framework, read off its source."""
  index = '# API\n\nEvery public name, from its docstring.\n\n'
  index += '| package | |\n|---|---|\n'
  nav: Nav = ['api/index.md']
  framework = ROOT / 'framework'
  for face in sorted(framework.rglob('__init__.py')):
    package = '.'.join(face.parent.relative_to(ROOT).parts)
    modules = [
      f'{package}.{file.stem}'
      for file in sorted(face.parent.glob('*.py'))
      if file.stem not in ('__init__', '__main__')
      and not file.stem.startswith('_')
    ]
    first = (ast.get_docstring(ast.parse(face.read_text())) or '').split('\n')[
      0
    ]
    text = f'# `{package}`\n\n::: {package}\n    options:\n'
    text += '      members: false\n      show_root_heading: false\n'
    text += '      show_root_toc_entry: false\n'
    text += ''.join(f'\n::: {module}\n' for module in modules)
    _write(pages / f'api/{package}.md', text)
    cell = first.replace('|', r'\|')
    index += f'| [{package}]({package}.md) | {cell} |\n'
    nav.append({package: f'api/{package}.md'})
  _write(pages / 'api/index.md', index)
  return nav
