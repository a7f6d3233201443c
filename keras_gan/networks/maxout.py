"""The MNIST networks of Goodfellow et al. 2014, with the settings in the authors' code.

The authors' pixels are in [0, 1]. Both networks rescale, so images are in [-1, 1] as elsewhere.
"""

import math

import numpy as np

from keras_gan.backend import keras


def _dense(units, limit, **kwargs):
    initializer = keras.initializers.RandomUniform(-limit, limit)
    return keras.layers.Dense(units, kernel_initializer=initializer, **kwargs)


def generator(latent_dim, image_shape):
    """Latents [n, latent_dim], uniform on [-sqrt(3), sqrt(3)] -> images in [-1, 1]."""
    return keras.Sequential(
        [
            keras.Input([latent_dim]),
            _dense(1200, 0.05, activation="relu"),
            _dense(1200, 0.05, activation="relu"),
            _dense(math.prod(image_shape), 0.05, activation="sigmoid", name="pixels"),
            keras.layers.Reshape(image_shape),
            keras.layers.Rescaling(2.0, -1.0),
        ],
        name="generator",
    )


def start_from_marginals(generator, images):
    """Sets the output bias so that sigmoid(bias) is each pixel's mean over `images`, uint8."""
    mean = np.clip(images.mean(axis=0, dtype=np.float64).ravel() / 255, 1e-7, 1 - 1e-7)
    generator.get_layer("pixels").bias.assign(np.log(mean / (1 - mean)))


def discriminator(image_shape):
    """Images [n, *image_shape] in [-1, 1] -> logits [n, 1]: two maxout layers with dropout."""
    inputs = keras.Input(image_shape)
    x = keras.layers.Rescaling(0.5, 0.5)(inputs)
    x = keras.layers.Flatten()(x)
    for drop in (0.2, 0.5):
        x = keras.layers.Dropout(drop)(x)
        x = _dense(5 * 240, 0.005)(x)
        x = keras.ops.max(keras.layers.Reshape([5, 240])(x), axis=1)  # 240 units of 5 pieces
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(inputs, _dense(1, 0.005)(x), name="discriminator")
