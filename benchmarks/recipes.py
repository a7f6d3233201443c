"""How good are the samples after so many seconds? The recipes, what they are made of, and others'.

python benchmarks/recipes.py [PART ...]     measures what is missing, prints the tables
python benchmarks/recipes.py table          prints the tables of what is there

The parts are "recipes" (ours against the networks that most people start from), "changes" (dcgan
as it was with 16 channels, and one thing changed) and "long" (dcgan as it was before that, for half
an hour). Each run trains by `fit`, tracing included, and nothing else at a time; the clock stops
while 10,000 samples are scored. Runs that stand in recipes.csv are not measured again, so that a
stopped benchmark goes on where it was. Let the machine be idle.
"""

import csv
import dataclasses
import functools
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import keras_gan  # noqa: E402
from keras_gan import networks  # noqa: E402
from keras_gan._lazy import keras  # noqa: E402
from keras_gan.networks import ARCHITECTURES, dcgan  # noqa: E402

TABLE = ROOT / "benchmarks" / "recipes.csv"
FIELDS = ("recipe", "seed", "seconds", "images", "fid")
SAMPLES = 10_000


NARROW = {
    name: functools.partial(getattr(dcgan, name), channels=16)
    for name in ("generator", "discriminator")
}


def with_dropout(image_shape):
    layers = [keras.Input(image_shape)]
    for layer in NARROW["discriminator"](image_shape).layers:
        layers.append(layer)
        if isinstance(layer, keras.layers.LeakyReLU):
            layers.append(keras.layers.Dropout(0.3))
    return keras.Sequential(layers)


def narrow(settings):
    """The recipe as it was with 16 channels, changed by `settings`."""
    return {**settings, "architecture": {**NARROW, **settings.get("architecture", {})}}


CHANGES = {
    "nothing": {},
    "batches of 64": {"batch_size": 64},
    "beta_2 = 0.999": {"architecture": {"optimizer": networks.adam}},
    "no moving average": {"ema_decay": 0.0},
    "dropout 0.3 in D for R1": {
        "penalty": "none",
        "architecture": {"discriminator": with_dropout},
    },
    "average of decay 0.9995": {"ema_decay": 0.9995},
}

SHORT, LONGER, LONGEST = (
    dict.fromkeys(range(3), marks) for marks in ((60, 120), (60, 120, 300), (60, 120, 300, 600))
)

# name -> (settings, {seed: the seconds at which to score}). The settings are flags of train.py,
# beside or in place of dcgan with lsgan, and under "architecture" what is another one in the
# architecture; or the name of a network in references.py.
PARTS = {
    "recipes": {
        "dcgan, lsgan": ({}, LONGER),
        "mlp, non_saturating": ({"arch": "mlp", "loss": "non_saturating"}, SHORT),
        "Keras' example": ("keras_example", LONGEST),
        "TensorFlow's tutorial": ("tensorflow_tutorial", SHORT),
    },
    "changes": {
        **{name: (narrow(settings), LONGER) for name, settings in CHANGES.items()},
        "dcgan, lsgan": ({}, LONGER),  # 32 channels, the one that was kept
    },
    "long": {
        "batches of 64, beta_2 = 0.999": (
            narrow({"batch_size": 64, **CHANGES["beta_2 = 0.999"]}),
            {0: (600, 1800)},
        )
    },
}
RUNS = {name: run for part in PARTS.values() for name, run in part.items()}


def measure(name, seed):
    """Trains one run and yields (images, fid) at its marks."""
    from keras_gan import callbacks, data, training
    from keras_gan.config import Config
    from keras_gan.evaluation import Samples, scores

    settings, marks = RUNS[name]
    if not isinstance(settings, str):
        training.start_tensorflow()  # which would make the others slower by a twentieth
    images = data.load("mnist").images
    moments = Samples(images).moments
    if isinstance(settings, str):
        import references

        gan, batch_size = getattr(references, settings)(seed), references.BATCH_SIZES[settings]
    else:
        settings = {"arch": "dcgan", "loss": "lsgan", **settings}
        changed = settings.pop("architecture", {})
        arch = settings["arch"]
        ARCHITECTURES[arch] = dataclasses.replace(ARCHITECTURES[arch], **changed)
        config = Config(**settings, seed=seed).resolve(len(images))
        gan, batch_size = training.build(config, images), config.batch_size
    seconds = 0
    for mark in marks[seed]:
        batches = data.batches(images, batch_size, seed=seed, start=int(gan.step))
        limit = callbacks.TimeLimit(mark - seconds)
        begin = time.monotonic()
        gan.fit(
            batches,
            steps_per_epoch=10**6,  # until the limit
            shuffle=False,
            verbose=0,
            callbacks=[callbacks.TerminateOnNonFinite(), limit],
        )
        seconds += time.monotonic() - begin
        distance = scores.frechet_distance(moments, Samples(gan.generate(SAMPLES)).features)
        yield int(gan.step) * batch_size, float(distance)


def run(name, seed):
    """Measures one run and writes its rows, once it is complete."""
    found, marks = [], RUNS[name][1][seed]
    try:
        for mark, (count, fid) in zip(marks, measure(name, seed), strict=True):
            found.append([name, seed, mark, count, f"{fid:.4f}"])
            print(*found[-1], flush=True)
    except (FloatingPointError, keras_gan.InputError) as error:
        print(name, seed, error, flush=True)
        found += [[name, seed, mark, 0, "inf"] for mark in marks[len(found) :]]
    new = not TABLE.exists()
    with open(TABLE, "a", newline="") as file:
        csv.writer(file).writerows([FIELDS, *found] if new else found)


def rows():
    if not TABLE.exists():
        return []
    with open(TABLE, newline="") as file:
        return list(csv.DictReader(file))


def print_tables():
    """Markdown: medians over the seeds, and the range."""
    for part, runs in PARTS.items():
        of = {name: [r for r in rows() if r["recipe"] == name] for name in runs}
        marks = sorted({int(r["seconds"]) for found in of.values() for r in found})
        print(f"\n| {part} | seeds | images/s | " + " | ".join(f"{m} s" for m in marks) + " |")
        print("|---" * (len(marks) + 3) + "|")
        for name, found in of.items():
            if found:
                rate = statistics.median(int(r["images"]) / int(r["seconds"]) for r in found)
                seeds = len({r["seed"] for r in found})
                cells = " | ".join(cell(found, mark) for mark in marks)
                print(f"| {name} | {seeds} | {rate:,.0f} | {cells} |")


def cell(found, mark):
    fids = sorted(float(r["fid"]) for r in found if int(r["seconds"]) == mark)
    if not fids:
        return "-"
    median = f"{statistics.median(fids):.3g}"
    return median if len(fids) == 1 else f"{median} ({fids[0]:.3g} to {fids[-1]:.3g})"


def main(parts):
    for seed in range(3):
        for part in parts:
            for name, (_, marks) in PARTS[part].items():
                if seed in marks and not any(
                    (r["recipe"], int(r["seed"])) == (name, seed) for r in rows()
                ):
                    subprocess.run([sys.executable, __file__, "run", name, str(seed)], check=False)
    print_tables()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["table"]:
            print_tables()
        case ["run", name, seed]:
            run(name, int(seed))
        case parts:
            main(parts or list(PARTS))
