"""DCGAN (Radford et al. 2015) at the size of MNIST.

It follows the rules of section 3: strided convolutions and no pooling, no dense hidden layers, ReLU
and batch normalisation in G, tanh at its output, LeakyReLU in D. One difference: D has no batch
normalisation and is trained with R1 instead. docs/benchmarks.md says how this was chosen.
"""

import math

from keras_gan import InputError
from keras_gan.backend import keras

CHANNELS = 32


def _init():
    return keras.initializers.RandomNormal(stddev=0.02)  # section 4


def generator(latent_dim, image_shape, channels=CHANNELS, convolutions=1):
    """Latents [n, latent_dim] -> images [n, *image_shape] in [-1, 1], H and W multiples of 4.

    `convolutions` of 3 x 3 come before the first upsampling.
    """
    height, width, image_channels = image_shape
    if height % 4 or width % 4:
        rule = "height and width must be multiples of 4 (--arch=mlp takes any size)"
        raise InputError(f"--arch=dcgan: images of {height}x{width} don't work: {rule}.")
    layers = keras.layers

    def up(channels, **kwargs):
        kwargs |= {"padding": "same", "kernel_initializer": _init()}
        return layers.Conv2DTranspose(channels, 4, 2, **kwargs)

    def same():
        kwargs = {"padding": "same", "use_bias": False, "kernel_initializer": _init()}
        convolution = layers.Conv2D(2 * channels, 3, **kwargs)
        return [convolution, layers.BatchNormalization(momentum=0.9), layers.ReLU()]

    first = height // 4, width // 4, 2 * channels
    return keras.Sequential(
        [
            keras.Input([latent_dim]),
            layers.Dense(math.prod(first), use_bias=False, kernel_initializer=_init()),
            layers.Reshape(first),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            *(layer for _ in range(convolutions) for layer in same()),
            up(channels, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            up(image_channels, activation="tanh"),
        ],
        name="generator",
    )


def discriminator(image_shape, channels=CHANNELS):
    """Images [n, *image_shape] in [-1, 1] -> logits [n, 1]."""
    layers = [keras.Input(image_shape)]
    for i in range(3):
        layers += [
            keras.layers.Conv2D(2**i * channels, 4, 2, padding="same", kernel_initializer=_init()),
            keras.layers.LeakyReLU(0.2),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(1, kernel_initializer=_init())]
    return keras.Sequential(layers, name="discriminator")
