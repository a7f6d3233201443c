"""`run(config)`: what `python train.py` does."""

import dataclasses
import importlib.util
import math
import sys

import keras_gan
from keras_gan import InputError, data
from keras_gan.backend import configure_tensorflow, keras
from keras_gan.config import STEPS_PER_EXECUTION, Config
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES
from keras_gan.run_directory import RunDirectory

start_tensorflow = configure_tensorflow  # its name in 0.1


def run(config):
    """Trains in a run directory: begins, resumes or refuses, and leaves samples and an export.

    Args:
        config: a `Config`.

    Returns:
        The path of the run directory.

    Raises:
        InputError: if the settings, the data or the directory do not allow it. Nothing on
            disk has changed then.
        FloatingPointError: if the training diverged. The last good state is kept.
    """
    return train(prepare(config))


@dataclasses.dataclass(frozen=True)
class Plan:
    """A training that may begin: the resolved settings, the images, and where it writes."""

    config: Config
    source: data.Images
    directory: RunDirectory
    resumes: bool


def prepare(config):
    """Reads the data and checks everything, without TensorFlow. Changes nothing on disk."""
    if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard: it is not installed: pip install tensorboard.")
    source = data.load(config.dataset, config.data_path)
    config = config.resolve(len(source.images))
    source = source.first(config.num_images)
    default = f"runs/{source.name}-{config.arch}-{config.loss}"
    directory = RunDirectory(config.model_dir or default)
    return Plan(config, source, directory, directory.check(config, source.record))


def train(plan):
    """Trains what `prepare` has planned."""
    from keras_gan.callbacks import Checkpoint  # imports TensorFlow

    config, source, directory = plan.config, plan.source, plan.directory
    configure_tensorflow()
    gan = build(config, source.images)
    if not plan.resumes:
        directory.clear()
    checkpoint = Checkpoint(gan, directory.checkpoints)
    if plan.resumes:
        checkpoint.restore()
        if _finished(config, checkpoint) and directory.exported_epoch("last") == checkpoint.epoch:
            more = "--epochs or --max_minutes" if config.max_minutes else "--epochs"
            print(
                f"{directory.path} is finished: {checkpoint.epoch} epochs, "
                f"{checkpoint.seconds / 60:.1f} minutes. To train on, give more {more}; "
                "to start afresh, --overwrite."
            )
            return directory.path
        print(f"Resuming {directory.path} after epoch {checkpoint.epoch} of {config.epochs}.")
    else:
        print(f"Training {config.arch} with {config.loss} on {source.name}, into {directory.path}.")
    directory.write_config(config, source.record)
    if not _finished(config, checkpoint):
        directory.trim_history(checkpoint.epoch)
        gan.fit(
            data.batches(
                source.images,
                config.batch_size,
                seed=config.seed,
                start=int(gan.step),
                minibatches=config.d_steps,
            ),
            epochs=config.epochs,
            initial_epoch=checkpoint.epoch,
            steps_per_epoch=config.steps_per_epoch,
            shuffle=False,
            verbose=1 if sys.stdout.isatty() else 2,
            callbacks=_callbacks(config, source.images, directory, checkpoint),
        )
    _export(gan, directory, checkpoint)
    print(f"Done. Now: python sample.py --model_dir={directory.path} --output=samples.png")
    return directory.path


def build(config, images, architecture=None):
    """Builds the networks and compiles them.

    Args:
        config: a resolved `Config`.
        images: the training images, uint8 [N, H, W, C].
        architecture: an `Architecture`; by default the one that `config.arch` names.

    Returns:
        A compiled `GAN`.
    """
    architecture = architecture or ARCHITECTURES[config.arch]
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
    penalty = PENALTIES.get(config.penalty)
    gan.compile(
        architecture.optimizer(config.g_lr),
        architecture.optimizer(config.d_lr),
        LOSSES[config.loss](label_smoothing=config.label_smoothing),
        penalty=penalty and penalty(config.penalty_weight),
        d_steps=config.d_steps,
        simultaneous=config.simultaneous,
        steps_per_execution=math.gcd(STEPS_PER_EXECUTION, config.steps_per_epoch),
    )
    return gan


def _finished(config, checkpoint):
    out_of_time = config.max_minutes and checkpoint.seconds >= 60 * config.max_minutes
    return checkpoint.epoch >= config.epochs or bool(out_of_time)


def _callbacks(config, images, directory, checkpoint):
    from keras_gan import callbacks  # imports TensorFlow

    chosen = [
        callbacks.TerminateOnNonFinite(),
        keras.callbacks.CSVLogger(directory.history, append=True),
        callbacks.Curves(directory.history, directory.curves),
        callbacks.SampleGrid(directory.samples),
        checkpoint,
    ]
    if config.fid_every:
        try:
            chosen.append(callbacks.FrechetDistance(images, every=config.fid_every))
        except InputError as error:
            print(f"Training without fid. {error}")
    if config.max_minutes:
        chosen.append(callbacks.TimeLimit(60 * config.max_minutes - checkpoint.seconds))
    if config.tensorboard:
        chosen.append(keras.callbacks.TensorBoard(str(directory.logs)))
    return callbacks.in_order(chosen)


def _export(gan, directory, checkpoint):
    directory.export(gan, "last", checkpoint.epoch)
    try:
        if checkpoint.restore(best=True):
            directory.export(gan, "best", checkpoint.epoch)
    except InputError as error:
        print(f"No export of the best state. {error}", file=sys.stderr)
