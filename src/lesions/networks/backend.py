"""Keras and TensorFlow, imported without their log lines and configured for reproducible results.

Every module that needs them imports them from here, so that no other configuration can apply.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
# TensorFlow's C++ log; what fails raises all the same. A user's own level stays.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Before its log level applies, TensorFlow writes to stderr (tensorflow/tensorflow#100442).
_stderr = os.dup(2)
_null = os.open(os.devnull, os.O_WRONLY)
os.dup2(_null, 2)
try:
    import keras
    import tensorflow as tf
except ValueError as error:
    raise ValueError(
        f"Keras cannot be imported: {error} Correct or delete keras.json in ~/.keras, or in the "
        "folder that KERAS_HOME names."
    ) from error
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_null)

# A keras.json of the user may say otherwise, and the same settings would build another network.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
keras.config.set_dtype_policy("float32")

__all__ = ["configure_tensorflow", "keras", "tf"]


def configure_tensorflow(*, seed: int, threads: int) -> None:
    """Set all seeds, deterministic operations and the number of threads.

    Call it before any other work with TensorFlow in a process: later, the threads are fixed.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
