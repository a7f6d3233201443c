"""The simple GAN: dense layers with LeakyReLU."""

import math

from keras_gan.backend import keras


def generator(latent_dim, image_shape):
    """Latents [n, latent_dim] -> images [n, *image_shape] in [-1, 1]."""
    layers = [keras.Input([latent_dim])]
    for units in (256, 512):
        layers += [
            keras.layers.Dense(units, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.LeakyReLU(0.2),
        ]
    layers += [
        keras.layers.Dense(math.prod(image_shape), "tanh"),
        keras.layers.Reshape(image_shape),
    ]
    return keras.Sequential(layers, name="generator")


def discriminator(image_shape):
    """Images [n, *image_shape] in [-1, 1] -> logits [n, 1]."""
    # Pixels in [0, 1], as in maxout: with a background of -1 many losses collapsed.
    rescaling = keras.layers.Rescaling(0.5, 0.5)
    layers = [keras.Input(image_shape), rescaling, keras.layers.Flatten()]
    for units in (512, 256):
        layers += [keras.layers.Dense(units), keras.layers.LeakyReLU(0.2)]
    return keras.Sequential([*layers, keras.layers.Dense(1)], name="discriminator")
