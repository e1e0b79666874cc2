"""What is compiled: an epoch's steps on rows that were read, and the scores of such rows."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from lesions.networks.backend import keras, tf
from lesions.training.augmentation import mix_images
from lesions.training.losses import cross_entropy
from lesions.training.optimization import Optimizer

Rows = np.ndarray | dict[str, np.ndarray]  # of one input, or of `pixels` and `metadata`
# Operations whose results depend on what ran before them in the process, or that run Python.
STATEFUL = re.compile(r"(?!Stateless).*(Random|Multinomial|Normal$|Poisson|Binomial)|.*PyFunc")


def compile_fit(
    network: keras.Model,
    optimizer: Optimizer,
    mixing: list[keras.Layer],
    loss: Callable,
    *,
    batch_size: int,
) -> Callable:
    """Return a compiled function that trains on rows, a batch after another.

    `mixing` is what `make_mixing` of `lesions.training.augmentation` returns. The function's
    arguments are float32 inputs, an array or the dict of arrays that the network reads, and int64
    labels. It returns sums as `compile_score` does, but of `loss`, and of the network in training
    mode, before each step.
    """
    n_classes = network.output_shape[-1]

    def step(inputs, labels):
        targets = tf.one_hot(labels, n_classes)
        inputs, targets = mix_images(mixing, inputs, targets)
        with tf.GradientTape() as tape:
            probabilities = network(inputs, training=True)
            losses = loss(targets, probabilities)
            mean = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(mean, optimizer.trained))
        # Of mixed images, the class that has most of the target counts.
        return _add_up(tf.argmax(targets, axis=-1), probabilities, losses)

    @tf.function(input_signature=_signature(network))
    def fit(inputs, labels):
        sums = tf.zeros(2 + n_classes)
        for start in tf.range(0, tf.shape(labels)[0], batch_size):
            rows = slice(start, start + batch_size)
            sums += step(take_rows(inputs, rows), labels[rows])
        return sums

    return fit


def compile_score(network: keras.Model) -> Callable:
    """Return a compiled function of inputs and labels to sums over the rows.

    The sums are correct predictions, cross-entropy, and predictions of each class, float32
    `(2 + n_classes,)`.
    """

    @tf.function(input_signature=_signature(network))
    def score(inputs, labels):
        probabilities = network(inputs, training=False)
        return _add_up(labels, probabilities, cross_entropy(labels, probabilities))

    return score


def take_rows(inputs: Rows, rows) -> Rows:
    """Return some rows of an array, or of each array of a dict."""
    return keras.tree.map_structure(lambda values: values[rows], inputs)


def refuse_hidden_state(fit, known: Sequence[keras.Variable]) -> None:
    """Refuse a network whose random numbers or variables are neither seeded nor saved.

    Raises
    ------
    ValueError
        If there are such.
    """
    graph = fit.get_concrete_function().graph
    saved = {variable.value.ref() for variable in known}
    hidden = [variable.name for variable in graph.variables if variable.ref() not in saved]
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    hidden += [f"{node.name} ({node.op})" for node in nodes if STATEFUL.match(node.op)]
    if hidden:
        raise ValueError(
            "The network has a state that a checkpoint cannot hold, so that a resumed training "
            f"would end differently: {', '.join(sorted(hidden))}. Draw random numbers from a "
            "keras.random.SeedGenerator that is an attribute of the layer, as in "
            "keras.layers.Dropout."
        )


def _signature(network: keras.Model) -> list:
    # A Sequential network has `inputs` alone.
    inputs = network.input if len(network.inputs) > 1 else network.inputs[0]
    rows = keras.tree.map_structure(lambda rows: tf.TensorSpec(rows.shape, tf.float32), inputs)
    return [rows, tf.TensorSpec((None,), tf.int64)]


def _add_up(labels, probabilities, losses):
    n_classes = probabilities.shape[-1]
    predicted = keras.ops.argmax(probabilities, axis=-1)
    correct = tf.cast(keras.ops.equal(predicted, labels), tf.float32)
    by_class = tf.reduce_sum(tf.one_hot(predicted, n_classes), axis=0)
    return tf.concat([[tf.reduce_sum(correct), tf.reduce_sum(losses)], by_class], axis=0)
