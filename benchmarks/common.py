"""What several benchmarks need: a GAN from flags, training up to a mark, Markdown."""

import dataclasses
import functools
import time
from pathlib import Path

import pandas as pd

from keras_gan import data, training
from keras_gan.backend import keras
from keras_gan.config import Config
from keras_gan.networks import ARCHITECTURES, dcgan

ROOT = Path(__file__).resolve().parent.parent

# `dcgan` had half of today's channels when the study and most of the recipes were trained.
NARROW = {
    name: functools.partial(getattr(dcgan, name), channels=16)
    for name in ("generator", "discriminator")
}


def build(images, settings, architecture=None):
    """Builds what `train.py` would train.

    Args:
        images: uint8 [N, H, W, C], all there are.
        settings: a dict of flags of `train.py`.
        architecture: a dict of what differs from the registered `Architecture`.

    Returns:
        The compiled GAN, the images that it trains on, and the resolved `Config`.
    """
    config = Config(**settings).resolve(len(images))
    changed = dataclasses.replace(ARCHITECTURES[config.arch], **(architecture or {}))
    images = images[: config.num_images]
    return training.build(config, images, changed), images, config


def train(gan, images, batch_size, marks, callbacks=(), epoch=10**6):
    """Trains by `fit`, stops at each mark, and goes on when the caller has scored.

    Args:
        marks: numbers of generator updates, or of seconds: (3000, "45s"). The clock includes
            tracing, and stops while the caller scores.
        epoch: the number of steps after which callbacks see the end of an epoch.

    Yields:
        (mark, seconds in `fit` so far) of each mark when it is reached.
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
        gan.fit(
            data.batches(images, batch_size, **order),
            steps_per_epoch=epoch,
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
