"""Where in a plot there is room for a label or a legend."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.transforms import Bbox

__all__ = [
  'beside',
  'layout',
  'release',
  'reserve',
  'room',
]

_NAMELESS = ' '
GAP = 3.0  # points between a label and what it must not touch


def reserve(fig: Figure, sharex: bool, sharey: bool) -> None:
  """Room for names of axes that come when labels have their places."""
  for ax in fig.axes:
    place: Any = ax.get_subplotspec()
    if place.is_last_row() or not sharex:
      ax.set_xlabel(_NAMELESS)
    if place.is_first_col() or not sharey:
      ax.set_ylabel(_NAMELESS)


def release(fig: Figure) -> None:
  """Gives back the room of names that did not come."""
  for ax in fig.axes:
    for name in (ax.xaxis.label, ax.yaxis.label):
      if name.get_text() == _NAMELESS:
        name.set_text('')


def layout(ax: Axes) -> None:
  """Puts the axes where they will be, so that pixels mean something."""
  fig = ax.figure.canvas.figure
  engine = fig.get_layout_engine()
  if engine is None:
    fig.draw_without_rendering()
  else:
    engine.execute(fig)


def pixels(ax: Axes, points: float) -> float:
  """Points as pixels of the figure."""
  return points * ax.figure.canvas.figure.dpi / 72


def _along(ax: Axes, line: Line2D) -> Float[np.ndarray, 'spots 2']:
  """Pixels on the visible part of a line, evenly spaced."""
  path = ax.transData.transform(line.get_xydata())
  path = path[np.isfinite(path).all(axis=1)]
  if not len(path):
    return path
  steps = np.hypot(*np.diff(path, axis=0).T)
  length = np.concatenate([[0.0], np.cumsum(steps)])
  at = np.linspace(0, length[-1], 400)
  spots = np.stack([np.interp(at, length, column) for column in path.T], 1)
  spots = spots[((spots >= ax.bbox.min) & (spots <= ax.bbox.max)).all(axis=1)]
  return spots[:: max(1, len(spots) // 25)]


def room(ax: Axes) -> Callable[[Bbox], bool]:
  """Says of a box, in pixels, whether it is inside the axes and free."""
  outlines, regions, points, boxes = [], [], [np.zeros((0, 2))], []
  for line in ax.lines:
    path = line.get_transform().transform_path(line.get_path())
    points.append(np.asarray(path.vertices))
    if line.get_linestyle() not in ('None', ' ', ''):
      outlines.append(path)
  for drawn in ax.collections:
    if isinstance(drawn, PathCollection):
      offsets = np.ma.filled(drawn.get_offsets(), np.nan)
      points.append(drawn.get_offset_transform().transform(offsets))
    elif isinstance(drawn, QuadMesh):
      boxes.append(ax.bbox)
    else:
      paths = map(drawn.get_transform().transform_path, drawn.get_paths())
      filled = not isinstance(drawn, LineCollection)
      (regions if filled else outlines).extend(paths)
  for patch in ax.patches:
    regions.append(patch.get_transform().transform_path(patch.get_path()))
  for thing in (*ax.texts, *ax.images, *ax.child_axes):
    boxes.append(thing.get_window_extent())
  spots, pieces = np.concatenate(points), _segments(outlines)
  gap = pixels(ax, GAP)

  def free(box: Bbox) -> bool:
    wide = box.padded(gap)
    hit = (spots > wide.min) & (spots < wide.max)
    return (
      ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1
      and ax.bbox.y0 <= box.y0 and box.y1 <= ax.bbox.y1
      and not hit.all(axis=1).any()
      and not any(wide.overlaps(other) for other in boxes)
      and not _cross(pieces, wide)
      and not any(path.intersects_bbox(wide, filled=True) for path in regions)
    )  # fmt: skip

  return free


def _segments(paths: Sequence[Path]) -> Float[np.ndarray, 'segments 2 2']:
  """The straight pieces of paths; none across a gap (NaN) in one."""
  # `Path.intersects_bbox` would bridge the gap.
  chains = [
    np.asarray(c) for p in paths for c in p.to_polygons(closed_only=False)
  ]
  return np.concatenate(
    [np.stack([c[:-1], c[1:]], 1) for c in chains] or [np.zeros((0, 2, 2))]
  )


def _cross(segments: Float[np.ndarray, 'segments 2 2'], box: Bbox) -> bool:
  """Whether a segment touches a box: no axis separates the two.

  >>> _cross(np.array([[[0.0, 0.5], [9.0, 0.5]]]), Bbox([[1, 0], [2, 1]]))
  True
  """
  low, high = np.asarray(box.min), np.asarray(box.max)
  half = (high - low) / 2
  middle = segments.mean(axis=1) - (low + half)
  reach = np.abs(along := (segments[:, 1] - segments[:, 0]) / 2)
  beside = np.abs(middle[:, 0] * along[:, 1] - middle[:, 1] * along[:, 0])
  near = (np.abs(middle) <= half + reach).all(axis=1)
  return bool((near & (beside <= reach @ half[::-1])).any())


def beside(ax: Axes, line: Line2D, label: str, **look: Any) -> bool:
  """Puts a label next to a line; says whether there was room."""
  layout(ax)
  # Outside log axes, where (0, 0) is, it would be clipped and have no size.
  text = ax.annotate(
    label, (0, 0), (0, 0), textcoords='offset points', annotation_clip=False
  )
  text.set(**look)
  size = np.array(text.get_window_extent().size)
  text.remove()
  free, gap, spots = room(ax), pixels(ax, GAP), _along(ax, line)
  from_middle = np.argsort(np.abs(np.arange(len(spots)) - len(spots) / 2))
  for spot in spots[from_middle]:
    for sx, sy in ((1, 1), (-1, -1), (-1, 1), (1, -1), (0, 1), (0, -1)):
      centre = spot + np.array([sx, sy]) * (size / 2 + gap)
      if free(Bbox([centre - size / 2, centre + size / 2])):
        text.xy = tuple(ax.transData.inverted().transform(spot))
        text.set(
          position=(sx * GAP, sy * GAP),
          ha={1: 'left', 0: 'center', -1: 'right'}[sx],
          va={1: 'bottom', -1: 'top'}[sy],
        )
        ax.add_artist(text)
        return True
  return False
