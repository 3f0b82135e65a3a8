"""First-order MAML can climb its own loss, second order does not."""

from typing import TYPE_CHECKING, Any

from configs.infinite_width import FewShot
from experiments.infinite_width.few_shot import drawing, laws
from experiments.infinite_width.few_shot.setting import arm, resolved, times
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_most, untestable
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT']


def claims(config: FewShot, ds: 'Dataset') -> list[Claim]:
  """Whether each order lowers the loss that it is named after."""
  return [
    claim._replace(id=claim.id + text)
    for text, own, part in lanes.apart(config, ds, ('model', 'order'))
    for claim in _of(own, part)
  ]


def _of(config: FewShot, ds: 'Dataset') -> list[Claim]:
  made = []
  for order in config.axis('order'):
    for m in config.axis('model'):
      source, why, kind = (
        (
          f'{laws.FIGURE}: the recipe trains; spreads of 1.2 points and less',
          'first order leaves out the derivative of the inner step, so its '
          'direction need not descend',
          'paper',
        )
        if order == 1
        else (
          'derived: the update is minus the gradient of the training loss',
          'steps of norm 0.05 and less, and new characters',
          'theorem',
        )
      )
      what = (
        f'order{order}.{m}',
        f'{m} with order {order}: test loss after one inner step, at the end '
        'less at the start, is below 0 for every seed',
        source,
      )
      how: dict[str, Any] = {'kind': kind, 'headline': order == 2}
      if reason := _missing(config, m):
        made.append(untestable(*what, reason, **how))
        continue
      loss = lanes.lanes(ds, 'loss_one', model=m, order=order)
      made.append(
        at_most(
          *what,
          0.0,
          loss[:, -1] - loss[:, 0],
          each=True,
          strict=True,
          derivation=why,
          **how,
        )
      )
  return made


def _missing(config: FewShot, model: str) -> str:
  """A gradient descends by small steps, if there are enough of them."""
  c = resolved(config, model)
  assert c.meta_lr is not None
  if c.meta_lr * c.clip > 0.2:
    return f'needs steps of norm 0.2 at most, not {c.meta_lr * c.clip:g}'
  if c.steps < 100:
    return f'needs 100 steps, there are {c.steps}'
  return ''


def figures(config: FewShot, ds: 'Dataset') -> Figures:
  """The loss that is trained, every seed of it, by order."""
  from framework.evidence import figures as plotting

  orders = config.axis('order')
  fig, axes = plotting.figure(
    'double', height=2.9, ncols=len(orders), sharey=True, squeeze=False
  )
  colors, t = drawing.colors(config), ds['time'].values
  for ax, which in zip(axes[0], orders, strict=True):
    for m in config.axis('model'):
      y = lanes.lanes(ds, 'loss_one', model=m, order=which)
      lines = ax.plot(t, y.T, color=colors[m], linewidth=0.8)
      lines[0].set_label(drawing.label(m))
    ax.set(xlabel='outer steps $t$', yscale='log')
    ax.set_title(f'order {which}')
  axes[0, 0].set_ylabel('test loss after one inner step')
  handles = axes[0, 0].get_legend_handles_labels()
  fig.legend(*handles, loc='outside right center')
  return {
    'order': (
      fig,
      f'{config.ways}-way {config.shots}-shot MAML, {ds.sizes["seed"]} seeds. '
      'First order is not the gradient of this loss, and where the inner step '
      'overshoots it climbs; second order is, and descends from the same start '
      'on the same tasks.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
