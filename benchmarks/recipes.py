"""How good are the samples after so many seconds? Ours, variations of it, and the tutorials'.

python -m benchmarks.recipes [PART ...]     measures what is missing in recipes.csv; the tables
python -m benchmarks.recipes table          prints the tables of what is there

The parts are "recipes" (ours, and the networks that most people start from) and "changes" (dcgan
with 16 channels, and one thing changed). Each run has a process of its own, one at a time. Let the
machine be idle.
"""

import math
import subprocess
import sys

import pandas as pd

import keras_gan
from benchmarks import references
from benchmarks.common import NARROW, ROOT, build, markdown, train
from keras_gan import networks
from keras_gan.backend import configure_tensorflow, keras

TABLE = ROOT / "benchmarks" / "recipes.csv"  # recipe, seed, seconds, images, fid
SAMPLES = 10_000


def with_dropout(image_shape):
    layers = [keras.Input(image_shape)]
    for layer in NARROW["discriminator"](image_shape).layers:
        layers.append(layer)
        if isinstance(layer, keras.layers.LeakyReLU):
            layers.append(keras.layers.Dropout(0.3))
    return keras.Sequential(layers)


# name -> (flags of train.py, changes of the architecture)
CHANGES = {
    "nothing": ({}, {}),
    "batches of 64": ({"batch_size": 64}, {}),
    "beta_2 = 0.999": ({}, {"optimizer": networks.adam}),
    "no moving average": ({"ema_decay": 0.0}, {}),
    "dropout 0.3 in D for R1": ({"penalty": "none"}, {"discriminator": with_dropout}),
    "average of decay 0.9995": ({"ema_decay": 0.9995}, {}),
}
RECIPES = {
    "dcgan, lsgan": ({}, {}),
    "mlp, non_saturating": ({"arch": "mlp", "loss": "non_saturating"}, {}),
    **{name: (flags, NARROW | changes) for name, (flags, changes) in CHANGES.items()},
}
REFERENCES = {
    "Keras' example": references.keras_example,
    "TensorFlow's tutorial": references.tensorflow_tutorial,
}
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
    from keras_gan import callbacks, data
    from keras_gan.evaluation import Samples, scores

    if name in RECIPES:
        configure_tensorflow()  # as train.py; it would make the others slower by a twentieth
    images = data.load("mnist").images
    moments = Samples(images).moments
    if name in RECIPES:
        flags, changes = RECIPES[name]
        gan, _, config = build(images, flags | {"seed": seed}, changes)
        batch_size = config.batch_size
    else:
        gan, batch_size = REFERENCES[name](seed)
    found = {f"{seconds}s": (0, math.inf) for seconds in PARTS[part][name]}
    try:
        for mark, _ in train(gan, images, batch_size, [*found], [callbacks.TerminateOnNonFinite()]):
            features = Samples(gan.generate(SAMPLES)).features
            fid = scores.frechet_distance(moments, features)
            found[mark] = int(gan.step) * batch_size, fid
    except (FloatingPointError, keras_gan.InputError) as error:
        print(name, seed, error)
    rows = [
        (name, seed, mark.removesuffix("s"), count, f"{fid:.4f}")
        for mark, (count, fid) in found.items()
    ]
    pd.DataFrame(rows).to_csv(TABLE, mode="a", header=False, index=False, lineterminator="\r\n")


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
    for part in parts:
        for seed in range(3):
            for name in PARTS[part]:
                rows = pd.read_csv(TABLE)
                if not ((rows["recipe"] == name) & (rows["seed"] == seed)).any():
                    command = [sys.executable, "-m", "benchmarks.recipes", "run", part, name]
                    subprocess.run([*command, str(seed)], cwd=ROOT, check=False)
    print_tables(parts)


def print_tables(parts):
    print("\n\n".join(map(table, parts)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["table"]:
            print_tables(PARTS)
        case ["run", part, name, seed]:
            run(part, name, int(seed))
        case parts:
            main(parts or PARTS)
