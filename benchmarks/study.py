"""What the papers claim, measured: trains what is missing in study.csv.

python -m benchmarks.study [PART ...]     on MNIST, some hours; stopped, it goes on where it was
python -m benchmarks.study short          a minute of synthetic digits, into runs/study-short

As many runs as there are cores train at a time, each on one. `python -m benchmarks.claims` makes
the tables and figures of what is there; the short form makes its own.
"""

import csv
import dataclasses
import functools
import io
import itertools
import math
import multiprocessing
import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import keras_gan
from benchmarks import claims
from benchmarks.scores import blurred
from keras_gan import data, networks, training
from keras_gan._lazy import keras, tf
from keras_gan.config import Config
from keras_gan.evaluation import VALIDATION
from keras_gan.images import to_uint8, write_grid
from keras_gan.networks import ARCHITECTURES

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "benchmarks" / "study.csv"
COURSES = ROOT / "benchmarks" / "study-courses.csv"
FOLDER = ROOT / "runs" / "study"  # unfinished runs, and samples of finished ones
KEY = ("part", "arch", "loss", "setting", "seed", "mark")
SCORES = ("fid", "kid", "precision", "recall", "modes", "acceptance", "noise", "parzen", "class_kl")
FIELDS = (*KEY, "steps", "images", "seconds", *SCORES)
COURSE_FIELDS = (*KEY[:-1], "step", "d_real", "d_fake", "gradient")
SEEDS = 5
DATA_PATH = None  # MNIST, wherever it is
SAMPLES = 10_000
PAIRED = 5_000  # of them, for the scores that compare all pairs
STACKED = 26_000  # samples of stacked MNIST, and real images they are compared with


def adam_of_2015(rate):
    return keras.optimizers.Adam(rate, beta_1=0.5)


def annealed(steps, rate):
    """This library's Adam, but its rate falls evenly to 0 in so many updates."""
    rate = keras.optimizers.schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    return networks.adam(rate)


# The defaults of `mlp` and `dcgan` when the study was run: those of `dcgan` have changed since.
DEFAULT = {"batch_size": 64, "optimizer": networks.adam}
NETWORKS = {
    "dcgan": {
        name: functools.partial(getattr(networks.dcgan, name), channels=16)
        for name in ("generator", "discriminator")
    }
}
# What Radford et al. 2015 train with, but for the size of the batch.
PLAIN = {
    **DEFAULT,
    "penalty": "none",
    "ema_decay": 0.0,
    "simultaneous": False,
    "g_lr": 2e-4,
    "d_lr": 2e-4,
    "optimizer": adam_of_2015,
}
PAPERS = ("minimax", "non_saturating", "lsgan")
LOSSES = (*PAPERS, "hinge", "wasserstein", "relativistic")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training, and when to score it.

    `settings` are those of a `Config`, and `optimizer` in the place of the architecture's. `marks`
    are counts of generator updates, or seconds of training where they end in s. `course`: updates
    from one row of study-courses.csv to the next, 0 for none.
    """

    part: str
    arch: str
    loss: str
    setting: str
    seed: int
    settings: dict = dataclasses.field(hash=False)
    marks: tuple = ()
    course: int = 0

    @property
    def dataset(self):
        return "stacked_mnist" if self.part == "stacked" else "mnist"

    def key(self, mark):
        return tuple(map(str, (self.part, self.arch, self.loss, self.setting, self.seed, mark)))


def runs_of_losses(seed):
    for arch in ("mlp", "dcgan"):
        for loss in PAPERS:
            yield Run("losses", arch, loss, "plain", seed, PLAIN, (3000, "45s"))
        for loss in LOSSES:
            yield Run("losses", arch, loss, "default", seed, DEFAULT, (3000, "45s"))
    yield Run("losses", "maxout", "non_saturating", "published", seed, {}, (3000, "45s"))


def runs_of_gradients(seed):
    for arch in ("mlp", "dcgan"):
        for loss in ("minimax", "non_saturating"):
            yield Run("gradients", arch, loss, "plain", seed, PLAIN, (500,), course=20)


def runs_of_half(seed):
    settings = {
        "plain": PLAIN,
        "label smoothing": {**PLAIN, "label_smoothing": 0.1},
        "R1": {**PLAIN, "penalty": "r1"},
        "strong D": {**PLAIN, "d_lr": 1e-3},
    }
    for name, values in settings.items():
        yield Run("half", "mlp", "non_saturating", name, seed, values, (4000,), course=200)


def runs_of_steps(seed):
    for k in (1, 2, 3, 5):
        yield Run(
            "steps", "mlp", "non_saturating", f"k = {k}", seed, {**PLAIN, "d_steps": k}, ("30s",)
        )


def runs_of_parzen(seed):
    if seed == 0:
        epochs = (5, 10, 20, 34, 50, 70, 100, 140, 180)
        marks = tuple(500 * epoch for epoch in epochs)
        yield Run("parzen", "maxout", "non_saturating", "published", 0, {"ema_decay": 0.999}, marks)
        marks = tuple(936 * epoch for epoch in (10, 20, 40, 60))
        settings = {"optimizer": functools.partial(annealed, marks[-1])}
        yield Run("parzen", "mlp", "non_saturating", "annealed", 0, settings, marks)
        yield Run("parzen", "mlp", "non_saturating", "default", 0, DEFAULT, marks[:-1])


def runs_of_windows(seed):
    if seed == 0:
        yield Run("windows", "dcgan", "lsgan", "samples", 0, DEFAULT, (3000,))


def runs_of_stacked(seed):
    if seed == 0:
        for loss in PAPERS:
            yield Run("stacked", "dcgan", loss, "plain", 0, {**PLAIN, "latent_dim": 64}, (5000,))
        for loss in LOSSES:
            marks = (5000, 16_000, 32_000) if loss == "relativistic" else (5000,)
            yield Run("stacked", "dcgan", loss, "default", 0, {**DEFAULT, "latent_dim": 64}, marks)
        marks = (16_000, 32_000, 48_000)
        settings = {
            **DEFAULT,
            "latent_dim": 64,
            "optimizer": functools.partial(annealed, marks[-1]),
        }
        yield Run("stacked", "dcgan", "relativistic", "annealed", 0, settings, marks)


PARTS = {
    "parzen": runs_of_parzen,
    "losses": runs_of_losses,
    "gradients": runs_of_gradients,
    "half": runs_of_half,
    "steps": runs_of_steps,
    "windows": runs_of_windows,
    "stacked": runs_of_stacked,
}


# What the short form has in the place of the names above.
SHORT_FOLDER = ROOT / "runs" / "study-short"
SHORT = {
    "TABLE": SHORT_FOLDER / "study.csv",
    "COURSES": SHORT_FOLDER / "study-courses.csv",
    "FOLDER": SHORT_FOLDER,
    "SEEDS": 1,
    "DATA_PATH": SHORT_FOLDER / "synthetic.npz",
    "SAMPLES": 800,
    "PAIRED": 500,
    "STACKED": 2000,
}


def shortened(runs):
    """Every part and network, and every loss with `mlp`, for 20 updates or a second."""
    first = {}
    for run in runs:
        setting = run.part in ("losses", "stacked") and run.setting
        loss = run.arch == "mlp" and run.loss
        first.setdefault((run.part, run.arch, setting, loss), run)
    for run in first.values():
        marks = {"1s" if isinstance(mark, str) else 20 for mark in run.marks}
        yield dataclasses.replace(run, marks=tuple(marks), course=min(run.course, 20))


# Training


def prepare(in_short):
    """What each process does first."""
    training.start_tensorflow()
    if in_short:
        globals().update(SHORT)


@functools.cache
def real(dataset):
    """The training images, and the reference: of stacked MNIST some of them only."""
    from keras_gan.evaluation import Reference, Samples

    train, test = (data.load(dataset, DATA_PATH, split) for split in ("train", "test"))
    known = train.images[:STACKED] if dataset == "stacked_mnist" else train.images
    return train, Reference(Samples(known), Samples(test.images))


def build(run):
    """(GAN, its training images, the settings in full)."""
    settings = {**run.settings, "arch": run.arch, "loss": run.loss, "seed": run.seed}
    architecture = ARCHITECTURES[run.arch]
    optimizer = settings.pop("optimizer", architecture.optimizer)
    images = real(run.dataset)[0].images
    if run.dataset == "mnist":
        images = images[: architecture.mnist_images]
    config = Config(**settings).resolve(len(images))
    ARCHITECTURES[run.arch] = dataclasses.replace(
        architecture, optimizer=optimizer, **NETWORKS.get(run.arch, {})
    )
    try:
        return training.build(config, images), images, config
    finally:
        ARCHITECTURES[run.arch] = architecture


def train(run):
    """Trains a run, and appends its rows to the tables as it comes to its marks."""
    keras.backend.clear_session()
    gan, images, config = build(run)
    seconds = tf.Variable(0.0, dtype=tf.float64)
    state = tf.train.CheckpointManager(
        tf.train.Checkpoint(gan=gan, seconds=seconds),
        str(FOLDER / "-".join(run.key("state")).replace(" ", "_")),
        max_to_keep=1,
    )
    done = {row_key(row) for row in rows(TABLE)}
    marks = [mark for mark in run.marks if run.key(mark) not in done]
    if len(marks) < len(run.marks) and state.latest_checkpoint:
        state.checkpoint.restore(state.latest_checkpoint)
    minibatches = {"seed": run.seed, "minibatches": config.d_steps}
    while marks:
        stop = Until(marks, float(seconds))
        callbacks = [keras_gan.callbacks.TerminateOnNonFinite(), stop]
        begin = time.monotonic()
        try:
            history = gan.fit(
                data.batches(images, config.batch_size, start=int(gan.step), **minibatches),
                steps_per_epoch=run.course or 10**6,
                epochs=10**6 if run.course else 1,
                shuffle=False,
                verbose=0,
                callbacks=[GradientNorm(), *callbacks] if run.course else callbacks,
            ).history
        except FloatingPointError as error:
            print(run, error, flush=True)
            append(TABLE, [[*run.key(mark), int(gan.step)] for mark in marks])
            return
        seconds.assign_add(time.monotonic() - begin)
        if run.part in ("losses", "stacked"):
            FOLDER.mkdir(parents=True, exist_ok=True)
            name = "-".join(run.key(stop.reached[0]))
            write_grid(FOLDER / f"{name}.png", to_uint8(gan.generate(36)))
        count = int(gan.step) * config.batch_size * config.d_steps
        about = [int(gan.step), count, f"{float(seconds):.1f}"]
        for mark in stop.reached:
            lines = [
                [
                    *dataclasses.replace(run, setting=name).key(mark),
                    *about,
                    *(rounded(scores[x]) for x in SCORES),
                ]
                for name, scores in scored(run, gan, briefly=isinstance(mark, str)).items()
            ]
            if run.course:
                logs = zip(*(history[name] for name in COURSE_FIELDS[-3:]), strict=True)
                key = run.key("")[:-1]
                steps = itertools.count(run.course, run.course)
                append(COURSES, [[*key, next(steps), *map(rounded, log)] for log in logs])
            append(TABLE, lines)
            marks.remove(mark)
        if marks:
            state.save()
    shutil.rmtree(state.directory, ignore_errors=True)


def rounded(number):
    return f"{number:.5g}"


def scored(run, gan, briefly):
    """{setting: scores} of a trained GAN, and of what the run's part compares it with."""
    sets = {run.setting: gan.generate(STACKED if run.part == "stacked" else SAMPLES)}
    if run.setting == "published" and gan.ema_decay:
        bare = keras_gan.GAN(gan.generator, gan.discriminator, latent=gan.latent)
        sets = {
            run.setting: bare.generate(SAMPLES),
            f"{run.setting}, averaged": sets[run.setting],
        }
    if run.part == "windows":
        # Other images than those that choose the windows' width.
        images = real("mnist")[1].train.images[VALIDATION:][:SAMPLES]
        sets |= {"training images": images, "samples, blurred": blurred(sets[run.setting])}
        sets |= {"training images, blurred": blurred(images)}
    found = {}
    for name, images in sets.items():
        found[name] = dict.fromkeys(SCORES, math.nan)
        try:
            if run.part == "stacked":
                found[name] |= stacked_scores(images)
            else:
                found[name] |= digit_scores(images, gan, briefly)
        except keras_gan.InputError as error:
            print(run, error, flush=True)
    return found


def digit_scores(samples, gan, briefly):
    """The scores of float images of MNIST; `briefly`: those that take no time."""
    from keras_gan.evaluation import Samples, evaluate

    def judge(pixels):
        parts = np.array_split(pixels, -(-len(pixels) // 500))
        logits = [gan.discriminator(x / np.float32(127.5) - 1, training=False) for x in parts]
        return gan.adversarial_loss.probability(np.concatenate(logits))

    _, reference = real("mnist")
    samples = Samples(samples, discriminator=judge)
    found = evaluate(samples, reference, ["fid", "modes", "acceptance", "noise"])
    if not briefly:
        found |= evaluate(samples, reference, ["parzen"])
        found |= evaluate(samples.head(PAIRED), reference, ["kid", "precision_recall"])
    return found


def stacked_scores(samples):
    """Modes found at least once, and the divergence of their shares from the data's."""
    from keras_gan.evaluation import Samples, evaluate, scores

    train, reference = real("stacked_mnist")
    samples = Samples(samples)
    shares = np.bincount(train.labels, minlength=1000) / len(train.labels)
    return evaluate(samples, reference, ["fid"]) | {
        "modes": int(np.sum(samples.histogram > 0)),
        "class_kl": scores.class_kl(shares, samples.histogram),
    }


class Until(keras.callbacks.Callback):
    """Ends `fit` where one of the marks is reached, and tells which are."""

    def __init__(self, marks, seconds):
        super().__init__()
        self.marks = marks
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        self.begin = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        seconds = self.seconds + time.monotonic() - self.begin
        step = int(self.model.step)
        self.reached = [
            mark
            for mark in self.marks
            if (seconds >= int(mark[:-1]) if isinstance(mark, str) else step >= mark)
        ]
        if self.reached:
            self.model.stop_training = True


class GradientNorm(keras.callbacks.Callback):
    """Logs the mean Euclidean norm of the generator's gradient over the steps of an epoch."""

    def set_model(self, model):
        super().set_model(model)
        self.total = total = tf.Variable(0.0)
        apply = model.g_optimizer.apply

        def recorded(gradients, variables=None):
            total.assign_add(tf.linalg.global_norm(gradients))
            return apply(gradients, variables)

        model.g_optimizer.apply = recorded

    def on_epoch_end(self, epoch, logs=None):
        logs["gradient"] = float(self.total) / self.params["steps"]
        self.total.assign(0.0)


# Tables


def rows(path):
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def append(path, lines):
    """In one write, which two processes can do at a time."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    with open(path, "a", newline="") as file:
        file.write(text.getvalue())


def row_key(row):
    return tuple(row[name] for name in KEY)


def main(parts):
    in_short = parts == ["short"]
    if in_short:
        globals().update(SHORT)
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        known, test = (data.load("synthetic", split=split) for split in ("train", "test"))
        arrays = {"x_train": known.images, "y_train": known.labels, "x_test": test.images}
        np.savez(DATA_PATH, **{name: array[:6000] for name, array in arrays.items()})
    for path, fields in ((TABLE, FIELDS), (COURSES, COURSE_FIELDS)):
        if not path.exists():
            append(path, [fields])
    names = PARTS if in_short or not parts else parts
    runs = [run for seed in range(SEEDS) for part in names for run in PARTS[part](seed)]
    done = {row_key(row) for row in rows(TABLE)}
    missing = [
        run
        for run in (shortened(runs) if in_short else runs)
        if any(run.key(mark) not in done for mark in run.marks)
    ]
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")
    os.environ.update(dict.fromkeys(names, "1"))
    with ProcessPoolExecutor(
        int(os.environ.get("JOBS", os.cpu_count())),
        multiprocessing.get_context("spawn"),
        prepare,
        [in_short],
    ) as pool:
        for i, _ in enumerate(pool.map(train, missing)):
            print(f"{i + 1} of {len(missing)}", flush=True)
    if in_short:
        claims.write(TABLE, COURSES, FOLDER)
    else:
        print("Now: python -m benchmarks.claims")


if __name__ == "__main__":
    main(sys.argv[1:])
