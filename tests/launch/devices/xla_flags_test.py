import json

from framework.launch.devices import xla_flags

REAL = '--xla_cpu_enable_fast_math=false'
GONE = '--xla_no_such_flag=true'


def test_unknown_flags_are_left_out_and_the_answer_is_kept(
  tmp_path, monkeypatch
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert xla_flags.known([REAL, GONE]) == [REAL]
  (kept,) = tmp_path.rglob('*.json')
  assert json.loads(kept.read_text()) == [REAL]
  kept.write_text(json.dumps([]))  # it is read, not tried again
  assert xla_flags.known([REAL, GONE]) == []


def test_what_was_given_stays_and_wins(monkeypatch):
  monkeypatch.setattr(xla_flags, 'known', list)
  assert xla_flags.with_flags('--a=2', ['--a=1']) == '--a=1 --a=2'
  assert xla_flags.with_flags(None, ['--a=1']) == '--a=1'
