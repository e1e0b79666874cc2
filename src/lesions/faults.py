"""What to say where memory, disk or permissions do not suffice: stage, file, and the way out."""

import errno
import os
import shutil
from argparse import Namespace
from pathlib import Path

# Stage to the settings that its memory and its files grow with, the most helpful first.
KNOBS = {
    "train": "models.{name}.batch_size, the widths in models.{name}.head, models.{name}.input_size "
    "or resize.pixels",
    "features": "models.{name}.input_size or resize.pixels",
    "predict": "models.{name}.input_size or resize.pixels",
    "evaluate": "evaluate.n_resamples",
    "compare": "evaluate.n_resamples",
    "explore": "explore.photographs_per_class",
    "ingest": "data.n_images (of the demo)",
}
KNOB = "resize.pixels"
FULL = {errno.ENOSPC, errno.EDQUOT}
LOCKED = {errno.EROFS, errno.EACCES, errno.EPERM}


def explain(error: BaseException, *, stage: str, paths: Namespace) -> str | None:
    """Give a message for what the machine refused a stage; `None` for any other error.

    Parameters
    ----------
    stage
        As dvc.yaml calls it, without the model.
    paths
        The stage's flags; `name`, if there is one, is the model.
    """
    who, knob = _who_and_knob(stage, paths)
    if _is_memory(error):
        detail = str(error).strip().partition("\n")[0] or type(error).__name__
        return (
            f"{who} must have more memory than it was given ({detail[:200]}); close other programs "
            f"or lower {knob} in params.yaml, then run 'dvc repro' again."
        )
    if not isinstance(error, OSError):
        return None
    code = error.errno or _code_within(str(error))
    if code in FULL:
        place = error.filename or _fullest(paths)
        return (
            f"{who} must have room for {place}; {os.strerror(code)}; free some there or lower "
            f"{knob} in params.yaml, then run 'dvc repro' again."
        )
    if code in LOCKED:
        place = error.filename or "its files"
        return (
            f"{who} must be allowed to use {place}; {os.strerror(code)}; give yourself the right "
            f"to it (ls -ld shows owner and rights), then run 'dvc repro' again."
        )
    return None


def explain_silence(*, stage: str, paths: Namespace) -> str:
    """Give a message for a stage that ended without a word: no error of Python came to be.

    So ends who asks the system for memory that it does not have: Linux kills it, and native code,
    as TensorFlow's, may crash where an allocation fails.
    """
    who, knob = _who_and_knob(stage, paths)
    return (
        f"{who} must come to an end of its own; it was killed, or crashed. If nobody killed it, "
        f"memory was short, most likely: close other programs or lower {knob} in params.yaml, then "
        "run 'dvc repro' again."
    )


def _who_and_knob(stage, paths) -> tuple[str, str]:
    """Give the words for a stage, and for the settings that help it."""
    name = getattr(paths, "name", None)
    who = f"Stage {stage}" + (f" of {name}" if name else "")
    return who, KNOBS.get(stage, KNOB).format(name=name)


def _is_memory(error) -> bool:
    """Tell whether memory ran out, in Python and NumPy, in OpenCV or in TensorFlow."""
    kind = type(error)
    return (
        isinstance(error, MemoryError)
        or (kind.__module__ == "cv2" and "Insufficient memory" in str(error))
        or kind.__name__ == "ResourceExhaustedError"
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


def _code_within(message: str) -> int | None:
    """Give the code that h5py puts into a message alone: 'errno = 28'."""
    return next((code for code in FULL | LOCKED if f"errno = {code}," in message), None)


def _fullest(paths) -> Path:
    """Give the folder of the stage's files whose disk has the least room."""
    folders = {path.parent for path in vars(paths).values() if isinstance(path, Path)}
    return min(sorted(folders), key=lambda folder: shutil.disk_usage(folder).free)
