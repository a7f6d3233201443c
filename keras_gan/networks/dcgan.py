"""DCGAN (Radford et al. 2015) at the size of MNIST.

It follows the rules of section 3: strided convolutions and no pooling, no dense hidden layers, ReLU
and batch normalisation in G, tanh at its output, LeakyReLU in D. One difference: D has no batch
normalisation and is trained with R1 instead. benchmarks/recipes.md says how this was chosen.
"""

import math

from keras_gan import InputError
from keras_gan.backend import keras

CHANNELS = 32
MAX_CHANNELS = 256


def _init():
    return keras.initializers.RandomNormal(stddev=0.02)  # section 4


def doublings(height, width):
    """How often G doubles its first grid, whose shorter side is 4 to 7.

    28 x 28 is 7 x 7 doubled twice, 64 x 96 is 4 x 6 doubled four times.
    """
    count = next((n for n in range(1, 17) if 4 <= min(height, width) / 2**n < 8), 0)
    if not count or height % 2**count or width % 2**count:
        rule = "4 to 7 times a power of 2 (28, 32, 48, 64, 96, 128, 256), the longer one a multiple"
        advice = "--image_size scales pictures, --arch=mlp takes any size"
        raise InputError(
            f"--arch=dcgan: images of {height}x{width} don't work: the shorter side must be {rule} "
            f"of that power; {advice}."
        )
    return count


def _widths(channels, count):
    """The channels of `count` layers, from the one nearest to the image on."""
    return [min(2**i * channels, max(channels, MAX_CHANNELS)) for i in range(count)]


def generator(latent_dim, image_shape, channels=CHANNELS, convolutions=1):
    """Latents [n, latent_dim] -> images [n, *image_shape] in [-1, 1].

    `doublings` says which sizes work. The last layer but one has `channels`; towards the latents
    they double, up to MAX_CHANNELS. `convolutions` of 3 x 3 come before the first doubling.
    """
    height, width, image_channels = image_shape
    count = doublings(height, width)
    *widths, first = _widths(channels, count)
    layers = keras.layers

    def up(channels, **kwargs):
        kwargs |= {"padding": "same", "kernel_initializer": _init()}
        return layers.Conv2DTranspose(channels, 4, 2, **kwargs)

    def same():
        kwargs = {"padding": "same", "use_bias": False, "kernel_initializer": _init()}
        return layers.Conv2D(first, 3, **kwargs)

    def normalized(layer):
        return layer, layers.BatchNormalization(momentum=0.9), layers.ReLU()

    grid = height // 2**count, width // 2**count, first
    stack = [
        keras.Input([latent_dim]),
        layers.Dense(math.prod(grid), use_bias=False, kernel_initializer=_init()),
        *normalized(layers.Reshape(grid)),
    ]
    for _ in range(convolutions):
        stack += normalized(same())
    for width_ in reversed(widths):
        stack += normalized(up(width_, use_bias=False))
    stack.append(up(image_channels, activation="tanh"))
    return keras.Sequential(stack, name="generator")


def discriminator(image_shape, channels=CHANNELS):
    """Images [n, *image_shape] in [-1, 1] -> logits [n, 1].

    Convolutions halve the image until its shorter side is at most 4.
    """
    layers = [keras.Input(image_shape)]
    count = math.ceil(math.log2(min(image_shape[:2]) / 4))
    for filters in _widths(channels, count):
        layers += [
            keras.layers.Conv2D(filters, 4, 2, padding="same", kernel_initializer=_init()),
            keras.layers.LeakyReLU(0.2),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(1, kernel_initializer=_init())]
    return keras.Sequential(layers, name="discriminator")
