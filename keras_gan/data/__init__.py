"""A name or a path -> images in memory or on disk -> an endless, seeded `tf.data.Dataset`."""

import dataclasses
import functools
import hashlib
import mmap
import os
import socket
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np

from keras_gan import InputError
from keras_gan.backend import keras, tf
from keras_gan.data import pictures, readers, synthetic
from keras_gan.files import first_line

ENVIRONMENT_VARIABLE = "KERAS_GAN_DATA"
DOWNLOAD_TIMEOUT = 10  # seconds
# What `load` takes for pictures, and a run records.
PICTURE_OPTIONS = ("image_size", "background", "cache_dir")
DOWNLOADS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


@dataclasses.dataclass(frozen=True)
class Images:
    """Training images: `images` uint8 [N, H, W, C] with C 1 or 3, `labels` int [N] or None."""

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None

    @functools.cached_property
    def sha256(self):
        """The SHA-256 of the pixels, N x H x W x C bytes; independent of the file format."""
        digest = hashlib.sha256()
        for start in range(0, len(self.images), 1000):
            digest.update(np.ascontiguousarray(self.images[start : start + 1000]))
            _release(self.images)
        return digest.hexdigest()

    @property
    def classes(self):
        """How many: one more than the largest label. None if there are no labels 0, 1, 2, ..."""
        if self.labels is None or np.any((self.labels < 0) | (self.labels % 1 != 0)):
            return None
        return int(self.labels.max()) + 1

    @property
    def record(self):
        """What a run records of its images, and of their labels if there are any."""
        record = {"name": self.name, "sha256": self.sha256, "shape": list(self.images.shape)}
        if self.labels is not None:
            numbers = np.asarray(self.labels, np.int32)
            record["labels_sha256"] = hashlib.sha256(numbers.tobytes()).hexdigest()
        return record

    def first(self, count):
        """The first `count` of the images, with their labels."""
        labels = None if self.labels is None else self.labels[:count]
        return Images(self.name, self.images[:count], labels)


def load(
    dataset="auto",
    data_path=None,
    split="train",
    *,
    image_size=None,
    background="white",
    cache_dir=None,
):
    """Loads `Images` by name, or from the user's file or folder.

    Args:
        dataset: a key of `DATASETS`. "auto": the images in `data_path`; without it MNIST, or
            synthetic digits if MNIST can't be had.
        data_path: a folder or a `.zip` of pictures, a folder with the IDX files of MNIST, a `.npz`
            with `x_train`, or a `.npy`; arrays are uint8 [N, H, W] or [N, H, W, C]. Pictures and a
            `.npy` stay on disk and are read when they are needed: `images` is a `numpy.memmap`.
        split: "train" or "test". An InputError if there are no such images.
        image_size, background, cache_dir: how pictures are read, see `pictures.read`.
    """
    if dataset not in DATASETS:
        raise InputError(f"--dataset={dataset!r}: expected one of {', '.join(DATASETS)}.")
    if data_path is None:
        if image_size:
            advice = "it is for pictures in --data_path"
            raise InputError(f"--image_size={image_size} without --data_path: {advice}.")
        return DATASETS[dataset](split)
    path = Path(os.path.expanduser(data_path))
    if dataset == "synthetic":
        raise InputError("--dataset=synthetic makes its own images: leave --data_path out.")
    name = Path(os.path.realpath(path)).stem if dataset == "auto" else dataset
    options = {"image_size": image_size, "background": background, "cache_dir": cache_dir}
    images = Images(name, *readers.read(path, split, **options))
    return _stack(images, split) if dataset == "stacked_mnist" else images


def batches(images, batch_size, *, labels=None, seed=0, start=0, minibatches=1, mirror=False):
    """An endless stream of shuffled batches. A `numpy.memmap` stays on disk, others are copied.

    Every epoch visits each image once, in an order that follows from (seed, epoch). The last
    batch of an epoch is filled up from the next one, so that no image is dropped.

    Args:
        images: uint8 [N, H, W, C], N >= batch_size.
        batch_size: images per minibatch.
        labels: int [N], for a conditional GAN.
        seed: of the order.
        start: the number of batches to skip, as a resumed training does.
        minibatches: the number of minibatches in a batch, one for each update of D.
        mirror: flip half of the images left to right, chosen at random each time.

    Returns:
        A `tf.data.Dataset` of float32 [minibatches * batch_size, H, W, C] in [-1, 1]; of pairs of
        them and int32 [minibatches * batch_size] if there are labels.
    """
    count = len(images)
    size = batch_size * minibatches
    with tf.device("CPU"):
        classes = None if labels is None else tf.constant(labels, tf.int32)
        gather = _gather_from_disk(images) if _on_disk(images) else _gather_from_memory(images)

    def batch(step):
        position = step * size + tf.range(size, dtype=tf.int64)
        key = tf.stack([tf.fill([size], tf.cast(seed, tf.int64)), position // count], axis=1)
        index = tf.raw_ops.RandomIndexShuffle(
            index=position % count,
            seed=tf.pad(key, [[0, 0], [0, 1]]),
            max_index=tf.cast(count - 1, tf.int64),
            # With the 4 rounds of tf.random.experimental.index_shuffle the orders of two epochs
            # correlate by 0.89 at N = 60,000.
            rounds=16,
        )
        pixels = gather(index)
        if mirror:
            draw = tf.random.stateless_uniform([size, 1, 1, 1], [seed, step])
            pixels = tf.where(draw < 0.5, pixels, tf.reverse(pixels, axis=[2]))
        real = tf.cast(pixels, tf.float32) / 127.5 - 1
        return real if classes is None else (real, tf.gather(classes, index))

    options = tf.data.Options()
    # The autotuner's thread sleeps for 10, 20, 40, ... ms, and `fit` waits for it at its end.
    options.autotune.enabled = False
    return tf.data.Dataset.counter(start).map(batch).prefetch(8).with_options(options)


def _gather_from_memory(images):
    """A function of graphs: the numbers of images [n] -> uint8 [n, H, W, C]."""
    pixels = tf.convert_to_tensor(images)
    return lambda index: tf.gather(pixels, index)


def _gather_from_disk(images):
    """The same for a `numpy.memmap`."""

    def read(index):
        pixels = images[index]
        _release(images)
        return pixels

    def gather(index):
        pixels = tf.numpy_function(read, [index], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, [*index.shape, *images.shape[1:]])

    return gather


def _on_disk(images):
    return getattr(images, "_mmap", None) is not None  # None: a copy of a part of a `numpy.memmap`


def _release(images):
    """Takes what was read of a `numpy.memmap` out of this process's memory again."""
    if _on_disk(images):
        images._mmap.madvise(mmap.MADV_DONTNEED)


def _auto(split):
    try:
        return _keras_dataset("mnist", split)
    except _NotFoundError as error:
        line = "*" * 78
        warning = "WARNING: training on SYNTHETIC digits, not on MNIST."
        print(f"{line}\n{warning}\n{error}\n{line}", file=sys.stderr)
        return _synthetic(split)


class _NotFoundError(InputError):
    def __init__(self, name, reason):
        where = f"{name} is neither in {ENVIRONMENT_VARIABLE} nor in Keras' cache"
        advice = f"give --data_path=/path/{name}.npz or set {ENVIRONMENT_VARIABLE}=/path/{name}.npz"
        reason = first_line(reason)
        super().__init__(f"{where}, and the download failed ({reason}): {advice}.")


def _keras_dataset(name, split):
    """Images from KERAS_GAN_DATA, else from Keras' cache, else by download."""
    path = _find(name)
    if path is not None:
        return Images(name, *readers.read(path, split))
    _require_server(name)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # keras.utils.get_file raises a bare one
        raise _NotFoundError(name, error) from error
    finally:
        socket.setdefaulttimeout(timeout)
    return Images(name, *readers.checked(name, *(train if split == "train" else test)))


def _find(name):
    """The file or folder of a dataset on this machine, or None."""
    root = os.environ.get(ENVIRONMENT_VARIABLE)
    if root:
        root = Path(os.path.expanduser(root))
        if not root.exists():
            raise InputError(f"{ENVIRONMENT_VARIABLE}={root}: no such file or folder.")
        paths = [root / f"{name}.npz", root / name.replace("_", "-")]
        if root.is_file() or any(root.glob("train-images*")):
            paths = [root] if name == "mnist" else []  # `root` is one dataset
        for path in filter(Path.exists, paths):
            return path
    home = pictures.keras_home() / "datasets"
    if name == "mnist":
        return home / "mnist.npz" if (home / "mnist.npz").exists() else None
    folder = home / name.replace("_", "-")
    return folder if len(list(folder.glob("*-ubyte.gz"))) == 4 else None  # a whole download


def _require_server(name):
    """Raises a _NotFoundError after DOWNLOAD_TIMEOUT at most, even if the DNS look-up hangs."""
    outcome = [TimeoutError(f"no answer within {DOWNLOAD_TIMEOUT} s")]
    request = urllib.request.Request(f"{DOWNLOADS}mnist.npz", method="HEAD")

    def ask():
        try:
            urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT).close()
            outcome[0] = None
        except Exception as error:  # a proxy can provoke any; raised below
            outcome[0] = error

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_TIMEOUT)
    if outcome[0] is not None:
        raise _NotFoundError(name, outcome[0])


def _synthetic(split):
    count, seed = {"train": (60_000, 0), "test": (10_000, 1)}[split]
    return Images("synthetic", *synthetic.digits(count, seed))


def _stack(source, split):
    """Three random digits as the channels of an image, 1,000 classes (Metz et al. 2017)."""
    if source.images.shape[-1] != 1:
        raise InputError(f"stacked_mnist: expected grey digits, {source.name} has colours.")
    count, seed = {"train": (128_000, 0), "test": (26_000, 1)}[split]
    index = np.random.default_rng(seed).integers(len(source.images), size=[count, 3])
    images = np.stack([source.images[index[:, c], ..., 0] for c in range(3)], axis=-1)
    labels = None if source.labels is None else source.labels[index] @ np.array([100, 10, 1])
    return Images("stacked_mnist", images, labels)


DATASETS = {
    "auto": _auto,
    "mnist": functools.partial(_keras_dataset, "mnist"),
    "fashion_mnist": functools.partial(_keras_dataset, "fashion_mnist"),
    "stacked_mnist": lambda split: _stack(_keras_dataset("mnist", split), split),
    "synthetic": _synthetic,
}
