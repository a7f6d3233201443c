"""Spectral normalisation and weight clipping."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gan")
class SpectralNormalization(keras.layers.Wrapper):
    """Divides the kernel W of a layer by sigma(W) (Miyato et al. 2018, section 2.1).

    sigma(W) is the largest singular value of W as a matrix [inputs, outputs], estimated by one
    power iteration in each training call (Algorithm 1). The gradient includes the derivative of
    sigma (equation 12); that of Keras' layer of this name does not. Dividing the inputs instead
    of the kernel gives the same output. The layer may be any that multiplies its inputs by a
    `kernel` of [..., outputs], such as Dense or Conv2D.
    """

    def build(self, input_shape):
        super().build(input_shape)
        shape, options = self.layer.kernel.shape[-1:], {"trainable": False, "autocast": False}
        self.u = self.add_weight(shape, "random_normal", name="u", **options)

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
    """Clips weights to [-limit, limit] after each update (Arjovsky et al. 2017, Algorithm 1)."""

    def __init__(self, limit=0.01):
        self.limit = limit

    def __call__(self, weight):
        return ops.clip(weight, -self.limit, self.limit)

    def get_config(self):
        return {"limit": self.limit}


def clone(network, make=lambda layer: type(layer).from_config(layer.get_config())):
    """A copy of a Sequential or functional model: each layer made by `make`, with new weights."""

    def make_or_share(layer):
        # Keras makes no layer from the config of a Python function, and there are no weights.
        return layer if isinstance(layer, keras.layers.Lambda) else make(layer)

    return keras.models.clone_model(network, clone_function=make_or_share, recursive=True)


def constrain(network, *, spectral_norm=False, weight_clip=0.0):
    """A copy of `network`, with new weights and constrained dense and convolution kernels.

    Args:
        network: a Sequential or functional model. Its weights are not copied.
        spectral_norm: divide each kernel by its largest singular value.
        weight_clip: clip each kernel to [-weight_clip, weight_clip]; 0: do not clip.
    """

    def make(layer):
        layer = type(layer).from_config(layer.get_config())
        if not hasattr(layer, "kernel_constraint"):
            return layer
        if weight_clip:
            layer.kernel_constraint = Clip(weight_clip)
        return SpectralNormalization(layer) if spectral_norm else layer

    return clone(network, make)
