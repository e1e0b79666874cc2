"""`lesions predict` beside what it cannot do without.

Start: the time to the first prediction, beside that of a script that only loads the model with ONNX
Runtime. Throughput: photographs in a second, beside 1 / (inference + decoding / cores), which is
what it would be if decoding ran beside inference at no cost. `python benchmarks/predict.py FOLDER`,
with a folder of at least 64 photographs.
"""

import argparse
import io
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import cv2
import numpy as np
from side_by_side import compare, summarize, write_results
from study import ROOT, run

from lesions.app.models import find_model
from lesions.app.photographs import find_sources
from lesions.app.predict import predict
from lesions.imaging.uploads import read_upload
from lesions.inference.exported import BATCH_SIZE, ExportedModel

BARE = """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {threads}
options.inter_op_num_threads = 1
onnxruntime.InferenceSession("{model}", options, providers=["CPUExecutionProvider"])
"""


def main():
    """Measure both, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    path = find_model(options.model)
    sources = find_sources([str(options.folder)])
    cores = len(os.sched_getaffinity(0))
    settings = {"pairs": options.pairs, "n_photographs": len(sources), "threads": cores}

    bare = [sys.executable, "-c", BARE.format(threads=cores, model=path)]
    program = str(Path(sys.executable).parent / "lesions")
    first = [program, "predict", sources[0].name, "--model", str(path)]
    found = compare(lambda: time_run(bare), lambda: time_run(first), n_pairs=options.pairs)
    row = {"load the model alone, s": found["ours"], "first prediction, s": found["reference"]}
    write_results("predict_start", [row | {"ratio": found["ratio"]}], settings=settings)
    print()
    rows = [measure_throughput(path, sources, cores) for _ in range(5)]
    summary = {key: summarize([row[key] for row in rows]) for key in rows[0]}
    write_results("predict_throughput", [summary], settings=settings)


def time_run(command):
    """Return the seconds of a program, from the repository's folder."""
    start = time.perf_counter()
    run(ROOT, *command)
    return time.perf_counter() - start


def measure_throughput(path, sources, cores):
    """Return milliseconds a photograph, of each part and of the command, and a share."""
    model = ExportedModel(path)
    resize = model.facts["resize"]
    encoded = [source.path.read_bytes() for source in sources]
    cv2.setNumThreads(1)
    start = time.perf_counter()
    images = np.stack([read_upload(data, name="x", **resize) for data in encoded])
    decoding = time.perf_counter() - start
    model.predict(images[:BATCH_SIZE])  # the first is slower
    start = time.perf_counter()
    for first in range(0, len(images), BATCH_SIZE):
        model.predict(images[first : first + BATCH_SIZE])
    inference = time.perf_counter() - start
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        start = time.perf_counter()
        predict([str(source.path) for source in sources], path, form="text", top=3)
        whole = time.perf_counter() - start
    milliseconds = {
        "inference": inference,
        "decoding, one core": decoding,
        "lesions predict": whole,
    }
    found = {name: 1000 * seconds / len(sources) for name, seconds in milliseconds.items()}
    return found | {"share of the possible": (inference + decoding / cores) / whole}


if __name__ == "__main__":
    main()
