"""Say what a study takes before hours are spent: time, download, disk and memory.

A stage takes the seconds of its start and, for each kind of work in it, the amount times what one
costs; the same holds for its memory. These costs stand in tools/costs.yaml, where `python
benchmarks/unit_costs.py` wrote what it measured. Run from the repository's folder: `python
tools/plan.py [PROFILE]`.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from work import HAM10000_MB, WEIGHTS_MB, Job, list_jobs, read_cohort

from lesions.params import Params, ParamsError, parse_params
from profiles import find

COSTS = Path(__file__).with_name("costs.yaml")
ESTIMATED = (HAM10000_MB, "estimated from 70 of them")
# What Kaggle's client said when somebody downloaded it: 5.20 GiB.
PHOTOGRAPHS = {
    "dataverse": ESTIMATED,
    "url": ESTIMATED,
    "kaggle": (5580, "each of them twice"),
}
WITHOUT_COPY = ("ingest", "external")  # nearly all is data/raw, which DVC's cache leaves out


def main() -> None:
    """Print the plan of the profile that the first argument names, or of `params.yaml`."""
    place, text = find((sys.argv[1:] or [""])[0])
    try:
        params = parse_params(text, place=place)
        cohort = read_cohort(params)
        jobs = list(list_jobs(params, cohort))
    except (ParamsError, ValueError, OSError) as error:
        sys.exit(str(error))
    costs = yaml.safe_load(COSTS.read_text(encoding="utf-8"))
    print(f"{params.profile}: {sum(cohort.counts.values()):,} photographs, {cohort.origin}\n")
    print(tabulate(jobs, costs["seconds"]), end="\n\n")
    print(describe(params, jobs, costs))


def tabulate(jobs: Sequence[Job], costs: Mapping[str, Mapping[str, float]]) -> str:
    """Give a line for each stage, its time and what it leaves on the disk, and one for all."""
    rows = [(job.stage, seconds(job, costs), job.megabytes) for job in jobs]
    rows.append(("in all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    width = max(len(stage) for stage, *_ in rows)
    lines = [f"{'stage':{width}}  {'time':>7}  {'disk':>7}"]
    lines += [f"{stage:{width}}  {say_time(s):>7}  {say_size(mb):>7}" for stage, s, mb in rows]
    return "\n".join(line.rstrip() for line in lines)


def describe(params: Params, jobs: Sequence[Job], costs: Mapping) -> str:
    """Say in words what is downloaded, what lies on the disk in the end, and the peak of memory."""
    photographs, how = PHOTOGRAPHS.get(params.data.source, (0, ""))
    weights = sum(WEIGHTS_MB[architecture] for architecture in pretrained(params))
    downloads = []
    if photographs:
        downloads.append(f"about {say_size(photographs)} of photographs ({how})")
    if weights:
        downloads.append(f"{say_size(weights)} of weights")
    once = sum(job.megabytes for job in jobs if job.stage.startswith(WITHOUT_COPY))
    left = 2 * sum(job.megabytes for job in jobs) - once
    gb, stage = max((memory(job, costs["gb"]), job.stage) for job in jobs)
    disk, machine = say_size(photographs + weights + left), costs["machine"]
    return f"""\
Download: {" and ".join(downloads) or "nothing"}
Disk:     {disk}: downloads, what the stages leave, and DVC's copy of it, not of the photographs
Memory:   {gb:.1f} GB at the peak, in {stage}

Times are extrapolated from a machine of {machine["cores"]} cores, {machine["processor"]}, good to
a factor of about two. That of the download is left out, and so are the packages' 3 GB."""


def pretrained(params: Params) -> set[str]:
    """Give the architectures whose weights have to be downloaded."""
    models = params.models.values()
    return {m.architecture for m in models if m.backbone and m.backbone.weights == "imagenet"}


def seconds(job: Job, costs: Mapping[str, Mapping[str, float]]) -> float:
    """Give the time of a stage."""
    return sum(multiply(costs[stage], work) for stage, work in job.work.items())


def memory(job: Job, costs: Mapping[str, Mapping[str, float]]) -> float:
    """Give the peak of a stage, GB."""
    return max(multiply(costs[stage], job.memory) for stage in job.work)


def multiply(costs: Mapping[str, float], amounts: Mapping[str, float]) -> float:
    """Give what the start and the amounts cost together."""
    return costs["start"] + sum(costs[unit] * amount for unit, amount in amounts.items())


def say_time(seconds: float) -> str:
    """Say a time as roughly as it is known."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    amount, unit = (seconds / 60, "min") if seconds >= 60 else (seconds, "s")
    step = 5 if amount >= 10 else 1
    return f"{max(1, step * round(amount / step))} {unit}"


def say_size(megabytes: float) -> str:
    """Say a size in the unit that suits it; nothing below half a megabyte."""
    if megabytes < 0.5:
        return ""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


if __name__ == "__main__":
    main()
