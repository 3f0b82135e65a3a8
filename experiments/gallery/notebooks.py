"""Notebooks: jupytext sources, executed once and shown as pages."""

import base64
import hashlib
import html
import pathlib
import re
from typing import Any

__all__ = ['execute', 'page']

_ANSI = re.compile(r'\x1b\[[0-9;]*m')


def execute(source: pathlib.Path, store: pathlib.Path) -> Any:
  """The executed notebook of a source, from the store if it is there.

  Args:
    source: A Python file in jupytext's percent format.
    store: The folder of executed notebooks, by name and digest of the source.

  Returns:
    A notebook, as nbformat has it.

  Raises:
    nbclient.exceptions.CellExecutionError: If a cell fails.
  """
  import jupytext
  import nbclient
  import nbformat

  kept = _kept(source, store)
  if kept.exists():
    return nbformat.read(kept, as_version=4)
  notebook: Any = jupytext.read(source, fmt='py:percent')
  notebook.metadata['kernelspec'] = {'name': 'python3', 'display_name': 'P'}
  nbclient.NotebookClient(notebook, timeout=600).execute()
  store.mkdir(parents=True, exist_ok=True)
  nbformat.write(notebook, kept)
  return notebook


def page(
  source: pathlib.Path, page: pathlib.Path, store: pathlib.Path, run: bool
) -> str:
  """Writes a notebook as a page, its images beside it.

  Args:
    source: A Python file in jupytext's percent format.
    page: The Markdown file to write.
    store: The folder of executed notebooks.
    run: Whether to execute it, where it is not in the store.

  Returns:
    The title of the page.
  """
  if run or _kept(source, store).exists():
    cells = execute(source, store).cells
    note = ''
  else:
    cells = _cells(source)
    note = '\nNot executed for this site: `--notebooks` does.\n'
  title = cells[0]['source'].split('\n')[0].removeprefix('# ')
  page.parent.mkdir(parents=True, exist_ok=True)
  parts, images, alt = [], 0, title
  for cell in cells:
    if cell['cell_type'] == 'markdown':
      parts.append(cell['source'])
      alt = cell['source'].split('\n\n')[-1]
      continue
    parts.append(f'```python\n{cell["source"]}\n```')
    for output in cell.get('outputs', ()):
      data = output.get('data', {})
      if 'image/png' in data:
        images += 1
        name = f'{page.stem}-{images}.png'
        content = base64.b64decode(data['image/png'])
        (page.parent / name).write_bytes(content)
        words = html.escape(' '.join(alt.split()), quote=True)
        parts.append(f'<img src="{name}" alt="{words}">')
      elif shown := output.get('text') or data.get('text/plain'):
        parts.append(f'```text\n{_ANSI.sub("", shown).rstrip()}\n```')
  parts.insert(1, f'{note}\nSource: `docs/notebooks/{source.name}`.')
  page.write_text('\n\n'.join(parts) + '\n')
  return title


def _kept(source: pathlib.Path, store: pathlib.Path) -> pathlib.Path:
  digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
  return store / f'{source.stem}-{digest}.ipynb'


def _cells(source: pathlib.Path) -> list[dict[str, Any]]:
  r"""The cells of the percent format, without the package that executes them.

  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   file = pathlib.Path(folder, 'a.py')
  ...   n = file.write_text('# %% [markdown]\n# # Title\n\n# %%\nx = 1\n')
  ...   [(c['cell_type'], c['source']) for c in _cells(file)]
  [('markdown', '# Title'), ('code', 'x = 1')]
  """
  found = []
  for part in re.split(r'^# %%', source.read_text(), flags=re.MULTILINE)[1:]:
    head, _, body = part.partition('\n')
    kind = 'markdown' if '[markdown]' in head else 'code'
    if kind == 'markdown':
      body = re.sub(r'^# ?', '', body, flags=re.MULTILINE)
    found.append({'cell_type': kind, 'source': body.strip()})
  return found
