"""How good are the samples after so many seconds? Ours, variations of it, and the tutorials'.

python -m benchmarks.recipes [recipes] [changes] [sharper] [labels]

Measures what is missing in recipes.csv, and prints the tables. Let the machine be idle.
"""

import itertools
import math
import multiprocessing
import sys

import numpy as np
import pandas as pd

import keras_gan
from benchmarks.common import BEFORE, CONSTANT, NARROW, ROOT, build, markdown, train
from benchmarks.references import keras_example, pytorch_gan_lsgan, tensorflow_tutorial
from keras_gan import callbacks, data, networks
from keras_gan.backend import configure_tensorflow, keras, tf
from keras_gan.evaluation import Reference, Samples, evaluate
from keras_gan.penalties import R1

TABLE = ROOT / "benchmarks" / "recipes.csv"  # recipe, seed, seconds, images, and the scores
# Each with its worst value: that of a training that fails.
SCORES = {"fid": math.inf, "classifier_score": 1.0, "precision": 0.0, "recall": 0.0}
OF_LABELS = {"accuracy": 0.0}


def with_dropout(image_shape, channels):
    layers = [keras.Input(image_shape)]
    for layer in networks.dcgan.discriminator(image_shape, channels).layers:
        layers.append(layer)
        if isinstance(layer, keras.layers.LeakyReLU):
            layers.append(keras.layers.Dropout(0.3))
    return keras.Sequential(layers)


CHANGES = {
    "nothing": {},
    "batches of 64": {"batch_size": 64},
    "beta_2 = 0.999": {"optimizers": {"adam": networks.adam}},
    "no moving average": {"ema_decay": 0.0},
    "dropout 0.3 in D for R1": {"penalty": "none", "discriminator": with_dropout},
    "average of decay 0.9995": {"ema_decay": 0.9995},
}
# The first takes back the last change since BEFORE, the second the last two, the third the last
# three. Each of the others takes back those three and one more.
ADAM = {"optimizer": "adam", "g_lr": 2e-3, "d_lr": 1e-3, "decay_steps": 7_500}
SLOWER = ADAM | CONSTANT | {"g_lr": BEFORE["g_lr"]}
BACK = {
    "Adam": ADAM,
    "and constant rates": ADAM | CONSTANT,
    "and rate of G 1e-3": SLOWER,
    "and normal latents of 64": SLOWER | {"latent": "normal", "latent_dim": 64},
    "and no convolution more": SLOWER | {"generator": BEFORE["generator"]},
    "and R1 on all images": SLOWER | {"penalties": {"r1": R1(1.0)}},
    "and R1 of weight 3": SLOWER | {"penalties": {"r1": R1(3.0, one_in=4)}},
}
RECIPES = {
    "dcgan, lsgan": {},
    "mlp, non_saturating": {"arch": "mlp", "loss": "non_saturating"},
    **{name: NARROW | changes for name, changes in CHANGES.items()},
    "before": BEFORE,
    **BACK,
    "dcgan, lsgan, conditional": {"conditional": True},
    "conditional, Adam": {"conditional": True} | ADAM,
    "conditional, Adam, constant rates": {"conditional": True} | ADAM | CONSTANT,
}
REFERENCES = {
    "Keras' example": keras_example,
    "TensorFlow's tutorial": tensorflow_tutorial,
    "PyTorch-GAN's LSGAN": pytorch_gan_lsgan,
}
# part -> {name: the seconds at which to score}
PARTS = {
    "recipes": {
        "dcgan, lsgan": (60, 120, 300),
        "mlp, non_saturating": (60, 120),
        "Keras' example": (60, 120, 300, 600),
        "TensorFlow's tutorial": (60, 120),
        "PyTorch-GAN's LSGAN": (60, 120, 300),
    },
    "changes": dict.fromkeys(CHANGES, (60, 120, 300)),
    "sharper": dict.fromkeys(["dcgan, lsgan", "before", *BACK], (60, 120, 300)),
    "labels": dict.fromkeys(
        ["dcgan, lsgan, conditional", "conditional, Adam", "conditional, Adam, constant rates"],
        (60, 120, 300),
    ),
}


def run(part, name, seed):
    """Trains one recipe, and writes its rows once it has come to all its marks."""
    if name in RECIPES:
        configure_tensorflow()  # as train.py; it would make the others slower by a twentieth
    source, labels = data.load("mnist"), None
    images = source.images
    reference = Reference(Samples(images))
    if name in RECIPES:
        gan, _, config = build(images, RECIPES[name] | {"seed": seed})
        batch_size = config.batch_size
        labels = source.labels if config.conditional else None
    else:
        gan, batch_size = REFERENCES[name](seed)
        images = np.uint8(np.rint(resized(images, gan.generator.output_shape[1:3])))
    worst = SCORES | (OF_LABELS if labels is not None else {})
    found = {f"{seconds}s": {"images": 0} | worst for seconds in PARTS[part][name]}
    guard = callbacks.TerminateOnNonFinite()
    try:
        for mark, _ in train(gan, images, batch_size, [*found], [guard], labels=labels):
            asked = None if labels is None else gan.labelled_latents(10_000)[1]
            samples = Samples(resized(gan.generate(10_000), [28, 28]), labels=asked)
            metrics = ["fid", "classifier_score", "precision_recall", *worst.keys() - SCORES]
            scores = evaluate(samples, reference, metrics)
            found[mark] = {"images": int(gan.step) * batch_size} | scores
    except (FloatingPointError, keras_gan.InputError) as error:
        print(name, seed, error)
    rows = [
        {"recipe": name, "seed": seed, "seconds": mark.removesuffix("s")} | values
        for mark, values in found.items()
    ]
    pd.DataFrame(rows).to_csv(TABLE, mode="a", header=False, index=False, float_format="%.4f")


def resized(images, size):
    """Images [n, H, W, C] -> float32 [n, *size, C] in the same range, bilinear."""
    parts = np.array_split(images, 100)
    return np.concatenate([tf.image.resize(part, size, antialias=True) for part in parts])


def table(part, score="fid"):
    """Medians of a score over the seeds and their range, a row for each recipe."""
    rows = pd.read_csv(TABLE)
    rows = rows[rows["recipe"].isin(list(PARTS[part]))]
    lines = []
    for name in PARTS[part]:
        of = rows[rows["recipe"] == name]
        if of.empty:
            continue
        rate = (of["images"] / of["seconds"]).median()
        line = {part: name, "seeds": of["seed"].nunique(), "images/s": f"{rate:,.0f}"}
        for seconds in sorted(rows["seconds"].unique()):
            line[f"{seconds} s"] = cell(of[of["seconds"] == seconds][score].dropna())
        lines.append(line)
    return markdown(lines)


def cell(values):
    if values.empty:
        return "-"
    low, median, high = (f"{x:.3g}" for x in values.quantile([0, 0.5, 1]))
    return median if len(values) == 1 else f"{median} ({low} to {high})"


def main(parts):
    spawn = multiprocessing.get_context("spawn")
    for part, seed in itertools.product(parts, range(3)):
        for name in PARTS[part]:
            rows = pd.read_csv(TABLE)
            if not ((rows["recipe"] == name) & (rows["seed"] == seed)).any():
                process = spawn.Process(target=run, args=(part, name, seed))
                process.start()
                process.join()
    for part in parts:
        for score in SCORES | (OF_LABELS if part == "labels" else {}):
            print(score, table(part, score), sep="\n\n", end="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)
