"""report.html: one page that says what a run shows.

report     claims, figures, config and facts of a run as one page
values     the points of a figure as numbers, for the pointer on the page
"""

from framework.evidence.page.report import NAME, write
from framework.evidence.page.values import values

__all__ = ['NAME', 'values', 'write']
