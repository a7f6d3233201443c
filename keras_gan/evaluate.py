"""Scores a run's samples, or any images, beside real held-out images and uniform noise.

python -m keras_gan.evaluate --model_dir=runs/mnist-dcgan-lsgan
python -m keras_gan.evaluate --images=digits.npy --metrics=fid,kid

Prints a table and writes evaluation.json. docs/scores.md says what the scores mean.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from absl import flags

from keras_gan import InputError, _command, data, exported
from keras_gan._lazy import keras, load_tensorflow
from keras_gan.config import read_record, versions, write_record
from keras_gan.evaluation import (
    METRICS,
    NETWORK_SHA256,
    VALIDATION,
    FeatureNetwork,
    Reference,
    Samples,
    UnavailableError,
    default_network,
    evaluate,
)

FLAGS = flags.FLAGS
flags.DEFINE_string("model_dir", None, "A run directory: scores samples of its generator.")
flags.DEFINE_enum("checkpoint", "last", tuple(exported.EXPORTS), "Its last state, or the best.")
flags.DEFINE_string(
    "images", None, "Or a .npy file: uint8 [n, H, W] or [n, H, W, C], or floats in [0, 1]."
)
flags.DEFINE_integer("num_images", 10_000, "How many to draw from a run.")
flags.DEFINE_integer("seed", 0, "Of what is drawn.")
flags.DEFINE_list("metrics", list(METRICS), f"Some of {', '.join(METRICS)}.")
flags.DEFINE_enum(
    "dataset", None, tuple(data.DATASETS), "Real images (default: what the run was trained on)."
)
flags.DEFINE_string("data_path", None, "Where they are, as for train.py.")
flags.DEFINE_string(
    "feature_network", None, "A .keras file: images in [-1, 1] -> features (default: mnist-cnn-v1)."
)
flags.DEFINE_string(
    "output", None, "(default: evaluation.json in the run directory, or beside the images)"
)


def check():
    """Raises InputError for what is wrong with the flags, before TensorFlow is imported."""
    if (FLAGS.model_dir is None) == (FLAGS.images is None):
        raise InputError("Give either --model_dir=RUN_DIRECTORY or --images=FILE.npy.")
    if FLAGS.model_dir is not None:
        exported.find(FLAGS.model_dir, FLAGS.checkpoint)
    for metric in FLAGS.metrics or [""]:
        if metric not in METRICS:
            raise InputError(f"--metrics={metric}: expected some of {', '.join(METRICS)}.")
    exported.check_draw(FLAGS.num_images, FLAGS.seed)


def main():
    begin = time.monotonic()
    drawn = read_images(FLAGS.images) if FLAGS.images else None  # before anything that takes long
    path = output_path()
    train, test = real_images()
    load_tensorflow()
    network, network_digest = feature_network()
    judge = None
    if drawn is None:
        say(f"drawing {FLAGS.num_images} samples")
        generator = exported.Exported(exported.find(FLAGS.model_dir, FLAGS.checkpoint))
        drawn = generator.images(generator.latents(FLAGS.num_images, FLAGS.seed))
        judge = generator.discriminate if generator.has_discriminator else None
    columns = {"model": Samples(drawn, network, judge)}
    held_out = test and Samples(test.images, network)
    reference = Reference(Samples(train.images, network), held_out)
    if held_out:
        # As many as there are samples: most scores depend on how many.
        columns["real"] = Samples(held_out.images, network, judge).head(len(drawn))
    noise = np.random.default_rng(FLAGS.seed).integers(0, 256, drawn.shape, np.uint8)
    columns["noise"] = Samples(noise, network, judge)
    scores, reasons = score(columns, reference)
    record = {
        "samples": {
            "model_dir": FLAGS.model_dir,
            "checkpoint": FLAGS.checkpoint if FLAGS.model_dir else None,
            "images": FLAGS.images,
            "seed": FLAGS.seed,
            "count": len(drawn),
            "sha256": data.Images("", columns["model"].images).sha256,
        },
        "reference": {"name": train.name, "sha256": train.sha256, "count": len(train.images)},
        "network": {"name": network.name, "sha256": network_digest},
    }
    say("")
    print_table(record, columns, scores, reasons)
    previous = read_evaluation(path)
    if all(previous.get(key) == value for key, value in record.items()):
        scores = {**previous["scores"], **scores}
    record["scores"] = scores
    record["versions"] = versions()
    record["seconds"] = round(time.monotonic() - begin, 1)
    write_record(path, record)
    print(f"{record['seconds']} s. Written: {path}")


def read_images(path):
    """uint8 [n, H, W, C] of a .npy file."""
    try:
        images = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"--images={path}: not a readable .npy file: {error}.") from error
    if not isinstance(images, np.ndarray):
        raise InputError(f"--images={path}: expected a .npy file, with one array.")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if np.issubdtype(images.dtype, np.floating) and np.all(images >= 0):
        images = 2 * images - 1  # [0, 1], as a SavedModel draws them
    try:
        return Samples(images).images
    except InputError as error:
        raise InputError(f"--images={path}: {error}") from error


def output_path():
    folder = FLAGS.model_dir or os.path.dirname(FLAGS.images)
    path = Path(FLAGS.output or os.path.join(folder, "evaluation.json"))
    if not path.parent.is_dir():
        raise InputError(f"--output={path}: no such folder.")
    read_evaluation(path)
    return path


def read_evaluation(path):
    """The dict in an evaluation.json, empty where there is none; no other file is overwritten."""
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text())
        if isinstance(record["scores"], dict):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: exists and is not an evaluation: give another --output.")


def real_images():
    """`data.Images` of the training half and of the held-out one, or None for the second."""
    dataset, data_path = FLAGS.dataset or "auto", FLAGS.data_path
    config = Path(FLAGS.model_dir or "") / "config.json"
    trained_on = None
    if FLAGS.model_dir and config.exists():
        record = read_record(config)
        trained_on = record["dataset"]
        if FLAGS.dataset is None and data_path is None:
            recorded = record["settings"].get("data_path")
            if recorded and os.path.exists(recorded):
                dataset, data_path = record["settings"]["dataset"], recorded
            elif trained_on["name"] in data.DATASETS:
                dataset = trained_on["name"]
            else:
                raise InputError(f"{recorded}: no such file or folder: give --data_path.")
    train = data.load(dataset, data_path)
    if trained_on:
        count = trained_on["shape"][0]  # maxout leaves some of MNIST's out
        if data.Images("", train.images[:count]).sha256 != trained_on["sha256"]:
            raise InputError(
                f"--model_dir={FLAGS.model_dir}: was trained on {trained_on['name']}, other "
                f"images than these of {train.name}: give --data_path."
            )
    try:
        return train, data.load(dataset, data_path, split="test")
    except InputError:
        return train, None


def feature_network():
    """A `FeatureNetwork`, and the SHA-256 of its file."""
    path = FLAGS.feature_network
    if path is None:
        return default_network(), NETWORK_SHA256
    try:
        model = keras.models.load_model(path, compile=False)
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return FeatureNetwork(model, Path(path).stem), digest
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"--feature_network={path}: not a Keras model: {error}") from error


def score(columns, reference):
    """({score: {column: value or None}}, {metric: why it can't be had})."""
    scores, reasons = {}, {}
    for i, metric in enumerate(FLAGS.metrics):
        for column, samples in columns.items():
            say(f"[{i + 1}/{len(FLAGS.metrics)}] {metric} of {column}")
            if metric == "parzen" and column == "real":
                # Test images around themselves would be no measure: training images stand in.
                samples = Samples(reference.train.images[VALIDATION:][: len(samples)])
            try:
                for name, value in evaluate(samples, reference, [metric]).items():
                    scores.setdefault(name, dict.fromkeys(columns))[column] = value
            except UnavailableError as error:
                if column == "model" and FLAGS["metrics"].present:
                    raise
                reasons[metric] = str(error)
    return scores, reasons


def print_table(record, columns, scores, reasons):
    print(
        f"{record['samples']['count']} samples, real images of {record['reference']['name']}, "
        f"features of {record['network']['name']}\n"
    )
    print(f"{'':18}" + "".join(f"{column:>12}" for column in columns))
    for name, values in scores.items():
        if name != "class_histogram":
            cells = ("-" if value is None else f"{value:.4g}" for value in values.values())
            print(f"{name:18}" + "".join(f"{cell:>12}" for cell in cells))
    for column, shares in scores.get("class_histogram", {}).items():
        print(f"class_histogram of {column}: " + " ".join(f"{share:.1%}" for share in shares or []))
    print("".join(f"\n{metric}: {reason}" for metric, reason in reasons.items()))


def say(text):
    """Progress, in one line of a terminal or a line each elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    _command.start(main, check)
