"""Scores a run's samples, or any images, beside real held-out images and uniform noise.

python -m keras_gan.evaluate --model_dir=runs/mnist-dcgan-lsgan
python -m keras_gan.evaluate --images=digits.npy --metrics=fid,kid

Prints a table and writes evaluation.json. docs/scores.md says what the scores mean.
"""

import sys
import time
from pathlib import Path

import numpy as np
from absl import flags

from keras_gan import InputError, commands, files
from keras_gan.data import DATASETS
from keras_gan.evaluation import METRICS, Samples, evaluate_images, evaluate_run
from keras_gan.evaluation.network import read_network
from keras_gan.report import write_report
from keras_gan.run_directory import RunDirectory, find_export

FLAGS = flags.FLAGS


def define_flags():
    commands.define_drawing_flags(num_images=10_000)
    for name, help in (
        ("images", "Or a .npy file: uint8 [n, H, W] or [n, H, W, C], or floats in [0, 1]."),
        ("data_path", "Where the real images are, as for train.py."),
        (
            "feature_network",
            "inception, or a .keras file: images in [-1, 1] -> features (default: mnist-cnn-v1).",
        ),
        ("output", "Where to write (default: evaluation.json, in the run or beside the images)."),
    ):
        flags.DEFINE_string(name, None, help)
    flags.DEFINE_list("metrics", None, f"Some of {', '.join(METRICS)} (default: all available).")
    flags.DEFINE_enum("dataset", None, tuple(DATASETS), "Real images (default: those of the run).")


def read_images(path):
    """uint8 [n, H, W, C] of a .npy file."""
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(images, np.ndarray):
            raise InputError("expected a .npy file, with one array.")
        files.require_room(Path(path), images.nbytes)
        if images.ndim == 3:
            images = images[..., np.newaxis]
        if np.issubdtype(images.dtype, np.floating) and np.all(images >= 0):
            with np.errstate(over="ignore"):  # `Samples` refuses what is not finite
                images = 2 * images - 1  # from [0, 1], the range of a SavedModel's images
        return Samples(images).images
    except InputError as error:
        raise InputError(f"--images={path}: {error}") from error
    except Exception as error:  # NumPy raises all sorts for a damaged or pickled file
        reason = files.first_line(error)
        raise InputError(f"--images={path}: not a readable .npy file: {reason}.") from error


def read_evaluation(path):
    """The dict in an evaluation.json, empty if there is none. No other file is overwritten."""
    if not path.exists():
        return {}
    try:
        record = files.read_json(path)
        if isinstance(record["scores"], dict):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: exists and is not an evaluation: give another --output.")


def main():
    if (FLAGS.model_dir is None) == (FLAGS.images is None):
        raise InputError("Give either --model_dir=RUN_DIRECTORY or --images=FILE.npy.")
    for metric in METRICS if FLAGS.metrics is None else FLAGS.metrics or [""]:
        if metric not in METRICS:
            raise InputError(f"--metrics={metric}: expected some of {', '.join(METRICS)}.")
    if FLAGS.images:
        images, path = read_images(FLAGS.images), Path(FLAGS.images).with_name("evaluation.json")
    else:
        find_export(FLAGS.model_dir, FLAGS.checkpoint)
        images, path = None, RunDirectory(FLAGS.model_dir).evaluations[FLAGS.checkpoint]
    path = Path(FLAGS.output or path)
    if not path.parent.is_dir():
        raise InputError(f"--output={path}: no such folder.")
    previous = read_evaluation(path)
    begin = time.monotonic()
    commands.import_tensorflow_quietly()
    options = {name: FLAGS[name].value for name in ("seed", "dataset", "data_path", "metrics")}
    options["network"] = FLAGS.feature_network and read_network(FLAGS.feature_network)
    options["progress"] = say
    if images is None:
        say(f"drawing {FLAGS.num_images} samples")
        record = evaluate_run(FLAGS.model_dir, FLAGS.checkpoint, FLAGS.num_images, **options)
    else:
        record = evaluate_images(images, FLAGS.images, **options)
    say("")
    reasons = record.pop("unavailable")
    print_table(record, reasons)
    if all(previous.get(name) == record[name] for name in ("samples", "reference", "network")):
        record["scores"] = previous["scores"] | record["scores"]
    record["seconds"] = round(time.monotonic() - begin, 1)
    files.write_json(path, record)
    print(f"{record['seconds']} s. Written: {path}")
    if FLAGS.model_dir and (run := RunDirectory(FLAGS.model_dir)).report.exists():
        write_report([run.path], run.report)  # with the scores


def print_table(record, reasons):
    count, real = record["samples"]["count"], record["reference"]["name"]
    print(f"{count} samples, real images of {real}, features of {record['network']['name']}")
    scores = dict(record["scores"])
    histograms = scores.pop("class_histogram", {})
    columns = next(iter(scores.values()), histograms)
    print(f"\n{'':18}" + "".join(f"{column:>12}" for column in columns))
    for name, values in scores.items():
        cells = ("-" if value is None else f"{value:.4g}" for value in values.values())
        print(f"{name:18}" + "".join(f"{cell:>12}" for cell in cells))
    for column, shares in histograms.items():
        print(f"class_histogram of {column}:", *(f"{share:.1%}" for share in shares or []))
    print("".join(f"\n{metric}: {reason}" for metric, reason in reasons.items()))


def say(text):
    """Shows progress: one line of a terminal, or else a line each."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    define_flags()
    commands.start(main)
