"""Callbacks for `model.fit`: what a training leaves on disk, and when it stops.

For everything else there are Keras' own: `CSVLogger`, `TensorBoard`, `EarlyStopping`.
"""

import contextlib
import csv
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

_DAMAGED = (tf.errors.OpError, IndexError)  # what reading a damaged checkpoint raises
_FID = "fid/.ATTRIBUTES/VARIABLE_VALUE"  # the name in a checkpoint of the attribute `fid`


class SampleGrid(keras.callbacks.Callback):
    """Writes `epoch-0001.png`, ... into `directory`, always the same latents.

    Args:
        directory: made if it does not exist.
        num_images: images in a grid.
        seed: of their latents.
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
    """Puts `fid`, the Frechet distance of generated to real images, into the logs of each epoch.

    Whatever stands after it sees it: the progress bar, `CSVLogger`, `Checkpoint`, and
    `keras.callbacks.EarlyStopping("fid", mode="min", patience=5)`. It is NaN where it was not
    taken, or can't be: of images that are not finite, or all alike.

    Args:
        images: the real ones, uint8 [N, H, W, C]. Of more than 10,000, it takes 10,000.
        every: epochs from one score to the next.
        num_images: generated for it. The distance of few is larger: compare equal numbers.
        seed: of their latents, always the same.
        network: a `keras_gan.evaluation.FeatureNetwork`; the default is for MNIST.

    Raises:
        InputError: if the images are not what the network takes, or too few.
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
    """Writes the complete training state at the end of each epoch, atomically.

    The state is both networks, the moving average, both optimisers, the epochs done and the
    seconds spent in `fit`. All else follows from them: see `GAN(seed=...)`. Where the logs have
    a `fid`, from `FrechetDistance`, the state of the least one is kept as well, in the folder
    `best`. To resume:

        checkpoint = Checkpoint("checkpoints")
        checkpoint.set_model(gan)
        checkpoint.restore()
        gan.fit(..., initial_epoch=checkpoint.epoch, callbacks=[..., checkpoint])

    Give it last, so that what the other callbacks write is there when a state says so.

    Args:
        directory: made if it does not exist.
        max_to_keep: older states are deleted.
    """

    def __init__(self, directory, max_to_keep=3):
        super().__init__()
        self.directory = Path(directory)
        self.max_to_keep = max_to_keep
        self._epoch = tf.Variable(0, dtype=tf.int64)
        self._seconds = tf.Variable(0.0, dtype=tf.float64)
        self._fid = tf.Variable(math.inf, dtype=tf.float64)  # the least so far

    @property
    def epoch(self):
        """Epochs done."""
        return int(self._epoch)

    @property
    def seconds(self):
        """Time spent in `fit`, up to the last state."""
        return float(self._seconds)

    def set_model(self, model):
        super().set_model(model)
        state = {"model": model, "epoch": self._epoch, "seconds": self._seconds}
        self.manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**state), str(self.directory), max_to_keep=self.max_to_keep
        )
        self.best = tf.train.CheckpointManager(
            tf.train.Checkpoint(**state, fid=self._fid), str(self.directory / "best"), max_to_keep=1
        )
        self._clock = time.monotonic()

    def restore(self, best=False):
        """Sets the model to the newest state that can be read, and tells whether there is any.

        Args:
            best: take the one with the least `fid`.

        Raises:
            InputError: if there are states and none can be read, or they are another model's.
        """
        if self.best.latest_checkpoint:
            with contextlib.suppress(*_DAMAGED):
                fid = tf.train.load_variable(self.best.latest_checkpoint, _FID)
                self._fid.assign(fid)
        manager = self.best if best else self.manager
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

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        self._seconds.assign_add(now - self._clock)
        self._clock = now
        self._epoch.assign(epoch + 1)
        if (logs or {}).get("fid", math.inf) < self._fid:
            self._fid.assign(logs["fid"])
            self.best.save(checkpoint_number=epoch + 1)
        self.manager.save(checkpoint_number=epoch + 1)


class TerminateOnNonFinite(keras.callbacks.Callback):
    """Ends `fit` where a loss or a weight is infinite or not a number.

    Give it before `Checkpoint`, whose last state is then from before.

    Raises:
        FloatingPointError: out of `fit`.
    """

    def on_train_batch_end(self, batch, logs=None):
        for name, value in (logs or {}).items():
            if not np.all(np.isfinite(value)):
                self._stop(f"{name} is {float(value)}")

    def on_epoch_end(self, epoch, logs=None):
        # The last update of the epoch may have broken what no loss has seen yet.
        for weight in self.model.weights:
            if not np.all(np.isfinite(weight)):
                self._stop(f"{weight.path} has infinite or undefined values")

    def _stop(self, what):
        raise FloatingPointError(
            f"Training diverged: {what} at step {int(self.model.step)}. "
            "Lower the learning rates, or choose another loss."
        )


class TimeLimit(keras.callbacks.Callback):
    """Ends `fit` after `seconds` of wall time, as if that were the end of the last epoch.

    To the step; with `steps_per_execution`, to the last of those executed at once.
    """

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        self._begin = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self._begin >= self.seconds:
            self.model.stop_training = True


class Curves(keras.callbacks.Callback):
    """Draws a `CSVLogger`'s file, given before it: losses, D(x) and D(G(z)), and the `fid`."""

    def __init__(self, history, path):
        super().__init__()
        self.history = history
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        from matplotlib.figure import Figure  # slow to import: only where there are curves
        from matplotlib.ticker import LogLocator

        with open(self.history, newline="") as file:
            rows = list(csv.DictReader(file))
        epochs = [int(row["epoch"]) + 1 for row in rows]
        panels = 3 if "fid" in rows[0] else 2
        figure = Figure(figsize=(5 * panels, 4), layout="constrained")
        losses, probabilities, *distance = figure.subplots(1, panels)
        for axes, name, label in (
            (losses, "d_loss", "discriminator"),
            (losses, "g_loss", "generator"),
            (probabilities, "d_real", "D(x), real"),
            (probabilities, "d_fake", "D(G(z)), generated"),
            *((axes, "fid", "generated to real") for axes in distance),
        ):
            points = [(e, float(row[name])) for e, row in zip(epochs, rows, strict=True)]
            taken = [point for point in points if not math.isnan(point[1])] or [(1, math.nan)]
            axes.plot(*zip(*taken, strict=True), "o-", markersize=3, label=label)
        losses.set(xlabel="epoch", ylabel="loss")
        probabilities.set(xlabel="epoch", ylabel="probability of being real", ylim=(0, 1))
        probabilities.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
        for axes in distance:
            axes.set(xlabel="epoch", ylabel="Frechet distance (fid)", yscale="log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        for axes in (losses, probabilities, *distance):
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend()
        figure.savefig(self.path)
