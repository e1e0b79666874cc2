"""How long `lesions serve` takes for a photograph, with 1, 8 and 64 clients at once.

Clients and server share this machine. Each client sends one photograph after another over a
connection of its own. `python benchmarks/serve.py`; `--explain` also asks for the explanations.
"""

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
from side_by_side import write_results

from lesions.examples import list_examples

CLIENTS = (1, 8, 64)


def main():
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1280, help="for each number of clients")
    parser.add_argument("--explain", action="store_true")
    options = parser.parse_args()
    photographs = [path.read_bytes() for path in list_examples().values()]
    with serve() as address:
        query = f"{address}/predict?explain={str(options.explain).lower()}"
        send(query, photographs[:1] * 20)  # the first are slower
        rows = [measure(query, photographs, n, options.requests) for n in CLIENTS]
    write_results("serve", rows, settings=vars(options))


@contextmanager
def serve():
    """Start the server at a free port, and yield its address."""
    command = [str(Path(sys.executable).with_name("lesions")), "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as server:
        lines = (re.search(r"http://[^;]+", line) for line in server.stderr)
        address = next(filter(None, lines))[0]
        while httpx2.get(f"{address}/readyz").status_code != 200:
            time.sleep(0.05)
        with ThreadPoolExecutor(1) as reader:  # else the server waits once its log fills the pipe
            reader.submit(server.stderr.read)
            yield address
            server.terminate()


def measure(query, photographs, n_clients, n_requests):
    """Return a row of the table."""
    each = [photographs[number % len(photographs)] for number in range(n_requests // n_clients)]
    start = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as clients:
        found = [
            one.result() for one in [clients.submit(send, query, each) for _ in range(n_clients)]
        ]
    seconds = time.perf_counter() - start
    answers = [answer for of_client in found for answer in of_client]
    times = [1000 * took for _, took in answers]
    statuses = Counter(status for status, _ in answers)
    return {
        "clients": n_clients,
        "requests": n_clients * len(each),
        "answers": ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items())),
        "p50, ms": f"{np.percentile(times, 50):.0f}",
        "p99, ms": f"{np.percentile(times, 99):.0f}",
        "photographs in a second": f"{len(answers) / seconds:.0f}",
    }


def send(query, photographs):
    """Send photographs one after another; return status and seconds of each."""
    answers = []
    with httpx2.Client(timeout=120) as client:
        for photograph in photographs:
            start = time.perf_counter()
            answer = client.post(query, files={"files": ("photograph.jpg", photograph)})
            answers.append((answer.status_code, time.perf_counter() - start))
    return answers


if __name__ == "__main__":
    main()
