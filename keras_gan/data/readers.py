"""Image files -> arrays: `.npz`, MNIST's IDX files, folders of pictures."""

import gzip
import math
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np

from keras_gan import InputError
from keras_gan.files import check_zip, first_line, require_room

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # Pillow would start Ghostscript for another
MAX_PIXELS = 2**24  # of one picture
MAX_BYTES = 10**8  # of its file: some formats are read as a whole


def read(path, split="train"):
    """Reads a `.npz` or a folder: (images uint8 [N, H, W, C], C 1 or 3, labels [N] or None)."""
    path = Path(path)
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder.")
        if path.is_dir():
            images, labels = _read_idx(path, split) or _read_folder(path, split)
        elif path.suffix == ".npz" and path.is_file():  # a named pipe would be waited for
            images, labels = _read_npz(path, split)
        else:
            raise InputError(f"{path}: expected a .npz file or a folder.")
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: can't be read: {str(error) or 'too large'}.") from error
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


def _read_folder(folder, split):
    """All images below a folder, in the order of their paths; grey if all of them are."""
    if split != "train":
        raise InputError(f"{folder}: a folder of images has no {split} part.")
    paths = sorted(_find_pictures(folder))
    if not paths:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"{folder}: no images ({suffixes}) and no train-images-idx3-ubyte.")
    arrays = []
    for path in paths:
        arrays.append(_read_picture(path))
        require_room(folder, 2 * len(paths) * arrays[-1].nbytes)  # twice: np.stack copies them
        (height, width), expected = arrays[-1].shape[:2], arrays[0].shape[:2]
        if (height, width) != expected:
            first = f"{expected[0]}x{expected[1]} as in {paths[0].name}: resize all to one size"
            raise InputError(f"{path}: {height}x{width} pixels, expected {first}.")
    channels = max(array.shape[-1] for array in arrays)
    return np.stack([np.broadcast_to(a, [*a.shape[:2], channels]) for a in arrays]), None


def _find_pictures(folder):
    """The pictures below a folder and behind links, each folder once. Hidden ones are left out."""
    seen = set(map(str, folder.resolve().parents))  # a link to one of them would be a loop
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(root, name) for name in names if not name.startswith("."))
        yield from (p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())


def _read_picture(path):
    """uint8 [H, W, C], C 1 for grey pictures and 3 for others."""
    from PIL import Image, ImageOps  # only where there are pictures

    try:
        if path.stat().st_size > MAX_BYTES:
            raise OSError(f"its file has more than {MAX_BYTES:,} bytes")
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(path, formats=IMAGE_FORMATS) as image,
        ):
            if image.width * image.height > MAX_PIXELS:
                found = f"{image.height}x{image.width} pixels"
                raise OSError(f"{found}, expected at most {MAX_PIXELS:,}")
            if image.mode in ("I", "F") or image.mode.startswith("I;"):
                raise OSError(f"its pixels are {image.mode}, expected 8 bits each")
            grey = image.mode in ("1", "L", "LA")
            upright = ImageOps.exif_transpose(image)
            pixels = np.asarray(upright.convert("L" if grey else "RGB"))
            return pixels[..., np.newaxis] if grey else pixels
    except Exception as error:  # Pillow raises all sorts for a damaged picture
        raise InputError(f"{path}: not a readable image: {first_line(error)}.") from error
