"""What a result could depend on besides params, data and code, and what becomes of it.

A stage's result depends on:

- **params, data, code**: DVC tracks them.
- **the machine**: the kind of CPU and its instruction sets. They cannot be set, so
  `lesions.machine` records them with every model; `ONEDNN_MAX_CPU_ISA` counts as the machine's.
- **library versions**: constraints.txt pins them; they are recorded as well.

Everything else is fixed here or refused, so that it cannot matter:

- environment variables that our libraries read (`PREFIXES`) are removed, but for `KEPT`;
- `FIXED` states the others: Keras' backend, matplotlib's backend, the time zone;
- Keras' own settings are its defaults, against a `keras.json`; `lesions.runtime` applies them;
  the number of TensorFlow's threads and every seed are settings of params.yaml;
- matplotlib's settings are its defaults, against a `matplotlibrc`; `lesions.figures` applies them;
- the locale: every file is read and written as UTF-8 (ruff's PLW1514 holds it), and no number is
  written by locale;
- the order of hashes, `PYTHONHASHSEED`, the number of cores, the umask and the working directory
  change nothing (tests/faults/test_environments.py);
- `REFUSED` cannot be undone once Python runs.

`lesions.stage` calls `fix_environment` when it is imported, which every stage does first.
"""

import os
import sys
import time
import warnings

PREFIXES = (
    # Keras, TensorFlow and what it computes with
    *("KERAS_", "TF_", "XLA_", "ONEDNN_", "DNNL_", "MLIR_"),
    # Threads and kernels of BLAS and OpenMP
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_"),
    # NumPy, SciPy, scikit-learn, Faiss, OpenCV and its libjpeg, matplotlib, pandera, pydantic
    *("NPY_", "NUMPY_", "SCIPY_", "SKLEARN_", "JOBLIB_", "LOKY_", "FAISS_", "OPENCV_", "JSIMD_"),
    *("MPL", "MATPLOTLIB", "PANDERA_", "PYDANTIC_"),
)
KEPT = (
    "KERAS_HOME",  # where weights are kept
    "MPLCONFIGDIR",  # where matplotlib keeps its list of fonts
    "ONEDNN_MAX_CPU_ISA",  # the machine's, and recorded with it
    *(
        "TF_CPP_MIN_LOG_LEVEL",
        "TF_CPP_MAX_VLOG_LEVEL",
        "TF_FORCE_GPU_ALLOW_GROWTH",
    ),  # change no number
)
FIXED = {"KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg", "TZ": "UTC"}
# The categories that Python itself ignores.
IGNORED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def fix_environment() -> None:
    """Undo what the user's environment would change in a result; stop at what cannot be undone.

    Raises
    ------
    SystemExit
        If `PYTHONOPTIMIZE` or glibc's choice of instructions is set.
    """
    if refused := find_refused():
        sys.exit(refused)
    for name in list(os.environ):
        if name.startswith(PREFIXES) and name not in KEPT:
            del os.environ[name]
    os.environ.update(FIXED)
    if hasattr(time, "tzset"):
        time.tzset()
    if sys.warnoptions:  # of PYTHONWARNINGS; `error` would stop TensorFlow's import
        warnings.resetwarnings()
        for category in IGNORED:
            warnings.simplefilter("ignore", category)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a narrow locale has no ×, and no – either


def find_refused() -> str | None:
    """Return why a stage cannot run in this environment, or None."""
    if sys.flags.optimize:
        return "Python must run without -O, which removes checks of libraries; unset PYTHONOPTIMIZE"
    if "hwcaps" in os.environ.get("GLIBC_TUNABLES", ""):
        return (
            "GLIBC_TUNABLES must not choose the CPU's instructions (hwcaps), on which the last "
            "digits of a result depend; unset it"
        )
    return None
