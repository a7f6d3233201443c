"""What several benchmarks need: the first version of `dcgan`, a GAN from flags, Markdown."""

import dataclasses
import functools
from pathlib import Path

import pandas as pd

from keras_gan import training
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


def markdown(rows):
    """A Markdown table of a data frame, or of dicts, {column: text or number}."""
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
