"""The name of `keras_gan.backend` in version 0.1."""

from keras_gan.backend import keras, tf  # noqa: F401
