"""The defaults of all experiments: run, and every claim looked at."""

import importlib
import pathlib
import re

import pytest

from experiments.__main__ import EXPERIMENTS
from framework.launch import Study

DOCS = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_a_command_of_the_docs_runs_the_default(name):
  """Which runs with --strict, as every command of README and docs does."""
  command = re.compile(
    rf'^```sh\n(?:.*\n)*?.*python -m experiments\.{name}(?: --strict)?\n',
    re.MULTILINE,
  )
  pages = [DOCS / 'README.md', *sorted((DOCS / 'docs').glob('*.md'))]
  assert any(command.search(page.read_text()) for page in pages)


@pytest.mark.slow
@pytest.mark.parametrize('name', EXPERIMENTS)
def test_every_testable_claim_of_the_default_holds(name, tmp_path):
  experiment = importlib.import_module(f'experiments.{name}').EXPERIMENT
  study = Study(experiment, workdir=str(tmp_path / 'run'))
  assert study.run(progress='none').status == 'done'
  verdicts = {claim.id: claim.verdict for claim in study.claims()}
  assert [i for i, verdict in verdicts.items() if verdict == 'fails'] == []
  headlines = [c.verdict for c in study.claims() if c.headline]
  assert headlines and set(headlines) <= {'holds', 'not testable'}
  assert 'holds' in headlines
