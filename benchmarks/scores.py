"""The tables of docs/scores.md, in Markdown.

KERAS_GAN_DATA=/path/to/mnist.npz python benchmarks/scores.py
    scores images of MNIST whose fault is known, 10,000 of each where there are as many
python benchmarks/scores.py runs/mnist-dcgan-lsgan ...
    puts the evaluation.json of runs side by side
"""

import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from keras_gan import data  # noqa: E402
from keras_gan._lazy import load_tensorflow  # noqa: E402
from keras_gan.evaluation import METRICS, Reference, Samples, evaluate  # noqa: E402

LEFT_OUT = ("class_histogram", "kid_error", "parzen_error", "parzen_sigma")  # of the tables


def known_answers():
    """{name: {score: value}} for images made from MNIST's test half, but for two."""
    load_tensorflow()
    train, test = data.load("mnist"), data.load("mnist", split="test")
    reference = Reference(Samples(train.images), Samples(test.images))
    rng = np.random.default_rng(0)
    real = test.images[rng.permutation(10_000)]
    edged = np.pad(real, [(0, 0), (1, 1), (1, 1), (0, 0)]).astype(np.float32)
    blurred = np.mean(
        [edged[:, i : i + 28, j : j + 28] for i in range(3) for j in range(3)], axis=0
    )
    noisy = np.clip(real + rng.normal(0, 0.1 * 255, real.shape), 0, 255)
    images = {
        "real": real,
        "noise added": noisy.astype(np.uint8),
        "blurred": blurred.astype(np.uint8),
        "no 7": test.images[test.labels != 7],
        "3 only": train.images[train.labels == 3],
        "duplicates": np.repeat(real[:1000], 10, axis=0),
        "copies": train.images[rng.permutation(60_000)[:10_000]],
        "uniform noise": rng.integers(0, 256, real.shape, np.uint8),
    }
    table = {}
    for name, some in images.items():
        print(name, len(some), file=sys.stderr, flush=True)
        table[name] = evaluate(Samples(some), reference)
    # Test images around themselves would be no measure: training images stand in.
    table["real"]["parzen"] = table["copies"]["parzen"]
    return table


def runs(directories):
    """{name: {score: value}} from evaluation.json, and the real images of the last one."""
    table = {}
    for directory in map(Path, directories):
        scores = json.loads((directory / "evaluation.json").read_text())["scores"]
        table[directory.name] = {name: row["model"] for name, row in scores.items()}
    table["real"] = {name: row["real"] for name, row in scores.items()}
    return table


def print_markdown(table):
    names = [name for names, _ in METRICS.values() for name in names if name not in LEFT_OUT]
    print("| |" + "".join(f" {column} |" for column in table))
    print("|---|" + "---|" * len(table))
    for name in names:
        values = [column[name] for column in table.values()]
        if values != [None] * len(values):
            cells = ("-" if value is None else f"{value:.3g}" for value in values)
            print(f"| `{name}` |" + "".join(f" {cell} |" for cell in cells))


if __name__ == "__main__":
    print_markdown(runs(sys.argv[1:]) if sys.argv[1:] else known_answers())
