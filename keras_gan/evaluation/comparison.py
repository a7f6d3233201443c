"""Scores of a run or of any images, beside those of real held-out images and of uniform noise."""

import hashlib
import os
from pathlib import Path

import numpy as np

from keras_gan import InputError, data
from keras_gan.backend import keras
from keras_gan.evaluation.metrics import METRICS, VALIDATION, evaluate
from keras_gan.evaluation.network import NETWORK_SHA256, FeatureNetwork, default_network
from keras_gan.evaluation.samples import Reference, Samples
from keras_gan.evaluation.scores import UnavailableError
from keras_gan.export import SavedGenerator
from keras_gan.run_directory import RunDirectory, find_export, read_record, versions


def evaluate_run(
    model_dir,
    *,
    checkpoint="last",
    num_images=10_000,
    seed=0,
    dataset=None,
    data_path=None,
    **options,
):
    """Scores samples of a trained generator.

    Args:
        model_dir: a run directory, or the folder of a SavedModel.
        checkpoint: "last" or "best".
        num_images: how many samples to draw.
        seed: the seed of their latents.
        dataset, data_path: the real images, as for `keras_gan.data.load`. By default those that
            the run was trained on.
        **options: `metrics`, `feature_network` and `progress`, as for `evaluate_images`.

    Returns:
        A dict, as `evaluate_images` returns it.

    Raises:
        InputError: if there is no SavedModel, the real images can't be had or are others than
            those of the training, or a score can't be computed.
    """
    folder = find_export(model_dir, checkpoint)
    train, test = _data_of_run(RunDirectory(model_dir), dataset, data_path)
    generator = SavedGenerator(folder)
    options.get("progress", _silent)(f"drawing {num_images} samples")
    images = generator.images(generator.latents(num_images, seed))
    discriminator = generator.probability if generator.has_discriminator else None
    source = {"model_dir": str(model_dir), "checkpoint": checkpoint, "images": None, "seed": seed}
    return _compare(source, images, train, test, discriminator=discriminator, **options)


def evaluate_images(images, *, seed=0, dataset="auto", data_path=None, **options):
    """Scores images.

    Args:
        images: uint8 [n, H, W] or [n, H, W, C], or floats in [0, 1] or [-1, 1], or the path of a
            .npy file with such an array.
        seed: the seed of the uniform noise that they are compared with.
        dataset, data_path: the real images, as for `keras_gan.data.load`.
        metrics: keys of `METRICS`; by default all that are available.
        feature_network: a `FeatureNetwork`, or the path of a .keras file; by default mnist-cnn-v1.
        progress: a function that is told in a few words what is done next.

    Returns:
        A dict: "scores" has for each score a dict of its value for the "model" (the images),
        "real" (as many held-out images) and "noise", None where it is not available.
        "unavailable" says why. "samples", "reference", "network" and "versions" describe what
        was compared.

    Raises:
        InputError: if images can't be read or a score of `metrics` can't be computed.
    """
    path = images if isinstance(images, str | os.PathLike) else None
    source = {"model_dir": None, "checkpoint": None, "images": path and str(path), "seed": seed}
    try:
        images = _checked(np.load(path, allow_pickle=False) if path else images)
    except InputError as error:
        raise InputError(f"--images={path}: {error}" if path else str(error)) from error
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"--images={path}: not a readable .npy file: {error}.") from error
    return _compare(source, images, *_halves(dataset, data_path), **options)


def _checked(images):
    """uint8 [n, H, W, C]."""
    if not isinstance(images, np.ndarray):
        raise InputError("expected one array.")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if np.issubdtype(images.dtype, np.floating) and np.all(images >= 0):
        images = 2 * images - 1  # from [0, 1], the range of a SavedModel's images
    return Samples(images).images


def _halves(dataset, data_path):
    """(training images, held-out images or None), `data.Images` each."""
    train = data.load(dataset, data_path)
    try:
        return train, data.load(dataset, data_path, split="test")
    except InputError:
        return train, None


def _data_of_run(directory, dataset, data_path):
    """`_halves` of what a run was trained on; a bare SavedModel is compared with what is given."""
    if not directory.config.exists():
        return _halves(dataset or "auto", data_path)
    record = read_record(directory.config)
    recorded = record["dataset"]
    if dataset is None and data_path is None:
        path = record["settings"].get("data_path")
        if path and os.path.exists(path):
            dataset, data_path = record["settings"]["dataset"], path
        elif recorded["name"] in data.DATASETS:
            dataset = recorded["name"]
        else:
            raise InputError(f"{path}: no such file or folder: give --data_path.")
    train, test = _halves(dataset or "auto", data_path)
    if train.first(recorded["shape"][0]).sha256 != recorded["sha256"]:
        raise InputError(
            f"--model_dir={directory.path}: was trained on {recorded['name']}, and these images of "
            f"{train.name} are others: give --data_path."
        )
    return train, test


def _silent(text):
    pass


def _compare(
    source, images, train, test, *,
    discriminator=None, metrics=None, feature_network=None, progress=_silent,
):  # fmt: skip
    network, digest = _network(feature_network)
    held_out = test and Samples(test.images, network)
    reference = Reference(Samples(train.images, network), held_out)
    columns = {"model": Samples(images, network, discriminator)}
    if held_out:
        # As many as samples: most scores depend on the number.
        columns["real"] = Samples(held_out.images, network, discriminator).head(len(images))
    noise = np.random.default_rng(source["seed"]).integers(0, 256, images.shape, np.uint8)
    columns["noise"] = Samples(noise, network, discriminator)
    scores, unavailable = {}, {}
    names = list(METRICS if metrics is None else metrics)
    for i, metric in enumerate(names):
        for column, samples in columns.items():
            progress(f"[{i + 1}/{len(names)}] {metric} of {column}")
            if metric == "parzen" and column == "real":
                # Windows around the test images themselves would measure nothing.
                samples = Samples(reference.train.images[VALIDATION:][: len(samples)])
            try:
                for name, value in evaluate(samples, reference, [metric]).items():
                    scores.setdefault(name, dict.fromkeys(columns))[column] = value
            except UnavailableError as error:
                if column == "model" and metrics is not None:
                    raise
                unavailable[metric] = str(error)
    pixels = data.Images("", columns["model"].images)
    return {
        "samples": {**source, "count": len(images), "sha256": pixels.sha256},
        "reference": {"name": train.name, "sha256": train.sha256, "count": len(train.images)},
        "network": {"name": network.name, "sha256": digest},
        "scores": scores,
        "unavailable": unavailable,
        "versions": versions(),
    }


def _network(feature_network):
    """A `FeatureNetwork`, and the SHA-256 of its file or None."""
    if feature_network is None:
        return default_network(), NETWORK_SHA256
    if isinstance(feature_network, FeatureNetwork):
        return feature_network, None
    path = Path(feature_network)
    try:
        model = keras.models.load_model(path, compile=False)
        return FeatureNetwork(model, path.stem), hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"--feature_network={path}: not a Keras model: {error}") from error
