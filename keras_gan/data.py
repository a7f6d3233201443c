"""A name or a path -> images in memory -> an endless, seeded `tf.data.Dataset`."""

import dataclasses
import gzip
import hashlib
import math
import os
import socket
import struct
import sys
import threading
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import numpy as np

from keras_gan import InputError
from keras_gan._lazy import keras, tf

ENVIRONMENT_VARIABLE = "KERAS_GAN_DATA"
DOWNLOAD_TIMEOUT = 10  # seconds
DOWNLOADS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


@dataclasses.dataclass(frozen=True)
class Images:
    """Training images: `images` uint8 [N, H, W, C] with C 1 or 3, `labels` int [N] or None."""

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None

    @property
    def sha256(self):
        """Of the pixels, N x H x W x C bytes: the same whatever file they came from."""
        return hashlib.sha256(np.ascontiguousarray(self.images)).hexdigest()


def load(dataset="auto", data_path=None, split="train"):
    """Loads images by name, or from a file or folder of the user's.

    Args:
        dataset: a key of `DATASETS`. "auto" is what `data_path` holds; without it MNIST, and
            the synthetic digits where MNIST can't be had.
        data_path: a `.npz` with `x_train` (uint8 [N, H, W] or [N, H, W, C]), a folder with
            the IDX files of MNIST, or a folder of images.
        split: "train" or "test".

    Raises:
        InputError: if the data can't be had or are not what they should be.
    """
    if dataset not in DATASETS:
        raise InputError(f"--dataset={dataset!r}: expected one of {', '.join(DATASETS)}.")
    if data_path is None:
        return DATASETS[dataset](split)
    path = Path(data_path).expanduser()
    if dataset == "synthetic":
        raise InputError("--dataset=synthetic makes its own images: leave --data_path out.")
    name = path.resolve().stem if dataset == "auto" else dataset
    return Images(name, *read(path, split))


def batches(images, batch_size, *, seed=0, start=0, minibatches=1):
    """An endless stream of shuffled batches, in memory as uint8 once.

    Every epoch visits each image once, in an order that follows from (seed, epoch). Nothing
    is dropped at its end: the batch there is filled up from the next epoch.

    Args:
        images: uint8 [N, H, W, C], N >= batch_size.
        batch_size: images per minibatch.
        start: how many batches to pass over, as a resumed training does.
        minibatches: a batch holds this many minibatches.

    Returns:
        A `tf.data.Dataset` of float32 [minibatches * batch_size, H, W, C] in [-1, 1].
    """
    count = len(images)
    size = batch_size * minibatches
    with tf.device("CPU"):
        pixels = tf.constant(images)

    def batch(step):
        position = step * size + tf.range(size, dtype=tf.int64)
        key = tf.stack([tf.fill([size], tf.cast(seed, tf.int64)), position // count], axis=1)
        index = tf.raw_ops.RandomIndexShuffle(
            index=position % count,
            seed=tf.pad(key, [[0, 0], [0, 1]]),
            max_index=tf.cast(count - 1, tf.int64),
            # tf.random.experimental.index_shuffle takes 4 rounds, and the orders of two
            # epochs then correlate by 0.89 at N = 60,000.
            rounds=16,
        )
        return tf.cast(tf.gather(pixels, index), tf.float32) / 127.5 - 1

    steps = tf.data.Dataset.counter(start)
    return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


# Files


def read(path, split="train"):
    """Reads (images uint8 [N, H, W, C], labels or None) from a `.npz` file or a folder."""
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
    return _checked(path, images, labels)


def _checked(path, images, labels):
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise InputError(
            f"{path}: the images are {images.dtype} {list(images.shape)}, "
            "expected uint8 [N, H, W] or [N, H, W, C]."
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise InputError(
            f"{path}: the images have the shape {list(images.shape)}, "
            "expected at least one image, of 1 or 3 channels."
        )
    if labels is not None and labels.shape != (len(images),):
        raise InputError(
            f"{path}: {len(images)} images with labels of shape {list(labels.shape)}, "
            f"expected [{len(images)}]."
        )
    return images, labels


def _read_npz(path, split):
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if f"x_{split}" not in arrays:
                names = ", ".join(arrays) or "nothing"
                raise InputError(f"{path}: holds {names}, expected x_{split}.")
            labels = arrays.get(f"y_{split}")
            return arrays[f"x_{split}"], labels
    except InputError:
        raise
    # What NumPy and zipfile raise for an empty, cut off, damaged or pickled file.
    except Exception as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable .npz of plain arrays: {reason}.") from error


def _read_idx(folder, split):
    """(images, labels) of MNIST's own file format, or None where the folder has none of it."""
    prefix = {"train": "train", "test": "t10k"}[split]
    images = sorted(folder.glob(f"{prefix}-images?idx3-ubyte*"))
    labels = sorted(folder.glob(f"{prefix}-labels?idx1-ubyte*"))
    if not images:
        return None
    return _parse_idx(images[0], 3), _parse_idx(labels[0], 1) if labels else None


def _parse_idx(path, dimensions):
    """uint8 array from http://yann.lecun.com/exdb/mnist: magic number, sizes, then the bytes."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file: {error}.") from error
    header = 4 + 4 * dimensions
    if len(data) < header:
        raise InputError(f"{path}: {len(data)} bytes, expected a header of {header}.")
    magic, *shape = struct.unpack(f">{1 + dimensions}I", data[:header])
    expected = 0x0800 + dimensions  # 08: unsigned bytes
    if magic != expected:
        raise InputError(f"{path}: magic number {magic}, expected {expected}.")
    if len(data) - header != math.prod(shape):
        raise InputError(
            f"{path}: {len(data) - header} bytes after the header, "
            f"expected {' x '.join(map(str, shape))} = {math.prod(shape)}."
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _read_folder(folder, split):
    """All images below a folder, in the order of their paths, grey where all of them are."""
    from PIL import Image

    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if split != "train":
        raise InputError(f"{folder}: a folder of images has no {split} part.")
    if not paths:
        raise InputError(
            f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)}) and no train-images-idx3-ubyte."
        )
    arrays = []
    for path in paths:
        try:
            with Image.open(path) as image:
                grey = image.mode in ("1", "L", "LA", "I;16")
                arrays.append(np.asarray(image.convert("L" if grey else "RGB")))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(f"{path}: not a readable image: {error}.") from error
        if arrays[-1].shape[:2] != arrays[0].shape[:2]:
            height, width = arrays[-1].shape[:2]
            raise InputError(
                f"{path}: {height}x{width} pixels, expected {arrays[0].shape[0]}x"
                f"{arrays[0].shape[1]} as in {paths[0].name}: resize all to one size."
            )
    if any(array.ndim == 3 for array in arrays):
        arrays = [a if a.ndim == 3 else np.repeat(a[..., np.newaxis], 3, -1) for a in arrays]
    return np.stack(arrays), None


# MNIST and its like


def _mnist(split):
    return _keras_dataset("mnist", split)


def _fashion_mnist(split):
    return _keras_dataset("fashion_mnist", split)


def _auto(split):
    try:
        return _mnist(split)
    except _NotFoundError as error:
        line = "*" * 78
        print(
            f"{line}\nWARNING: training on SYNTHETIC digits, not on MNIST.\n{error}\n{line}",
            file=sys.stderr,
        )
        return _synthetic(split)


class _NotFoundError(InputError):
    pass


def _keras_dataset(name, split):
    """From KERAS_GAN_DATA, else from Keras' cache, else by download."""
    path = _find_local(name) or _find_cached(name)
    if path is not None:
        return Images(name, *read(path, split))
    _require_server(name)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # what keras.utils.get_file raises
        raise _not_found(name, error) from error
    finally:
        socket.setdefaulttimeout(timeout)
    return Images(name, *_checked(name, *(train if split == "train" else test)))


def _find_local(name):
    """The file or folder of a data set that KERAS_GAN_DATA names or holds, or None."""
    root = os.environ.get(ENVIRONMENT_VARIABLE)
    if not root:
        return None
    root = Path(root).expanduser()
    if not root.exists():
        raise InputError(f"{ENVIRONMENT_VARIABLE}={root}: no such file or folder.")
    if root.is_file() or any(root.glob("train-images*")):
        return root if name == "mnist" else None
    inside = (root / f"{name}.npz", root / name.replace("_", "-"))
    return next((path for path in inside if path.exists()), None)


def _find_cached(name):
    """What an earlier download by `keras.datasets` left, a `.npz` or a folder of IDX files."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets"
    if name == "mnist":
        return home / "mnist.npz" if (home / "mnist.npz").exists() else None
    folder = home / name.replace("_", "-")
    return folder if len(list(folder.glob("*-ubyte.gz"))) == 4 else None


def _require_server(name):
    """Raises within DOWNLOAD_TIMEOUT seconds where the server can't be reached.

    A socket's timeout does not bound the look-up of a name, and counts anew for each address.
    """
    outcome = [TimeoutError(f"no answer within {DOWNLOAD_TIMEOUT} s")]

    def ask():
        try:
            request = urllib.request.Request(f"{DOWNLOADS}mnist.npz", method="HEAD")
            urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT).close()
            outcome[0] = None
        except (OSError, ValueError) as error:  # URLError is an OSError
            outcome[0] = error

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_TIMEOUT)
    if outcome[0] is not None:
        raise _not_found(name, outcome[0])


def _not_found(name, error):
    return _NotFoundError(
        f"{name} is neither in {ENVIRONMENT_VARIABLE} nor in Keras' cache, and the download "
        f"failed ({str(error).splitlines()[0]}). Put {name}.npz anywhere and say "
        f"--data_path=/that/{name}.npz or {ENVIRONMENT_VARIABLE}=/that/{name}.npz."
    )


# Synthetic digits

# Pen strokes of the ten digits: control points "xy" in tenths of a square, y downwards, for a
# Catmull-Rom spline.
_STROKES = (
    ["51 33 37 59 77 73 51"],
    ["43 51 55 59"],
    ["33 51 73 56 39 59 89"],
    ["32 51 73 55 77 59 38"],
    ["61 44 26 56 86", "64 69"],
    ["71 41 34 64 77 59 38"],
    ["61 44 37 59 77 56 37"],
    ["21 51 81 65 49"],
    ["55 33 51 73 55", "55 37 59 77 55"],
    ["73 55 33 51 73 76 59"],
)


def _synthetic(split):
    """Handwriting-like digits, always the same: 60,000 for training and 10,000 for tests."""
    count, seed = {"train": (60_000, 0), "test": (10_000, 1)}[split]
    return Images("synthetic", *synthetic_digits(count, seed))


def synthetic_digits(count, seed=0):
    """Draws digits with jittered strokes, slant, scale, rotation, place and thickness.

    Returns:
        images uint8 [count, 28, 28, 1] and labels uint8 [count], ten equally likely classes.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=count, dtype=np.uint8)
    images = np.zeros([count, 28, 28, 1], np.uint8)
    for digit, strokes in enumerate(_STROKES):
        where = np.flatnonzero(labels == digit)
        for chunk in np.array_split(where, len(where) // 1000 + 1):  # bounds the memory
            images[chunk, ..., 0] = _draw(strokes, len(chunk), rng)
    return images, labels


def _draw(strokes, count, rng):
    """uint8 [count, 28, 28]: the strokes of one digit in `count` hands."""
    points = []
    for stroke in strokes:
        control = np.array([[int(x), int(y)] for x, y in stroke.split()]) / 10 - 0.5
        control = control + rng.normal(0, 0.035, [count, *control.shape])
        points.append(_spline(control, 12))
    points = np.concatenate(points, axis=1)  # [count, P, (x, y)], about (0, 0)
    angle, slant = rng.normal(0, 0.1, [count, 1]), rng.normal(0.15, 0.2, [count, 1])
    width, height = rng.normal(0.85, 0.08, [count, 1]), rng.normal(1, 0.06, [count, 1])
    x, y = points[..., 0] * width, points[..., 1] * height
    x = x - slant * y
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    x = 13.5 + 20 * x + rng.normal(0, 0.6, [count, 1])
    y = 13.5 + 20 * y + rng.normal(0, 0.6, [count, 1])
    # Ink is a sum of Gaussian dots along the strokes; each is a product of a row and a column.
    radius = rng.uniform(0.55, 1.0, [count, 1, 1])
    grid = np.arange(28)
    columns = np.exp(-(((x[..., None] - grid) / radius) ** 2) / 2)
    rows = np.exp(-(((y[..., None] - grid) / radius) ** 2) / 2)
    ink = rows.swapaxes(1, 2).astype(np.float32) @ columns.astype(np.float32)
    return (255 * np.clip(1.6 * ink - 0.2, 0, 1)).astype(np.uint8)


def _spline(control, per_segment):
    """Points on the Catmull-Rom splines through `control`, [n, K, 2] -> [n, P, 2]."""
    ends = 2 * control[:, [0, -1]] - control[:, [1, -2]]
    p = np.concatenate([ends[:, :1], control, ends[:, 1:]], axis=1)[:, :, None]
    p0, p1, p2, p3 = p[:, :-3], p[:, 1:-2], p[:, 2:-1], p[:, 3:]
    t = (np.arange(per_segment) / per_segment)[:, None]
    points = (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    ) / 2
    return points.reshape(len(control), -1, 2)


DATASETS = {
    "auto": _auto,
    "mnist": _mnist,
    "fashion_mnist": _fashion_mnist,
    "synthetic": _synthetic,
}
