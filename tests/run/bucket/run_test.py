"""A run in a bucket does what it does on a disk, with few requests."""

import numpy as np
import pytest

from framework.run import bucket, results
from tests.run import jobs
from tests.run.bucket.saved_test import flipped

OPTIONS = {'batching': 'map', 'chunk_stops': 3, 'lanes_per_call': 2}


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
  where = tmp_path_factory.mktemp('disk')
  jobs.go(jobs.small_job(), where, **OPTIONS)
  return where


def digest_of(where):
  return jobs.last_state(bucket.place(where))


def test_a_run_has_the_bits_of_one_on_a_disk(undisturbed, where, storage):
  done = jobs.go(jobs.small_job(), where, **OPTIONS)
  assert done.status == 'done'
  jobs.same(results.open(undisturbed), results.open(where))
  assert digest_of(where) == jobs.last_state(undisturbed)
  assert results.chunks(where) == results.chunks(undisturbed)


def test_a_chunk_costs_two_requests_an_array_and_lists_nothing(where, storage):
  """Read and written where its span is not full; a checkpoint is two more."""
  chunks, arrays = [], 3  # observations with time; 3 more end a block
  jobs.go(
    jobs.small_job(),
    where,
    **OPTIONS,
    checkpoint_every_secs=0,
    listener=lambda *_: chunks.append(len(storage.requests)),
  )
  made = storage.requests[chunks[0] :]
  print(f'{len(made)} requests for {len(chunks) - 1} chunks of {arrays} arrays')
  assert len(chunks) > 6
  assert len(made) <= len(chunks) * (2 * arrays + 2) + 2 * 3, made
  assert {r.split()[0] for r in made} == {'GET', 'POST', 'DELETE'}


def test_records_alone_are_written_once_and_not_read(where, storage):
  before = len(storage.requests)
  jobs.go(jobs.small_job(), where, **OPTIONS)
  made = [r.split()[0] for r in storage.requests[before:] if '/loss/c/' in r]
  assert made == ['POST'] * 2  # two blocks of lanes


def test_stopped_and_resumed_by_other_clients(undisturbed, where):
  import fsspec

  for stop in (2, 3):
    done = jobs.go(
      jobs.small_job(), where, **OPTIONS, stop_requested=jobs.Stop(stop)
    )
    assert done.status == 'preempted'
    assert np.isnan(results.open(where)['loss']).any()
    fsspec.filesystem('gcs').clear_instance_cache()
  assert jobs.go(jobs.small_job(), where, **OPTIONS).status == 'done'
  jobs.same(results.open(undisturbed), results.open(where))
  assert digest_of(where) == jobs.last_state(undisturbed)


def test_a_lost_chunk_is_found_and_computed_again(undisturbed, where, caplog):
  jobs.go(jobs.small_job(), where, **OPTIONS)
  written = results.chunks(where)
  lost = next(p for p in written if p.startswith('loss/'))
  (bucket.place(where) / 'records.zarr' / lost).unlink()
  assert results.missing(where, written) == [lost]
  jobs.go(jobs.small_job(), where, **OPTIONS)
  assert '1 chunks of the records are gone' in caplog.text
  jobs.same(results.open(undisturbed), results.open(where))


def test_a_flipped_byte_of_a_record_is_no_result(where):
  jobs.go(jobs.small_job(), where, **OPTIONS)
  path = next(p for p in bucket.files(where) if '/loss/c/' in p)
  bucket.write(f'{where}/{path}', flipped(bucket.read(f'{where}/{path}')))
  with pytest.raises(results.DamagedRecords, match=r'records.zarr/loss cannot'):
    results.open(where)


def test_there_are_no_records(where):
  with pytest.raises(FileNotFoundError, match=r'no records.zarr in gs://'):
    results.open(where)
