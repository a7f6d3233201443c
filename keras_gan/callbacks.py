"""Callbacks for `model.fit`: what a training leaves on disk, and when it stops.

Each may depend on those before it: `in_order` sorts them. Keras' own `CSVLogger`, `TensorBoard`
and `EarlyStopping` do the rest.
"""

import contextlib
import math
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_gan import InputError
from keras_gan.evaluation import PAIRS, Samples, scores
from keras_gan.images import to_uint8, write_grid
from keras_gan.plots import draw_curves

_DAMAGED = (tf.errors.OpError, IndexError)  # what reading a damaged checkpoint raises


class SampleGrid(keras.callbacks.Callback):
    """Writes a grid of samples after each epoch, `epoch-0001.png`, ..., from the same latents.

    Args:
        directory: made if it does not exist.
        num_images, seed: as in `GAN.generate`.
    """

    def __init__(self, directory, num_images=64, seed=0):
        super().__init__()
        self.directory = Path(directory)
        self.num_images = num_images
        self.seed = seed

    def on_epoch_end(self, epoch, logs=None):
        self.directory.mkdir(parents=True, exist_ok=True)
        images = self.model.generate(self.num_images, seed=self.seed)
        write_grid(self.directory / f"epoch-{epoch + 1:04d}.png", to_uint8(images))


class FrechetDistance(keras.callbacks.Callback):
    """Adds `fid`, the Frechet distance of samples to real images, to the logs of each epoch.

    `CSVLogger`, `Checkpoint` and `keras.callbacks.EarlyStopping("fid", mode="min")` can use it. It
    is NaN in epochs without a measurement, and if the samples can't be scored.

    Args:
        images: the real ones, uint8 [N, H, W, C]; at most 10,000 of them are used.
        every: measure every so many epochs.
        num_images, seed: as in `GAN.generate`. Fewer images give a larger distance.
        network: a `keras_gan.evaluation.FeatureNetwork`; the default is for MNIST.
    """

    def __init__(self, images, every=1, num_images=2000, seed=0, network=None):
        super().__init__()
        self.every = every
        self.num_images = num_images
        self.seed = seed
        self.network = network
        self.real = Samples(images, network).head(PAIRS).moments

    def on_epoch_end(self, epoch, logs=None):
        logs["fid"] = float("nan")
        if (epoch + 1) % self.every == 0:
            images = self.model.generate(self.num_images, seed=self.seed)
            with contextlib.suppress(InputError):
                fake = Samples(images, self.network).moments
                logs["fid"] = scores.frechet_distance(self.real, fake)


class Checkpoint(keras.callbacks.Callback):
    """Writes the complete training state after each epoch, atomically.

    The state: both networks and optimisers, `epoch` (epochs done) and `seconds` (spent in `fit`).
    The one with the lowest `fid` in the logs is kept too, in the folder `best`. To resume:

        checkpoint = Checkpoint(gan, "checkpoints")
        checkpoint.restore()
        gan.fit(..., initial_epoch=checkpoint.epoch, callbacks=in_order([..., checkpoint]))

    Only the last `max_to_keep` states, and the best one, are kept.
    """

    def __init__(self, model, directory, max_to_keep=3):
        super().__init__()
        self._epoch = tf.Variable(0, dtype=tf.int64)
        self._seconds = tf.Variable(0.0, dtype=tf.float64)
        self._fid = tf.Variable(math.inf, dtype=tf.float64)  # the lowest so far
        state = {"model": model, "epoch": self._epoch, "seconds": self._seconds}
        last, best = tf.train.Checkpoint(**state), tf.train.Checkpoint(**state, fid=self._fid)
        self._last = tf.train.CheckpointManager(last, str(directory), max_to_keep)
        self._best = tf.train.CheckpointManager(best, str(Path(directory, "best")), max_to_keep=1)

    @property
    def epoch(self):
        return int(self._epoch)

    @property
    def seconds(self):
        return float(self._seconds)

    def restore(self, best=False):
        """Restores the newest readable state, or the best one. Returns whether there is any.

        Raises:
            InputError: if no state can be read, or the states belong to another model.
        """
        if self._best.latest_checkpoint:
            with contextlib.suppress(*_DAMAGED):
                lowest = tf.train.Checkpoint(fid=self._fid)
                lowest.read(self._best.latest_checkpoint).expect_partial()
        manager = self._best if best else self._last
        for path in reversed(manager.checkpoints):
            try:
                manager.checkpoint.restore(path).assert_existing_objects_matched()
                return True
            except _DAMAGED as error:
                print(f"{path}: {error}", file=sys.stderr)
            except (AssertionError, ValueError) as error:
                raise InputError(f"{path}: the state of another model.") from error
        if manager.checkpoints:
            raise InputError(f"{manager.directory}: no state in it can be read.")
        return False

    def on_train_begin(self, logs=None):
        self._clock = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        self._seconds.assign_add(now - self._clock)
        self._clock = now
        self._epoch.assign(epoch + 1)
        if (logs or {}).get("fid", math.inf) < self._fid:
            self._fid.assign(logs["fid"])
            self._best.save(checkpoint_number=epoch + 1)
        self._last.save(checkpoint_number=epoch + 1)


class TerminateOnNonFinite(keras.callbacks.Callback):
    """Raises a FloatingPointError when a loss or a weight is infinite or not a number."""

    def on_train_batch_end(self, batch, logs=None):
        for name, value in (logs or {}).items():
            if not np.all(np.isfinite(value)):
                self._stop(f"{name} is {float(value)}")

    def on_epoch_end(self, epoch, logs=None):
        # The last update of an epoch changes weights that no loss has been computed with.
        for weight in self.model.weights:
            if not np.all(np.isfinite(weight)):
                self._stop(f"{weight.path} has infinite or undefined values")

    def _stop(self, what):
        advice = "Lower the learning rates, or choose another loss."
        step = int(self.model.step)
        raise FloatingPointError(f"Training diverged: {what} at step {step}. {advice}")


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
    """Draws the CSV file of a `keras.callbacks.CSVLogger` after each epoch, into a PNG file."""

    def __init__(self, history, path):
        super().__init__()
        self.history = history
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        draw_curves(self.history, self.path)


def in_order(callbacks):
    """Sorts a list of callbacks for `fit`, so that each finds what it needs at an epoch's end.

    A diverged training ends before anything is written. `fid` is in the logs before others read
    them. The history is written before its curves, and everything before the checkpoint. Callbacks
    of other modules keep their order.
    """
    ranks = {TerminateOnNonFinite: -2, FrechetDistance: -1, Curves: 1, SampleGrid: 1, Checkpoint: 2}

    def rank(callback):
        return next((ranks[cls] for cls in ranks if isinstance(callback, cls)), 0)

    return sorted(callbacks, key=rank)
