"""How unlikely generalisation is: up with dimension, down with examples."""

import jax.numpy as jnp
import numpy as np
from xarray import Dataset

from configs.spectrum import Bias
from experiments.spectrum.reading import falls
from framework.evidence import lanes
from framework.evidence.claims import Claim, untestable
from framework.launch import Figures, Variant, hp_of
from framework.run.job import Arm
from framework.systems.spectrum import inductive_bias

_PAPER = 'Boopathy, Liu, Fiete 2024, on what a task asks for'
_AXES = ('d', 'eps', 'length', 'jitter')


def arm(config: Bias) -> Arm:
  """Examples arrive one by one."""
  structure = inductive_bias.Structure(
    n_max=config.n,
    tests=config.tests,
    d_max=max(config.axis('d')),
    dtype=jnp.dtype(config.precision),
  )
  return Arm(
    inductive_bias.system(structure),
    hp_of(inductive_bias.Hp, config, d=np.int32),
    attributes=inductive_bias.ATTRIBUTES,
  )


def times(config: Bias) -> np.ndarray:
  """All examples, half of them, a quarter, an eighth."""
  return np.unique([max(1, config.n // p) for p in (8, 4, 2, 1)]).astype(
    np.int32
  )


def claims(config: Bias, ds: Dataset) -> list[Claim]:
  """Claims on the order of biases, of means over draws."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    # (d, eps, everything else, seeds, time) -> means over seeds.
    seen = lanes.over(part, 'bias', (*_AXES, 'seed')).mean(4)
    d = np.argsort(own.axis('d'))
    eps = np.argsort(own.axis('eps'))
    seen = seen[d][:, eps]
    for id, axis, sign, statement in (
      ('dimension', 0, -1, 'the bias grows with the dimension of the inputs'),
      ('examples', -1, 1, 'the bias falls with the number of examples'),
      ('error', 1, 1, 'the bias falls with the error that is allowed'),
    ):
      texts = (f'{id}{text}', statement, _PAPER)
      words = {'headline': id != 'error'}
      table = np.moveaxis(seen, axis, -1)
      if table.shape[-1] < 2 or own.seeds < 5:
        made.append(
          untestable(*texts, 'needs two values, and five seeds', **words)
        )
        continue
      made.append(
        falls(
          *texts,
          table[..., ::sign],
          0.0,
          f'means over {own.seeds} draws of the inputs',
          strict=True,
          **words,
        )
      )
  return made


def figures(config: Bias, ds: Dataset) -> Figures:
  """Bias over dimension, at each number of examples."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  whole = lanes.prepared(own, part, _AXES)
  t, dims = part['time'].values, sorted(own.axis('d'))
  eps = own.axis('eps')[0]
  with plotting.style():
    fig, ax = plotting.figure('single')
    ax.set(yscale='log', xlabel='dimension of inputs')
    ax.set_ylabel('inductive bias (nats)')
    for j, color in enumerate(plotting.palette(t.tolist())):
      seen = np.stack(
        [lanes.lanes(whole, 'bias', d=d, eps=eps)[:, j] for d in dims], axis=1
      )
      plotting.lanes(ax, np.array(dims), seen, f'{t[j]} examples', color)
    plotting.legend(ax)
  return {
    'inductive_bias': (
      fig,
      f'−ln of the chance that a random hypothesis that fits has a test loss '
      f'of at most {eps:g}: median and range over draws of inputs.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
