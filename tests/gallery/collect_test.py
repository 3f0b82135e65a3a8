"""gallery.json of made-up work directories."""

import json

import pytest

from experiments.gallery import __main__ as command
from experiments.gallery import collect, notebooks, tables
from experiments.matrix_sensing import EXPERIMENT
from framework.evidence import claims
from framework.launch import cite, report

LAW = 'Theorem 1'


def made(root, measured=-2.0, started='2026-01-01T00:00:00Z', **changes):
  """A finished run of the default variant, with two claims."""
  config = EXPERIMENT.config('symmetric')
  place = collect.workdir(root, 'matrix_sensing', config)
  place.mkdir(parents=True, exist_ok=True)
  run = {'status': 'done', 'started': started, 'seconds': 3.0, 'lanes': 40}
  stored = report.identity(EXPERIMENT, config) | changes.pop('config', {})
  exact = claims.equals(
    'exponent', 'It falls as T⁻².', LAW, -2, measured, atol=0.1,
    derivation='given', kind='theorem',
  )  # fmt: skip
  below = claims.at_most(
    'loss', 'It is <small>.', LAW, 1e-6, 1e-7, derivation='given'
  )
  contents = {
    'run.json': run | {'git': 'abc'} | changes,
    'config.json': stored,
    'figures.json': {'curse': 'A "caption" < 1'},
  }
  for name, content in contents.items():
    (place / name).write_text(json.dumps(content))
  (place / 'claims.json').write_text(claims.to_json([below, exact]))
  return place


def test_claims_have_their_run_and_failing_ones_come_first(tmp_path):
  made(tmp_path, measured=-1.5)
  gallery = collect.collect(tmp_path)
  first, second = gallery['claims']
  assert (first['id'], first['verdict']) == ('exponent', 'fails')
  assert second['verdict'] == 'holds'
  facts = ('experiment', 'variant', 'kind', 'date', 'commit')
  assert [first[name] for name in facts] == [
    'matrix_sensing', 'symmetric', 'theorem', '2026-01-01', 'abc',
  ]  # fmt: skip
  assert collect.claim_of(first).predicted == (-2.0)


def test_missing_variants_say_what_they_cost(tmp_path):
  made(tmp_path)
  missing = collect.collect(tmp_path)['missing']
  total = sum(len(e.configs) for e in collect.experiments().values())
  assert len(missing) == total - 1
  assert all(one['lanes'] >= 1 for one in missing)


@pytest.mark.parametrize(
  ('changes', 'other'),
  [({'status': 'preempted'}, 0), ({'config': {'hash': 'of others'}}, 1)],
)
def test_only_finished_runs_of_the_variant_itself_count(
  changes, other, tmp_path
):
  made(tmp_path, **changes)
  gallery = collect.collect(tmp_path)
  assert not gallery['runs'] and gallery['other'] == other


def test_a_difference_says_what_changed(tmp_path):
  made(tmp_path)
  old = collect.collect(tmp_path)
  assert collect.diff(old, old) == []
  made(tmp_path, measured=-1.5)
  new = collect.collect(tmp_path)
  assert collect.diff(old, new) == [
    'matrix_sensing:symmetric exponent: holds -> fails, measured -2 -> -1.5'
  ]
  gone = {'claims': []}
  assert all('gone' in line for line in collect.diff(old, gone))
  assert all('new' in line for line in collect.diff(gone, old))


def test_the_command_writes_data_and_fails_when_strict(tmp_path, capsys):
  made(tmp_path, measured=-1.5)
  given = [f'--root={tmp_path}', '--no-site']
  assert command.main(given) == 0
  assert command.main([*given, '--strict']) == 3
  stored = json.loads((tmp_path / collect.NAME).read_text())
  assert stored == collect.collect(tmp_path)
  told = capsys.readouterr().out
  assert told.startswith('fails  matrix_sensing:symmetric exponent')
  assert 'missing  matrix_sensing:phase' in told
  assert command.main([*given, f'--diff={tmp_path / "none.json"}']) == 2


def test_texts_mean_themselves_in_pages(tmp_path):
  place = made(tmp_path, measured=-1.5)
  page = tables.claims(collect.collect(tmp_path))
  assert 'It is &lt;small&gt;.' in page
  assert page.index('data-verdict="fails"') < page.index('data-verdict="holds"')
  assert 'alt="A &quot;caption&quot; &lt; 1"' in tables.figures(place, 'run')


def test_every_experiment_has_its_citations():
  for name, experiment in collect.experiments().items():
    text = cite.bibtex(experiment)
    assert text.count('{') == text.count('}'), name
    assert text.count('\n@') >= 2, name
  assert 'xiong2023curses' in cite.bibtex(EXPERIMENT)


def test_a_notebook_that_was_not_executed_says_so(tmp_path):
  source = tmp_path / 'one.py'
  source.write_text('# %% [markdown]\n# # Title\n# %%\nprint(1)\n')
  page = tmp_path / 'pages/one.md'
  title = notebooks.page(source, page, tmp_path / 'store', False)
  assert title == 'Title'
  assert 'Not executed' in page.read_text()
  assert '```python\nprint(1)\n```' in page.read_text()
