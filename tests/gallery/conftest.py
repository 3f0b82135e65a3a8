"""A browser for the tests that need one."""

import shutil

import pytest

BROWSERS = 'chromium', 'chromium-browser', 'google-chrome'


@pytest.fixture(scope='session')
def browser():
  """Debian's chromium, or what else is installed."""
  sync_api = pytest.importorskip('playwright.sync_api')
  path = next(filter(None, map(shutil.which, BROWSERS)), None)
  if path is None:
    pytest.skip(f'no browser: looked for {", ".join(BROWSERS)}')
  with sync_api.sync_playwright() as play:
    found = play.chromium.launch(executable_path=path, args=['--no-sandbox'])
    yield found
    found.close()
