"""`make plan`: what a study takes, before it runs."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lesions.params import Params, parse_params

sys.path.append(str(Path(__file__).parents[1] / "tools"))
import plan
import work

ROOT = Path(__file__).parents[1]
PROFILES = ["", "demo", *sorted(file.stem for file in (ROOT / "profiles").glob("*.yaml"))]
COSTS = yaml.safe_load(plan.COSTS.read_text(encoding="utf-8"))


def settings(name="paper", **sections) -> Params:
    """Give a profile with some settings changed; `cnn` stands for that model's."""
    params = yaml.safe_load((ROOT / f"profiles/{name}.yaml").read_text(encoding="utf-8"))
    params["models"]["cnn"].update(sections.pop("cnn", {}))
    for section, values in sections.items():
        params[section].update(values)
    return parse_params(yaml.safe_dump(params), place=name)


def jobs_of(params: Params) -> dict[str, work.Job]:
    return {job.stage: job for job in work.list_jobs(params, work.read_cohort(params))}


def seconds_of(params: Params) -> dict[str, float]:
    return {stage: plan.seconds(job, COSTS["seconds"]) for stage, job in jobs_of(params).items()}


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_a_plan(name, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["plan.py", name])
    plan.main()
    printed = capsys.readouterr().out
    assert "in all" in printed
    assert "factor of about two" in printed


def test_every_stage_is_in_the_plan(small_world):
    params = settings(data={"external": {"elsewhere": str(small_world)}})
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert {stage.partition("@")[0] for stage in jobs_of(params)} == set(stages)


def test_what_all_stages_take_is_the_sum_of_what_each_takes():
    jobs = [
        work.Job("one", {"encode": {"photographs": 0}}, 3),
        work.Job("two", {"encode": {"photographs": 10}, "split": {}}, 4),
    ]
    costs = {"encode": {"start": 60, "photographs": 5}, "split": {"start": 10}}
    lines = [line.split() for line in plan.tabulate(jobs, costs).splitlines()[1:]]
    # 60; 60 + 10 · 5 + 10
    assert lines == [
        ["one", "1", "min", "3", "MB"],
        ["two", "2", "min", "4", "MB"],
        ["in", "all", "3", "min", "7", "MB"],
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "1 s"), (37, "35 s"), (100, "2 min"), (3100, "50 min"), (5400, "1.5 h")],
)
def test_a_time_is_said_as_roughly_as_it_is_known(seconds, words):
    assert plan.say_time(seconds) == words


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        ("train@cnn", {"cnn": {"epochs": 50}}),
        ("train@cnn", {"cnn": {"input_size": 64}}),
        ("train@cnn", {"cnn": {"batch_size": 4}}),
        ("evaluate@cnn", {"evaluate": {"n_resamples": 20_000}}),
        ("balance", {"resize": {"pixels": 64}}),
        ("predict@vgg16", {"split": {"test_size": 0.4}}),
    ],
)
def test_more_work_takes_longer(stage, more):
    assert seconds_of(settings(**more))[stage] > seconds_of(settings())[stage]


def test_more_photographs_take_longer():
    few, many = (settings(data={"source": "demo", "n_images": n}) for n in (1000, 100_000))
    few, many = seconds_of(few), seconds_of(many)
    assert all(few[stage] <= many[stage] for stage in few)
    assert sum(few.values()) < sum(many.values()) / 10


def test_without_over_sampling_there_is_less_to_train_on():
    plain = seconds_of(settings(balance={"method": "none"}))
    assert plain["train@cnn"] < seconds_of(settings())["train@cnn"] / 3


def test_adasyn_is_expected_to_make_about_as_many_rows_as_the_paper_says():
    steps = jobs_of(settings())["train@cnn"].work["train"]["steps, cnn"]
    assert steps * 8 / 25 == pytest.approx(37_565, rel=0.01)  # in batches of 8, 25 epochs


def test_the_multiplications_of_the_papers_network_are_counted():
    head = {"filters": [2], "dense_units": [3], "dropout": 0.0, "batch_norm_momentum": 0.9}
    params = settings(cnn={"input_size": 8, "head": head})
    # 8 · 8 places, 3 · 3 weights, 3 → 2 and 2 → 2 channels; 4 · 4 · 2 features → 3 → 7
    expected = 64 * 9 * (3 * 2 + 2 * 2) + 32 * 3 + 3 * 7
    assert work.count_operations(params.models["cnn"]) == expected


def test_photographs_that_are_there_are_counted(small_world):
    params = settings(data={"source": "folder", "path": str(small_world)})
    cohort = work.read_cohort(params)
    assert sum(cohort.counts.values()) == 90
    size = sum(file.stat().st_size for file in small_world.rglob("*.jpg"))
    assert cohort.megabytes == pytest.approx(size / 1e6)
    assert cohort.written == 0  # they are linked


def test_a_column_that_is_there_says_how_large_the_parts_are():
    table = work.pd.DataFrame({"partition": ["train", "train", "val", "test"]})
    split = settings("dermamnist").split
    expected = {"train": 0.5, "val": 0.25, "cal": 0, "test": 0.25}
    assert work.find_shares(split, table) == expected


def test_only_what_has_to_be_downloaded_is_said_to_be():
    params = settings(data={"source": "demo"})
    printed = plan.describe(params, list(jobs_of(params).values()), COSTS)
    assert printed.startswith("Download: 154 MB of weights\n")  # 59 + 95


def test_a_profile_that_is_not_there_is_refused_as_by_repro():
    told = [
        subprocess.run(
            [sys.executable, *command, "papr"], cwd=ROOT, capture_output=True, encoding="utf-8"
        )
        for command in (["tools/plan.py"], ["tools/profiles.py", "use"])
    ]
    assert told[0].returncode == told[1].returncode == 1
    assert told[0].stderr == told[1].stderr
    assert "PROFILE must be one of demo" in told[0].stderr


def test_the_plan_starts_no_tensorflow():
    program = (
        "import runpy, sys; sys.argv = ['plan.py', 'ham10000']; sys.path.insert(0, 'tools');"
        "runpy.run_path('tools/plan.py', run_name='__main__');"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
