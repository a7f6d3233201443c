"""Image files -> arrays: `.npz`, MNIST's IDX files, folders of pictures."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from keras_gan import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


def read(path, split="train"):
    """Reads a `.npz` or a folder: (images uint8 [N, H, W, C], C 1 or 3, labels [N] or None)."""
    path = Path(path)
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder.")
        if path.is_dir():
            images, labels = _read_idx(path, split) or _read_folder(path, split)
        elif path.suffix == ".npz":
            images, labels = _read_npz(path, split)
        else:
            raise InputError(f"{path}: expected a .npz file or a folder.")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error}.") from error
    return checked(path, images, labels)


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
    if labels is not None and labels.shape != images.shape[:1]:
        found = f"{len(images)} images, labels of shape {list(labels.shape)}"
        raise InputError(f"{path}: {found}: expected one label for each image.")
    return images, labels


def first_line(error):
    """The first line of an exception's message."""
    return (str(error).strip("'\"") or type(error).__name__).splitlines()[0].rstrip(".")


def _read_npz(path, split):
    names = f"x_{split} (and y_{split})"
    try:
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if f"x_{split}" not in arrays:
                raise KeyError(f"it has no x_{split}")
            return arrays[f"x_{split}"], arrays.get(f"y_{split}")
    except Exception as error:  # NumPy and zipfile raise all sorts for a damaged or pickled file
        reason = first_line(error)
        raise InputError(f"{path}: expected a .npz with {names}, no pickles: {reason}.") from error


def _read_idx(folder, split):
    """(images, labels) from files in MNIST's own format, or None if the folder has none."""
    prefix = {"train": "train", "test": "t10k"}[split]
    images = sorted(folder.glob(f"{prefix}-images?idx3-ubyte*"))
    labels = sorted(folder.glob(f"{prefix}-labels?idx1-ubyte*"))
    if not images:
        return None
    return _parse_idx(images[0], 3), _parse_idx(labels[0], 1) if labels else None


def _parse_idx(path, dimensions):
    """An IDX file (yann.lecun.com/exdb/mnist): magic number, sizes, then the bytes -> uint8."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file: {error}.") from error
    header = 4 + 4 * dimensions
    magic, *shape = struct.unpack(f">{1 + dimensions}I", data[:header].ljust(header, b"\0"))
    expected = 0x0800 + dimensions  # 08: unsigned bytes
    if magic != expected:
        raise InputError(f"{path}: magic number {magic}, expected {expected}.")
    if len(data) - header != math.prod(shape):
        found = f"{len(data)} bytes, expected {header} + {' x '.join(map(str, shape))}"
        raise InputError(f"{path}: {found}: it is cut off or damaged.")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _read_folder(folder, split):
    """All images below a folder, in the order of their paths; grey if all of them are."""
    if split != "train":
        raise InputError(f"{folder}: a folder of images has no {split} part.")
    visible = (p for p in folder.rglob("[!.]*") if p.suffix.lower() in IMAGE_SUFFIXES)
    paths = sorted(path for path in visible if path.is_file())
    if not paths:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"{folder}: no images ({suffixes}) and no train-images-idx3-ubyte.")
    arrays = []
    for path in paths:
        arrays.append(_read_picture(path))
        (height, width), expected = arrays[-1].shape[:2], arrays[0].shape[:2]
        if (height, width) != expected:
            first = f"{expected[0]}x{expected[1]} as in {paths[0].name}: resize all to one size"
            raise InputError(f"{path}: {height}x{width} pixels, expected {first}.")
    channels = max(array.shape[-1] for array in arrays)
    return np.stack([np.broadcast_to(a, [*a.shape[:2], channels]) for a in arrays]), None


def _read_picture(path):
    """uint8 [H, W, C], C 1 for grey pictures and 3 for others."""
    from PIL import Image  # only where there are pictures

    try:
        with Image.open(path) as image:
            if image.mode in ("I", "F") or image.mode.startswith("I;"):
                raise OSError(f"its pixels are {image.mode}, expected 8 bits each")
            grey = image.mode in ("1", "L", "LA")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
            return pixels[..., np.newaxis] if grey else pixels
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable image: {error}.") from error
