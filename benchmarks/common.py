"""What several benchmarks need: a GAN from flags, training up to a mark, Markdown."""

import dataclasses
import functools
import time
from pathlib import Path

import pandas as pd

from keras_gan import data, training
from keras_gan.backend import keras
from keras_gan.config import Config
from keras_gan.networks import ARCHITECTURES, dcgan, mlp

ROOT = Path(__file__).resolve().parent.parent

CLASSES = 10  # of MNIST, for `conditional`
CONSTANT = {"decay_steps": 0}  # learning rates that do not fall
# What the default of `dcgan` was before it got categories.
BEFORE = CONSTANT | {
    "optimizer": "adam",
    "g_lr": 1e-3,
    "latent": "normal",
    "latent_dim": 16,
    "generator": functools.partial(dcgan.generator, convolutions=0),
    "penalties": {},
}
# It had half the channels when the study and the changed recipes were trained.
NARROW = BEFORE | {"channels": 16}


def without_rescaling(image_shape):
    """The discriminator of `mlp` as it was until 2026-11-29: its first layer saw [-1, 1]."""
    _, *others = mlp.discriminator(image_shape).layers
    return keras.Sequential([keras.Input(image_shape), *others], name="discriminator")


# The networks with which the study was trained, and the name of their optimiser.
STUDIED = {
    "mlp": {"discriminator": without_rescaling, "optimizer": "adam"},
    "dcgan": NARROW,
    "maxout": {},
}


def build(images, settings):
    """The compiled GAN, the images that it trains on, and the `Config`, as `train.py` makes them.

    `settings` are flags of `train.py`, and changed fields of the `Architecture`.
    """
    flags = {field.name for field in dataclasses.fields(Config)} & settings.keys()
    config = Config(**{name: settings[name] for name in flags})
    changes = {name: settings[name] for name in settings.keys() - flags}
    architecture = dataclasses.replace(ARCHITECTURES[config.arch], **changes)
    config = config.resolve(len(images), architecture, CLASSES)
    images = images[: config.num_images]
    return training.build(config, images, architecture, CLASSES), images, config


def train(gan, images, batch_size, marks, callbacks=(), epoch=None, labels=None):
    """Trains by `fit`, and yields (mark, seconds in `fit` so far) when a mark is reached.

    Args:
        marks: numbers of generator updates, or of seconds: (3000, "45s"). The clock includes
            tracing, and stops while the caller scores.
        epoch: steps; by default an epoch ends at a mark.
        labels: of the images, for a conditional GAN.
    """
    seconds = 0.0

    def reached(mark):
        if isinstance(mark, str):
            return time.monotonic() - begin >= int(mark.removesuffix("s"))
        return int(gan.step) >= mark

    def stop(batch, logs):
        if any(map(reached, marks)):
            gan.stop_training = True

    while marks:
        begin = time.monotonic() - seconds
        order = {"seed": gan.seed, "start": int(gan.step), "minibatches": gan.d_steps}
        order["labels"] = labels
        gan.fit(
            data.batches(images, batch_size, **order),
            steps_per_epoch=epoch or 10**6,
            epochs=10**6,  # until a mark
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, keras.callbacks.LambdaCallback(on_train_batch_end=stop)],
        )
        seconds = time.monotonic() - begin
        found = [mark for mark in marks if reached(mark)]
        marks = [mark for mark in marks if mark not in found]
        yield from ((mark, seconds) for mark in found)


def markdown(rows):
    """A Markdown table of a data frame, or of dicts, {column: text or number}."""
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
