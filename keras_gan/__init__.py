"""keras_gan: train, compare, understand and ship GANs with Keras 3.

Importing the package takes milliseconds; its parts import Keras and TensorFlow at first use.
"""

import importlib
import sys

__version__ = "0.2.0"

# What the library offers: classes and where they live, and modules. Imported at first use.
_CLASSES = {"GAN": "keras_gan.model", "Config": "keras_gan.config"}
_MODULES = (
    "augment", "backend", "callbacks", "checkpoint", "config", "data", "evaluation", "export",
    "files", "images", "latents", "layers", "losses", "model", "networks", "optimizers",
    "penalties", "plots", "replicas", "report", "run_directory", "seeds", "training",
)  # fmt: skip


class InputError(ValueError):
    """A mistake in what the user gave. The commands print it as one line, without a traceback."""


def __getattr__(name):
    if name in _CLASSES:
        return getattr(importlib.import_module(_CLASSES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"keras_gan.{name}")
    raise AttributeError(f"module 'keras_gan' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_CLASSES, *_MODULES})


# `keras.models.load_model` finds our classes once they are registered: import keras first.
if "keras" in sys.modules:
    importlib.import_module("keras_gan.model")
