"""The optimiser of Goodfellow et al. 2014, which Keras does not have."""

import math

import keras


@keras.saving.register_keras_serializable("keras_gan", name="MomentumSGD")  # its name in 0.1
class GoodfellowSGD(keras.optimizers.SGD):
    """Gradient descent with the schedules in the code published with Goodfellow et al. 2014.

    The learning rate is divided by 1.000004 per step, down to 1e-5 of `learning_rate`. Momentum
    is 0.5 in the first two epochs and rises linearly to 0.7 in epoch 251. An epoch is 500 steps:
    50,000 images in batches of 100. `momentum` is that of the first epochs, in (0, 1].
    """

    def __init__(self, learning_rate=0.1, momentum=0.5, **kwargs):
        super().__init__(learning_rate, momentum, **kwargs)
        if momentum == 0:
            raise ValueError(f"momentum={momentum}: expected above 0; or keras.optimizers.SGD.")

    def update_step(self, gradient, variable, learning_rate):
        step = keras.ops.cast(self.iterations, "float32")
        rate = learning_rate * keras.ops.maximum(keras.ops.exp(-math.log(1.000004) * step), 1e-5)
        rise = keras.ops.clip((keras.ops.floor(step / 500) - 1) / 249, 0, 1)
        momentum = self.momentum + (0.7 - self.momentum) * rise
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, momentum * velocity - rate * gradient)
        self.assign_add(variable, velocity)
