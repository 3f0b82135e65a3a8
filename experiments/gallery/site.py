"""A static site of docs, results and API: from a disk, without network.

MkDocs-Material makes it; `stage` lays out its pages. MathJax comes from a
package as well, so that nothing is fetched when a page is opened.
"""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from experiments.gallery import stage

__all__ = ['Missing', 'build', 'check']

_MATHJAX = pathlib.Path('static/mathjax/es5/tex-svg.js')  # in its package
_NEEDED = ('mkdocs', 'material', 'mkdocstrings', 'mathjax')
_NOTEBOOKS = ('jupytext', 'nbclient')


class Missing(RuntimeError):
  """The site cannot be built here."""


def check(notebooks: bool = False) -> None:
  """Refuses to begin where something is missing.

  Args:
    notebooks: Whether notebooks are to be executed.

  Raises:
    Missing: Without the sources of the docs or a package.
  """
  if not (stage.ROOT / 'docs').is_dir():
    raise Missing('the site is made of docs/: run this in a checkout of the'
                  ' repository, or give --no-site')  # fmt: skip
  wanted = _NEEDED + (_NOTEBOOKS if notebooks else ())
  lacking = [name for name in wanted if importlib.util.find_spec(name) is None]
  if lacking:
    raise Missing(
      f"no {', '.join(lacking)}: pip install 'training-dynamics[site]', or "
      'give --no-site'
    )


def build(
  root: pathlib.Path,
  gallery: Mapping[str, Any],
  where: pathlib.Path,
  *,
  notebooks: bool = False,
) -> None:
  """Builds the site strictly: a warning of the generator is an error.

  Args:
    root: The folder of the work directories.
    gallery: The content of gallery.json.
    where: The folder of the site; what it held is replaced.
    notebooks: Whether notebooks are executed.

  Raises:
    Missing: If something is not there.
    subprocess.CalledProcessError: If the generator warns or fails.
  """
  check(notebooks)
  with tempfile.TemporaryDirectory() as folder:
    pages, config = pathlib.Path(folder, 'pages'), pathlib.Path(folder, 'm.yml')
    nav = stage.stage(root, gallery, pages, notebooks=notebooks)
    _mathjax(pages / 'assets/mathjax')
    handlers = {'python': {'paths': [f'{stage.ROOT}']}}
    settings = {
      'INHERIT': f'{stage.ROOT / "docs/site/mkdocs.yml"}',
      'docs_dir': f'{pages}',
      'site_dir': f'{where.absolute()}',
      'nav': nav,
      'plugins': {'mkdocstrings': {'handlers': handlers}},
    }
    config.write_text(json.dumps(settings))  # JSON is YAML
    subprocess.run(
      [sys.executable, '-m', 'mkdocs', 'build', '-q', '-s', '-f', f'{config}'],
      check=True,
      env=os.environ | {'NO_MKDOCS_2_WARNING': '1'},
    )
  # Pages that only a server, or a search engine, would ask for.
  for name in ('404.html', 'sitemap.xml', 'sitemap.xml.gz'):
    (where / name).unlink(missing_ok=True)


def _mathjax(where: pathlib.Path) -> None:
  spec = importlib.util.find_spec('mathjax')
  places = spec.submodule_search_locations if spec else None
  files = [pathlib.Path(place) / _MATHJAX for place in places or ()]
  found = [file for file in files if file.exists()]
  if not found:
    raise Missing('no MathJax: pip install django-static-mathjax')
  where.mkdir(parents=True)
  shutil.copy(found[0], where)
