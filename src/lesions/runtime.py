"""Keras and TensorFlow: imported quietly, and set so that the same settings give the same bytes.

Every module of ours that needs them imports this one first, so that nothing else starts them.
"""

import os
import re

from lesions.held import hold_stderr

# Hides C++ log lines only, such as the missing GPU's; what fails still raises. The user's wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow logs before its own log level holds (tensorflow/tensorflow#100442).
INFORMATION = re.compile(rb"I0000|WARNING: All log messages before absl::InitializeLog\(\)")

os.environ["KERAS_BACKEND"] = "tensorflow"

try:
    with hold_stderr(INFORMATION):
        import keras
        import tensorflow as tf
except ValueError as error:
    raise ValueError(
        f"Keras could not be imported: {error} Correct or delete keras.json, in ~/.keras or where "
        "KERAS_HOME says."
    ) from error

# The user's keras.json may say otherwise, and the same settings would build another network.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
keras.config.set_dtype_policy("float32")

__all__ = ["keras", "prepare_tensorflow", "tf"]


def prepare_tensorflow(*, seed: int, threads: int) -> None:
    """Fix what a result depends on: every seed, the order of sums, the number of threads.

    Call it before any other work with TensorFlow in a process: later the threads are fixed.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
