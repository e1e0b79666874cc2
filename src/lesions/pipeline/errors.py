"""Messages for a lack of memory, disk space, permissions or files: stage, file, and what helps."""

import errno
import os
import shutil
from argparse import Namespace
from pathlib import Path

# Stage to the settings that its memory and files grow with, the most effective first.
SETTINGS = {
    "train": "models.{name}.batch_size, its layers, its input_pixels or resize.pixels",
    "features": "backbones.{name}.input_pixels or resize.pixels",
    "evaluate": "evaluate.n_resamples",
    "compare": "evaluate.n_resamples",
    "explore": "explore.photographs_per_class",
    "ingest": "sets.{name}.source.n_images (of synthetic photographs)",
}
DEFAULT_SETTING = "resize.pixels"
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
NO_PERMISSION = {errno.EROFS, errno.EACCES, errno.EPERM}


def explain(error: BaseException, *, stage: str, paths: Namespace) -> str | None:
    """Return a message for a lack of memory, disk space, permissions or a file; else `None`.

    Parameters
    ----------
    stage
        As in dvc.yaml, without `@<name>`.
    paths
        The stage's flags; `name`, if there is one, is that of the set, backbone or model, `set`
        that of the set on which a model is evaluated.
    """
    who, setting = _name_stage(stage, paths)
    if _is_memory_error(error):
        detail = str(error).strip().partition("\n")[0] or type(error).__name__
        return (
            f"{who} ran out of memory ({detail[:200]}); close other programs or lower {setting} in "
            "params.yaml, then run 'dvc repro' again"
        )
    if not isinstance(error, OSError):
        return None
    code = error.errno or _find_code(str(error))
    if code == errno.ENOENT and error.filename:
        return f"{who} needs {error.filename}, which is missing; run 'dvc repro'"
    if code in NO_SPACE:
        where = error.filename or _fullest_folder(paths)
        return (
            f"{who} could not write {where}: {os.strerror(code)}; free disk space or lower "
            f"{setting} in params.yaml, then run 'dvc repro' again"
        )
    if code in NO_PERMISSION:
        where = error.filename or "its files"
        return (
            f"{who} has no access to {where}: {os.strerror(code)}; change its permissions or owner "
            "(see 'ls -ld'), then run 'dvc repro' again"
        )
    return None


def explain_kill(*, stage: str, paths: Namespace) -> str:
    """Return a message for a stage that is ended by a signal; parameters as of `explain`."""
    who, setting = _name_stage(stage, paths)
    return (
        f"{who} was killed or crashed; probably out of memory. Close other programs or lower "
        f"{setting} in params.yaml, then run 'dvc repro' again"
    )


def _name_stage(stage: str, paths: Namespace) -> tuple[str, str]:
    """Return the stage's full name, and the setting that its memory and files grow with."""
    names = [getattr(paths, flag) for flag in ("name", "set") if hasattr(paths, flag)]
    setting = SETTINGS.get(stage, DEFAULT_SETTING).format(name=names[0] if names else None)
    return f"Stage {stage}@{'-'.join(names)}" if names else f"Stage {stage}", setting


def _is_memory_error(error) -> bool:
    """Return whether Python, NumPy, OpenCV or TensorFlow ran out of memory."""
    kind = type(error)
    return (
        isinstance(error, MemoryError)
        or (kind.__module__ == "cv2" and "Insufficient memory" in str(error))
        or kind.__name__ == "ResourceExhaustedError"
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


def _find_code(message: str) -> int | None:
    """Return the code that h5py has in its message alone: 'errno = 28'."""
    codes = NO_SPACE | NO_PERMISSION
    return next((code for code in codes if f"errno = {code}," in message), None)


def _fullest_folder(paths) -> Path:
    """Return the folder of the stage's files whose disk has the least free space."""
    folders = {path.parent for path in vars(paths).values() if isinstance(path, Path)}
    return min(sorted(folders), key=lambda folder: shutil.disk_usage(folder).free)
