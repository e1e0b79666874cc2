"""Fill the blocks of README.md and docs/ that quote results, files and commands.

A block begins with a line `<!-- from SOURCE -->` and ends with `<!-- end -->`. SOURCE is a folder
of results, a Markdown file, a command of DVC, or an `explanations.json` and one of its tables. With
`--check`, the files are those that Git has staged; nothing is written, and the exit status says
whether a block is stale.
"""

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import explanations
import networkx as nx
import pandas as pd
from committed import git

from lesions.config import load_yaml, read_text
from lesions.evaluation.baselines import PUBLISHED
from lesions.evaluation.comparison import compare_models
from lesions.pipeline.files import read_json
from lesions.report.wording import SCORES, describe_run, to_markdown
from lesions.taxonomy import keep_scored

BLOCK = re.compile(
    r"^(?P<start><!-- from (?P<source>.+?) -->\n)(?s:.*?)^(?P<end><!-- end -->)$", re.MULTILINE
)


def render(source: str) -> str:
    """Return the content of a block."""
    path = Path(source)
    if path.name.startswith("explanations.json "):
        file, _, table = source.partition(" ")
        return explanations.render(read_json(Path(file)), table)
    if source.startswith("dvc "):
        command = [sys.executable, "-m", *shlex.split(source)]
        output = subprocess.check_output(command, encoding="utf-8").strip()
        graph = output.startswith("```")
        return drop_indirect(output) if graph else f"```console\n$ {source}\n{output}\n```"
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8").strip()
    return render_results(path.parent if path.name == "comparison.json" else path).strip()


def drop_indirect(graph: str) -> str:
    """Return a Mermaid graph without the edges that follow from others."""
    edges = nx.transitive_reduction(nx.DiGraph(re.findall(r"(\w+)-->(\w+)", graph))).edges
    return re.sub(r"\t(\w+)-->(\w+)\n", lambda m: m[0] * (m.groups() in edges), graph)


def render_results(folder: Path) -> str:
    """Return a table of the headline scores in `plots/comparison` or `results/<name>`."""
    root = folder.parent if folder.name in ("comparison", "metrics") else folder
    root = Path() if folder == Path("plots/comparison") else root
    settings = load_yaml(read_text(root / "params.yaml"))
    if (root / "metrics/details").is_dir():
        details, settings = read_old_record(root, settings)
        scores = compare_models(details, published=PUBLISHED.get(settings["profile"]))
        pairs = read_json(root / "metrics/differences.json")["pairs"]
    else:
        comparison = folder if root != folder else root / "comparison"
        counts = {"n_images": "Int64", "n_diagnoses": "Int64"}
        types = counts | {"model": str, "source": str}
        file = comparison / "scores.csv"
        scores = pd.read_csv(file, dtype=types, keep_default_na=False, na_values=[""])
        pairs = read_json(comparison / "differences.json")["pairs"]
        model = next(iter(settings["models"]))
        sets = sorted(settings["sets"], key=lambda name: (name != "study", name))
        files = {name: root / f"evaluation/{name}/{model}/details.json" for name in sets}
        details = {model: {name: read_json(file) for name, file in files.items()}}
    note = describe_run(details, pairs, settings=settings)
    scored = keep_scored(next(iter(details.values())))
    n_classes = len(next(iter(scored.values()))["classes"])
    columns = ("model", "source", "images", *SCORES)
    return to_markdown(scores, n_classes=n_classes, note=note, columns=columns)


def read_old_record(root: Path, settings: dict) -> tuple[dict, dict]:
    """Return details and settings of a record of version 0.2, as this version has them."""
    details = {}
    for model in read_json(root / "metrics/comparison.json"):
        found = read_json(root / f"metrics/details/{model}.json")
        found["n_images"] = sum(row["n_images"] for row in found["classes"].values())
        found |= {"n_lesions": found["protocol"]["n_lesions"], "only_predicted": None}
        found |= {"bootstrap": {"unit": "lesion"}, "has_lesion_ids": True}
        details[model] = {"study": found}
    models, kind = settings["models"], settings["data"]["source"]
    study = {"source": {"kind": kind}, "split": settings["split"]}
    backbones = {name: model["backbone"] for name, model in models.items() if model["backbone"]}
    models = {name: {"inputs": f"features/{name}"} for name in models}
    return details, settings | {"sets": {"study": study}, "backbones": backbones, "models": models}


def update(file: Path) -> list[str]:
    """Fill the blocks of a file; return the file and source of those that were stale."""
    stale = []

    def fill(match: re.Match) -> str:
        try:
            block = f"{match['start']}\n{render(match['source'])}\n\n{match['end']}"
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            sys.exit(f"{file}: the block from {match['source']} cannot be filled: {error}")
        if block != match[0]:
            stale.append(f"{file}: {match['source']}")
        return block

    text = BLOCK.sub(fill, file.read_text(encoding="utf-8"))
    if stale:
        file.write_text(text, encoding="utf-8")
    return stale


def main() -> None:
    """Fill the blocks, or check those that Git has staged."""
    check = "--check" in sys.argv[1:]
    with contextlib.ExitStack() as stack:
        if check:
            folder = stack.enter_context(TemporaryDirectory())
            git("checkout-index", "--all", f"--prefix={folder}/")
            git("init", "--quiet", folder)  # DVC draws its graph in a Git repository only
            below = git("rev-parse", "--show-prefix").strip()
            stack.enter_context(contextlib.chdir(Path(folder, below)))
        files = [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]
        stale = [block for file in files for block in update(file)]
    if check and stale:
        sys.exit("\n".join(["Stale blocks; run 'make readme' and commit:", *stale]))
    print("\n".join(f"Filled {block}" for block in stale) or "All blocks are current")


if __name__ == "__main__":
    main()
