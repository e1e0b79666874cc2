"""What a result could depend on besides params, data and code, and what is done about it.

A stage's result depends on

- **params, data and code**, which DVC tracks;
- **the machine**: the kind of CPU and its instruction sets, which cannot be set. They are recorded
  with every model (`lesions.training.machine`); `ONEDNN_MAX_CPU_ISA` counts as part of the machine;
- **library versions**, which constraints.txt pins; they are recorded as well.

Everything else is fixed or refused:

- environment variables that our libraries read (`PREFIXES`) are removed, except `KEPT`;
- `FIXED` sets Keras' and matplotlib's backends, the time zone, and how large an image may be;
- Keras' configuration is its default, whatever `keras.json` says (`lesions.networks.backend`);
  seeds and the number of TensorFlow's threads are settings of params.yaml;
- matplotlib's configuration is its default, whatever a `matplotlibrc` says
  (`lesions.figures.style`);
- the locale: all files are UTF-8, and no number is formatted by locale;
- hash seed, number of cores, umask and working directory do not matter
  (tests/faults/test_environments.py);
- what cannot be undone once Python runs is refused (`find_refused`).
"""

import os
import sys
import time
import warnings

from lesions import MAX_PIXELS

PREFIXES = (
    # Keras, TensorFlow and its kernels
    *("KERAS_", "TF_", "XLA_", "ONEDNN_", "DNNL_", "MLIR_"),
    # Threads and kernels of BLAS and OpenMP
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_"),
    # NumPy, SciPy, scikit-learn, Faiss, OpenCV with libjpeg-turbo, matplotlib, pandera, pydantic
    *("NPY_", "NUMPY_", "SCIPY_", "SKLEARN_", "JOBLIB_", "LOKY_", "FAISS_", "OPENCV_", "JSIMD_"),
    *("MPL", "MATPLOTLIB", "PANDERA_", "PYDANTIC_"),
)
KEPT = (
    "KERAS_HOME",  # where weights are cached
    "MPLCONFIGDIR",  # where matplotlib caches its list of fonts
    "ONEDNN_MAX_CPU_ISA",
    *("TF_CPP_MIN_LOG_LEVEL", "TF_CPP_MAX_VLOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH"),
)
FIXED = {"KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg", "TZ": "UTC"}
FIXED["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
# The categories that Python ignores by default.
IGNORED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def fix_environment() -> None:
    """Remove what would change a result from this process' environment.

    Raises
    ------
    SystemExit
        If something cannot be undone; see `find_refused`.
    """
    if refused := find_refused():
        sys.exit(refused)
    for name in list(os.environ):
        if name.startswith(PREFIXES) and name not in KEPT:
            del os.environ[name]
    os.environ.update(FIXED)
    if hasattr(time, "tzset"):
        time.tzset()
    if sys.warnoptions:  # from PYTHONWARNINGS; `error` would stop TensorFlow's import
        warnings.resetwarnings()
        for category in IGNORED:
            warnings.simplefilter("ignore", category)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # many locales lack × and –


def find_refused() -> str | None:
    """Return why stages cannot run in this environment, or None."""
    if sys.flags.optimize:
        return "PYTHONOPTIMIZE is set, which removes checks of libraries; unset it"
    if "hwcaps" in os.environ.get("GLIBC_TUNABLES", ""):
        return (
            "GLIBC_TUNABLES chooses CPU instructions (hwcaps), on which the last digits of results "
            "depend; unset it"
        )
    return None
