"""keras_gan: train, compare, understand and ship GANs with Keras 3.

Importing the package costs milliseconds; its parts import Keras and TensorFlow
when they are first used.
"""

import importlib
import importlib.util

from keras_gan._lazy import after_import

__version__ = "0.1.0"


class InputError(ValueError):
    """A mistake in what the user gave. The commands print it as one line, without a traceback."""


def __getattr__(name):
    if name == "GAN":
        return importlib.import_module("keras_gan.model").GAN
    if importlib.util.find_spec(f"keras_gan.{name}"):
        return importlib.import_module(f"keras_gan.{name}")
    raise AttributeError(f"module 'keras_gan' has no attribute {name!r}")


def _register():
    """Importing them tells keras.models.load_model of the classes in a saved GAN."""
    for module in ("model", "layers", "optimizers"):
        importlib.import_module(f"keras_gan.{module}")


after_import("keras", _register)  # in whichever order a program imports the two packages
