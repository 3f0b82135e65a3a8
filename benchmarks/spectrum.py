"""Exact risks and fits against their peers and the machine's limits.

    python -m benchmarks.spectrum --out=spectrum.json

CPU time with one thread, each sample against its peers in the same rounds:

    table      3 n × 7 k × 81 ridges of `rf_risk` at 2000 modes as one program,
               against two nested bisections in numpy, one cell at a time, as
               the paper's authors nest them (50 halvings each; they allow 200)
    recursion  a step of one-pass SGD on 20,000 modes, all of them and merged,
               against the copy of as many bytes that a step moves, and 10^6
               steps of the merged ones
    bootstrap  fits of a power law with a floor to 30 points: 10,000 in one
               program against `scipy.optimize.curve_fit` in a loop, which gets
               the same data, the same start and the same rule to stop, without
               the bounds that ours keeps and with them

Peers arrive at the same numbers, which is checked. Their cells and fits are a
part of ours, and their time is per cell and per fit.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import timing
from framework.evidence import scaling
from framework.evidence.scaling import forms
from framework.systems import spectrum as s
from framework.systems.spectrum import sgd

_CELLS = np.array([64.0, 128.0, 256.0]), 2.0 ** np.arange(4, 11)
_RIDGES = np.geomspace(1e-6, 1e2, 81)
_X = np.geomspace(1, 1000, 30)


def nested(lam: np.ndarray, n: float, k: float, ridge: float) -> float:
  """γ by two bisections, one inside the other, as a reader of [1] writes it."""

  def gamma_of(kappa):
    low, high = -60.0, 20.0
    for _ in range(50):
      middle = (low + high) / 2
      g = np.exp(middle)
      if np.sum(lam / (lam + g)) + k * kappa / g > k:
        low = middle
      else:
        high = middle
    return np.exp((low + high) / 2)

  low, high = -60.0, 20.0
  for _ in range(50):
    middle = (low + high) / 2
    kappa = np.exp(middle)
    g = gamma_of(kappa)
    if np.sum(lam / (lam + g)) + ridge / kappa > n:
      low = middle
    else:
      high = middle
  return gamma_of(np.exp((low + high) / 2))


def table(quick: bool, rounds: int) -> dict[str, Any]:
  """Seconds a cell of the whole table, ours and nested."""
  modes = 100 if quick else 2000
  spectrum = s.unit_power(s.power_law(1.5, 1.25, modes, tail=False))
  one = lambda n, k, r: s.rf_risk(spectrum, 0.1, n, k, r)  # noqa: E731
  ridges = _RIDGES[::40] if quick else _RIDGES
  over = jax.vmap(jax.vmap(jax.vmap(one, (None, None, 0)), (None, 0, None)),
                  (0, None, None))  # fmt: skip
  ours = jax.jit(over)
  n, k = _CELLS
  found = jax.block_until_ready(ours(n, k, ridges))
  lam = np.asarray(spectrum.lam)
  # Cells from corner to corner, in whose places the gammas are compared.
  places = np.linspace(0, found.test.size - 1, 9).astype(int)
  some = [np.unravel_index(i, found.test.shape) for i in places]
  for i, j, m in some:
    theirs = nested(lam, n[i], k[j], ridges[m])
    np.testing.assert_allclose(theirs, found.gamma[i, j, m], rtol=1e-6, atol=0)

  def tables(count):
    for _ in range(count):
      jax.block_until_ready(ours(n, k, ridges))

  def cells(count):
    for c in range(count):
      i, j, m = some[c % len(some)]
      nested(lam, n[i], k[j], ridges[m])

  mine, theirs = timing.measure(
    [timing.Contestant('ours', tables), timing.Contestant('nested', cells)],
    rounds, 0.01 if quick else 0.15,
  )  # fmt: skip
  return {
    'ours': mine.median / found.test.size,
    'peer': theirs.median,
    'cells': found.test.size,
    'modes': modes,
  }


def recursion(quick: bool, rounds: int) -> dict[str, Any]:
  """Seconds a step, of all modes, of merged ones, and of their copy."""
  modes, steps, many = (200, 20, 100) if quick else (20_000, 3000, 1_000_000)
  spectrum = s.power_law(1.5, 1.8, modes)
  hp = sgd.Hp()
  problem, few = sgd.problem_of(spectrum, hp), sgd.merged(spectrum, hp)
  whole, merged = jax.jit(sgd.one_pass_risk), jax.jit(sgd.merged_risk)
  # c and b are read and written, λ and w* are read: six arrays.
  source = jnp.zeros((3, modes))

  @jax.jit
  def copies(x, count):
    return jax.lax.fori_loop(0, count, lambda i, x: x * 1.000001, x)

  at = lambda t: jnp.array([t])  # noqa: E731
  np.testing.assert_allclose(
    merged(few, at(steps)), whole(problem, at(steps)), rtol=1e-9, atol=0
  )
  wait = jax.block_until_ready
  times = timing.measure(
    [
      timing.Contestant('all', lambda t: wait(whole(problem, at(t)))),
      timing.Contestant('merged', lambda t: wait(merged(few, at(t)))),
      timing.Contestant('copy', lambda t: wait(copies(source, t))),
    ],
    rounds, 0.01 if quick else 0.15,
  )  # fmt: skip
  before = time.process_time()
  wait(merged(few, at(many)))
  return {
    'all': times[0].median,
    'merged': times[1].median,
    'copy': times[2].median,
    'run': time.process_time() - before,
    'steps': many,
    'modes': modes,
    'nodes': few.start.size,
    'bytes': 6 * 8 * modes,
  }


def bootstrap(quick: bool, rounds: int) -> dict[str, Any]:
  """Seconds a fit, many in one program and one after the other."""
  from scipy.optimize import curve_fit

  count, some = (20, 2) if quick else (10_000, 100)
  draw = np.random.default_rng(0)
  y = 0.5 + 2 * _X**-0.4
  y = y + 0.01 * draw.normal(size=y.size)
  form = forms.POWER_FLOOR
  found = scaling.fit(form, (_X,), y, starts=8)
  picks = draw.integers(0, y.size, (count, y.size))
  weights = np.stack([np.bincount(p, minlength=y.size) for p in picks])
  weights = jnp.asarray(weights, float)
  many = jax.jit(lambda w: scaling.refits(form, (_X,), y, found.theta, w))
  ours = jax.block_until_ready(many(weights))
  start = [float(found.parameters[p]) for p in ('a', 'b', 'c')]

  def model(x, a, b, c):
    return c + a * x**-b

  def peer(i, **options):
    p = picks[i % some]
    return curve_fit(model, _X[p], y[p], p0=start, **options)[0]

  theirs = np.array([peer(i) for i in range(some)])
  for i, name in enumerate(('a', 'b', 'c')):
    np.testing.assert_allclose(
      ours[name][:some], theirs[:, i], rtol=1e-4, atol=1e-6
    )

  def programs(calls):
    for _ in range(calls):
      jax.block_until_ready(many(weights))

  def looped(**options):
    def run(fits):
      for i in range(fits):
        peer(i, **options)

    return run

  times = timing.measure(
    [
      timing.Contestant('ours', programs),
      timing.Contestant('free', looped()),
      timing.Contestant('bounded', looped(bounds=([0, 0, -np.inf], np.inf))),
    ],
    rounds, 0.01 if quick else 0.15,
  )  # fmt: skip
  mine, free, bounded = (t.median for t in times)
  return {
    'ours': mine / count,
    'curve_fit': free,
    'curve_fit with bounds': bounded,
    'fits': count,
  }


def measure(quick: bool, rounds: int) -> dict[str, Any]:
  """All three tables, in a process with one thread."""
  jax.config.update('jax_enable_x64', True)
  made = {}
  for part in (table, recursion, bootstrap):
    print(f'measuring {part.__name__} ...', file=sys.stderr, flush=True)
    made[part.__name__] = part(quick, rounds)
    print(made[part.__name__], file=sys.stderr, flush=True)
  return made


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  machine = timing.machine(('jax', 'jaxlib', 'numpy', 'scipy'))
  print(*(f'{k}: {v}' for k, v in machine.items()), sep='\n')
  found = timing.in_fresh_process(
    '1', measure, flags.FLAGS.quick, flags.FLAGS.rounds
  )
  for line in report(found):
    print(line)
  timing.finish(machine, tables=found)


def report(found: dict[str, Any]) -> list[str]:
  """Lines that a person reads."""
  t, r, b = (found[name] for name in ('table', 'recursion', 'bootstrap'))
  return [
    f'table of {t["cells"]} cells, {t["modes"]} modes: '
    f'{1e3 * t["ours"]:.3f} ms a cell, nested {1e3 * t["peer"]:.1f} ms: '
    f'{t["peer"] / t["ours"]:.0f} x',
    f'recursion of {r["modes"]} modes: {1e6 * r["all"]:.1f} µs a step, the '
    f'copy of its {r["bytes"]} bytes {1e6 * r["copy"]:.1f} µs: '
    f'{r["copy"] / r["all"]:.0%}; merged to {r["nodes"]} nodes '
    f'{1e6 * r["merged"]:.2f} µs: {r["all"] / r["merged"]:.0f} x; '
    f'{r["steps"]} steps of these in {r["run"]:.2f} s',
    f'{b["fits"]} bootstrap fits: {1e6 * b["ours"]:.1f} µs each, curve_fit '
    f'{1e6 * b["curve_fit"]:.0f} µs: {b["curve_fit"] / b["ours"]:.0f} x, with '
    f'bounds {b["curve_fit with bounds"] / b["ours"]:.0f} x',
  ]


def _define_flags() -> None:
  """Of the command alone: a module that is imported defines none."""
  timing.define_flags(5)


if __name__ == '__main__':
  _define_flags()
  app.run(main)
