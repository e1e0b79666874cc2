"""A study gives the same `dvc.lock`, byte for byte, in any environment.

Home folder, environment variables, flags and locale must not change a result; see
`lesions.pipeline.environment`. In each environment the pipeline runs from an empty cache.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from faults_study import open_clone

# Python follows the locale, which `make test` keeps it from.
LEGACY = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def write_keras_json(home, **settings):
    (home / ".keras").mkdir(parents=True)
    (home / ".keras/keras.json").write_text(json.dumps(settings), encoding="utf-8")
    return {"HOME": str(home)}


def write_matplotlibrc(home):
    text = "font.size: 30\nsavefig.dpi: 10\nsavefig.bbox: tight\nimage.cmap: gray\n"
    for folder in (home, home / ".config/matplotlib"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "matplotlibrc").write_text(text, encoding="utf-8")
    return {"HOME": str(home), "MATPLOTLIBRC": str(home)}


def make_locale(home, name):
    """Compile a locale from Debian's package `locales`; skip if that is not installed."""
    language, charset = name.split(".")
    home.mkdir(parents=True)
    command = ["localedef", "-i", language, "-f", charset, f"{home}/{name}"]
    if shutil.which("localedef") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"the locale {name} needs localedef and the package locales")
    return {"LC_ALL": name, "LANG": name, "LOCPATH": str(home), **LEGACY}


def write_other_code(home):
    """Write other modules called `lesions` and `numpy`, and put them on Python's path."""
    home.mkdir(parents=True)
    for name in ("lesions", "numpy"):
        (home / f"{name}.py").write_text("raise SystemExit('the wrong module')\n", encoding="utf-8")
    return {"PYTHONPATH": str(home)}


KERAS = {"floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
SWITCHES = {
    "KERAS_BACKEND": "torch",
    "KERAS_MAX_EPOCHS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_DETERMINISTIC_OPS": "0",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "7",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "TF_USE_LEGACY_KERAS": "1",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "DNNL_DEFAULT_FPMATH_MODE": "BF16",
}
LIBRARIES = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F",
    "OPENCV_IO_MAX_IMAGE_PIXELS": "10",
    "OPENCV_CPU_DISABLE": "AVX2",
    "SKLEARN_WORKING_MEMORY": "1",
    "SKLEARN_PAIRWISE_DIST_CHUNK_SIZE": "7",
    "PANDERA_VALIDATION_ENABLED": "False",
    "JSIMD_FORCENONE": "1",
    "FAISS_OPT_LEVEL": "generic",
}
PYTHON = {
    "PYTHONHASHSEED": "7",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONIOENCODING": "ascii",
}
C_LOCALE = {"LC_ALL": "C", **LEGACY}
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "TERM": "xterm-color"}
# Functions that write files to a home folder and return the environment variables.
ENVIRONMENTS = {
    "Keras, TensorFlow and a notebook": lambda home: (
        write_keras_json(home, backend="jax", **KERAS)
        | make_locale(home / "locale", "zh_CN.GBK")
        | SWITCHES
        | NOTEBOOK
    ),
    "ISO-8859-1 and other libraries": lambda home: (
        write_matplotlibrc(home) | make_locale(home / "locale", "de_DE.ISO-8859-1") | LIBRARIES
    ),
    "no home, other code, one core": lambda home: (
        write_other_code(home)
        | {"HOME": "/nonexistent", "TZ": "Asia/Kathmandu"}
        | PYTHON
        | C_LOCALE
    ),
}


@pytest.fixture(scope="module")
def original(clone):
    """A clone with one small CNN after a run in this environment, and the number of stages."""
    clone.edit(lambda params: params.update(backbones={}, models={"cnn": params["models"]["cnn"]}))
    clone.commit("one model")
    return clone, len(clone.repro())


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_study_has_the_same_lock_file_in_any_environment(original, tmp_path, name):
    clone, n_stages = original
    variables = ENVIRONMENTS[name](tmp_path / "home")
    clone.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    other = open_clone(tmp_path / "clone")
    if "MATPLOTLIBRC" in variables:
        shutil.copy(tmp_path / "home/matplotlibrc", other.folder)
    before = ("taskset", "--cpu-list", "0") if name.endswith("one core") else ()
    printed = other.run(*before, "dvc", "repro", installed=True, **{"PYTHONPATH": ""} | variables)
    assert printed.count("Running stage") == n_stages
    expected = (clone.folder / "dvc.lock").read_bytes()
    assert (other.folder / "dvc.lock").read_bytes() == expected


REFUSED = {
    "PYTHONOPTIMIZE": ("1", "PYTHONOPTIMIZE is set, which removes checks of libraries; unset it"),
    "GLIBC_TUNABLES": ("glibc.cpu.hwcaps=-AVX2", "GLIBC_TUNABLES chooses CPU instructions"),
}


def run_stage(clone, stage, **variables):
    """Run a stage of the clone without flags."""
    return subprocess.run(
        [sys.executable, f"stages/{stage}.py"],
        cwd=clone.folder,
        env=os.environ | {"PYTHONPATH": "src"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )


@pytest.mark.parametrize("variable", REFUSED)
def test_a_variable_whose_effect_cannot_be_undone_is_refused_by_name(clone, variable):
    value, message = REFUSED[variable]
    done = run_stage(clone, "split", **{variable: value})
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_warnings_as_errors_do_not_stop_the_import_of_tensorflow(clone):
    done = run_stage(clone, "predict", PYTHONWARNINGS="error")
    assert done.returncode == 2, done.stderr  # the flags are missing
    assert "the following arguments are required" in done.stderr


def test_a_keras_json_that_keras_refuses_is_named(clone, tmp_path):
    done = run_stage(clone, "predict", **write_keras_json(tmp_path, floatx="float8"))
    assert done.returncode == 1
    assert "Correct or delete keras.json in ~/.keras" in done.stderr
