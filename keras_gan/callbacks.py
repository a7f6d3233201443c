"""Callbacks for `model.fit`: what a training leaves on disk, and when it stops.

Each may depend on those before it: `in_order` sorts them. Keras' own `TensorBoard` and
`EarlyStopping` do the rest.
"""

import contextlib
import math
import time
from pathlib import Path

import keras
import numpy as np

from keras_gan import InputError, files
from keras_gan.checkpoint import Checkpoint, StopOnSignal, diverged, require_sound
from keras_gan.evaluation import PAIRS, Samples, default_network, scores
from keras_gan.images import to_uint8, write_grid
from keras_gan.plots import draw_curves
from keras_gan.replicas import is_chief, of_chief
from keras_gan.report import write_report

MAX_GRID = 2048


class SampleGrid(keras.callbacks.Callback):
    """Writes a grid of samples after each epoch, `epoch-0001.png`, ..., from the same latents.

    For a conditional GAN it has a row for each class. Images in a column differ only in the class.

    Args:
        directory: made if it does not exist.
        num_images, seed: as in `GAN.generate`. Fewer are drawn if the grid would be larger than
            MAX_GRID pixels a side.
    """

    def __init__(self, directory, num_images=64, seed=0):
        super().__init__()
        self.directory = Path(directory)
        self.num_images = num_images
        self.seed = seed

    def on_train_begin(self, logs=None):
        self.directory.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch, logs=None):
        side = max(1, MAX_GRID // max(self.model.generator.output_shape[1:3]))
        count, classes = min(self.num_images, side**2), self.model.classes
        if classes is None or classes > min(side, count):
            wide, images = None, self.model.generate(count, seed=self.seed)
        else:
            wide = min(side, count // classes)
            rows = [self.model.generate(wide, seed=self.seed, labels=i) for i in range(classes)]
            images = np.concatenate(rows)
        write_grid(self.directory / f"epoch-{epoch + 1:04d}.png", to_uint8(images), wide)


class _Distance(keras.callbacks.Callback):
    """Adds a distance of samples to real images to the logs of an epoch, under its `name`."""

    def __init__(self, images, every, num_images, seed):
        super().__init__()
        if every < 1:
            raise InputError(f"every={every}: expected at least 1.")
        self.every = every
        self.num_images = num_images
        self.seed = seed
        self.shape = tuple(images.shape[1:])

    def on_train_begin(self, logs=None):
        shape = self.model.generator.output_shape[1:]
        if shape != self.shape:
            shapes = f"The model generates images of shape {shape}, the real ones have {self.shape}"
            raise InputError(f"{shapes}: {self.name} needs the same.")

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            strategy, value = self.model.distribute_strategy, math.inf
            if is_chief(strategy):
                images = self.model.generate(self.num_images, seed=self.seed)
                with contextlib.suppress(InputError):
                    value = self.distance(images)
            logs[self.name] = of_chief(strategy, value)


class FrechetDistance(_Distance):
    """Adds `fid`, the Frechet distance of samples to real images, to the logs of an epoch.

    `History`, `Checkpoint` and `keras.callbacks.EarlyStopping("fid", mode="min")` can use it.
    Epochs without a measurement have no `fid`: so does Keras with `validation_freq`. It is infinite
    if the samples can't be scored, as they are all alike.

    Args:
        images: the real ones, uint8 [N, H, W, C]; at most 10,000 of them are used.
        every: measure every so many epochs, at least 1.
        num_images, seed: as in `GAN.generate`. Fewer images give a larger distance.
        network: a `keras_gan.evaluation.FeatureNetwork`; the default is for MNIST.

    Raises:
        InputError: if there are not more real images, or not more generated ones, than the network
            has features (384 by default). When `fit` begins: if the model generates images of
            another shape.
    """

    name = "fid"

    def __init__(self, images, every=1, num_images=2000, seed=0, network=None):
        super().__init__(images, every, num_images, seed)
        self.network = network or default_network()
        self.network.check(self.shape)  # before `Samples` copies the images
        self.real = Samples(images, self.network).head(PAIRS).moments
        features = len(self.real[0])
        if num_images <= features:
            raise InputError(f"num_images={num_images}: expected more than {features} features.")

    def distance(self, images):
        return scores.frechet_distance(self.real, Samples(images, self.network).moments)


class SlicedWasserstein(_Distance):
    """Adds `swd`, the mean of `scores.sliced_wasserstein` over its levels, to the logs of an epoch.

    It needs no feature network: it is for images that `FrechetDistance` can't score. Callbacks use
    it in the same way.

    Args:
        images: the real ones, uint8 [N, H, W, C], 7 x 7 pixels at least.
        every, num_images, seed: as of `FrechetDistance`. At most N images are drawn.
    """

    name = "swd"

    def __init__(self, images, every=1, num_images=2000, seed=0):
        super().__init__(images, every, min(num_images, len(images)), seed)
        spread = np.linspace(0, len(images) - 1, self.num_images).astype(int)
        self.real = np.asarray(images[spread])
        scores.sliced_wasserstein(self.real[:1], self.real[:1], patches=1)  # large enough?

    def distance(self, images):
        levels = scores.sliced_wasserstein(self.real, Samples(images).images, patches=2**15)
        return float(np.mean([*levels.values()]))


class History(keras.callbacks.Callback):
    """Writes the logs of each epoch to a CSV file, a row each, and the `seconds` spent so far.

    Rows of earlier epochs stay, as a resumed training needs it; those of later ones are replaced.
    With a `Checkpoint`, `seconds` also counts what an interrupted epoch took before it was resumed.
    """

    def __init__(self, path, checkpoint=None):
        super().__init__()
        self.path = path
        self.checkpoint = checkpoint

    def on_train_begin(self, logs=None):
        self._rows = files.read_history(self.path)
        before = self._rows[-1].get("seconds", 0.0) if self._rows else 0.0
        if self.checkpoint:
            before = self.checkpoint.seconds
        self._begin = time.monotonic() - before

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(logs[name]) for name in sorted(logs)}
        earlier = [row for row in self._rows if row["epoch"] < epoch]
        seconds = round(time.monotonic() - self._begin, 3)
        self._rows = [*earlier, {"epoch": epoch, **logs, "seconds": seconds}]
        files.write_history(self.path, self._rows)


class TerminateOnNonFinite(keras.callbacks.Callback):
    """Raises a FloatingPointError when a loss is not finite, or a weight is not or far too large.

    It names the network, the tensor and the step. Too large is beyond `LARGEST_WEIGHT`.
    """

    def on_train_batch_end(self, batch, logs=None):
        for name, value in (logs or {}).items():
            if not np.all(np.isfinite(value)):
                require_sound(self.model)  # names the tensor, if there is one
                diverged(self.model, f"{name} is {float(value)}")

    def on_epoch_end(self, epoch, logs=None):
        # The last update of an epoch changes weights that no loss has been computed with.
        require_sound(self.model)


class TimeLimit(keras.callbacks.Callback):
    """Ends `fit` about `seconds` after it began, as if the epoch ended."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        self._begin = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self._begin >= self.seconds:
            self.model.stop_training = True


class Curves(keras.callbacks.Callback):
    """Draws the CSV file of a `History` or a `keras.callbacks.CSVLogger` after each epoch."""

    def __init__(self, history, path):
        super().__init__()
        self.history = history
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        draw_curves(self.history, self.path)


class Report(keras.callbacks.Callback):
    """Writes the page about a run directory, `report.html`, after each epoch.

    Args:
        directory: a `keras_gan.run_directory.RunDirectory`.
    """

    def __init__(self, directory):
        super().__init__()
        self.directory = directory

    def on_epoch_end(self, epoch, logs=None):
        write_report([self.directory.path], self.directory.report)


def in_order(callbacks):
    """Sorts a list of callbacks for `fit`, so that each finds what it needs at an epoch's end.

    A diverged training ends before anything is written. `fid` is in the logs before others read
    them. The history is written before its curves, and everything before the checkpoint. Callbacks
    of other modules keep their order.
    """
    ranks = {
        **{TerminateOnNonFinite: -2, _Distance: -1, Curves: 1, SampleGrid: 1, Report: 2},
        **{Checkpoint: 3, StopOnSignal: 4},
    }

    def rank(callback):
        return next((ranks[cls] for cls in ranks if isinstance(callback, cls)), 0)

    return sorted(callbacks, key=rank)
