"""Speed of training the CNN: our loop beside `fit`, and beside the machine's matrix product.

Ours is `lesions.training.loop.train` on the mixing matrix and uint8 images; `fit` is the notebook's
on the materialised float32 array. Both train the same network (params.yaml's, which is the paper's)
on the same number of rows, in turn, in new processes. Epochs are timed after the first, which
compiles; the fastest counts. The share is the network's floating-point operations per second
(convolutions and dense layers, forward, and twice as many backward) divided by those of a float32
matrix product with as many threads, timed in the same process before and after, the faster of the
two. Batch normalisation, pooling and Adam do not count, so that a share of 1 cannot be reached.

`python benchmarks/cnn.py` takes two to four minutes.
"""

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path

import notebook
import numpy as np
from scipy import sparse
from side_by_side import call_in_process, learn_as_stage_train, summarize, write_results

from lesions.datasets.ham10000 import CODES
from lesions.networks import load_build
from lesions.networks.backend import configure_tensorflow, keras, tf
from lesions.sampling.mixing import mix
from lesions.training.loop import train

PIXELS, THREADS, SEED = 32, 2, 1
NETWORK = {
    "input_pixels": PIXELS,
    "filters": [32, 64, 128],
    "dense_units": [128, 64],
    "dropout": 0.3,
    "batch_norm_momentum": 0.9,
}
LEARNING_RATE = 0.001
N_IMAGES = 400  # before they are mixed
MATRIX = 1024  # rows and columns of the product that is timed


def main():
    """Measure both with every batch size, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", nargs="+", type=int, default=[8, 64])
    parser.add_argument("--rows", type=int, default=1024, help="mixed images an epoch")
    parser.add_argument("--epochs", type=int, default=3, help="of which the first does not count")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="if other programs use the cores")
    options = parser.parse_args()
    rows = []
    for batch_size in options.batches:
        arguments = (batch_size, options.rows, options.epochs, options.cpu_time)
        pairs = [
            [call_in_process(measure, method, *arguments) for method in (train_ours, train_fit)]
            for _ in range(options.pairs)
        ]
        ours, fit = zip(*pairs, strict=True)
        rows.append(
            {
                "batch": batch_size,
                "ours, rows/s": summarize([speed for speed, _ in ours]),
                "fit, rows/s": summarize([speed for speed, _ in fit]),
                "ours / fit": summarize([first[0] / second[0] for first, second in pairs]),
                "ours, share": summarize([share for _, share in ours]),
                "fit, share": summarize([share for _, share in fit]),
            }
        )
    write_results("cnn", rows, settings=vars(options) | NETWORK | {"threads": THREADS})


def measure(method, batch_size, n_rows, epochs, cpu_time):
    """Return rows per second in the fastest epoch, and the share of the matrix product's speed."""
    configure_tensorflow(seed=SEED, threads=THREADS)
    now = time.process_time if cpu_time else time.perf_counter
    rng = np.random.default_rng(SEED)
    images = rng.integers(0, 256, (N_IMAGES, PIXELS, PIXELS, 3), np.uint8)
    labels = rng.integers(0, len(CODES), n_rows).astype(np.uint8)
    network = load_build("cnn")(images, len(CODES), **NETWORK)
    product = time_matrix_product(now)
    ends = []
    settings = {"learning_rate": LEARNING_RATE, "batch_size": batch_size, "epochs": epochs}
    mixing = draw_mixing(n_rows, rng)
    method(network, mixing, images, labels, settings, lambda *_: ends.append(now()))
    speed = n_rows / np.diff(ends).min()
    product = max(product, time_matrix_product(now))
    return float(speed), float(speed * 3 * count_operations(network) / product)


def train_ours(network, mixing, images, labels, settings, on_epoch):
    """Train as stage `train` does."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        train(
            network,
            lambda rows: mix(mixing[rows], images),
            labels,
            validation=None,
            seed=SEED,
            checkpoint=Path(folder) / "checkpoint.npz",
            on_epoch=on_epoch,
            **learn_as_stage_train(**settings),
        )


def train_fit(network, mixing, images, labels, settings, on_epoch):
    """Train as a notebook does, on pixels that are in memory already."""
    callback = keras.callbacks.LambdaCallback(on_epoch_end=on_epoch)
    notebook.fit(network, mix(mixing, images), labels, callbacks=[callback], **settings)


def count_operations(network):
    """Return the multiplications and additions of the forward pass of one row."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            positions = np.prod(layer.output.shape[1:-1], dtype=int)
            total += 2 * int(positions) * int(np.prod(layer.kernel.shape))
    return total


def time_matrix_product(now):
    """Return the operations per second of a float32 matrix product: the best of twenty."""
    matrix = tf.random.normal((MATRIX, MATRIX))
    times = []
    for _ in range(20):
        start = now()
        tf.matmul(matrix, matrix).numpy()
        times.append(now() - start)
    return 2 * MATRIX**3 / min(times)


def draw_mixing(n_rows, rng):
    """Return a mixing matrix of weighted means of two images."""
    weights = rng.uniform(size=n_rows).astype(np.float32)
    data = np.stack([weights, 1 - weights], axis=1).ravel()
    columns = np.argsort(rng.random((n_rows, N_IMAGES)), axis=1)[:, :2].ravel()
    arrays = (data, columns, np.arange(0, 2 * n_rows + 1, 2))
    return sparse.csr_matrix(arrays, shape=(n_rows, N_IMAGES))


if __name__ == "__main__":
    main()
