"""What holds for every System, whatever it computes."""

import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from framework import system as system_lib
from framework.run.checkpoint import Checkpoints, to_host
from framework.run.plan import Plan
from framework.run.sweep import Program
from framework.system import rollout
from tests.laws import systems

SEEDS = (3, 11)
KEY = jax.random.key(SEEDS[0])


class Subject(NamedTuple):
  """A case, and its rollout compiled once for all laws."""

  entry: systems.Entry
  case: systems.Case
  dtype: Any
  run: Any  # (key, hp, times) -> (state, records), traced at most once


@functools.cache
def subject(name: str, precision: str) -> Subject:
  entry = next(e for e in systems.ENTRIES if e.name == name)
  case = entry.make(systems.DTYPES[precision])

  def whole(key, hp, times, data):
    return rollout(case.system, key, hp, times, data)

  # chex counts by name.
  whole.__name__ = f'{name} {precision}'
  # A second trace raises: a value among the arguments was compiled in.
  whole = jax.jit(chex.assert_max_traces(whole, n=1))

  def run(key, hp, times):
    # Data are an argument: products with a constant are compiled otherwise.
    return whole(key, hp, times, case.data)

  return Subject(entry, case, systems.DTYPES[precision], run)


@functools.cache
def plain(name: str, precision: str):
  s = subject(name, precision)
  return to_host(s.run(KEY, s.case.hp, s.case.times))


def pytest_generate_tests(metafunc):
  """Every law is tried on every entry, in each of its precisions."""
  both = 'precision' in metafunc.fixturenames
  metafunc.parametrize(
    'name, precision' if both else 'name',
    [
      (e.name, p) if both else e.name
      for e in systems.ENTRIES
      for p in (e.precisions if both else e.precisions[-1:])
      if both or p == 'float64'
    ],
  )


def floats(tree):
  return [
    np.asarray(x, np.float64)
    for x in jax.tree.leaves(tree)
    if jnp.issubdtype(x.dtype, jnp.inexact)
  ]


def close(one, two, tolerance, what):
  """|a - b| within a fraction of the largest |b| of the array."""
  for a, b in zip(floats(one), floats(two), strict=True):
    atol = tolerance * max(1e-3, np.max(np.abs(b), initial=0))
    np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=what)


def equal(one, two):
  chex.assert_trees_all_equal(to_host(one), to_host(two))


def test_jit_gives_finite_records_of_the_right_shape(name, precision):
  s = subject(name, precision)
  state, records = plain(name, precision)
  assert records and all(np.isfinite(x).all() for x in floats(records))
  assert all(np.isfinite(x).all() for x in floats(state))
  for key, x in records.items():
    assert x.shape[0] == len(s.case.times), key
  # It moves at all, or the other laws say nothing.
  assert any(np.any(x[0] != x[-1]) for x in records.values())


def test_the_state_has_one_type_from_init_on(name, precision):
  """`eval_shape` tells the truth and a step keeps it, weak types included."""
  s = subject(name, precision)
  case = s.case
  problem, said = jax.eval_shape(
    lambda key: system_lib.start(case.system, key, case.hp, case.data), KEY
  )
  after = jax.eval_shape(case.system.step, KEY, said, problem, case.hp)
  for real in (after, s.run(KEY, case.hp, case.times)[0]):
    chex.assert_trees_all_equal_structs(said, real)
    chex.assert_trees_all_equal_shapes_and_dtypes(said, real)
  kinds = {x.dtype for x in jax.tree.leaves(said) if _is_float(x)}
  assert kinds == {jnp.dtype(s.dtype)}, 'a float of another precision'
  assert not any(x.weak_type for x in jax.tree.leaves((said, after)))


def test_vmap_over_seeds_agrees_with_single_runs(name, precision):
  s = subject(name, precision)

  def one(seed):
    key = jax.random.key(seed)
    return rollout(s.case.system, key, s.case.hp, s.case.times, s.case.data)

  lanes = to_host(jax.jit(jax.vmap(one))(np.array(SEEDS)))
  steps = int(s.case.times[-1])
  tolerance = 100 * steps * float(jnp.finfo(s.dtype).eps) * s.entry.looser
  for i, seed in enumerate(SEEDS):
    single = s.run(jax.random.key(seed), s.case.hp, s.case.times)
    lane = jax.tree.map(lambda x, i=i: x[i], lanes)
    close(lane[1], single[1], tolerance, 'records')
    close(lane[0], single[0], tolerance, 'state')
  # Two seeds are two runs.
  assert any(np.any(x[0] != x[1]) for x in floats(lanes[1]))


def test_forward_derivatives_in_hp(name):
  """∂(last records)/∂hp: finite, and a central difference where smooth."""
  s = subject(name, 'float64')
  case, hp = s.case, s.case.hp
  fields = [
    f
    for f, x in zip(hp._fields, hp, strict=True)
    if jnp.issubdtype(jnp.asarray(x).dtype, jnp.floating)
  ]

  @jax.jit
  def slope(hp, along):
    def last(hp):
      records = rollout(case.system, KEY, hp, case.times, case.data)[1]
      return [x[-1] for x in jax.tree.leaves(records) if _is_float(x)]

    return jax.jvp(last, (hp,), (along,))

  for field in fields:
    zero = jax.tree.map(np.zeros_like, hp)
    along = _tangent(zero._replace(**{field: s.dtype(1)}))
    _, tangent = slope(hp, along)
    assert all(np.isfinite(x).all() for x in floats(tangent)), field
    if field not in s.entry.differentiable:
      continue
    at = float(getattr(hp, field))
    h = 1e-5 * max(abs(at), 1e-3)

    def last(value, field=field):
      hp_there = hp._replace(**{field: s.dtype(value)})
      records = to_host(s.run(KEY, hp_there, case.times)[1])
      return [x[-1] for x in jax.tree.leaves(records) if _is_float(x)]

    difference = [
      (b - a) / (2 * h) for a, b in zip(last(at - h), last(at + h), strict=True)
    ]
    close(tangent, difference, 1e-6 * s.entry.looser, field)
    assert any(np.any(x != 0) for x in floats(tangent)), f'{field} does nothing'


def _is_float(x):
  return jnp.issubdtype(x.dtype, jnp.floating)


def _tangent(hp):
  """Integers have tangents of dtype float0."""
  return jax.tree.map(
    lambda x: x if _is_float(x) else np.zeros(np.shape(x), jax.dtypes.float0),
    hp,
  )


def test_new_values_do_not_compile_again(name, precision):
  """A second trace of `Subject.run` raises, whichever argument is new."""
  s = subject(name, precision)
  hp, times = s.case.hp, s.case.times
  half = jax.tree.map(lambda x: type(x)(x / 2) if _is_float(x) else x, hp)
  records = [
    s.run(KEY, hp, times)[1],
    s.run(KEY, half, times)[1],
    s.run(jax.random.key(2**31), hp, times)[1],
    s.run(KEY, hp, np.arange(len(times), dtype=np.int32) + 1)[1],
  ]
  for other in records[1:]:
    assert any(
      np.any(x != y)
      for x, y in zip(floats(records[0]), floats(other), strict=True)
    )


@functools.cache
def program(name: str, precision: str):
  """Two seeds, one point, lane by lane on one device: (problem, go on)."""
  s = subject(name, precision)
  hp, data, slots = s.case.hp, s.case.data, len(s.case.times)
  made = Program(s.case.system, Plan(2, 1, 1, 1, 1, 'seed'), hp, data)
  keys = made.seed_keys(SEEDS)

  def begin():
    return made.start(keys, hp, data)

  def go_on(problem, lanes, t, times, recorded=None):
    """With as many stops as a whole run has, so that it compiles once."""
    stops, wanted = np.full(slots, times[-1], np.int32), np.zeros(slots, bool)
    stops[: len(times)] = times
    wanted[: len(times)] = True if recorded is None else recorded
    lanes, records = made.advance(
      keys, problem, hp, lanes, np.int32(t), stops, wanted
    )
    return lanes, jax.tree.map(lambda x: x[:, :, wanted], to_host(records))

  return begin, go_on


def assert_single_runs(name, precision, lanes, records):
  """Each lane has the bits of a plain rollout."""
  s, states = subject(name, precision), to_host(lanes.state)
  for i, seed in enumerate(SEEDS):
    state, want = s.run(jax.random.key(seed), s.case.hp, s.case.times)
    equal(jax.tree.map(lambda x, i=i: x[i, 0], states), state)
    # Masked records are floats, for there is no other nan.
    equal(
      jax.tree.map(lambda x, i=i: np.asarray(x[i, 0], np.float64), records),
      jax.tree.map(lambda x: np.asarray(x, np.float64), want),
    )


def test_mapped_lanes_are_single_runs_bit_by_bit(name, precision):
  begin, go_on = program(name, precision)
  lanes, records = go_on(*begin(), 0, subject(name, precision).case.times)
  assert_single_runs(name, precision, lanes, records)


def test_chunks_do_not_change_a_bit(name, precision):
  """In one piece, or two stops at a time with unrecorded ones in between."""
  times = subject(name, precision).case.times
  begin, go_on = program(name, precision)
  problem, lanes = begin()
  stops = sorted({0, 2, 3, int(times[-1]) - 1, *times.tolist()})
  t, found = 0, []
  for i in range(0, len(stops), 2):
    pair = stops[i : i + 2]
    lanes, records = go_on(problem, lanes, t, pair, np.isin(pair, times))
    found.append(records)
    t = pair[-1]
  together = jax.tree.map(lambda *x: np.concatenate(x, axis=2), *found)
  assert_single_runs(name, precision, lanes, together)


def test_a_checkpoint_does_not_change_a_bit(name, precision, tmp_path):
  times = subject(name, precision).case.times
  begin, go_on = program(name, precision)
  problem, lanes = begin()
  middle, first = go_on(problem, lanes, 0, times[:3])
  checkpoints = Checkpoints(tmp_path)
  checkpoints.save(1, middle, {})
  checkpoints.wait()
  shapes = jax.eval_shape(lambda: middle)
  del middle, problem
  restored = checkpoints.restore(lambda _: shapes).tree
  checkpoints.close()
  problem, _ = begin()
  lanes, rest = go_on(problem, restored, times[2], times[3:])
  together = jax.tree.map(lambda *x: np.concatenate(x, axis=2), first, rest)
  assert_single_runs(name, precision, lanes, together)


def test_it_lowers_everywhere_without_calling_back(name, precision):
  s = subject(name, precision)

  def run(words, hp, times):
    key = jax.random.wrap_key_data(words)
    state, records = rollout(s.case.system, key, hp, times, s.case.data)
    return to_words(state), records

  exported = jax.export.export(jax.jit(run), platforms=('cpu', 'cuda', 'tpu'))(
    jax.random.key_data(KEY), s.case.hp, s.case.times
  )
  assert exported.platforms == ('cpu', 'cuda', 'tpu')
  text = exported.mlir_module()
  for word in ('callback', 'infeed', 'outfeed', 'host_'):
    assert word not in text, word


def to_words(tree):
  """Typed keys as their words, which can leave an exported program."""
  return jax.tree.map(
    lambda x: (
      jax.random.key_data(x)
      if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
      else x
    ),
    tree,
  )
