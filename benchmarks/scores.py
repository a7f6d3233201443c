"""The tables of docs/scores.md, in Markdown.

python -m benchmarks.scores                         of images of MNIST whose fault is known
python -m benchmarks.scores RUN_DIRECTORY ...       of runs, from their evaluation.json
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import markdown
from keras_gan import data
from keras_gan.evaluation import METRICS, VALIDATION, Reference, Samples, evaluate
from keras_gan.evaluation.metrics import OF_CLASSES

# Of the tables:
LEFT_OUT = ["class_histogram", "kid_error", "parzen_error", "parzen_sigma", "swd_28", "swd_14"]


def blurred(images):
    """Each pixel the mean of 3 x 3; uint8 or float [n, H, W, C]."""
    edged = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(edged, (3, 3), axis=(1, 2))
    return windows.mean(axis=(-2, -1), dtype=np.float32).astype(images.dtype)


def alterations(rng):
    """{name: function of (images, labels)}: what is done to real images."""

    def noisy(images, _):
        return np.clip(images + rng.normal(0, 0.1 * 255, images.shape), 0, 255).astype(np.uint8)

    return {
        "real": lambda images, _: images[:10_000],
        "noise added": noisy,
        "blurred": lambda images, _: blurred(images),
        "no 7": lambda images, labels: images[labels != 7],
        "3 only": lambda images, labels: images[labels == 3],
        "duplicates": lambda images, _: np.repeat(images[:1000], 10, axis=0),
        "copies": lambda images, _: images,
        "uniform noise": lambda images, _: rng.integers(0, 256, images.shape, np.uint8),
    }


def known_answers():
    """{name: {score: value}} of images whose fault is known."""
    train, test = data.load("mnist"), data.load("mnist", split="test")
    reference = Reference(Samples(train.images), Samples(test.images))
    rng = np.random.default_rng(0)
    order = rng.permutation(10_000)
    held_out = test.images[order], test.labels[order]
    labels = {x.tobytes(): label for x, label in zip(train.images, train.labels, strict=True)}
    # Training images without those that choose the Parzen windows.
    known = reference.train.images[VALIDATION:]
    known = known, np.array([labels[image.tobytes()] for image in known])
    ten_thousand = tuple(rows[:10_000] for rows in known)
    others = ("acceptance", "parzen", *OF_CLASSES)
    metrics = [metric for metric in METRICS if metric not in others]
    table = {}
    for name, alter in alterations(rng).items():
        # The test half has too few 3s. Parzen windows around test images do not measure the
        # likelihood of these same images.
        others = known if name == "3 only" else ten_thousand
        images = Samples(alter(*(others if name in ("3 only", "copies") else held_out)))
        print(name, len(images), file=sys.stderr, flush=True)
        table[name] = evaluate(images, reference, metrics)
        table[name] |= evaluate(Samples(alter(*others)), reference, ["parzen"])
    return table


def runs(directories):
    """{name: {score: value}} from evaluation.json, and the real images of the last one."""
    table = {}
    for directory in map(Path, directories):
        scores = json.loads((directory / "evaluation.json").read_text())["scores"]
        table[directory.name] = {name: row["model"] for name, row in scores.items()}
        # Each run has its own discriminator.
        table[directory.name]["acceptance of real"] = scores["acceptance"]["real"]
    real = {name: row["real"] for name, row in scores.items()}
    return table | {"real": real | {"acceptance": None, "acceptance of real": None}}


def score_table(table):
    """Markdown: a row for each score, a column for each key of `table`."""
    scores = pd.DataFrame(table).drop(index=LEFT_OUT, errors="ignore")
    scores = scores.map(lambda score: "-" if pd.isna(score) else f"{score:.3g}")
    return markdown(scores.rename(index="`{}`".format).reset_index(names=""))


if __name__ == "__main__":
    print(score_table(runs(sys.argv[1:]) if sys.argv[1:] else known_answers()))
