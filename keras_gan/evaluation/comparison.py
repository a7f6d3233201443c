"""Scores of a run or of any images, beside those of real held-out images and of uniform noise."""

import os

import numpy as np

from keras_gan import InputError, data
from keras_gan.evaluation.metrics import METRICS, OF_CLASSES, VALIDATION, evaluate
from keras_gan.evaluation.network import default_network
from keras_gan.evaluation.samples import Reference, Samples
from keras_gan.evaluation.scores import UnavailableError
from keras_gan.export import SavedGenerator
from keras_gan.run_directory import RunDirectory, find_export, read_record, versions


def evaluate_run(
    model_dir, checkpoint="last", num_images=10_000, seed=0, dataset=None, data_path=None, **options
):
    """Scores samples of a trained generator. `options`: see `evaluate_images`.

    Args:
        model_dir: a run directory, or the folder of a SavedModel.
        checkpoint: "last" or "best".
        num_images, seed: how many samples to draw; the seed of their latents and of the noise.
        dataset, data_path: the real images; by default the run's, for a bare SavedModel "auto".

    Raises:
        InputError: also if there is no SavedModel, or the real images are not the training's.
    """
    folder, directory = find_export(model_dir, checkpoint), RunDirectory(model_dir)
    train, test = _data_of_run(directory, dataset, data_path)
    generator = SavedGenerator(folder)
    z, labels = generator.labelled_latents(num_images, seed)
    images = generator.images(z)
    discriminator = generator.probability if generator.has_discriminator else None
    source = {
        "model_dir": str(model_dir),
        "checkpoint": checkpoint,
        "epoch": directory.exported_epoch(checkpoint),
        "images": None,
        "seed": seed,
    }
    return _compare(images, source, train, test, discriminator, labels, **options)


def evaluate_images(images, name=None, seed=0, dataset=None, data_path=None, **options):
    """Scores images.

    Args:
        images: uint8 [n, H, W, C], or floats in [-1, 1].
        name: recorded with the scores.
        seed: the seed of the uniform noise that the images are compared with.
        dataset, data_path: the real images, as for `data.load`. Pictures are scaled to the size
            of the images.
        metrics: keys of `METRICS`; by default all that are available.
        network: a `FeatureNetwork`; by default mnist-cnn-v1.
        progress: called with a str that says what is done next.

    Returns:
        A dict. "scores" has for each score its values for the "model" (the images), "real" (as
        many held-out images) and "noise", or None; "unavailable" says why. "samples", "reference",
        "network" and "versions" describe what was compared.
    """
    run = dict.fromkeys(("model_dir", "checkpoint", "epoch"))
    source = {**run, "images": name, "seed": seed}
    pictures = {}
    path = os.path.expanduser(data_path or "")
    if (os.path.isdir(path) or path.endswith(".zip")) and np.ndim(images) == 4:
        pictures["image_size"] = "{}x{}".format(*np.shape(images)[1:3])
    return _compare(images, source, *_halves(dataset, data_path, **pictures), **options)


def _halves(dataset, data_path, **pictures):
    """(training images, held-out images or None), `data.Images` each."""
    dataset = dataset or "auto"
    train = data.load(dataset, data_path, **pictures)
    try:
        return train, data.load(dataset, data_path, split="test", **pictures)
    except InputError:
        return train, None


def _data_of_run(directory, dataset, data_path):
    """`_halves` of what a run was trained on. A bare SavedModel does not say what that was."""
    if not directory.config.exists():
        return _halves(dataset, data_path)
    record = read_record(directory.config)
    match record:
        case {
            "dataset": {"name": str(name), "sha256": str(sha256), "shape": [int(count), *_]},
            "settings": {"dataset": str(kind), "data_path": str() | None as path},
        } if "\0" not in f"{path}":
            pass
        case _:
            raise InputError(f"{directory.config}: damaged: it does not say what the images were.")
    if dataset is None and data_path is None:
        if path and os.path.exists(os.path.expanduser(path)):
            dataset, data_path = kind, path
        elif name in data.DATASETS:
            dataset = name
        else:
            raise InputError(f"{path}: no such file or folder: give --data_path.")
    names = data.PICTURE_OPTIONS if data_path else ()
    given = {name: record["settings"].get(name) for name in names}
    pictures = {name: value for name, value in given.items() if isinstance(value, str)}
    train, test = _halves(dataset, data_path, **pictures)
    if train.first(count).sha256 != sha256:
        mismatch = f"was trained on {name}, other images than these of {train.name}"
        raise InputError(f"--model_dir={directory.path}: {mismatch}: give --data_path.")
    return train, test


def _compare(
    images,
    source,
    train,
    test,
    discriminator=None,
    labels=None,
    *,
    metrics=None,
    network=None,
    progress=None,
):
    network = network or default_network()
    columns = {"model": Samples(images, network, discriminator, labels)}
    held_out = test and Samples(test.images, network, discriminator, test.labels)
    if held_out:
        columns["real"] = held_out.head(len(images))  # most scores depend on the number
    noise = np.random.default_rng(source["seed"]).integers(0, 256, images.shape, np.uint8)
    columns["noise"] = Samples(noise, network, discriminator, labels)
    reference = Reference(Samples(train.images, network, labels=train.labels), held_out)
    scores, unavailable = {}, {}
    available = (name for name in METRICS if labels is not None or name not in OF_CLASSES)
    chosen = list(available if metrics is None else metrics)
    for i, metric in enumerate(chosen):
        for column, samples in columns.items():
            if progress:
                progress(f"[{i + 1}/{len(chosen)}] {metric} of {column}")
            try:
                if metric == "parzen" and column == "real":
                    # Test images would score themselves: take training images instead.
                    samples = Samples(reference.train.images[VALIDATION:][: len(samples)], network)
                for name, value in evaluate(samples, reference, [metric]).items():
                    scores.setdefault(name, dict.fromkeys(columns))[column] = value
            except InputError as error:
                if column == "model" and (metrics or not isinstance(error, UnavailableError)):
                    raise
                unavailable.setdefault(metric, str(error))
    digest = data.Images("", columns["model"].images).sha256
    return {
        "samples": {**source, "count": len(images), "sha256": digest},
        "reference": {"name": train.name, "sha256": train.sha256, "count": len(train.images)},
        "network": {"name": network.name, "sha256": network.sha256},
        "scores": scores,
        "unavailable": unavailable,
        "versions": versions(),
    }
