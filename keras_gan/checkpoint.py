"""The state of a training: written, found and read again; and the signals that end a training."""

import contextlib
import math
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_gan import InputError, files
from keras_gan.replicas import is_chief, of_chief

SCORES = ("fid", "swd")  # what tells the best epoch: the first of them that is in its logs
# With larger trained weights the layers saturate, and no later step mends that.
LARGEST_WEIGHT = 1_000
_STATE = re.compile(r"(ckpt-(\d+)(?:-(\d+))?)\.index")


class Checkpoint(keras.callbacks.Callback):
    """Writes the complete training state after each epoch, whole or not at all.

    The state: both networks and optimisers, `epoch` (epochs done), `steps` (done in the next one)
    and `seconds` (spent in `fit`). Its name in `directory` is ckpt-EPOCH, or ckpt-EPOCH-STEPS. The
    one with the lowest `fid` (or `swd`) in the logs is kept too, in the folder `best`. To resume:

        checkpoint = Checkpoint(gan, "checkpoints")
        checkpoint.restore()
        gan.fit(..., initial_epoch=checkpoint.epoch, callbacks=in_order([..., checkpoint]))

    Args:
        model: the compiled `GAN`.
        directory: made if it does not exist.
        max_to_keep: how many states are kept, besides the best one.
        save_minutes: write one in the middle of an epoch, too, if the last is older. After such a
            state `fit` has `steps` fewer to do in its first epoch.
    """

    def __init__(self, model, directory, max_to_keep=3, save_minutes=math.inf):
        super().__init__()
        self.directory = Path(directory)
        self.max_to_keep = max_to_keep
        self.save_minutes = save_minutes
        self._epoch = tf.Variable(0, dtype=tf.int64)
        self._steps = tf.Variable(0, dtype=tf.int64)
        self._seconds = tf.Variable(0.0, dtype=tf.float64)
        self._fid = tf.Variable(math.inf, dtype=tf.float64)  # the lowest score so far
        # The sums of the metrics over the steps done.
        self._sums = [tf.Variable(tf.zeros(v.shape, v.dtype)) for v in _metrics(model)]
        self._required = {"model": model, "epoch": self._epoch, "seconds": self._seconds}
        self._optional = {"steps": self._steps, "sums": self._sums}  # not in a state of version 0.1
        state = {**self._required, **self._optional, "fid": self._fid}
        self._state = tf.train.Checkpoint(**state)

    @property
    def epoch(self):
        return int(self._epoch)

    @property
    def steps(self):
        return int(self._steps)

    @property
    def seconds(self):
        return float(self._seconds)

    def restore(self, best=False):
        """Restores the newest readable state, or the best one. Returns whether there is any.

        Raises:
            InputError: if no state can be read, or the states belong to another model.
        """
        for path in _states(self.directory / "best"):
            with contextlib.suppress(_DamagedError):
                _read(path, {"fid": self._fid}, partial=True)
                break
        folder = self.directory / "best" if best else self.directory
        paths = _states(folder)
        for path in paths:
            try:
                _read(path, self._required)
                self._steps.assign(0)
                _read(path, self._optional, partial=True)
                return True
            except _DamagedError as error:
                print(error, file=sys.stderr)
        if paths:
            raise InputError(f"{folder}: no state in it can be read.")
        return False

    def on_train_begin(self, logs=None):
        (self.directory / "best").mkdir(parents=True, exist_ok=True)
        self._clock = self._saved = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        if self.steps and epoch == self.epoch:
            _copy(self._sums, _metrics(self.model))
        else:
            self._steps.assign(0)
        self._epoch.assign(epoch)
        self._steps_before = self.steps
        self._step = int(self.model.step.numpy())

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self._saved >= 60 * self.save_minutes:
            self.save_within_epoch()

    def save_within_epoch(self):
        """Writes the state between two steps. Returns its path; None if the epoch ends anyway."""
        done = int(self.model.step.numpy()) - self._step
        if done >= self.params["steps"]:  # more with several steps per call
            return None
        self._steps.assign(self._steps_before + done)
        _copy(_metrics(self.model), self._sums)
        return self._save(self.directory / f"ckpt-{self.epoch}-{self.steps}", self.max_to_keep)

    def on_epoch_end(self, epoch, logs=None):
        self._epoch.assign(epoch + 1)
        for variable in (self._steps, *self._sums):
            variable.assign(tf.zeros_like(variable))
        name = f"ckpt-{self.epoch}"
        score = next((logs[name] for name in SCORES if name in (logs or {})), math.inf)
        if score < self._fid:
            self._fid.assign(score)
            self._save(self.directory / "best" / name, max_to_keep=1)
        self._save(self.directory / name, self.max_to_keep)

    def _save(self, path, max_to_keep):
        now = time.monotonic()
        self._seconds.assign_add(now - self._clock)
        self._clock = self._saved = now
        require_sound(self.model)
        if is_chief(self.model.distribute_strategy):
            self._write(path, max_to_keep)
        of_chief(self.model.distribute_strategy)  # other workers wait until it can be read
        return path

    def _write(self, path, max_to_keep):
        if not path.parent.is_dir():  # TensorFlow would make it again
            raise FileNotFoundError(None, "was deleted while the training ran", str(path.parent))
        with files.scratch(path) as temporary:
            temporary.mkdir()
            self._state.write(str(temporary / path.name))
            # .data before .index, which makes the state visible
            for file in _files(temporary / path.name):
                files.sync(file)
                os.replace(file, path.parent / file.name)
        files.sync(path.parent)
        states = _states(path.parent)
        # A training whose last states are damaged goes back: then newer ones may be there.
        newer = states.index(path)
        outdated = states[newer + max_to_keep :] + (states[:newer] if max_to_keep == 1 else [])
        for old in outdated:
            # .index last: as long as it is there, a later call deletes what an interrupted one left
            for file in _files(old):
                files.remove(file)


def _metrics(model):
    return [variable for metric in model.metrics for variable in metric.variables]


def _copy(sources, targets):
    for source, target in zip(sources, targets, strict=True):
        target.assign(source)


class _DamagedError(Exception):
    """A state that can't be read."""


def _states(folder):
    """The paths of the states in a folder, without .index, the newest first."""
    names = filter(None, map(_STATE.fullmatch, os.listdir(folder) if folder.is_dir() else []))
    found = {folder / name[1]: (int(name[2]), int(name[3] or 0)) for name in names}
    return sorted(found, key=found.get, reverse=True)


def _files(path):
    """The files of a state, .index last. `Path.glob` would ignore that it can't open the folder."""
    names = os.listdir(path.parent)
    return sorted(path.parent / name for name in names if name.startswith(f"{path.name}."))


def _read(path, variables, partial=False):
    """Restores variables from a state; all of them unless `partial`."""
    with files.without_wildcards(path.parent) as folder:
        try:
            reader = tf.train.load_checkpoint(str(folder / path.name))
            shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
            announced = sum(math.prod(shapes[n]) * max(types[n].size, 1) for n in shapes)
            length = sum(file.stat().st_size for file in _files(path) if ".data-" in file.name)
            if announced > length:
                raise _DamagedError(f"{path}: {length} bytes, expected at least {announced}.")
            status = tf.train.Checkpoint(**variables).read(str(folder / path.name))
            status.expect_partial()  # or TensorFlow warns of what is not restored
            if not partial:
                status.assert_existing_objects_matched()
        except (AssertionError, ValueError) as error:
            raise InputError(f"{path}: the state of another model.") from error
        except (OSError, _DamagedError):
            raise
        except Exception as error:  # TensorFlow and protobuf raise all sorts
            if found := files.disk_error(error, path):  # what fails to be read may be whole
                raise found from error
            raise _DamagedError(f"{path}: {str(error).splitlines()[0]}") from error


def require_sound(model):
    """A FloatingPointError if a variable is not finite, or a trained one beyond LARGEST_WEIGHT."""
    for name in ("generator", "discriminator", "g_optimizer", "d_optimizer"):
        for variable in getattr(model, name).variables:
            values = np.abs(variable)
            if not np.all(values < (LARGEST_WEIGHT if variable.trainable else math.inf)):
                diverged(model, f"a value in {variable.path} of the {name} is {values.max():g}")


def diverged(model, what):
    """Raises the FloatingPointError."""
    advice = "Lower the learning rates, or choose another loss. The last good state is kept"
    raise FloatingPointError(
        f"Training diverged: after {int(model.step.numpy())} steps {what}. {advice}."
    )


class StopOnSignal(keras.callbacks.Callback):
    """SIGINT, SIGTERM and SIGHUP end `fit` after the current step, with a checkpoint.

    It is a context manager, too, to put around `fit` in the main thread: only inside of it the
    signals wait. A second one ends the program at once. A signal that is ignored, as SIGHUP is by
    `nohup`, stays so.

    Raises:
        KeyboardInterrupt: with the signal's number, and where the state is.
    """

    def __init__(self, checkpoint):
        super().__init__()
        self.checkpoint = checkpoint
        self._number = None

    def __enter__(self):
        self._handlers = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind, error, traceback):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._number and error is None:
            self._stop()

    def _receive(self, number, frame):
        if self._number:
            raise KeyboardInterrupt(number)
        self._number = number

    def on_train_batch_end(self, batch, logs=None):
        if self._number and self.checkpoint.save_within_epoch():
            self._stop()

    def on_epoch_end(self, epoch, logs=None):
        if self._number:
            self._stop()

    def _stop(self):
        done = f"{self.checkpoint.epoch} epochs and {self.checkpoint.steps} steps"
        where = f"{self.checkpoint.directory} has the state after {done}"
        raise KeyboardInterrupt(self._number, f"{where}. The same command goes on from there.")
