"""The optimizer: learning rates of two parts, schedule, decay, clipping, averaged weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lesions.networks.backend import keras, tf
from lesions.networks.layers import list_layers

BACKBONE = "backbone"  # name of the layer that holds the pretrained part of a network


class Optimizer:
    """Adam with decoupled weight decay, one for the pretrained part and one for the rest.

    Parameters
    ----------
    network
        Whose trainable weights are trained. Its layer `backbone`, if there is one, is the
        pretrained part.
    n_steps
        Of one epoch.
    epochs
        Of the whole training; a cosine schedule ends with the last.
    learning_rate, backbone_learning_rate
        Of the two parts; `None`: both have `learning_rate`.
    schedule
        `constant`, or `cosine`: falls to 0 (Loshchilov and Hutter, ICLR 2017).
    warmup_epochs
        During which learning rates rise linearly from 0.
    weight_decay
        Decoupled (AdamW; Loshchilov and Hutter, ICLR 2019); biases and the scales and offsets of
        normalisation do not decay.
    clip_norm
        Largest norm of all gradients together; `None`: no limit.
    ema_momentum
        Of an exponential moving average of the trained layers' weights and batch statistics, see
        `averaged`; after n steps it is at most (1 + n) / (10 + n), or the average would be mostly
        initial weights for epochs. `None`: no average is kept.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        n_steps: int,
        epochs: int,
        learning_rate: float,
        backbone_learning_rate: float | None,
        schedule: str,
        warmup_epochs: int,
        weight_decay: float,
        clip_norm: float | None,
        ema_momentum: float | None,
    ) -> None:
        self.clip_norm = clip_norm
        self.ema_momentum = ema_momentum
        groups = [network.trainable_variables]
        rates = [learning_rate]
        if backbone_learning_rate is not None:
            groups = _divide(network)
            rates = [learning_rate, backbone_learning_rate]
        self.parts = []
        for variables, rate in zip(groups, rates, strict=True):
            if schedule == "cosine" or warmup_epochs:
                rate = keras.optimizers.schedules.CosineDecay(
                    0.0 if warmup_epochs else rate,
                    max(1, n_steps * (epochs - warmup_epochs)),
                    alpha=0.0 if schedule == "cosine" else 1.0,
                    warmup_target=rate if warmup_epochs else None,
                    warmup_steps=n_steps * warmup_epochs,
                )
            # With a weight decay, which is decoupled, Adam is AdamW.
            optimizer = keras.optimizers.Adam(rate, weight_decay=weight_decay or None)
            optimizer.exclude_from_weight_decay([v for v in variables if len(v.shape) < 2])
            optimizer.build(variables)
            self.parts.append((optimizer, variables))
        self.averaged_variables = []
        if ema_momentum is not None:
            layers = [layer for layer in list_layers(network) if layer.trainable_weights]
            variables = [variable for layer in layers for variable in layer.variables]
            self.averaged_variables = [v for v in variables if v.dtype == "float32"]
        self.averages = [keras.Variable(v, trainable=False) for v in self.averaged_variables]

    @property
    def trained(self) -> list[keras.Variable]:
        """The weights that are trained; `apply` expects their gradients in this order."""
        return [variable for _, variables in self.parts for variable in variables]

    @property
    def variables(self) -> list[keras.Variable]:
        """The state of the optimizers, and the averages."""
        state = [variable for optimizer, _ in self.parts for variable in optimizer.variables]
        return state + self.averages

    def apply(self, gradients: Sequence) -> None:
        """Change the weights by a step."""
        if self.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm)
        start = 0
        for optimizer, variables in self.parts:
            optimizer.apply(gradients[start : start + len(variables)], variables)
            start += len(variables)
        if self.averages:
            self._update_averages()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network its averaged weights, if they are kept, and then its own again."""
        own = [variable.numpy() for variable in self.averaged_variables]
        for variable, average in zip(self.averaged_variables, self.averages, strict=True):
            variable.assign(average)
        try:
            yield
        finally:
            for variable, value in zip(self.averaged_variables, own, strict=True):
                variable.assign(value)

    def _update_averages(self) -> None:
        n = tf.cast(self.parts[0][0].iterations, tf.float32)
        momentum = tf.minimum(self.ema_momentum, (1 + n) / (10 + n))
        for variable, average in zip(self.averaged_variables, self.averages, strict=True):
            average.assign_add((1 - momentum) * (variable - average))


def _divide(network: keras.Model) -> list[list[keras.Variable]]:
    """Return the trainable weights outside the pretrained part, and those in it.

    Raises
    ------
    ValueError
        If one of the two has none.
    """
    names = [layer.name for layer in network.layers]
    backbone = network.get_layer(BACKBONE).trainable_variables if BACKBONE in names else []
    if not backbone:
        raise ValueError(
            "backbone_learning_rate is set, and the network has no pretrained part that is "
            "trained; set it to null, or trainable to last_<n> or all"
        )
    pretrained = {id(variable) for variable in backbone}
    rest = [variable for variable in network.trainable_variables if id(variable) not in pretrained]
    return [rest, backbone]
