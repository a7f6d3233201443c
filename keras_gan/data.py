"""A name or a path -> images in memory -> an endless, seeded `tf.data.Dataset`."""

import dataclasses
import functools
import gzip
import hashlib
import math
import os
import socket
import struct
import sys
import threading
import urllib.request
import zlib
from pathlib import Path

import numpy as np

from keras_gan import InputError, synthetic
from keras_gan._lazy import keras, load_tensorflow, tf

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
    images = Images(name, *read(path, split))
    return _stack(images, split) if dataset == "stacked_mnist" else images


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
        pixels = tf.convert_to_tensor(images)

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

    options = tf.data.Options()
    # Its thread sleeps for 10, 20, 40, ... ms, and `fit` does not end before it wakes.
    options.autotune.enabled = False
    return tf.data.Dataset.counter(start).map(batch).prefetch(8).with_options(options)


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
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if f"x_{split}" not in arrays:
                raise KeyError(f"holds no x_{split}")
            return arrays[f"x_{split}"], arrays.get(f"y_{split}")
    # What NumPy and zipfile raise for an empty, cut off, damaged or pickled file is anything.
    except Exception as error:
        raise InputError(
            f"{path}: expected a .npz with x_{split} (and y_{split}), no pickles: {_line(error)}."
        ) from error


def _line(error):
    """The first line of an exception's message."""
    return (str(error).strip("'\"") or type(error).__name__).splitlines()[0].rstrip(".")


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

    paths = sorted(
        path
        for path in folder.rglob("[!.]*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )
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
                if image.mode in ("I", "F") or image.mode.startswith("I;"):
                    raise OSError(f"its pixels are {image.mode}, expected 8 bits each")
                grey = image.mode in ("1", "L", "LA")
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


def _auto(split):
    try:
        return _keras_dataset("mnist", split)
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
    load_tensorflow()
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
        except Exception as error:  # whatever a proxy provokes; told below
            outcome[0] = error

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_TIMEOUT)
    if outcome[0] is not None:
        raise _not_found(name, outcome[0])


def _not_found(name, error):
    return _NotFoundError(
        f"{name} is neither in {ENVIRONMENT_VARIABLE} nor in Keras' cache, and the download "
        f"failed ({_line(error)}). Put {name}.npz anywhere and say "
        f"--data_path=/that/{name}.npz or {ENVIRONMENT_VARIABLE}=/that/{name}.npz."
    )


def _synthetic(split):
    """Always the same digits: 60,000 for training and 10,000 others for tests, like MNIST."""
    count, seed = {"train": (60_000, 0), "test": (10_000, 1)}[split]
    return Images("synthetic", *synthetic.digits(count, seed))


def _stack(digits, split):
    """Three random digits as the channels of an image, 1,000 kinds: Metz et al. 2017.

    Always the same: 128,000 for training and 26,000 for tests, with labels from 0 to 999.
    """
    if digits.images.shape[-1] != 1:
        raise InputError(f"stacked_mnist: expected grey digits, {digits.name} has colours.")
    count, seed = {"train": (128_000, 0), "test": (26_000, 1)}[split]
    index = np.random.default_rng(seed).integers(len(digits.images), size=[count, 3])
    images = np.empty([count, *digits.images.shape[1:3], 3], np.uint8)
    for channel in range(3):
        images[..., channel] = digits.images[index[:, channel], ..., 0]
    labels = None if digits.labels is None else digits.labels[index] @ np.array([100, 10, 1])
    return Images("stacked_mnist", images, labels)


DATASETS = {
    "auto": _auto,
    "mnist": functools.partial(_keras_dataset, "mnist"),
    "fashion_mnist": functools.partial(_keras_dataset, "fashion_mnist"),
    "stacked_mnist": lambda split: _stack(_keras_dataset("mnist", split), split),
    "synthetic": _synthetic,
}
