"""Samples per second of training: the recipes against the networks that most people start from.

python benchmarks/recipes.py            every recipe, all its seeds, then the table
python benchmarks/recipes.py table      the table of what is there

Each run trains by `fit` and nothing else at a time; the clock stops while 10,000 samples are
scored. A row of recipes.csv is the Frechet distance after so many seconds of training, first
step and tracing included. Rows that are there are not measured again: a stopped benchmark goes
on where it was. Run it on an idle machine.
"""

import csv
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TABLE = ROOT / "benchmarks" / "recipes.csv"
FIELDS = ("recipe", "seed", "seconds", "images", "fid")
SAMPLES = 10_000

# Flags of train.py, or the name of a network in references.py; the seconds at which to score.
RECIPES = {
    "dcgan, lsgan": ({"arch": "dcgan", "loss": "lsgan"}, (60, 120, 300), (0, 1, 2)),
    "mlp, non_saturating": ({"arch": "mlp", "loss": "non_saturating"}, (60, 120, 300), (0, 1, 2)),
    "Keras' example": ("keras_example", (60, 120, 300, 600), (0, 1, 2)),
    "TensorFlow's tutorial": ("tensorflow_tutorial", (60, 120, 300), (0, 1, 2)),
    "dcgan, lsgan, 30 minutes": ({"arch": "dcgan", "loss": "lsgan"}, (600, 1800), (0,)),
}


def measure(name, seed):
    """Trains one run and yields (seconds, images, fid) at its marks."""
    import keras
    import tensorflow as tf

    import keras_gan
    from keras_gan import data, training
    from keras_gan.callbacks import TimeLimit
    from keras_gan.config import Config
    from keras_gan.evaluation import Samples, scores

    tf.config.experimental.enable_op_determinism()  # as train.py does on a CPU
    settings, marks, _ = RECIPES[name]
    images = data.load("mnist").images
    if isinstance(settings, str):
        sys.path.insert(0, str(ROOT / "benchmarks"))
        import references

        gan, batch_size = getattr(references, settings)(seed), references.BATCH_SIZES[settings]
    else:
        config = Config(**settings, seed=seed).resolve(len(images))
        gan, batch_size = training.build(config, images), config.batch_size
    moments = Samples(images).moments
    keras.utils.set_random_seed(seed)
    before = 0
    for mark in marks:
        # An epoch is as long as it takes.
        batches = data.batches(images, batch_size, seed=seed, start=int(gan.step))
        begin = time.monotonic()
        gan.fit(
            batches,
            steps_per_epoch=10**6,
            shuffle=False,
            verbose=0,
            callbacks=[keras_gan.callbacks.TerminateOnNonFinite(), TimeLimit(mark - before)],
        )
        before += time.monotonic() - begin
        fid = scores.frechet_distance(moments, Samples(gan.generate(SAMPLES)).features)
        yield before, int(gan.step) * batch_size, float(fid)


def run(name, seed):
    """Measures one run and writes its rows, once it is complete."""
    found = []
    for mark, (_, count, fid) in zip(RECIPES[name][1], measure(name, seed), strict=True):
        found.append([name, seed, mark, count, f"{fid:.4f}"])
        print(*found[-1], flush=True)
    new = not TABLE.exists()
    with open(TABLE, "a", newline="") as file:
        csv.writer(file).writerows([FIELDS, *found] if new else found)


def rows():
    if not TABLE.exists():
        return []
    with open(TABLE, newline="") as file:
        return list(csv.DictReader(file))


def table():
    """Prints Markdown: medians over the seeds, and the range."""
    print(
        "| recipe | seconds | fid, median | range | seeds | images/s |\n|---|---|---|---|---|---|"
    )
    for name, (_, marks, _) in RECIPES.items():
        for mark in marks:
            of = [r for r in rows() if r["recipe"] == name and int(r["seconds"]) == mark]
            if of:
                fids = sorted(float(r["fid"]) for r in of)
                rate = statistics.median(int(r["images"]) / mark for r in of)
                print(
                    f"| {name} | {mark} | {statistics.median(fids):.3f} | "
                    f"{fids[0]:.3f} to {fids[-1]:.3f} | {len(of)} | {rate:,.0f} |"
                )


def main():
    for seed in range(3):
        for name, (_, _, seeds) in RECIPES.items():
            done = any((r["recipe"], int(r["seed"])) == (name, seed) for r in rows())
            if seed in seeds and not done:
                subprocess.run([sys.executable, __file__, "run", name, str(seed)], check=True)
    table()


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["table"]:
            table()
        case ["run", name, seed]:
            run(name, int(seed))
