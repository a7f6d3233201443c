"""`run(config)`: what `python train.py` does.

TensorFlow is imported once the settings, the data and the directory are known to be good.
"""

import contextlib
import csv
import dataclasses
import importlib.util
import math
import os
import shutil
import sys
from pathlib import Path

import keras_gan
from keras_gan import InputError, data
from keras_gan._lazy import keras, load_tensorflow, tf
from keras_gan.config import STEPS_PER_EXECUTION, read_record, versions, write_record
from keras_gan.exported import EXPORTS
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES

# config.json goes last: until then the directory is known for a run's.
RUN_FILES = (
    "samples",
    "history.csv",
    "checkpoints",
    *EXPORTS.values(),
    "curves.png",
    "logs",
    "evaluation.json",
    "config.json",
)


def run(config):
    """Trains in a run directory: begins, resumes or refuses, and leaves samples and an export.

    Args:
        config: a `Config`.

    Returns:
        The run directory, a `pathlib.Path`.

    Raises:
        InputError: if the settings, the data or the directory do not allow it. Nothing on
            disk has changed then.
        FloatingPointError: if the training diverged. The last good state is kept.
    """
    if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard: it is not installed: pip install tensorboard.")
    source = data.load(config.dataset, config.data_path)
    if source.name == "mnist":
        kept = source.images[: ARCHITECTURES[config.arch].mnist_images]
        source = dataclasses.replace(source, images=kept)
    config = config.resolve(len(source.images))
    directory = Path(config.model_dir or f"runs/{source.name}-{config.arch}-{config.loss}")
    record = _record(config, source)
    previous = _previous(directory, config, record)

    start_tensorflow()
    gan = build(config, source.images)
    if previous is None:
        _clear(directory)
    checkpoint = keras_gan.callbacks.Checkpoint(directory / "checkpoints")
    checkpoint.set_model(gan)
    if previous is None:
        print(f"Training {config.arch} with {config.loss} on {source.name}, into {directory}.")
    else:
        checkpoint.restore()
        if _finished(config, checkpoint) and previous.get("exported_epoch") == checkpoint.epoch:
            more = "--epochs or --max_minutes" if config.max_minutes else "--epochs"
            print(
                f"{directory} is finished: {checkpoint.epoch} epochs, "
                f"{checkpoint.seconds / 60:.1f} minutes. To train on, give more {more}; "
                "to start afresh, --overwrite."
            )
            return directory
        print(f"Resuming {directory} after epoch {checkpoint.epoch} of {config.epochs}.")
    write_record(directory / "config.json", record)
    if not _finished(config, checkpoint):
        batches = data.batches(
            source.images,
            config.batch_size,
            seed=config.seed,
            start=int(gan.step),
            minibatches=config.d_steps,
        )
        extra = _frechet_distance(config, source.images)
        del source  # the batches hold the pixels
        _fit(gan, batches, config, directory, checkpoint, extra)
    _export(gan, directory / EXPORTS["last"])
    record["exported_epoch"] = checkpoint.epoch
    with contextlib.suppress(InputError):  # a damaged best state, told by `restore`
        if checkpoint.restore(best=True):
            _export(gan, directory / EXPORTS["best"])
            record["best_epoch"] = checkpoint.epoch
    write_record(directory / "config.json", record)
    print(f"Done. Now: python sample.py --model_dir={directory} --output=samples.png")
    return directory


def start_tensorflow():
    """Imports TensorFlow and sets it up for training.

    To be called before TensorFlow computes anything: threads are shared out once.
    """
    # D on real and D on generated images have no need of each other: side by side, on half the
    # cores each, they train faster (by up to 30 %: benchmarks/speed.md) than in turn on all.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, cores // 2)))
    load_tensorflow()
    # On a CPU this costs next to nothing and makes equal commands equal to the last bit. On a
    # GPU it would turn XLA off: there TF_DETERMINISTIC_OPS=1 is the user's choice.
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def build(config, images):
    """The compiled `GAN` of a resolved `Config` for uint8 `images` [N, H, W, C]."""
    architecture = ARCHITECTURES[config.arch]
    shape = images.shape[1:]
    keras.utils.set_random_seed(config.seed)  # the initial weights
    generator = architecture.generator(config.latent_dim, shape)
    if architecture.initialize:
        architecture.initialize(generator, images)
    discriminator = architecture.discriminator(shape)
    if config.spectral_norm or config.weight_clip:
        discriminator = keras_gan.layers.constrain(
            discriminator, spectral_norm=config.spectral_norm, weight_clip=config.weight_clip
        )
    gan = keras_gan.GAN(
        generator,
        discriminator,
        latent=architecture.latent,
        ema_decay=config.ema_decay or None,
        seed=config.seed,
    )
    gan.compile(
        architecture.optimizer(config.g_lr),
        architecture.optimizer(config.d_lr),
        LOSSES[config.loss](label_smoothing=config.label_smoothing),
        penalty=None
        if config.penalty == "none"
        else PENALTIES[config.penalty](config.penalty_weight),
        d_steps=config.d_steps,
        simultaneous=config.simultaneous,
        steps_per_execution=math.gcd(STEPS_PER_EXECUTION, config.steps_per_epoch),
    )
    return gan


def _record(config, source):
    """The content of `config.json`."""
    return {
        "settings": dataclasses.asdict(config),
        "dataset": {
            "name": source.name,
            "sha256": source.sha256,
            "shape": list(source.images.shape),
        },
        "versions": versions(),
    }


def _previous(directory, config, record):
    """The record of the run to resume in `directory`, None to begin one, or an InputError."""
    path = directory / "config.json"
    if not path.exists():
        if directory.exists() and not directory.is_dir():
            raise InputError(f"--model_dir={directory}: a file, expected a folder.")
        there = [name for name in RUN_FILES if (directory / name).exists()]
        if there:
            raise InputError(
                f"--model_dir={directory}: holds {there[0]} and no config.json: choose another one."
            )
        return None
    previous = read_record(path)  # before anything is overwritten: it may be another program's
    if config.overwrite:
        return None
    differing = config.differences(previous["settings"])
    if previous["dataset"].get("sha256") != record["dataset"]["sha256"]:
        differing.append(f"the data ({previous['dataset'].get('name')}, other pixels)")
    if differing:
        raise InputError(
            f"--model_dir={directory}: holds a run with {', '.join(differing)}: give the same, "
            "another --model_dir, or --overwrite to start afresh."
        )
    return previous


def _finished(config, checkpoint):
    out_of_time = config.max_minutes and checkpoint.seconds >= 60 * config.max_minutes
    return checkpoint.epoch >= config.epochs or bool(out_of_time)


def _fit(gan, batches, config, directory, checkpoint, extra):
    history = directory / "history.csv"
    _trim(history, checkpoint.epoch)
    if config.max_minutes:
        extra.append(keras_gan.callbacks.TimeLimit(60 * config.max_minutes - checkpoint.seconds))
    if config.tensorboard:
        extra.append(keras.callbacks.TensorBoard(str(directory / "logs")))
    gan.fit(
        batches,
        epochs=config.epochs,
        initial_epoch=checkpoint.epoch,
        steps_per_epoch=config.steps_per_epoch,
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[
            keras_gan.callbacks.TerminateOnNonFinite(),
            *extra,
            keras.callbacks.CSVLogger(history, append=True),
            keras_gan.callbacks.Curves(history, directory / "curves.png"),
            keras_gan.callbacks.SampleGrid(directory / "samples"),
            checkpoint,
        ],
    )


def _frechet_distance(config, images):
    """The callback in a list, empty where it is not wanted or can't be had."""
    if not config.fid_every:
        return []
    try:
        return [keras_gan.callbacks.FrechetDistance(images, every=config.fid_every)]
    except InputError as error:
        print(f"Training without fid. {error}")
        return []


def _clear(directory):
    """Makes the directory and deletes the files of an old run, and no others."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in (directory / name for name in RUN_FILES):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"--model_dir={directory}: can't be written ({error.strerror}): choose another one."
        ) from error


def _trim(history, epochs):
    """Deletes the rows of epochs that were logged and not completed by a checkpoint."""
    if epochs == 0:
        history.unlink(missing_ok=True)
    if not history.exists():
        return
    with open(history, newline="") as file:
        header, *rows = csv.reader(file)
    temporary = history.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        csv.writer(file).writerows([header, *(row for row in rows if int(row[0]) < epochs)])
    os.replace(temporary, history)


def _export(gan, path):
    """Writes the SavedModel; whoever finds one at `path` finds it whole."""
    temporary = path.with_suffix(".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    gan.export(temporary)
    shutil.rmtree(path, ignore_errors=True)
    os.replace(temporary, path)
