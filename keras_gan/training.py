"""`run(config)`: what `python train.py` does: train or resume in a run directory, and export."""

import contextlib
import dataclasses
import importlib.util
import math
import sys

import numpy as np

from keras_gan import InputError, data, replicas
from keras_gan.backend import configure_tensorflow, dtype_policy, keras, strategy, tf
from keras_gan.config import STEPS_PER_EXECUTION, Config
from keras_gan.files import first_line, read_history
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES, projection
from keras_gan.run_directory import RunDirectory, read_record

start_tensorflow = configure_tensorflow  # its name in 0.1


def run(config, on_checked=lambda: None):
    """Trains in a run directory: begins, resumes or refuses, and leaves samples and an export.

    Args:
        config: a `Config`.
        on_checked: called after the checks; only a download imports TensorFlow before it.

    Returns:
        The path of the run directory.

    Raises:
        InputError: if the settings, the data or the directory do not allow it. Nothing on disk has
            changed then.
        FloatingPointError: if the training diverged. The last good state is kept.
        KeyboardInterrupt: after a signal, with its number and where the state is.
        OSError: if a file can't be written. The same command goes on once it can.
    """
    if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard: it is not installed: pip install tensorboard.")
    if config.strategy == "multi_worker" and config.max_minutes:
        raise InputError(
            "--max_minutes: not with multi_worker, whose clocks differ: give --epochs."
        )
    options = {name: getattr(config, name) for name in data.PICTURE_OPTIONS}
    source = data.load(config.dataset, config.data_path, **options)
    architecture = ARCHITECTURES[config.arch].for_images(*source.images.shape)
    classes = source.classes
    available = len(source.images)
    config = config.resolve(available, architecture, classes)
    source = source.first(config.num_images)
    if not config.conditional:
        source = dataclasses.replace(source, labels=None)
    record = {**source.record, "available": available}
    if config.conditional:
        record["classes"] = classes
    default = f"runs/{source.name}-{config.arch}-{config.loss}{'-conditional' * config.conditional}"
    directory = RunDirectory(config.model_dir or default)
    directory.check(config, record)  # before TensorFlow takes seconds to be imported
    on_checked()
    configure_tensorflow(deterministic=not config.jit_compile)
    try:
        devices = strategy(config.strategy)
        if config.batch_size % devices.num_replicas_in_sync:
            expected = f"expected a multiple of {devices.num_replicas_in_sync}"
            advice = "the number of replicas, or --strategy=none"
            raise InputError(f"--batch_size={config.batch_size}: {expected}, {advice}.")
        with devices.scope():
            gan = build(config, source.images, architecture, classes)
        if replicas.is_chief(devices):
            with directory.lock():
                _run(gan, source, config, directory, record)
        else:
            _assist(gan, source, config, directory, record)
    except tf.errors.ResourceExhaustedError:
        raise
    except tf.errors.OpError as error:
        if config.strategy != "multi_worker":
            raise
        advice = "start all workers again: they go on from the last state"
        raise InputError(f"A worker is missing ({first_line(error)}): {advice}.") from error
    return directory.path


def _assist(gan, source, config, directory, record):
    """Trains in a worker that is not the chief. It reads the run directory, and writes nothing."""
    from keras_gan.callbacks import Checkpoint

    step = replicas.of_chief(gan.distribute_strategy)  # waits until the directory is ready
    checkpoint = Checkpoint(gan, directory.checkpoints)
    resumes = directory.check(dataclasses.replace(config, overwrite=False), record)
    if not (resumes and checkpoint.restore()) and config.init_from:
        transfer(load(config.init_from), gan)
    # On a disk of its own it would begin anew, and the weights would differ from the chief's.
    if not resumes or gan.step.numpy() != step:
        expected = "expected a folder that all workers share"
        raise InputError(f"--model_dir={directory.path}: not the chief's run: {expected}.")
    if not _finished(config, checkpoint):
        _fit(gan, source, config, directory, checkpoint)


def _run(gan, source, config, directory, record):
    """Trains and exports: in the only process, or in the chief of several workers."""
    from keras_gan.callbacks import Checkpoint

    resumes = directory.check(config, record)  # another process may have been there
    # Several workers save at the same step: a clock of their own would differ.
    several = replicas.several_workers(gan.distribute_strategy)
    minutes = math.inf if several else config.save_minutes
    checkpoint = Checkpoint(gan, directory.checkpoints, save_minutes=minutes)
    restored = resumes and _resume(config, directory, checkpoint)
    if config.init_from and not restored:
        transfer(load(config.init_from), gan)
    if not resumes:
        directory.clear()
        what = f"{config.arch} with {config.loss} on {source.name}"
        print(f"Training {what}, into {directory.path}.")
    finished = _finished(config, checkpoint)
    if not finished:
        directory.write_config(config, record)
    replicas.of_chief(gan.distribute_strategy, float(gan.step.numpy()))  # the others wait for it
    if not finished:
        _fit(gan, source, config, directory, checkpoint)
    if _export(gan, directory, checkpoint):
        print(f"Done. Now: python sample.py --model_dir={directory.path} --output=samples.png")
    else:
        more = "--epochs or --max_minutes" if config.max_minutes else "--epochs"
        done = f"{checkpoint.epoch} epochs, {checkpoint.seconds / 60:.1f} minutes"
        advice = f"To train on, give more {more}; to start afresh, --overwrite"
        print(f"{directory.path} is finished: {done}. {advice}.")


def build(config, images, architecture=None, classes=None):
    """The compiled `GAN` of a resolved `Config`.

    Args:
        images: the training images, uint8 [N, H, W, C].
        architecture: an `Architecture`; by default the one that `config.arch` names.
        classes: their number of classes, if `config.conditional`.
    """
    from keras_gan.model import GAN

    architecture = architecture or ARCHITECTURES[config.arch]
    keras.utils.set_random_seed(config.seed)  # the initial weights
    with dtype_policy(config.precision):
        generator, discriminator = _networks(config, images, architecture, classes)
    options = {"latent": config.latent, "ema_decay": config.ema_decay or None}
    if config.conditional:
        options["classes"] = classes
    gan = GAN(generator, discriminator, seed=config.seed, **options)
    penalty = None
    if config.penalty != "none":
        default = architecture.default_penalty(config.penalty)
        penalty = dataclasses.replace(default, weight=config.penalty_weight)
    g_rate = _rate(config.g_lr, config.decay_steps)
    d_rate = _rate(config.d_lr, config.decay_steps * config.d_steps)
    gan.compile(
        architecture.make_optimizer(config.optimizer, g_rate),
        architecture.make_optimizer(config.optimizer, d_rate),
        LOSSES[config.loss](label_smoothing=config.label_smoothing),
        penalty=penalty,
        d_steps=config.d_steps,
        simultaneous=config.simultaneous,
        augment=[] if config.augment == "none" else config.augment.split(","),
        jit_compile="auto" if config.jit_compile is None else config.jit_compile,
        steps_per_execution=1
        if gan.distribute_strategy.num_replicas_in_sync > 1  # Keras can't do more
        else math.gcd(config.steps_per_execution or STEPS_PER_EXECUTION, config.steps_per_epoch),
    )
    return gan


def _rate(start, decay_steps):
    """An optimiser's learning rate: it halves in the first `decay_steps` updates; 0: it stays."""
    schedule = keras.optimizers.schedules.InverseTimeDecay
    return schedule(start, decay_steps, decay_rate=1.0) if decay_steps else start


def _networks(config, images, architecture, classes):
    from keras_gan.layers import constrain, float32_output

    shape = images.shape[1:]
    width = {"channels": config.channels} if config.channels else {}
    generator = architecture.generator(config.latent_dim, shape, **width)
    discriminator = architecture.discriminator(shape, **width)
    if config.conditional:
        discriminator = projection(discriminator, classes)
    if config.precision != "float32":
        generator, discriminator = map(float32_output, (generator, discriminator))
    if architecture.initialize:
        architecture.initialize(generator, images)
    constraints = {"spectral_norm": config.spectral_norm, "weight_clip": config.weight_clip}
    if any(constraints.values()):
        discriminator = constrain(discriminator, **constraints)
    return generator, discriminator


def load(model_dir, checkpoint="last"):
    """The compiled `GAN` of a run directory, in its state "last" or "best".

    Raises:
        InputError: if the directory has no run, or no such state.
    """
    from keras_gan.callbacks import Checkpoint

    directory = RunDirectory(model_dir)
    if not directory.config.exists():
        raise InputError(f"{model_dir}: no run directory: it has no config.json.")
    record = read_record(directory.config)
    config = Config.of_record(record["settings"])
    shape, classes = record["dataset"]["shape"], record["dataset"].get("classes")
    architecture = ARCHITECTURES[config.arch].for_images(*shape)
    config = config.resolve(shape[0], architecture, classes)  # what an older version did not record
    gan = build(config, np.zeros([1, *shape[1:]], np.uint8), architecture, classes)
    if not Checkpoint(gan, directory.checkpoints).restore(best=checkpoint == "best"):
        raise InputError(f"{directory.checkpoints}: no state ({checkpoint}).")
    return gan


def transfer(source, gan):
    """Copies the weights of another `GAN`, of each tensor the part that both have.

    So the numbers of latents and of classes may differ. A moving average begins later.

    Raises:
        InputError: if the networks are not of the same layers.
    """
    for name in ("generator", "discriminator"):
        old, new = (getattr(model, name).weights for model in (source, gan))
        if [len(weight.shape) for weight in old] != [len(weight.shape) for weight in new]:
            expected = "expected the same --arch, and --conditional in both or in neither"
            raise InputError(f"The {name} has other layers than that of the run: {expected}.")
        for weight, value in zip(new, map(np.array, old), strict=True):
            part = tuple(map(slice, np.minimum(value.shape, weight.shape)))
            merged = np.array(weight)
            merged[part] = value[part]
            weight.assign(merged)


def _resume(config, directory, checkpoint):
    """Restores the last state. Returns whether there was one."""
    epochs = len(read_history(directory.history))
    # A run killed in its first epoch may have written the row, and no state.
    restored = checkpoint.restore()
    if not restored and epochs > 1:
        found = f"{directory.history} has {epochs} epochs, {checkpoint.directory} no state"
        raise InputError(f"{found}: put them back, or --overwrite starts afresh.")
    if not _finished(config, checkpoint):
        steps = f" and {checkpoint.steps} steps" if checkpoint.steps else ""
        done = f"epoch {checkpoint.epoch}{steps} of {config.epochs}"
        print(f"Resuming {directory.path} after {done}.")
    return restored


def _finished(config, checkpoint):
    return checkpoint.epoch >= config.epochs or _seconds_left(config, checkpoint) <= 0


def _seconds_left(config, checkpoint):
    return 60 * (config.max_minutes or math.inf) - checkpoint.seconds


def _fit(gan, source, config, directory, checkpoint):
    from keras_gan import callbacks

    chief = replicas.is_chief(gan.distribute_strategy)
    chosen = [callbacks.TerminateOnNonFinite(), checkpoint]
    if chief:
        chosen += [
            callbacks.History(directory.history, checkpoint),
            callbacks.Curves(directory.history, directory.curves),
            callbacks.SampleGrid(directory.samples),
            callbacks.Report(directory),
        ]
    stop = contextlib.nullcontext()
    if not replicas.several_workers(gan.distribute_strategy):  # a signal reaches one of them
        stop = callbacks.StopOnSignal(checkpoint)
        chosen.append(stop)
    if config.fid_every:
        for distance in (callbacks.FrechetDistance, callbacks.SlicedWasserstein):
            try:
                chosen.append(distance(source.images, every=config.fid_every))
                break
            except InputError as error:
                print(f"Training without {distance.name}. {error}")
    if config.tensorboard and chief:
        chosen.append(keras.callbacks.TensorBoard(str(directory.logs)))
    order = {"seed": config.seed, "minibatches": config.d_steps, "mirror": config.mirror}
    order["labels"] = source.labels
    # Keras makes whole calls only: what is left of an epoch must be a multiple of a call's steps.
    gan.steps_per_execution = math.gcd(gan.steps_per_execution, checkpoint.steps)
    with stop:
        while not _finished(config, checkpoint):
            # The epoch in which a training was interrupted has fewer steps left than the others.
            epochs = checkpoint.epoch + 1 if checkpoint.steps else config.epochs
            limit = callbacks.TimeLimit(_seconds_left(config, checkpoint))
            gan.fit(
                data.batches(
                    source.images, config.batch_size, **order, start=int(gan.step.numpy())
                ),
                epochs=epochs,
                initial_epoch=checkpoint.epoch,
                steps_per_epoch=config.steps_per_epoch - checkpoint.steps,
                shuffle=False,
                verbose=0 if not chief else 1 if sys.stdout.isatty() else 2,
                callbacks=callbacks.in_order([*chosen, limit]),
            )


def _export(gan, directory, checkpoint):
    """Writes the SavedModels that are missing. Returns whether any was."""
    written = False
    for state in ("best", "last"):  # the last at the end: then the run is finished
        try:
            if not checkpoint.restore(best=state == "best"):
                continue
        except InputError as error:
            if state == "last":
                raise
            print(error, file=sys.stderr)
            continue
        if directory.exported_epoch(state) != checkpoint.epoch:
            directory.export(gan, state, checkpoint.epoch)
            written = True
    return written
