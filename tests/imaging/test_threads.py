import os
import subprocess
import sys
from threading import Barrier

import cv2
import pytest

from lesions.imaging.threads import CHUNK, VARIABLE, map_in_threads, n_workers


def test_a_number_that_is_set_is_used(monkeypatch):
    monkeypatch.setenv(VARIABLE, "3")
    assert n_workers() == 3


def test_all_cores_are_used_by_default(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert 1 <= n_workers() <= os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process")
def test_cores_that_a_process_may_not_use_do_not_count():
    bound = (
        "import os; from lesions.imaging.threads import n_workers;"
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(n_workers())"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-c", bound]
    assert subprocess.check_output(command, env=environment, encoding="utf-8").strip() == "1"


@pytest.mark.parametrize("asked", ["0", "-1", "2.5", "two", ""])
def test_anything_but_a_positive_integer_is_refused(monkeypatch, asked):
    monkeypatch.setenv(VARIABLE, asked)
    with pytest.raises(ValueError, match=r"LESIONS_WORKERS is .*; set it to a number") as error:
        n_workers()
    assert repr(asked) in str(error.value)


def test_results_are_in_the_order_of_the_items(monkeypatch):
    monkeypatch.setenv(VARIABLE, "3")
    items = range(3 * CHUNK + 1)
    assert map_in_threads(str, items, desc="test") == [str(item) for item in items]
    assert map_in_threads(str, [], desc="test") == []


def test_without_a_description_there_is_no_progress_bar(capsys):
    for desc in ("decode", None):
        map_in_threads(str, range(3), desc=desc, file=Terminal(sys.stderr))
        assert ("decode" in capsys.readouterr().err) == (desc is not None)


class Terminal:
    """A stream that says it is a terminal, where bars are shown."""

    def __init__(self, stream):
        self.write, self.flush = stream.write, stream.flush

    def isatty(self):
        return True


def test_that_number_of_threads_works_at_the_same_time(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")
    barrier = Barrier(2, timeout=10)  # breaks unless two threads wait at once
    map_in_threads(
        lambda item: barrier.wait() if item % CHUNK == 0 else 0, range(2 * CHUNK), desc=""
    )


def test_opencv_has_one_thread_meanwhile_and_its_own_number_afterwards():
    before = cv2.getNumThreads()
    assert set(map_in_threads(lambda _: cv2.getNumThreads(), range(40), desc="test")) == {1}
    assert cv2.getNumThreads() == before
    with pytest.raises(ZeroDivisionError):
        map_in_threads(lambda item: 1 / item, range(40), desc="test")
    assert cv2.getNumThreads() == before
