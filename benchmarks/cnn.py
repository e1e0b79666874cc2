"""How fast the CNN is trained: our loop beside `fit`, and beside what the machine can multiply.

`ours` is `lesions.training.train` on the mixing matrix and uint8 images; `fit` is the notebook's
way on the materialised float32 array. Both train the same network (params.yaml's, which is also the
paper's) on as many rows, in turn, in processes of their own. Whole epochs are timed, after the
first, which compiles; the fastest counts. The share is the network's operations per second (those
of its convolutions and dense layers, forward, and twice as many backward) in those of a float32
matrix product with as many threads, timed in the same process before and after, the faster of the
two. Batch normalisation, pooling and Adam do not count, so that a share of 1 cannot be reached.

Tried for the loop, in processor time on a machine that others used too. Kept: one compiled call for
256 rows, and TensorFlow's fused batch normalisation (4.5 to 3.4 ms a row together in batches of 8,
3.2 to 2.6 in batches of 64); its kernel for Adam (1.07 times as many rows a second in batches of 8,
1.03 in 32; of a head of 512 and 256 units on 512 features 2.0 times in 8, 1.6 in 32, 1.4 in 64).
Left out: XLA, which fails under op determinism and without it took twice as long in batches of 64
(320 against 160 ms a batch); TensorFlow without oneDNN, 1.5 to 1.8 times as long; one thread
between operations, no less; op determinism turned off, no less; bfloat16, a third less, which
changes the saved network, and whose accuracy was not looked at. Not tried: reading ahead in a
thread, since mixing 256 rows takes 0.5 ms.

`python benchmarks/cnn.py` takes two to four minutes.
"""

import argparse
import contextlib
import io
import tempfile
import time
from functools import partial
from pathlib import Path

import notebook
import numpy as np
from scipy import sparse
from side_by_side import apart, report, spread

from lesions.mixing import mix, mix_rows
from lesions.networks import load_architecture
from lesions.networks.parts import join
from lesions.runtime import keras, prepare_tensorflow, tf
from lesions.training import train

SIZE, THREADS, SEED = 32, 2, 1
HEAD = {
    "filters": [32, 64, 128],
    "dense_units": [128, 64],
    "dropout": 0.3,
    "batch_norm_momentum": 0.9,
}
LEARNING_RATE = 0.001
N_IMAGES = 400  # before they are mixed
MATRIX = 1024  # rows and columns of the product that is timed


def main():
    """Measure both ways with every size of batch, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", nargs="+", type=int, default=[8, 64])
    parser.add_argument("--rows", type=int, default=1024, help="mixed images an epoch")
    parser.add_argument("--epochs", type=int, default=3, help="of which the first does not count")
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for batch_size in options.batches:
        pairs = [
            [apart(measured, way, batch_size, options.rows, options.epochs) for way in (ours, fit)]
            for _ in range(options.pairs)
        ]
        our_runs, fit_runs = zip(*pairs, strict=True)
        rows.append(
            {
                "batch": batch_size,
                "ours, rows/s": spread([speed for speed, _ in our_runs]),
                "fit, rows/s": spread([speed for speed, _ in fit_runs]),
                "ours / fit": spread([one[0] / two[0] for one, two in pairs]),
                "ours, share": spread([share for _, share in our_runs]),
                "fit, share": spread([share for _, share in fit_runs]),
            }
        )
    report("cnn", rows, settings=vars(options) | HEAD | {"size": SIZE, "threads": THREADS})


def measured(way, batch_size, n_rows, epochs):
    """Give rows per second, in the fastest epoch, and the share of the machine's products."""
    prepare_tensorflow(seed=SEED, threads=THREADS)
    rng = np.random.default_rng(SEED)
    images = rng.integers(0, 256, (N_IMAGES, SIZE, SIZE, 3), np.uint8)
    labels = rng.integers(0, 7, n_rows).astype(np.uint8)
    architecture = load_architecture("cnn")
    frozen = architecture.frozen(SIZE, input_size=SIZE, preprocessing="unit")
    network = join(frozen, architecture.trainable(frozen.output_shape[1:], **HEAD))
    product = products_per_second()
    ends = []
    settings = {"learning_rate": LEARNING_RATE, "batch_size": batch_size, "epochs": epochs}
    way(network, two_mixed(n_rows, rng), images, labels, settings, lambda *_: ends.append(now()))
    speed = n_rows / np.diff(ends).min()
    product = max(product, products_per_second())
    return float(speed), float(speed * 3 * operations(network) / product)


def ours(network, mixing, images, labels, settings, on_epoch):
    """Train as stage `train` does."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        train(
            network,
            partial(mix_rows, mixing, images),
            labels,
            validation=None,
            keep_epoch="last",
            seed=SEED,
            state=Path(folder) / "state.npz",
            on_epoch=on_epoch,
            **settings,
        )


def fit(network, mixing, images, labels, settings, on_epoch):
    """Train as a notebook does, on pixels that are there already."""
    callback = keras.callbacks.LambdaCallback(on_epoch_end=on_epoch)
    notebook.fit(
        network, mix(mixing, images), labels, validation=None, callbacks=(callback,), **settings
    )


def operations(network):
    """Count the multiplications and additions of one row's way forward."""
    total = 0
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            places = np.prod(layer.output.shape[1:-1], dtype=int)
            total += 2 * int(places) * int(np.prod(layer.kernel.shape))
    return total


def products_per_second():
    """Give the operations per second of a float32 matrix product: the best of twenty."""
    matrix = tf.random.normal((MATRIX, MATRIX))
    times = []
    for _ in range(20):
        start = now()
        tf.matmul(matrix, matrix).numpy()
        times.append(now() - start)
    return 2 * MATRIX**3 / min(times)


def two_mixed(n_rows, rng):
    """Give a mixing matrix of weighted means of two images."""
    weights = rng.uniform(size=n_rows).astype(np.float32)
    data = np.stack([weights, 1 - weights], axis=1).ravel()
    columns = np.argsort(rng.random((n_rows, N_IMAGES)), axis=1)[:, :2].ravel()
    parts = (data, columns, np.arange(0, 2 * n_rows + 1, 2))
    return sparse.csr_matrix(parts, shape=(n_rows, N_IMAGES))


now = time.perf_counter


if __name__ == "__main__":
    main()
