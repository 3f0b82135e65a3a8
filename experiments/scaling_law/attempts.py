"""Repeated sampling: coverage rises as a power law, a majority does not."""

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.scaling_law import Attempts
from framework.evidence import lanes, scaling
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  equals,
  untestable,
)
from framework.evidence.scaling import attempts
from framework.evidence.scatter import quantile
from framework.launch import Figures, Variant, hp_of, structure_of
from framework.maths.double import in_double
from framework.run.job import Arm
from framework.system import logspaced

_PAPER = 'Brown et al. 2024, "Large Language Monkeys"'
_AXES = ('a', 'b', 'spread', 'k')


def arm(config: Attempts) -> Arm:
  """Tries at problems."""
  structure = structure_of(
    attempts.Structure, config, dtype=jnp.dtype(config.precision)
  )
  return Arm(
    attempts.attempts(structure),
    hp_of(attempts.Hp, config, k=np.int32),
    attributes=attempts.ATTRIBUTES,
  )


def times(config: Attempts) -> np.ndarray:
  """Ten records in a decade of tries."""
  return logspaced(config.steps, 10)


@in_double
def _exact(a: float, b: float, t: np.ndarray) -> np.ndarray:
  """Coverage of t tries at Beta problems."""
  return -np.expm1(np.asarray(scaling.coverage.beta_coverage(a, b, t)))


def _slope(t: np.ndarray, solved: np.ndarray) -> np.ndarray:
  """B of coverage = exp(a k^b), of each row; NaN where it has no logarithm."""
  with np.errstate(divide='ignore', invalid='ignore'):
    y = np.log(-np.log(solved))
  x = np.log(t)
  fine = np.asarray(np.isfinite(y).all(1))
  slopes = np.polyfit(x, np.where(fine[:, None], y, 0).T, 1)[0]
  return np.where(fine, slopes, np.nan)


def coverage_claims(config: Attempts, ds: Dataset) -> list[Claim]:
  """Claims on the power law, and on the two estimates of pass@k."""
  made = []
  for text, own, part in lanes.apart(config, ds, ('a', 'b')):
    whole = lanes.prepared(own, part, ('a', 'b'))
    for a in own.axis('a'):
      for b in own.axis('b'):
        here = lanes.select(whole, a=a, b=b)
        made += _of_beta(f'.a={a}.b={b}{text}', own, a, b, here)
  return made


def _of_beta(
  name: str, config: Attempts, a: float, b: float, ds: Dataset
) -> list[Claim]:
  t = ds['time'].values
  # From a tenth of all tries on down: where few problems are left, none may be.
  window = (t >= 1) & (t <= config.steps)
  tries = t[window].astype(float)
  solved = lanes.lanes(ds, 'solved')[:, window]
  law = _exact(a, b, tries)
  seeds = len(solved)
  # A share of independent problems, at each number of tries.
  error = np.sqrt(law * (1 - law) / config.problems / seeds)
  many = quantile(tries.size, 10**6)
  source = 'derived: 1 − B(a, b+k)/B(a, b)'
  made = [
    at_most(
      f'coverage{name}',
      'the share of problems solved by k tries is that of their distribution',
      source,
      1.0,
      np.abs(solved.mean(0) - law) / (many * error),
      each=True,
      derivation=f'{many:.2f} standard errors of a share of '
      f'{config.problems * seeds} problems',
      kind='theorem',
      headline=True,
    )
  ]
  rest = config.problems * seeds * (1 - law[-1])
  texts = (
    f'slope{name}',
    'coverage is exp(−c k^−b): ln(−ln coverage) falls along a line',
    f'{_PAPER}: exponentiated power law',
  )
  exact = float(_slope(tries, law[None])[0])
  if rest < 100 or config.steps < 100:
    why = f'{rest:.0f} problems are left, expected 100, after 100 tries'
    made.append(untestable(*texts, why, predicted=exact))
  else:
    made.append(
      equals(
        *texts,
        exact,
        _slope(tries, solved),
        rtol=0.1,
        derivation='slope of exact coverage; a hundred problems that are left '
        'scatter by a tenth',
      )
    )
  return [*made, *_estimates(name, config, ds)]


def _estimates(name: str, config: Attempts, ds: Dataset) -> list[Claim]:
  """pass@k from twice as many tries as k, or more."""
  t = ds['time'].values
  made = []
  for id, what, statement in (
    ('unbiased', 'unbiased', 'the unbiased estimate of pass@k is'),
    ('plug_in', 'plug_in', 'control: the plug-in estimate is too low'),
  ):
    texts = (f'{id}{name}', statement, f'{_PAPER}: the estimate of pass@k')
    words = {'kind': 'theorem'}
    here = np.flatnonzero(t >= 2 * max(config.axis('k')))
    if len(config.axis('k')) > 1 or not here.size or config.seeds < 4:
      why = 'needs one k, twice as many tries, and four seeds'
      made.append(untestable(*texts, why, **words))
      continue
    first = here[0]
    off = lanes.lanes(ds, what)[:, first] - lanes.lanes(ds, 'truth')[:, first]
    # 1 − (1−p)^k of n tries scatters by at most (1/4)^½ a problem.
    error = 0.5 / np.sqrt(config.problems * off.size)
    if id == 'unbiased':
      made.append(
        equals(
          *texts,
          0.0,
          off,
          atol=3 * error,
          derivation='three standard errors, of at most (4 problems)^-½',
          **words,
        )
      )
    else:
      made.append(
        at_most(
          *texts,
          -error,
          off,
          derivation='1 − (1−p)^k is concave in p; one standard error below',
          **words,
        )
      )
  return made


def majority_claims(config: Attempts, ds: Dataset) -> list[Claim]:
  """Claims on votes: where they end, and that coverage goes beyond."""
  made = []
  for text, own, part in lanes.apart(config, ds, ()):
    t = part['time'].values
    last = part.isel(time=-1)
    vote, limit = (lanes.lanes(last, x) for x in ('majority', 'limit'))
    solved = lanes.lanes(part, 'solved')
    early = int(np.argmin(np.abs(t - own.steps / 10)))
    # Problems whose two best answers are nearer than votes can tell.
    open_share = 0.5 * np.sqrt(2 / own.steps)
    exact = _exact(own.a, own.b, np.array([float(own.steps)]))[0]
    parts = np.concatenate(
      [
        1 - np.abs(vote - limit) / (4 * open_share + 3 / own.problems**0.5),
        1 - np.abs(solved[:, -1] - exact) / (5 * (0.25 / own.problems) ** 0.5),
      ]
    )
    texts = (
      f'plateau{text}',
      'a majority vote ends at the share of problems whose right answer is the '
      'most likely one; coverage goes on',
      f'{_PAPER}: majority voting plateaus',
    )
    if own.steps < 100:
      why = f'{own.steps} votes, expected 100'
      made.append(untestable(*texts, why, headline=True))
      continue
    made.append(
      at_least(
        *texts,
        0.0,
        parts,
        each=True,
        derivation='votes settle but where two answers are nearer than '
        '(2/votes)^½; coverage is a share of independent problems, at five '
        'standard errors',
        headline=True,
      )
    )
    gain = solved[:, -1] - solved[:, early]
    rise = lanes.lanes(part, 'majority')
    made.append(
      at_least(
        f'beyond{text}',
        'from a tenth of the tries on coverage gains more than the vote',
        _PAPER,
        0.0,
        gain - (rise[:, -1] - rise[:, early]),
        strict=True,
        derivation='difference of the gains, mean over seeds',
      )
    )
  return made


def figures(config: Attempts, ds: Dataset) -> Figures:
  """Coverage and majority over tries."""
  from framework.evidence import figures as plotting

  axis = 'a' if len(config.axis('a')) > 1 else 'spread'
  whole, t = lanes.prepared(config, ds, _AXES), ds['time'].values
  values = config.axis(axis)
  with plotting.style():
    fig, (left, right) = plotting.figure('double', ncols=2)
    left.set(xscale='log', xlabel='tries $k$', ylabel='share of problems')
    right.set(xscale='log', yscale='log', xlabel='tries $k$')
    right.set_ylabel('−ln coverage')
    colors = plotting.palette(range(len(values)))
    for value, color in zip(values, colors, strict=True):
      here = lanes.select(whole, **{axis: value})
      solved = lanes.lanes(here, 'solved')[:, 1:]
      label = f'{axis} = {value:g}'
      plotting.lanes(left, t[1:], solved, f'coverage, {label}', color)
      vote = lanes.lanes(here, 'majority')[:, 1:]
      line = plotting.lanes(left, t[1:], vote, f'majority, {label}', color)
      line.set_linestyle(':')
      with np.errstate(divide='ignore'):
        plotting.lanes(right, t[1:], -np.log(solved), label, color)
      a = value if axis == 'a' else config.a
      law = _exact(a, config.b, t[1:].astype(float))
      plotting.law(right, t[1:], -np.log(law))
    right.lines[-1].set_label('exact')
    plotting.legend(left)
    plotting.legend(right)
  return {
    config.variant: (
      fig,
      'Problems solved by at least one of k tries (lines), and by a majority '
      'vote of them (dotted). Right: its logarithm falls as a power law; '
      'dashed: the exact coverage of p ~ Beta(a, b).',
    )
  }


COVERAGE = Variant(arm, times, coverage_claims, figures)
MAJORITY = Variant(arm, times, majority_claims, figures)
