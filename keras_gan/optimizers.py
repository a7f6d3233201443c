"""Optimisers that Keras lacks: that of Goodfellow et al. 2014, and Muon for convolutions."""

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


@keras.saving.register_keras_serializable("keras_gan")
class Muon(keras.optimizers.Adam):
    """Muon (Jordan et al. 2024) without momentum for convolutions, Adam for all other weights.

    A kernel [height, width, channels, channels] is a matrix [height * width * channels, channels].
    Its step is `orthogonal` of the gradient, about as large in all directions, and scaled: the root
    mean square of its numbers is about twice the learning rate. (In a step of Adam it is about the
    learning rate.) The arguments are Adam's. Kernels do not use beta_1 and beta_2.
    """

    def update_step(self, gradient, variable, learning_rate):
        if len(variable.shape) < 3:
            return super().update_step(gradient, variable, learning_rate)
        step = orthogonal(keras.ops.reshape(gradient, [-1, variable.shape[-1]]))
        step *= keras.ops.cast(learning_rate, step.dtype) * 2 * max(step.shape) ** 0.5
        self.assign_sub(variable, keras.ops.reshape(step, variable.shape))


def orthogonal(matrix, steps=4):
    """The matrix [m, n] with its singular values brought near 1 by Newton and Schulz's iteration.

    The matrix is first divided by its Frobenius norm. Then each step maps each singular value s to
    3.4445 s - 4.7750 s^3 + 2.0315 s^5 (Jordan et al. 2024). Values that were at least 0.01 are
    between 0.68 and 1.21 after four steps; smaller ones have grown.
    """
    if matrix.shape[0] < matrix.shape[1]:
        return keras.ops.transpose(orthogonal(keras.ops.transpose(matrix), steps))
    x = matrix / (keras.ops.norm(matrix) + 1e-12)
    for _ in range(steps):
        square = keras.ops.transpose(x) @ x
        x = 3.4445 * x + x @ (-4.7750 * square + 2.0315 * square @ square)
    return x
