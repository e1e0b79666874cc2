"""What every stage does first: take its paths from the flags, its settings from `params.yaml`.

Importing it fixes the environment (see `lesions.environment`), so every stage imports it before all
else.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from lesions import params
from lesions.environment import fix_environment
from lesions.faults import explain, explain_silence
from lesions.last_words import leave_last_words
from lesions.orphans import end_with_dvc, runs_in_dvc

fix_environment()


def read_paths(doc: str, *names: str) -> argparse.Namespace:
    """Give one `pathlib.Path` for each of the flags `--<name>`, all of them required.

    The folders that the paths lie in are made. `--name` alone stays text: it is the model's key
    in `params.yaml`. From now on an error that this package raises ends the process with its
    message alone, as do want of memory, of room and of rights; any other keeps its traceback. And
    from now on the process ends with the DVC that runs it; what it means that a stage was killed or
    crashed, of which DVC gives a number, is said as well.
    """
    paths = argparse.Namespace()
    sys.excepthook = partial(_tell, paths)
    end_with_dvc()
    parser = argparse.ArgumentParser(description=doc.splitlines()[0], allow_abbrev=False)
    for name in names:
        kind = str if name == "name" else Path
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
    parser.parse_args(namespace=paths)
    if runs_in_dvc():
        leave_last_words(explain_silence(stage=Path(sys.argv[0]).stem, paths=paths))
    for path in vars(paths).values():
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
    return paths


def read_params() -> params.Params:
    """Give the settings of `params.yaml` in the working directory; stop clearly if one is bad."""
    try:
        return params.read_params(Path("params.yaml"))
    except params.ParamsError as error:
        sys.exit(str(error))


def model_files(folder: Path, models: Iterable[str], suffix: str) -> dict[str, Path]:
    """Give the file of every model, `<folder>/<model><suffix>`, in the order of `models`.

    Raises
    ------
    FileNotFoundError
        If a model has none. Files of other models are none of our business.
    """
    files = {model: folder / f"{model}{suffix}" for model in models}
    missing = [model for model, file in files.items() if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"Every model of params.yaml must have its {suffix} file in {folder}; "
            f"{', '.join(missing)} has none; run 'dvc repro'."
        )
    return files


def read_scores(folder: Path, settings: params.Params) -> dict[str, dict[str, dict]]:
    """Give model to source to what its JSON file holds.

    The source is `measured` for the study's own test part (`<model>.json`) and `on <set>` for an
    external set (`<model>_on_<set>.json`).
    """
    names = {
        model: {"measured": model}
        | {f"on {external}": f"{model}_on_{external}" for external in settings.data.external}
        for model in settings.models
    }
    files = model_files(folder, [name for own in names.values() for name in own.values()], ".json")
    return {
        model: {
            source: json.loads(files[name].read_text(encoding="utf-8"))
            for source, name in own.items()
        }
        for model, own in names.items()
    }


def _tell(paths, kind, error, trace) -> None:
    """Print the message of an error that this package raised, the traceback of any other."""
    *_, (frame, _) = traceback.walk_tb(trace)
    ours = frame.f_globals.get("__name__", "").startswith("lesions.")
    message = explain(error, stage=Path(sys.argv[0]).stem, paths=paths)
    if message is None and ours and issubclass(kind, (ValueError, FileNotFoundError)):
        message = str(error)
    if message is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"\n{message}", file=sys.stderr)
