"""Sizes that a caller gives, refused before anything is traced."""

__all__ = ['check_sizes']


def check_sizes(**sizes: int) -> None:
  """Refuses a size that is not a positive integer.

  Args:
    **sizes: By name.

  Raises:
    ValueError: Naming the first of them.

  >>> check_sizes(d=3, k=0)
  Traceback (most recent call last):
  ValueError: k is 0, expected an integer >= 1
  """
  for name, value in sizes.items():
    # Of what is not a number or not finite the remainder is nan, which is true.
    if not value >= 1 or value % 1:
      raise ValueError(f'{name} is {value}, expected an integer >= 1')
