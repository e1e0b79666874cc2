"""`tools/repeat.py`; `tests/test_pipeline.py` lets it run the real study."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SCORES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")


@pytest.fixture
def repeat():
    return runpy.run_path(str(ROOT / "tools/repeat.py"))


def test_the_spread_is_the_standard_deviation_between_runs(repeat):
    # .5, .6, .7: mean .6, standard deviation (n - 1) .1.
    rows = [
        {"run": f"seed {run}", "model": "cnn", "source": "measured"} | dict.fromkeys(SCORES, value)
        for run, value in enumerate((0.5, 0.6, 0.7))
    ]
    text = repeat["to_markdown"](pd.DataFrame(rows))
    cell = "0.600 ± 0.100 (0.500–0.700)"
    assert text.splitlines()[2] == f"| cnn | measured | 3 | {' | '.join([cell] * 4)} |"


@pytest.mark.parametrize("words", [[], ["1"], ["five"]])
def test_a_number_of_runs_is_asked_for(repeat, monkeypatch, words):
    monkeypatch.setattr("sys.argv", ["repeat.py", *words])
    with pytest.raises(SystemExit, match="SEEDS must be a number of runs, 2 or more"):
        repeat["main"]()


def test_folds_of_a_published_column_are_refused(repeat, monkeypatch, tmp_path):
    params = (ROOT / "profiles/dermamnist.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params.replace("by: seed ", "by: fold "))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["repeat.py", "3"])
    with pytest.raises(SystemExit, match=r"needs split\.by: image, lesion or group"):
        repeat["main"]()
