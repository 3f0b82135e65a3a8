"""Every notebook of the docs, executed."""

import importlib.util
import pathlib

import pytest

from experiments.gallery import notebooks

SOURCES = sorted(
  (pathlib.Path(__file__).parents[2] / 'docs/notebooks').iterdir()
)


@pytest.mark.slow
@pytest.mark.parametrize('source', SOURCES, ids=lambda path: path.stem)
def test_it_runs_and_shows_a_figure(source, tmp_path):
  for name in ('jupytext', 'nbclient', 'ipykernel'):
    if importlib.util.find_spec(name) is None:
      pytest.skip(f'no {name}: it comes with the extra "site"')
  page = tmp_path / 'pages' / f'{source.stem}.md'
  title = notebooks.page(source, page, tmp_path / 'store', True)
  text = page.read_text()
  assert text.startswith(f'# {title}')
  assert 'Not executed' not in text
  assert list(page.parent.glob('*.png'))
  assert '<img src=' in text and 'alt=""' not in text
