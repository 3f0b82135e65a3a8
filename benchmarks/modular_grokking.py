"""Modular arithmetic against torch, written as the paper's authors do.

    python -m benchmarks.modular_grokking --out=modular_grokking.json

One step of full-batch AdamW on x + y mod 113, 40 % of the pairs, MLP
226-200-200-113 without biases: ours (the first layer a gather, records of first
and last step alone), and torch with one-hot rows in a fresh order every step,
as the reference script has it. Single runs on one thread, in seconds of CPU
time; then many seeds in one program, lane by lane and vmapped. The same start
and rows give the same weights after three steps, which is checked. PyTorch is
optional: `pip install '.[bench]'`.
"""

import importlib.util
import json
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import app, flags

from benchmarks import timing
from framework import optimizers, rollout
from framework.system import start
from framework.systems import grokking as dynamics

_ROUNDS = flags.DEFINE_integer('rounds', 7, 'Samples of each row.', 1)
_MODULUS = flags.DEFINE_integer('modulus', 113, 'p of x + y mod p.', 5)
_LANES = flags.DEFINE_integer('lanes', 8, 'Seeds in one program.', 1)
_QUICK = flags.DEFINE_bool(
  'quick', False, 'Tiny samples: shows that it works, not how fast.'
)
_OUT = flags.DEFINE_string('out', None, 'JSON file to write.')

GOAL = 1.4  # times as fast as torch


class Setting(NamedTuple):
  """A loss and a rule, by what they are."""

  stable: bool = False
  perp: bool = False


LOSSES = {
  'CE float32': Setting(),
  'CE float32, ⊥Grad': Setting(perp=True),
  'StableMax float64': Setting(stable=True),
}
_HP = {'lr': 0.01, 'beta2': 0.99, 'eps': 1e-25}


def hyperparameters() -> dynamics.Hp:
  """Those of the reference, float32."""
  hp = jax.tree.map(np.float32, dynamics.Hp(**_HP))
  return hp._replace(intervene_at=np.int32(0))


def structure(modulus: int, setting: Setting) -> dynamics.Structure:
  """The run at this size."""
  perp = dynamics.filtered(lambda hp: optimizers.perp_grad())
  return dynamics.Structure(
    dynamics.modular(modulus, train_fraction=0.4),
    dynamics.MLP((200, 200, modulus), modulus, bias=False),
    dynamics.stablemax() if setting.stable else dynamics.softmax(),
    perp if setting.perp else dynamics.adamw,
  )


def ours(
  s: dynamics.Structure, lanes: int, mapped: str
) -> Callable[[int], Any]:
  """Our run, from states that are already made.

  Args:
    s: The structure.
    lanes: Seeds in one program.
    mapped: 'map' (lane by lane) or 'vmap'.

  Returns:
    steps -> the last parameters, of all lanes.
  """
  hp = hyperparameters()
  made = dynamics.system(s)
  begin = jax.jit(jax.vmap(lambda key: start(made, key, hp)))
  keys = jax.vmap(jax.random.key)(np.arange(lanes, dtype=np.uint32))
  problem, state = jax.block_until_ready(begin(keys))
  # Given, so that neither split nor start is drawn within a sample.
  given = made._replace(
    sample=lambda key, hp, data: data[0],
    init=lambda key, problem, hp: None,
    observe=lambda state, problem, hp: {'t': state.t},
  )

  def one(problem, state, times):
    system = given._replace(init=lambda key, problem, hp: state)
    key = jax.random.key(0)
    last, _ = rollout(system, key, hp, times, (problem,))
    return last.params

  def all_lanes(problem, state, times):
    if mapped == 'vmap':
      return jax.vmap(one, (0, 0, None))(problem, state, times)
    return jax.lax.map(lambda x: one(x[0], x[1], times), (problem, state))

  run = jax.jit(all_lanes)

  def last(steps: int):
    times = np.array([0, steps], np.int32)
    return jax.block_until_ready(run(problem, state, times))

  return last


def torch_run(modulus: int, setting: Setting) -> Callable[[int], Any]:
  """The step of the reference script: one-hots, a permutation, autograd.

  Args:
    modulus: p.
    setting: Loss and rule; the first seed of `ours` gives rows and start.

  Returns:
    steps -> the last weights, inputs first.
  """
  import torch

  if timing.one_thread():
    torch.set_num_threads(1)
  made = dynamics.system(structure(modulus, setting))
  problem, state = start(made, jax.random.key(0), hyperparameters())
  pairs = np.array(problem['x'])
  x = torch.nn.functional.one_hot(torch.from_numpy(pairs).long(), modulus)
  x = x.reshape(len(pairs), -1).float()
  y = torch.from_numpy(np.array(problem['y'])).long()
  begin = [np.array(state.params[f'layer_{i}']['kernel']) for i in range(3)]

  def loss(z, y):
    if not setting.stable:
      return torch.nn.functional.cross_entropy(z, y)
    z = z.double()
    mass = torch.where(z >= 0, z + 1, 1 / (1 - z + 1e-30))
    share = torch.log(mass / mass.sum(-1, keepdim=True))
    return -share.gather(1, y[:, None]).mean()

  def project(w):
    flat, g = w.detach().view(-1), w.grad.view(-1)
    rest = g - torch.dot(flat, g) / (torch.dot(flat, flat) + 1e-30) * flat
    rest = rest * (g.norm() / (rest.norm() + 1e-30))
    w.grad.copy_(rest.view_as(w.grad))

  def run(steps: int):
    sizes = [w.shape for w in begin]
    layers = [torch.nn.Linear(*shape, bias=False) for shape in sizes]
    for layer, w in zip(layers, begin, strict=True):
      layer.weight.data = torch.from_numpy(w.T.copy())
    relu = torch.nn.ReLU()
    net = torch.nn.Sequential(layers[0], relu, layers[1], relu, layers[2])
    rule = torch.optim.AdamW(
      net.parameters(),
      lr=_HP['lr'],
      betas=(0.9, _HP['beta2']),
      eps=_HP['eps'],
      weight_decay=0.0,
    )
    for _ in range(steps):
      order = torch.randperm(len(x))
      rule.zero_grad()
      loss(net(x[order]), y[order]).backward()
      if setting.perp:
        for w in net.parameters():
          project(w)
      rule.step()
    return [w.detach().numpy().T for w in net.parameters()]

  return run


def agree(ours_run: Callable, torch: Callable, steps: int = 3) -> float:
  """The largest difference of weights after a few steps, over the largest.

  Adam's first steps are ±lr where a gradient is rounding noise, so entries may
  differ by that: a fraction of them is what is looked at.
  """
  params = ours_run(steps)
  worst = 0.0
  for i, w in enumerate(torch(steps)):
    own = np.asarray(params[f'layer_{i}']['kernel'])[0]
    off = np.abs(own - w) > 1e-4 * np.abs(w).max()
    worst = max(worst, float(off.mean()))
  return worst


def measure(
  modulus: int, lanes: int, rounds: int, seconds: float
) -> list[dict[str, Any]]:
  """Times ours and torch with the threads that this process has.

  Args:
    modulus: p.
    lanes: Seeds in one program.
    rounds: Samples of each.
    seconds: What a sample takes at least.

  Returns:
    One table a loss.
  """
  jax.config.update('jax_enable_x64', True)
  has_torch = importlib.util.find_spec('torch') is not None
  clock = time.process_time if timing.one_thread() else time.perf_counter
  tables = []
  for name, setting in LOSSES.items():
    print(f'measuring {name} ...', file=sys.stderr, flush=True)
    s = structure(modulus, setting)
    single = ours(s, 1, 'map')
    field = [timing.Contestant('ours', single)]
    if name == 'CE float32':
      for mapped in ('map', 'vmap'):
        run = ours(s, lanes, mapped)
        text = f'ours, {lanes} seeds, {mapped}'
        field.append(timing.Contestant(text, run, lanes))
    off = None
    if has_torch:
      peer = torch_run(modulus, setting)
      off = agree(single, peer)
      if off > 0.02:
        raise RuntimeError(f'{name}: {off:.3g} of the weights differ')
      field.append(timing.Contestant('torch', peer))
    times = timing.measure(field, rounds, seconds, clock)
    rows = [
      {'name': c.name, 'lanes': c.lanes, **t._asdict()}
      for c, t in zip(field, times, strict=True)
    ]
    tables.append({'loss': name, 'rows': rows, 'weights_that_differ': off})
  return tables


def table(found: dict[str, Any]) -> str:
  """The readable table of one loss."""
  rows = {row['name']: row for row in found['rows']}
  lines = [found['loss']]
  for name, row in rows.items():
    each = row['median'] / row['lanes']
    line = f'  {name:24s}{1e3 * each:9.2f} ms a step'
    line += f'  ({1e3 * row["low"] / row["lanes"]:.2f} ... '
    line += f'{1e3 * row["high"] / row["lanes"]:.2f})'
    if 'torch' in rows and name != 'torch':
      line += f'  {rows["torch"]["median"] / each:.2f} times torch'
    lines.append(line)
  if 'torch' not in rows:
    lines.append('  torch is not installed')
  return '\n'.join(lines)


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  rounds, seconds = (2, 0.01) if _QUICK.value else (_ROUNDS.value, 1.0)
  facts = timing.machine(('jax', 'jaxlib', 'numpy', 'optax', 'torch'))
  print(', '.join(f'{name} {value}' for name, value in facts.items()))
  tables = timing.in_fresh_process(
    '1', measure, _MODULUS.value, _LANES.value, rounds, seconds
  )
  for found in tables:
    print(table(found), flush=True)
  rows = {row['name']: row for row in tables[0]['rows']}
  if 'torch' in rows:
    times = rows['torch']['median'] / rows['ours']['median']
    verdict = 'met' if times >= GOAL else 'missed'
    print(f'goal {GOAL} times torch, single run, one thread: {verdict}')
  if _OUT.value:
    results = {'machine': facts, 'tables': tables}
    pathlib.Path(_OUT.value).write_text(json.dumps(results, indent=1))


if __name__ == '__main__':
  app.run(main)
