"""Scores a run's samples, or any images, beside real held-out images and uniform noise.

python -m keras_gan.evaluate --model_dir=runs/mnist-dcgan-lsgan
python -m keras_gan.evaluate --images=digits.npy --metrics=fid,kid

Prints a table and writes evaluation.json. docs/scores.md says what the scores mean.
"""

import json
import sys
import time
from pathlib import Path

from absl import flags

from keras_gan import InputError, commands
from keras_gan.data import DATASETS
from keras_gan.evaluation import METRICS, evaluate_images, evaluate_run
from keras_gan.run_directory import RunDirectory, find_export, write_json

FLAGS = flags.FLAGS


def define_flags():
    commands.define_drawing_flags(num_images=10_000)
    flags.DEFINE_string(
        "images",
        None,
        "Or a .npy file: uint8 [n, H, W] or [n, H, W, C], or floats in [0, 1].",
    )
    flags.DEFINE_list("metrics", None, f"Some of {', '.join(METRICS)} (default: all available).")
    flags.DEFINE_enum(
        "dataset", None, tuple(DATASETS), "Real images (default: those of the training)."
    )
    flags.DEFINE_string("data_path", None, "Where the real images are, as for train.py.")
    flags.DEFINE_string(
        "feature_network",
        None,
        "A .keras file: images in [-1, 1] -> features (default: mnist-cnn-v1).",
    )
    flags.DEFINE_string(
        "output", None, "(default: evaluation.json in the run directory, or beside the images)"
    )


def prepare():
    """Checks the flags. Returns the path to write to, and the record that is there."""
    if (FLAGS.model_dir is None) == (FLAGS.images is None):
        raise InputError("Give either --model_dir=RUN_DIRECTORY or --images=FILE.npy.")
    if FLAGS.model_dir is not None:
        find_export(FLAGS.model_dir, FLAGS.checkpoint)
        path = RunDirectory(FLAGS.model_dir).evaluation
    else:
        path = Path(FLAGS.images).with_name("evaluation.json")
    for metric in [] if FLAGS.metrics is None else FLAGS.metrics or [""]:
        if metric not in METRICS:
            raise InputError(f"--metrics={metric}: expected some of {', '.join(METRICS)}.")
    path = Path(FLAGS.output) if FLAGS.output else path
    if not path.parent.is_dir():
        raise InputError(f"--output={path}: no such folder.")
    return path, read_evaluation(path)


def read_evaluation(path):
    """The dict in an evaluation.json, empty if there is none. No other file is overwritten."""
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text())
        if isinstance(record["scores"], dict):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: exists and is not an evaluation: give another --output.")


def main(prepared):
    path, previous = prepared
    begin = time.monotonic()
    options = {
        name: FLAGS[name].value for name in ("seed", "data_path", "metrics", "feature_network")
    }
    options["progress"] = say
    if FLAGS.images:
        record = evaluate_images(FLAGS.images, dataset=FLAGS.dataset or "auto", **options)
    else:
        options |= {"checkpoint": FLAGS.checkpoint, "num_images": FLAGS.num_images}
        record = evaluate_run(FLAGS.model_dir, dataset=FLAGS.dataset, **options)
    say("")
    print_table(record, reasons=record.pop("unavailable"))
    if all(previous.get(name) == record[name] for name in ("samples", "reference", "network")):
        record["scores"] = previous["scores"] | record["scores"]
    record["seconds"] = round(time.monotonic() - begin, 1)
    write_json(path, record)
    print(f"{record['seconds']} s. Written: {path}")


def print_table(record, reasons):
    print(
        f"{record['samples']['count']} samples, real images of {record['reference']['name']}, "
        f"features of {record['network']['name']}\n"
    )
    scores = dict(record["scores"])
    histograms = scores.pop("class_histogram", {})
    columns = next(iter(scores.values()), histograms)
    print(f"{'':18}" + "".join(f"{column:>12}" for column in columns))
    for name, values in scores.items():
        cells = ("-" if value is None else f"{value:.4g}" for value in values.values())
        print(f"{name:18}" + "".join(f"{cell:>12}" for cell in cells))
    for column, shares in histograms.items():
        print(f"class_histogram of {column}: " + " ".join(f"{share:.1%}" for share in shares or []))
    print("".join(f"\n{metric}: {reason}" for metric, reason in reasons.items()))


def say(text):
    """Shows progress: one line of a terminal, or else a line each."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    define_flags()
    commands.start(prepare, main)
