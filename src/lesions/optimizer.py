"""Adam in TensorFlow's one kernel for it."""

from lesions.runtime import keras, tf


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, which takes a variable's step in one operation instead of a dozen.

    Only the plain algorithm, as Keras' arguments other than the rates leave it; float32 variables
    and dense gradients. `benchmarks/cnn.py` says what it saves.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Move `variable`, a `tf.Variable`, and its two moments."""
        place = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
