"""Files -> arrays: `.npz`, `.npy`, MNIST's IDX files, and pictures."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from keras_gan import InputError
from keras_gan.data import pictures
from keras_gan.files import check_zip, first_line, require_room


def read(path, split="train", image_size=None, **options):
    """Reads a file or a folder: (images uint8 [N, H, W, C], C 1 or 3, labels [N] or None).

    `image_size` and `options` are those of `pictures.read`. Only pictures are scaled: other images
    must have that size.
    """
    path = Path(path)
    labels = None
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder.")
        if path.suffix == ".npz" and path.is_file():  # a named pipe would be waited for
            images, labels = _read_npz(path, split)
        elif path.is_dir() and (found := _read_idx(path, split)):
            images, labels = found
        elif split != "train":
            raise InputError(f"{path}: only a .npz file and MNIST's IDX files have a {split} part.")
        elif path.suffix == ".npy" and path.is_file():
            images = _read_npy(path)
        elif path.is_dir() or (path.suffix == ".zip" and path.is_file()):
            images, labels = pictures.read(path, image_size, **options)
        else:
            raise InputError(f"{path}: expected a folder, or a .npz, .npy or .zip file.")
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: can't be read: {str(error) or 'too large'}.") from error
    images, labels = checked(path, images, labels)
    height, width = images.shape[1:3]
    if image_size and pictures.parse_size(image_size) != (height, width):
        reason = f"the images are {height}x{width}; only a folder or a .zip of pictures is scaled"
        raise InputError(f"--image_size={image_size}: {path}: {reason}.")
    return images, labels


def checked(path, images, labels):
    """Checks arrays: (images [N, H, W, C], labels), or an InputError that names `path`."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        found = f"{images.dtype} {list(images.shape)}"
        raise InputError(f"{path}: images {found}, expected uint8 [N, H, W] or [N, H, W, C].")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.shape[-1] not in (1, 3) or 0 in images.shape:
        shape = list(images.shape)
        expected = "at least one image, of 1 or 3 channels"
        raise InputError(f"{path}: the images have the shape {shape}, expected {expected}.")
    if labels is not None and (labels.shape != images.shape[:1] or labels.dtype.kind not in "biuf"):
        found = f"{len(images)} images, labels {labels.dtype} {list(labels.shape)}"
        raise InputError(f"{path}: {found}: expected a number for each image.")
    return images, labels


def _read_npz(path, split):
    names = f"x_{split} (and y_{split})"
    try:
        check_zip(path)
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if f"x_{split}" not in arrays:
                raise KeyError(f"it has no x_{split}")
            images, labels = arrays[f"x_{split}"], arrays.get(f"y_{split}")
            # NumPy gives bytes for what is no array.
            return np.asarray(images), None if labels is None else np.asarray(labels)
    except InputError:
        raise
    except Exception as error:  # NumPy and zipfile raise all sorts for a damaged or pickled file
        reason = first_line(error)
        raise InputError(f"{path}: expected a .npz with {names}, no pickles: {reason}.") from error


def _read_npy(path):
    """Its array, in a file that is read when it is needed."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # NumPy raises all sorts for a damaged or pickled file
        raise InputError(f"{path}: not a readable .npy file: {first_line(error)}.") from error


def _read_idx(folder, split):
    """(images, labels) from files in MNIST's own format, or None if the folder has none."""
    prefix = {"train": "train", "test": "t10k"}[split]
    images = sorted(filter(Path.is_file, folder.glob(f"{prefix}-images?idx3-ubyte*")))
    labels = sorted(filter(Path.is_file, folder.glob(f"{prefix}-labels?idx1-ubyte*")))
    if not images:
        return None
    return _parse_idx(images[0], 3), _parse_idx(labels[0], 1) if labels else None


def _parse_idx(path, dimensions):
    """An IDX file (yann.lecun.com/exdb/mnist): magic number, sizes, then the bytes -> uint8."""
    header, expected = 4 + 4 * dimensions, 0x0800 + dimensions  # 08: unsigned bytes
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            start = file.read(header)
            magic, *shape = struct.unpack(f">{1 + dimensions}I", start.ljust(header, b"\0"))
            if magic != expected:
                raise InputError(f"{path}: magic number {magic}, expected {expected}.")
            size = math.prod(shape)
            require_room(path, size)
            pixels = file.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file: {error}.") from error
    if len(start) < header or len(pixels) != size:
        found = f"{len(start) + len(pixels)} bytes{' or more' * (len(pixels) > size)}"
        expected = f"{header} + {' x '.join(map(str, shape))}"
        raise InputError(f"{path}: {found}, expected {expected}: it is cut off or damaged.")
    return np.frombuffer(pixels, np.uint8).reshape(shape)
