"""Keras and TensorFlow: imported quietly, and set so that the same settings give the same bytes.

Every module of ours that needs them imports this one first, so that nothing else starts them.
"""

import contextlib
import os
import sys
import tempfile

# Hides C++ log lines only, such as the missing GPU's; what fails still raises. The user's wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def _without_information_lines():
    """Hold back what C++ writes to stderr and pass on all but the information lines.

    TensorFlow logs before its own log level holds (tensorflow/tensorflow#100442).
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            noise = (b"I0000", b"WARNING: All log messages before absl::InitializeLog()")
            os.write(2, b"".join(line for line in held if not line.startswith(noise)))


with _without_information_lines():
    import keras
    import tensorflow as tf

__all__ = ["keras", "prepare_tensorflow", "tf"]


def prepare_tensorflow(*, seed: int, threads: int) -> None:
    """Fix what a result depends on: every seed, the order of sums, the number of threads.

    Call it before any other work with TensorFlow in a process: later the threads are fixed.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
