"""Where test data lies."""

import pathlib

GOLDEN = pathlib.Path(__file__).parent / 'golden'
