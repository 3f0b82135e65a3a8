"""Who is missing: a roll call before `jax.distributed` starts.

JAX waits for all processes of a job and aborts when one does not come, without
saying which. Here process 0 counts them in first, on the coordinator's own port
(free until JAX takes it), and names who has not come.
"""

import contextlib
import socket
import time

__all__ = ['MissingProcesses', 'roll_call']


class MissingProcesses(OSError):
  """Processes that have not come in time."""


def roll_call(address: str, processes: int, process: int, seconds: float):
  """Returns once all processes of a job have come to process 0.

  Args:
    address: host:port of process 0.
    processes: How many there are.
    process: Which of them this one is.
    seconds: How long to wait.

  Raises:
    MissingProcesses: If some have not come, naming them.
    ValueError: If the address is not host:port.
  """
  host, _, port = address.rpartition(':')
  if not (host and port.isdigit()):
    raise ValueError(f'coordinator address {address!r}, expected host:port')
  until = time.monotonic() + seconds
  if process:
    _answer((host.strip('[]'), int(port)), process, until, seconds)
  else:
    _call(int(port), processes, until, seconds)


def _call(port: int, processes: int, until: float, seconds: float) -> None:
  """Process 0: waits for the others, then lets all of them go."""
  waiting: dict[int, socket.socket] = {}
  with contextlib.ExitStack() as open_sockets:
    server = open_sockets.enter_context(socket.create_server(('', port)))
    while len(waiting) < processes - 1:
      server.settimeout(max(until - time.monotonic(), 1e-3))
      try:
        connection, _ = server.accept()
        open_sockets.enter_context(connection)
        connection.settimeout(5)
        waiting[int(connection.recv(16))] = connection
      except (TimeoutError, ValueError, ConnectionError):
        if time.monotonic() < until:
          continue  # a stranger
        missing = sorted(set(range(1, processes)) - set(waiting))
        names = ', '.join(map(str, missing))
        raise MissingProcesses(
          f'of {processes} processes {names} did not come to port {port} '
          f'within {seconds:g} s'
        ) from None
    for connection in waiting.values():
      connection.sendall(b'go')


def _answer(
  place: tuple[str, int], process: int, until: float, seconds: float
) -> None:
  """Any other process: tells process 0 that it is there."""
  while time.monotonic() < until:
    try:
      with socket.create_connection(place, timeout=5) as connection:
        connection.sendall(str(process).encode())
        connection.settimeout(max(until - time.monotonic(), 1e-3))
        if connection.recv(2) == b'go':
          return
    except OSError:
      pass
    time.sleep(0.1)
  raise MissingProcesses(
    f'process {process} waited {seconds:g} s for process 0 at '
    f'{place[0]}:{place[1]}, or for the processes that it waits for'
  )
