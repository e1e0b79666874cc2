"""`lesions serve` as a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

from cloned import ROOT


@contextmanager
def serve(*arguments, folder=None, stop=signal.SIGTERM):
    """Start the server at a free port; yield its address and process, and stop it."""
    with subprocess.Popen(
        [sys.executable, "-m", "lesions.app", "serve", "--port", "0", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as server:
        try:
            said = []
            for line in server.stderr:
                said.append(line)
                if found := re.search(r"Open (http://[^;]+);", line):
                    break
            else:
                raise AssertionError("".join(said))
            # Else the server waits once its log fills the pipe.
            threading.Thread(target=server.stderr.read, daemon=True).start()
            wait_until_ready(found[1])
            yield found[1], server
        finally:
            server.send_signal(stop)
            server.wait(60)


def wait_until_ready(address):
    """Wait until the server has answered /readyz."""
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{address}/readyz").close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{address}/readyz says that the server is not ready")
