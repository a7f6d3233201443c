"""What Keras does not have to hold a discriminator's kernels in bounds."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gan")
class SpectralNormalization(keras.layers.Wrapper):
    """A layer with its kernel W divided by sigma(W) (Miyato et al. 2018, section 2.1).

    sigma(W), the largest singular value of W as a matrix [inputs, outputs], is followed by one
    power iteration per call in training (Algorithm 1). The gradient passes through sigma
    (equation 12), and the kernel itself is left to the optimiser: Keras' layer of this name
    assigns the kernel in each call, and its gradient lacks that term. The inputs are divided in
    the kernel's stead: the result is the same, and a dense layer has fewer of them.

    Args:
        layer: a layer that multiplies its inputs by a `kernel` of [..., outputs], such as Dense
            or Conv2D. It may add a bias and apply an activation.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.u = self.add_weight(
            shape=self.layer.kernel.shape[-1:],
            initializer="random_normal",
            trainable=False,
            autocast=False,
            name="u",
        )

    def call(self, inputs, training=False):
        kernel = ops.cast(self.layer.kernel, self.variable_dtype)
        matrix = ops.reshape(kernel, [-1, kernel.shape[-1]])
        v = ops.stop_gradient(ops.normalize(ops.matmul(matrix, self.u), axis=0))
        product = ops.matmul(v, matrix)
        u = ops.stop_gradient(ops.normalize(product, axis=0))
        if training:
            self.u.assign(u)
        sigma = ops.dot(product, u)
        return self.layer(inputs / ops.cast(sigma, inputs.dtype))

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)


@keras.saving.register_keras_serializable("keras_gan")
class Clip(keras.constraints.Constraint):
    """Entries in [-limit, limit] after each update (Arjovsky et al. 2017, Algorithm 1)."""

    def __init__(self, limit=0.01):
        self.limit = limit

    def __call__(self, weight):
        return ops.clip(weight, -self.limit, self.limit)

    def get_config(self):
        return {"limit": self.limit}


def constrain(network, *, spectral_norm=False, weight_clip=0.0):
    """A new network like this one, the kernels of its dense and convolution layers constrained.

    Args:
        network: a Sequential or functional model. Its weights are not taken over.
        spectral_norm: divide each kernel by its largest singular value.
        weight_clip: keep each entry of a kernel in [-weight_clip, weight_clip]; 0: do not.
    """

    def clone(layer):
        layer = type(layer).from_config(layer.get_config())
        if not hasattr(layer, "kernel_constraint"):
            return layer
        if weight_clip:
            layer.kernel_constraint = Clip(weight_clip)
        return SpectralNormalization(layer) if spectral_norm else layer

    return keras.models.clone_model(network, clone_function=clone, recursive=True)
