"""MAML on a table of drawings, step by step as the definition has it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.data import drawings
from framework.systems.infinite_width import few_shot as dynamics
from framework.systems.infinite_width.few_shot import kernels as kernel_limit
from framework.systems.infinite_width.few_shot import tasks as maml_tasks
from framework.systems.infinite_width.limits import linear as linear_limit
from tests import toy

SIDE, MEMBERS, STEPS, EVAL = 4, 5, 6, 9
D = SIDE * SIDE
SIZES = dict(ways=3, shots=1, queries=2)
HP = dynamics.Hp(
  meta_lr=0.4,
  inner_lr=1.5,
  clip=0.3,
  weight_decay=0.05,
  var_w=1.3,
  var_b=0.2,
  var_v=0.6,
)


def tables():
  draw = np.random.default_rng(0).integers
  return [draw(0, 256, (n, MEMBERS, D)).astype(np.uint8) for n in (7, 6)]


def structure(learner):
  return dynamics.Structure(
    learner,
    dynamics.table(D, (7, 6), MEMBERS, turns=4),
    tasks=3,
    eval_tasks=EVAL,
    eval_steps=4,
    **SIZES,
  )


def learner_of(kind):
  if kind is kernel_limit.linear:
    return dynamics.linear_kernel()
  return dynamics.kernel(kind)


def seen(structure, hp):
  """Records of a run at 0 and STEPS."""
  system = dynamics.system(structure)
  data = dynamics.Data(*map(drawings.as_table, tables()))
  times = jnp.array([0, STEPS])

  @jax.jit
  def run(hp):
    return rollout(system, jax.random.key(3), hp, times, data)

  return run(toy.typed(hp, float))


def turned(x):
  square = x.reshape(-1, SIDE, SIDE) / 255
  each = [np.rot90(square, j, (1, 2)).reshape(-1, D) for j in range(4)]
  return np.concatenate(each)


def softmax(z):
  e = np.exp(z - z.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def appended(kind, keys):
  """Rows and coefficients after all steps, in numpy: nothing is shared."""
  K = kernel_limit.one_layer(
    kind, kernel_limit.Scales(HP.var_w, HP.var_b, HP.var_v)
  )
  kernel = lambda a, b: np.asarray(K(jnp.asarray(a), jnp.asarray(b)))  # noqa: E731
  train = turned(tables()[0])
  X, C = np.zeros((0, D)), np.zeros((0, 3))

  def adapted(support, query, steps):
    y = np.eye(3)
    f, f_query = (kernel(z, X) @ C for z in (support, query))
    c = np.zeros((3, 3))
    for _ in range(steps):
      f_now = f + kernel(support, support) @ c
      c = c - HP.inner_lr * (softmax(f_now) - y) / 3
    return f_query + kernel(query, support) @ c

  for key in keys:
    drawn = maml_tasks.episodes(key, 28, MEMBERS, tasks=3, **SIZES)
    rows, chi = [], []
    for s, q in zip(*map(np.asarray, drawn), strict=True):
      logits = adapted(train[s], train[q], 1)
      rows.append(train[q])
      chi.append((softmax(logits) - np.repeat(np.eye(3), 2, 0)) / 6)
    rows, chi = np.concatenate(rows), np.concatenate(chi)
    norm = np.sqrt(np.sum(chi * (kernel(rows, rows) @ chi)))
    share = min(1, HP.clip / norm)
    C = (1 - HP.meta_lr * HP.weight_decay) * C
    X = np.concatenate([X, rows])
    C = np.concatenate([C, -HP.meta_lr * share * chi])
  return adapted


@pytest.mark.parametrize('kind', kernel_limit.KINDS)
def test_a_kernel_on_a_table_is_its_rows(kind):
  """Values at all drawings against rows that are appended."""
  _, found = seen(structure(learner_of(kind)), HP)
  system = dynamics.system(structure(learner_of(kind)))
  system = system._replace(
    init=lambda key, problem, hp: jnp.zeros((STEPS, 2), jnp.uint32),
    step=lambda key, state, problem, hp: (
      jnp.roll(state, -1, 0).at[-1].set(jax.random.key_data(key))
    ),
    observe=lambda state, problem, hp: {
      'keys': state,
      'judged': problem.judged,
    },
  )
  data = dynamics.Data(*map(drawings.as_table, tables()))
  _, taken = rollout(
    system, jax.random.key(3), toy.typed(HP, float), jnp.array([0, STEPS]), data
  )
  keys = jax.random.wrap_key_data(taken['keys'][-1])
  adapted = appended(kind, keys)
  test = tables()[1].reshape(-1, D) / 255
  support, query = (np.asarray(x[-1]) for x in taken['judged'])
  for steps, suffix in ((4, ''), (1, '_one')):
    logits = np.stack(
      [
        adapted(test[s], test[q], steps)
        for s, q in zip(support, query, strict=True)
      ]
    )
    y = np.repeat(np.arange(3), 2)
    p = softmax(logits)[:, np.arange(6), y]
    right = np.mean(logits.argmax(-1) == y)
    np.testing.assert_allclose(
      found[f'loss{suffix}'][1], -np.mean(np.log(p)), rtol=1e-7, atol=0
    )
    np.testing.assert_allclose(
      found[f'accuracy{suffix}'][1], right, rtol=1e-7, atol=0
    )
  # Something was learnt: it is not what the inner steps alone make.
  assert abs(found['loss'][1] - found['loss'][0]) > 1e-3


def test_a_wide_network_is_trained_in_its_span(monkeypatch):
  """Equal records to all that the same network has in all its coordinates."""
  hp = HP._replace(momentum=0.5, bias_alpha=0.7, alpha=1.2, meta_lr=0.1)
  wide = structure(dynamics.network(60))
  state, small = seen(wide, hp)
  assert state.params.W1.shape == (D + 3, D)
  finite = linear_limit.finite
  monkeypatch.setattr(
    linear_limit, 'finite', lambda *args, in_span: finite(*args)
  )
  state, whole = seen(wide, hp)
  assert state.params.W1.shape == (60, D)
  for name, value in whole.items():
    np.testing.assert_allclose(
      small[name], value, rtol=1e-10, atol=1e-12, err_msg=name
    )
  assert abs(whole['loss'][1] - whole['loss'][0]) > 1e-3


@pytest.mark.parametrize(
  'changes, line',
  [
    ({'turns': 2}, 'turns is 2, expected 1 or 4'),
    ({'d': 9}, 'd is 9, expected the square of an even number'),
    ({'ways': 7}, 'ways is 7, expected at most the 6 classes'),
  ],
)
def test_bad_tables_are_refused(changes, line):
  sizes = dict(d=16, classes=(7, 6), turns=4, members=5)
  ways = changes.pop('ways', 3)
  with pytest.raises(ValueError, match=line):
    source = dynamics.table(**(sizes | changes))
    dynamics.Structure(source=source, ways=ways)


@pytest.mark.parametrize(
  'call, line',
  [
    (lambda: dynamics.gaussian(4, 5), 'rank is 5, expected 1 to d = 4'),
    (lambda: dynamics.network(order=3), 'order is 3, expected 1 or 2'),
    (lambda: dynamics.network(0), 'width is 0, expected an integer >= 1'),
    (lambda: dynamics.Structure(ways=1), 'ways is 1, expected an integer >= 2'),
    (lambda: dynamics.Structure(tasks=0), 'tasks is 0, expected an integer'),
    (
      lambda: dynamics.system(
        dynamics.Structure(dynamics.kernel(kernel_limit.gp, capacity=3))
      ),
      'capacity is 3, expected at least the 80 rows of a step',
    ),
  ],
)
def test_what_cannot_be_built_is_refused(call, line):
  with pytest.raises(ValueError, match=line):
    call()
