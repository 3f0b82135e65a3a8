"""Cloud Storage on the loopback: an emulator, mended, that counts requests.

`gcp-storage-emulator` does not look at preconditions, so that a lock could be
taken twice, and loses a carriage return at the end of an object (one in 256 of
compressed chunks). Both show with nothing but the emulator and its client:

    fs = fsspec.filesystem('gcs')
    fs.pipe_file('bucket/x', b'1', mode='create')
    fs.pipe_file('bucket/x', b'2', mode='create')  # no FileExistsError
    fs.pipe_file('bucket/x', b'ab\\r')
    fs.cat_file('bucket/x')  # b'ab'
"""

import contextlib
import functools
import io
import json
import logging
import re
import threading
import urllib.parse
from collections.abc import Iterator
from http import server

NAME = 'bucket'

# A body with an object's facts and its content; gcsfs ends lines with LF alone.
_PARTS = re.compile(
  rb'--==0==\n.*?\n\n(?P<facts>.*?)\n--==0==\n.*?\n\n(?P<content>.*)\n--==0==--',
  re.DOTALL,
)


class Emulator:
  """A bucket and what has been asked of it."""

  def __init__(self, port: int, storage):
    self.environment = {
      'STORAGE_EMULATOR_HOST': f'http://127.0.0.1:{port}',
      # Zonal buckets speak a protocol that no emulator knows.
      'GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT': 'false',
    }
    self._storage = storage
    self.requests: list[str] = []  # 'GET name', 'POST name', 'LIST prefix'
    self.refuses = self.hides = False  # every write, every read

  def names(self, start: str = '') -> list[str]:
    """The objects there are."""
    every = self._storage.objects.get(NAME, {})
    return sorted(n for n in every if n.startswith(start))

  def read(self, name: str) -> bytes:
    return self._storage.get_file(NAME, name)

  def put(self, path: str, content: bytes) -> None:
    """Writes an object as a client of its own would: gs://bucket/..."""
    name = path.removeprefix(f'gs://{NAME}/')
    self._storage.create_file(NAME, name, content, {'name': name})

  def exists(self, name: str) -> bool:
    return name in self._storage.objects.get(NAME, {})

  def answer(self, handler) -> bool:
    """Notes a request; whether it has been answered here."""
    url = urllib.parse.urlparse(handler.path)
    query = dict(urllib.parse.parse_qsl(url.query))
    name = urllib.parse.unquote(url.path.partition('/o/')[2])
    if handler.command == 'POST' and query.get('uploadType') == 'multipart':
      length = int(handler.headers['Content-Length'])
      found = _PARTS.fullmatch(handler.rfile.read(length))
      name = json.loads(found['facts'])['name']
      handler.path = url._replace(
        query=urllib.parse.urlencode({'uploadType': 'media', 'name': name})
      ).geturl()
      del handler.headers['Content-Length'], handler.headers['Content-Type']
      handler.headers['Content-Length'] = str(len(found['content']))
      handler.headers['Content-Type'] = 'application/octet-stream'
      handler.rfile = io.BytesIO(found['content'])
    listed = handler.command == 'GET' and url.path.endswith('/o')
    what = 'LIST' if listed else handler.command
    self.requests.append(
      f'{what} {query.get("prefix", "") if listed else name}'
    )
    if (self.refuses and what == 'POST') or (self.hides and what == 'GET'):
      return _refuse(handler, 403)
    if query.get('ifGenerationMatch') == '0' and self.exists(name):
      return _refuse(handler, 412)
    return False


def _refuse(handler, code: int) -> bool:
  """Answers as Cloud Storage does."""
  content = json.dumps({'error': {'code': code, 'message': 'No\nno'}}).encode()
  handler.send_response(code)
  handler.send_header('Content-Length', str(len(content)))
  handler.end_headers()
  handler.wfile.write(content)
  return True


@contextlib.contextmanager
def running() -> Iterator[Emulator]:
  """An emulator with an empty bucket, in a thread of this process."""
  from gcp_storage_emulator.handlers import buckets
  from gcp_storage_emulator.server import RequestHandler
  from gcp_storage_emulator.storage import Storage

  one_at_a_time = threading.Lock()

  class Handler(RequestHandler):
    timeout = 20  # a client may be stopped, or killed, in the middle

    def do_GET(self):
      with one_at_a_time:
        if not emulator.answer(self):
          getattr(RequestHandler, f'do_{self.command}')(self)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def log_message(self, format, *args):
      pass

  logging.getLogger('gcp_storage_emulator').setLevel(logging.CRITICAL)
  storage = Storage(use_memory_fs=True)
  buckets.create_bucket(NAME, storage)
  http = server.ThreadingHTTPServer(
    ('127.0.0.1', 0), functools.partial(Handler, storage)
  )
  http.handle_error = lambda request, address: None  # a client was killed
  emulator = Emulator(http.server_port, storage)
  thread = threading.Thread(target=http.serve_forever, args=(0.02,))
  thread.start()
  try:
    yield emulator
  finally:
    http.shutdown()
    http.server_close()
    thread.join()
