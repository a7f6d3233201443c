"""Spectral normalisation, weight clipping, and copies of a network."""

import keras
from keras import ops

from keras_gan import InputError

# One kernel [..., outputs] multiplies the inputs, or its transpose: of the same singular values.
_ONE_KERNEL = (
    keras.layers.Dense,
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
)


@keras.saving.register_keras_serializable("keras_gan")
class SpectralNormalization(keras.layers.Wrapper):
    """Divides the kernel W of a layer by sigma(W) (Miyato et al. 2018, section 2.1).

    sigma(W) is the largest singular value of W as a matrix [inputs, outputs], estimated by one
    power iteration in each training call (Algorithm 1). The gradient includes the derivative of
    sigma (equation 12); that of Keras' layer of this name does not. Dividing the inputs instead
    of the kernel gives the same output. A kernel of zeros, or almost, stays as it is. The layer may
    be any that multiplies its inputs by a `kernel` of [..., outputs], such as Dense or Conv2D.
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
        sigma = ops.dot(product, u)
        found = sigma > keras.config.epsilon()  # `normalize` can't lengthen what is shorter
        if training:
            self.u.assign(ops.where(found, u, self.u))
        sigma = ops.where(found, sigma, 1.0)
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


def float32_output(network):
    """A copy of a network in mixed precision, with new weights and the last layer in float32.

    That is the last one with weights, and all after it.
    """
    last = max(i for i, layer in enumerate(network.layers) if layer.weights)
    names = {layer.name for layer in network.layers[last:]}

    def make(layer):
        precision = {"dtype": "float32"} if layer.name in names else {}
        return type(layer).from_config(layer.get_config() | precision)

    return clone(network, make)


def constrain(network, *, spectral_norm=False, weight_clip=0.0):
    """A copy of `network`, with new weights and constrained kernels.

    Args:
        network: a Sequential or functional model. Its weights are not copied.
        spectral_norm: divide each kernel by its largest singular value. For dense layers,
            convolutions and transposed convolutions.
        weight_clip: clip each kernel to [-weight_clip, weight_clip]; 0: do not clip. For all layers
            with a `kernel_constraint`, `depthwise_constraint` or the like.

    Raises:
        InputError: if a trainable matrix would stay unconstrained, or if `weight_clip` would
            replace a constraint.
    """
    if not network.built:
        raise InputError("The network has no weights yet: begin it with keras.Input(shape).")

    def make(layer):
        config = layer.get_config()
        for name in config if weight_clip else ():
            if name.endswith("_constraint") and not name.startswith(("bias", "beta", "gamma")):
                if config[name] is not None:
                    given = f"{layer.name} has a {name} of its own"
                    raise InputError(f"{given}: remove it, or leave out weight_clip.")
                config[name] = Clip(weight_clip)
        layer = type(layer).from_config(config)
        if spectral_norm and isinstance(layer, _ONE_KERNEL):
            return SpectralNormalization(layer, dtype=layer.dtype_policy)
        return layer

    network = clone(network, make)
    layers = network._flatten_layers()
    normalised = {id(x.layer.kernel) for x in layers if isinstance(x, SpectralNormalization)}
    for weight in network.trainable_weights:
        free = spectral_norm and id(weight) not in normalised
        free = free or (weight_clip and not isinstance(weight.constraint, Clip))
        if free and len(weight.shape) > 1:
            raise InputError(
                f"{weight.path} would stay unconstrained: spectral_norm takes dense layers and "
                "(transposed) convolutions, weight_clip layers with a kernel_constraint or the "
                "like, neither takes layers inside a layer. Replace it, or use a gradient penalty."
            )
    return network
