"""What every stage does first: read its paths from the flags, and its settings from `params.yaml`.

Importing this module fixes the environment (see `lesions.pipeline.environment`), so stages import
it before anything else.
"""

import argparse
import sys
import traceback
from functools import partial
from pathlib import Path

from lesions import config
from lesions.pipeline.environment import fix_environment
from lesions.pipeline.errors import explain, explain_kill
from lesions.pipeline.watchdog import end_with_dvc, explain_if_killed

NAMES = ("name", "set")  # flags that are names of `params.yaml`, not paths

fix_environment()


def read_paths(doc: str, *flags: str) -> argparse.Namespace:
    """Return a `pathlib.Path` for each of the flags, all of them required; see `NAMES`.

    Parent folders of the paths are created. From now on the process ends with the DVC that runs it.
    An error that this package raises, or a lack of memory, disk space or permissions, ends it with
    a message; any other error keeps its traceback. If it is killed, a message also explains DVC's
    exit code.
    """
    paths = argparse.Namespace()
    sys.excepthook = partial(_print_error, paths)
    end_with_dvc()
    parser = argparse.ArgumentParser(description=doc.splitlines()[0], allow_abbrev=False)
    for flag in flags:
        kind = str if flag in NAMES else Path
        parser.add_argument(f"--{flag.replace('_', '-')}", type=kind, required=True)
    parser.parse_args(namespace=paths)
    explain_if_killed(explain_kill(stage=Path(sys.argv[0]).stem, paths=paths))
    for path in vars(paths).values():
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
    return paths


def read_params() -> config.Params:
    """Return the settings of `params.yaml` in the working directory; exit if they are invalid."""
    try:
        return config.read_params(Path("params.yaml"))
    except config.ParamsError as error:
        sys.exit(str(error))


def _print_error(paths, kind, error, trace) -> None:
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


# For what fails while a stage imports its modules; `read_paths` adds the flags.
sys.excepthook = partial(_print_error, argparse.Namespace())
