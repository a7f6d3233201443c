"""Float images -> uint8 arrays -> PNG files."""

import math

import numpy as np
from PIL import Image

from keras_gan import files


def to_uint8(images, value_range=(-1.0, 1.0)):
    """Float images in `value_range` -> uint8 in 0..255. Others are clipped; NaN becomes 0."""
    low, high = value_range
    scaled = (np.asarray(images, np.float32) - low) * (255 / (high - low))
    return np.clip(np.rint(np.nan_to_num(scaled)), 0, 255).astype(np.uint8)


def in_parts(images):
    """Splits images or latents [n, ...] into parts of at most 500, which limits the memory."""
    return np.split(images, range(500, len(images), 500))


def columns(count):
    """The number of columns of a grid of `count` images: the smallest with rows <= columns."""
    return math.ceil(math.sqrt(count))


def write_grid(path, images, wide=None):
    """Writes uint8 images [n, H, W, C], row by row, as one PNG; unused cells are black.

    `wide` images are in a row; by default as many as `columns` says. The file is written whole or
    not at all.
    """
    count, height, width, channels = images.shape
    wide = wide or columns(count)
    high = math.ceil(count / wide)
    grid = np.zeros([high * wide, height, width, channels], np.uint8)
    grid[:count] = images
    grid = grid.reshape(high, wide, height, width, channels).swapaxes(1, 2)
    with files.replacing(path) as temporary:
        write_image(temporary, grid.reshape(high * height, wide * width, channels))


def write_image(path, image):
    """Writes one uint8 image [H, W, C] with C 1 or 3 as a PNG."""
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path, format="PNG")
