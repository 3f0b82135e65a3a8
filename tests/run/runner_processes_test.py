import pathlib
import socket
import subprocess
import sys

from framework.run import results
from tests.run import jobs

TWO = """
import sys, jax
process, port, where = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_enable_x64', True)
jax.distributed.initialize(f'localhost:{port}', 2, process)
from tests.run import jobs
stop = jobs.Stop(3) if process == 1 else lambda: False
job = jobs.two_process_job()
print(jobs.go(job, where, batching='map', chunk_stops=4, stop_requested=stop))
print(jobs.go(job, where, batching='map'))
"""

ONE = """
import sys, jax
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_enable_x64', True)
from tests.run import jobs
print(jobs.go(jobs.two_process_job(), sys.argv[1], batching='map'))
"""
ROOT = pathlib.Path(__file__).parents[2]


def test_two_processes_do_what_one_does(tmp_path):
  """A stop asked of the second, a resume, and the bits of a single process."""
  with socket.socket() as s:
    s.bind(('localhost', 0))
    port = str(s.getsockname()[1])
  both = [
    subprocess.Popen(
      [sys.executable, '-c', TWO, str(i), port, str(tmp_path / 'two')],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    for i in (0, 1)
  ]
  try:
    said = [p.communicate(timeout=300)[0] for p in both]
  finally:
    for p in both:
      p.kill()
  for text in said:
    assert "status='preempted'" in text and "status='done'" in text, text
  # In a process too: this one compiles with other flags than they do.
  subprocess.run(
    [sys.executable, '-c', ONE, str(tmp_path / 'one')], cwd=ROOT, check=True
  )
  jobs.same(results.open(tmp_path / 'two'), results.open(tmp_path / 'one'))
