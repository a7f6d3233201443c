"""Float images -> uint8 arrays -> PNG files and films."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from keras_gan import InputError, files

FILMS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}


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


def grid(images, wide=None):
    """Lays uint8 images [n, H, W, C] row by row in one [H', W', C]; unused cells are black.

    `wide` images are in a row; by default as many as `columns` says.
    """
    count, height, width, channels = images.shape
    wide = wide or columns(count)
    high = math.ceil(count / wide)
    cells = np.zeros([high * wide, height, width, channels], np.uint8)
    cells[:count] = images
    cells = cells.reshape(high, wide, height, width, channels).swapaxes(1, 2)
    return cells.reshape(high * height, wide * width, channels)


def write_grid(path, images, wide=None):
    """Writes the `grid` of images as one PNG. The file is written whole or not at all."""
    with files.replacing(path) as temporary:
        write_image(temporary, grid(images, wide))


def write_image(path, image):
    """Writes one uint8 image [H, W, C] with C 1 or 3 as a PNG."""
    _picture(image).save(path, format="PNG")


def write_film(path, frames, milliseconds=80):
    """Writes uint8 images [H, W, C] as an endless film: `.gif`, `.webp` or `.png` (APNG)."""
    path = Path(path)
    if path.suffix not in FILMS:
        raise InputError(f"{path}: expected a name that ends in {', '.join(FILMS)}.")
    first, *rest = map(_picture, frames)
    options = {"format": FILMS[path.suffix], "duration": milliseconds, "loop": 0}
    with files.replacing(path) as temporary:
        first.save(temporary, save_all=True, append_images=rest, **options)


def _picture(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
