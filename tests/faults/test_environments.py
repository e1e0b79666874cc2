"""The same study in hostile environments gives the same `dvc.lock`, byte for byte.

What a user's home folder, variables, flags and locale say must not reach a result; see
`lesions.environment`. Each environment runs the whole pipeline from nothing.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from cloned import Clone

# Python follows the locale, which `make test` keeps it from.
LEGACY = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
QUICK = ("Keras and TensorFlow", "locale and notebook", "no home")


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
    """Compile a locale that the machine may not have, where Debian's sources of it are."""
    language, charset = name.split(".")
    home.mkdir(parents=True)
    command = ["localedef", "-i", language, "-f", charset, f"{home}/{name}"]
    if shutil.which("localedef") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"the locale {name} needs localedef and the package locales")
    return {"LC_ALL": name, "LANG": name, "LOCPATH": str(home), **LEGACY}


def write_other_code(home):
    """Give a folder that holds a `lesions` and a `numpy` of somebody else's."""
    home.mkdir(parents=True)
    for name in ("lesions", "numpy"):
        (home / f"{name}.py").write_text("raise SystemExit('foreign code')\n", encoding="utf-8")
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
# Each gives the variables of an environment; what a folder must hold is made at `home`.
ENVIRONMENTS = {
    "Keras and TensorFlow": lambda home: write_keras_json(home, **KERAS) | SWITCHES,
    "locale and notebook": lambda home: make_locale(home, "zh_CN.GBK") | NOTEBOOK,
    "no home": lambda home: {"HOME": "/nonexistent", "TZ": "Asia/Kathmandu", **PYTHON},
    "keras.json": lambda home: write_keras_json(home, backend="jax", **KERAS),
    "switches of TensorFlow": lambda home: SWITCHES,
    "switches of libraries": lambda home: LIBRARIES,
    "matplotlibrc": write_matplotlibrc,
    "ISO-8859-1": lambda home: make_locale(home, "de_DE.ISO-8859-1"),
    "other code on one core": lambda home: write_other_code(home) | C_LOCALE,
}


@pytest.fixture(scope="module")
def original(clone):
    """Give the clone of one small CNN, after a run in this environment."""
    clone.edit(lambda params: params["models"].pop("vgg16"))
    clone.repro()
    return clone


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in ENVIRONMENTS],
)
def test_a_study_has_the_same_lock_in_any_environment(original, tmp_path, name):
    variables = ENVIRONMENTS[name](tmp_path / "home")
    other = Clone.__new__(Clone)
    other.folder = tmp_path / "clone"
    shutil.copytree(
        original.folder,
        other.folder,
        ignore=lambda folder, names: (
            {"dvc.lock", "models", "metrics", "plots", "predictions"} & set(names)
            if folder == str(original.folder)
            else {"cache", "tmp", "raw", "features"} & set(names)
        ),
    )
    for made in ("data/labels.csv", "data/images.npy", "data/mixing.npz"):
        (other.folder / made).unlink()
    if name == "matplotlibrc":
        shutil.copy(tmp_path / "home/matplotlibrc", other.folder)
    before = ("taskset", "--cpu-list", "0") if name.endswith("one core") else ()
    printed = other.run(*before, "dvc", "repro", installed=True, **{"PYTHONPATH": ""} | variables)
    assert printed.count("Running stage") == 16
    expected = (original.folder / "dvc.lock").read_bytes()
    assert (other.folder / "dvc.lock").read_bytes() == expected


REFUSED = {
    "PYTHONOPTIMIZE": ("1", "Python must run without -O"),
    "GLIBC_TUNABLES": ("glibc.cpu.hwcaps=-AVX2", "GLIBC_TUNABLES must not choose"),
}


@pytest.mark.parametrize("variable", REFUSED)
def test_what_cannot_be_undone_is_refused_by_name(original, variable):
    value, message = REFUSED[variable]
    command = [sys.executable, "stages/split.py"]
    done = subprocess.run(
        command,
        cwd=original.folder,
        env=os.environ | {"PYTHONPATH": "src", variable: value},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_warnings_as_errors_do_not_stop_the_import_of_tensorflow(original):
    done = subprocess.run(
        [sys.executable, "stages/predict.py"],
        cwd=original.folder,
        env=os.environ | {"PYTHONPATH": "src", "PYTHONWARNINGS": "error"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 2, done.stderr  # the flags are missing
    assert "the following arguments are required" in done.stderr


def test_a_keras_json_that_keras_refuses_is_named(original, tmp_path):
    variables = write_keras_json(tmp_path, floatx="float8")
    done = subprocess.run(
        [sys.executable, "stages/predict.py"],
        cwd=original.folder,
        env=os.environ | {"PYTHONPATH": "src"} | variables,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert "Correct or delete keras.json, in ~/.keras" in done.stderr
