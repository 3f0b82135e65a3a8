import json
import subprocess
import sys

import jax
import pytest

from framework.run import environment as lib


def test_the_identity_is_json_and_says_what_fixes_the_bits():
  found = lib.identity()
  assert json.loads(json.dumps(found)) == found
  assert found['prng'] == 'threefry2x32' and found['x64'] is True
  assert found['devices'] == 8 and found['platform'] == 'cpu'
  assert found['jaxlib'].count('.') >= 2
  assert lib.changes(found, lib.identity()) == ([], [])


@pytest.mark.parametrize(
  'setting, words',
  [
    (jax.default_prng_impl('rbg'), 'jax_default_prng_impl threefry2x32 -> rbg'),
    (jax.enable_x64(False), 'jax_enable_x64 True -> False'),
    (
      jax.default_matmul_precision('highest'),
      'jax_default_matmul_precision None -> highest',
    ),
    (
      jax.threefry_partitionable(False),
      'jax_threefry_partitionable True -> False',
    ),
  ],
)
def test_settings_of_a_context_count(setting, words):
  before = lib.identity()
  with setting:
    assert lib.changes(before, lib.identity()) == ([words], [])


def test_other_machines_change_the_last_bits_alone():
  now = lib.identity()
  before = {**now, 'devices': 2, 'jaxlib': '0.1.0', 'platform': 'tpu'}
  exact, close = lib.changes(before, now)
  assert exact == [] and len(close) == 3
  assert 'devices 2 -> 8' in close and 'platform tpu -> cpu' in close


def test_what_an_older_version_did_not_say_is_not_compared_but_its_code():
  now = lib.identity()
  words = [f'source unknown -> {now["source"]}']
  assert lib.changes({}, now) == ([], words)
  assert lib.changes({'source': now['source']}, now) == ([], [])


def test_the_environment_of_a_process_counts():
  code = (
    'from framework.run import environment; i = environment.identity();'
    "print(i['prng'], i['seed_offset'], i['xla_flags'])"
  )
  said = subprocess.run(
    [sys.executable, '-c', code],
    env={
      'JAX_PLATFORMS': 'cpu',
      'JAX_DEFAULT_PRNG_IMPL': 'rbg',
      'JAX_RANDOM_SEED_OFFSET': '3',
      'XLA_FLAGS': '--xla_cpu_enable_fast_min_max=false',
    },
    capture_output=True,
    text=True,
    check=True,
  ).stdout
  assert said == 'rbg 3 --xla_cpu_enable_fast_min_max=false\n'


def test_facts_are_json_and_say_what_matters():
  facts = json.loads(json.dumps(lib.facts(['run', '--seeds=3'])))
  assert facts['argv'] == ['run', '--seeds=3']
  assert facts['platform'] == 'cpu' and facts['devices'] == 8
  assert facts['x64'] is True and facts['processes'] == 1
  assert facts['versions']['jax'].count('.') >= 1
  assert facts['versions']['orbax-checkpoint'] != 'not installed'
