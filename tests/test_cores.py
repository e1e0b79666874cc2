import os
import subprocess
import sys

import numpy as np
import pytest

from lesions.cores import VARIABLE, n_workers
from lesions.demo import write_demo
from lesions.duplicates import find_similar_pairs


def test_a_number_that_is_set_is_taken(monkeypatch):
    monkeypatch.setenv(VARIABLE, "3")
    assert n_workers() == 3


def test_all_cores_are_used_where_none_is_set(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert 1 <= n_workers() <= os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process")
def test_cores_that_a_process_may_not_use_do_not_count():
    bound = (
        "import os; from lesions.cores import n_workers;"
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(n_workers())"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-c", bound]
    assert subprocess.check_output(command, env=environment, encoding="utf-8").strip() == "1"


@pytest.mark.parametrize("asked", ["0", "-1", "2.5", "two", ""])
def test_what_is_no_number_of_threads_is_refused(monkeypatch, asked):
    monkeypatch.setenv(VARIABLE, asked)
    with pytest.raises(ValueError, match="LESIONS_WORKERS must be a number of threads") as error:
        n_workers()
    assert repr(asked) in str(error.value)


def test_who_draws_or_compares_photographs_asks_how_many_threads(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "none")
    with pytest.raises(ValueError, match=VARIABLE):
        write_demo(tmp_path, n_images=56, seed=1)
    with pytest.raises(ValueError, match=VARIABLE):
        find_similar_pairs(np.zeros((4, 32, 32, 3), np.uint8), n_neighbors=2)
