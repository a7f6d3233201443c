"""How good are the samples after so many seconds? Ours, variations of it, and the tutorials'.

python -m benchmarks.recipes [recipes] [changes]

Measures what is missing in recipes.csv, and prints the tables. Let the machine be idle.
"""

import csv
import itertools
import math
import multiprocessing
import sys

import pandas as pd

import keras_gan
from benchmarks.common import NARROW, ROOT, build, markdown, train
from benchmarks.references import keras_example, tensorflow_tutorial
from keras_gan import callbacks, data, networks
from keras_gan.backend import configure_tensorflow, keras
from keras_gan.evaluation import Samples, scores

TABLE = ROOT / "benchmarks" / "recipes.csv"  # recipe, seed, seconds, images, fid


def with_dropout(image_shape):
    layers = [keras.Input(image_shape)]
    for layer in NARROW["discriminator"](image_shape).layers:
        layers.append(layer)
        if isinstance(layer, keras.layers.LeakyReLU):
            layers.append(keras.layers.Dropout(0.3))
    return keras.Sequential(layers)


CHANGES = {
    "nothing": {},
    "batches of 64": {"batch_size": 64},
    "beta_2 = 0.999": {"optimizer": networks.adam},
    "no moving average": {"ema_decay": 0.0},
    "dropout 0.3 in D for R1": {"penalty": "none", "discriminator": with_dropout},
    "average of decay 0.9995": {"ema_decay": 0.9995},
}
RECIPES = {
    "dcgan, lsgan": {},
    "mlp, non_saturating": {"arch": "mlp", "loss": "non_saturating"},
    **{name: NARROW | changes for name, changes in CHANGES.items()},
}
REFERENCES = {"Keras' example": keras_example, "TensorFlow's tutorial": tensorflow_tutorial}
# part -> {name: the seconds at which to score}
PARTS = {
    "recipes": {
        "dcgan, lsgan": (60, 120, 300),
        "mlp, non_saturating": (60, 120),
        "Keras' example": (60, 120, 300, 600),
        "TensorFlow's tutorial": (60, 120),
    },
    "changes": dict.fromkeys([*CHANGES, "dcgan, lsgan"], (60, 120, 300)),
}


def run(part, name, seed):
    """Trains one recipe, and writes its rows once it has come to all its marks."""
    if name in RECIPES:
        configure_tensorflow()  # as train.py; it would make the others slower by a twentieth
    images = data.load("mnist").images
    moments = Samples(images).moments
    if name in RECIPES:
        gan, _, config = build(images, RECIPES[name] | {"seed": seed})
        batch_size = config.batch_size
    else:
        gan, batch_size = REFERENCES[name](seed)
    found = {f"{seconds}s": (0, math.inf) for seconds in PARTS[part][name]}
    try:
        for mark, _ in train(gan, images, batch_size, [*found], [callbacks.TerminateOnNonFinite()]):
            features = Samples(gan.generate(10_000)).features
            fid = scores.frechet_distance(moments, features)
            found[mark] = int(gan.step) * batch_size, fid
    except (FloatingPointError, keras_gan.InputError) as error:
        print(name, seed, error)
    with open(TABLE, "a", newline="") as file:
        for mark, (count, fid) in found.items():
            csv.writer(file).writerow([name, seed, mark.removesuffix("s"), count, f"{fid:.4f}"])


def table(part):
    """Medians over the seeds and their range, a row for each recipe."""
    rows = pd.read_csv(TABLE)
    rows = rows[rows["recipe"].isin(list(PARTS[part]))]
    lines = []
    for name in PARTS[part]:
        of = rows[rows["recipe"] == name]
        rate = (of["images"] / of["seconds"]).median()
        line = {part: name, "seeds": of["seed"].nunique(), "images/s": f"{rate:,.0f}"}
        for seconds in sorted(rows["seconds"].unique()):
            line[f"{seconds} s"] = cell(of[of["seconds"] == seconds]["fid"])
        lines.append(line)
    return markdown(lines)


def cell(fids):
    if fids.empty:
        return "-"
    low, median, high = (f"{x:.3g}" for x in fids.quantile([0, 0.5, 1]))
    return median if len(fids) == 1 else f"{median} ({low} to {high})"


def main(parts):
    spawn = multiprocessing.get_context("spawn")
    for part, seed in itertools.product(parts, range(3)):
        for name in PARTS[part]:
            rows = pd.read_csv(TABLE)
            if not ((rows["recipe"] == name) & (rows["seed"] == seed)).any():
                process = spawn.Process(target=run, args=(part, name, seed))
                process.start()
                process.join()
    print("\n\n".join(map(table, parts)))


if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)
