"""Trains what the claims are measured on, and writes study.csv and study-courses.csv.

python -m benchmarks.study [PART ...]     what is missing there, on MNIST: some hours
python -m benchmarks.study short          a minute of synthetic digits, into runs/study-short

As many runs as there are cores train at a time, each on one core. A run's rows are written when it
ends. The short form also makes its tables and figures, as `python -m benchmarks.claims` does.
"""

import dataclasses
import functools
import itertools
import multiprocessing
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import keras_gan
from benchmarks import claims, common, tables
from benchmarks.common import CONSTANT, ROOT, STUDIED
from benchmarks.scores import blurred
from keras_gan import data, networks
from keras_gan.backend import configure_tensorflow, keras, tf
from keras_gan.evaluation import VALIDATION, Reference, Samples, evaluate, scores
from keras_gan.penalties import R1

SCORES = ("fid", "kid", "precision", "recall", "modes", "acceptance", "noise", "parzen", "class_kl")
FIELDS = (*tables.KEY, "steps", "images", "seconds", *SCORES)
COURSE_FIELDS = (*tables.KEY[:-1], "step", "d_real", "d_fake", "gradient")


@dataclasses.dataclass(frozen=True)
class Setup:
    """Where a study has its tables and its data, and how much it trains and scores."""

    folder: Path = tables.FOLDER  # of study.csv and study-courses.csv
    data_path: Path | None = None  # None: MNIST, wherever it is
    seeds: int = 5
    samples: int = 10_000
    paired: int = 5_000  # of them, for the scores that compare all pairs
    stacked: int = 26_000  # samples of stacked MNIST, and real images they are compared with

    @classmethod
    def short(cls, folder):
        return cls(folder, folder / "synthetic.npz", 1, samples=800, paired=500, stacked=2_000)


# The runs


def annealed(steps, learning_rate):
    """This library's Adam, with a rate that falls linearly to 0 in so many updates."""
    schedule = keras.optimizers.schedules.PolynomialDecay
    return networks.adam(schedule(learning_rate, steps, end_learning_rate=0.0))


# Settings are those of `common.build`. DEFAULT are those of `mlp` and `dcgan` when the study was
# run. They have changed since.
R1_THEN = {"penalties": {"r1": R1(3.0)}}
DEFAULT = R1_THEN | CONSTANT | {"batch_size": 64, "g_lr": 1e-3}
DEFAULT |= {"optimizers": {"adam": networks.adam}}
R1_AND_SPECTRAL = {"penalty": "r1", "spectral_norm": True}  # `mlp` with `lsgan` had both
# What Radford et al. 2015 train with, except for the batch size.
PLAIN = CONSTANT | {
    "batch_size": 64,
    "penalty": "none",
    "ema_decay": 0.0,
    "simultaneous": False,
    "g_lr": 2e-4,
    "d_lr": 2e-4,
    "optimizers": {"adam": functools.partial(keras.optimizers.Adam, beta_1=0.5)},
}
Z = {"latent_dim": 64}
PARZEN_ANNEALED = DEFAULT | {"optimizers": {"adam": functools.partial(annealed, 56_160)}}
STACKED_ANNEALED = DEFAULT | Z | {"optimizers": {"adam": functools.partial(annealed, 48_000)}}
BOTH = ("mlp", "dcgan")
GAN = ("non_saturating",)
PAPERS = ("minimax", "non_saturating", "lsgan")
LATER = ("hinge", "wasserstein")
RELATIVISTIC = ("relativistic",)
OTHERS = (*LATER, *RELATIVISTIC)
PARZEN = (2500, 5000, 10_000, 17_000, 25_000, 35_000, 50_000, 70_000, 90_000)

# Part, networks, losses, name of the setting, settings, when to score (numbers of generator
# updates, or seconds of training), and updates between two rows of study-courses.csv, if any.
RUNS = [
    ("losses", BOTH, PAPERS, "plain", PLAIN, (3000, "45s")),
    ("losses", ("dcgan",), (*PAPERS, *OTHERS), "default", DEFAULT, (3000, "45s")),
    ("losses", ("mlp",), ("minimax", *GAN, *OTHERS), "default", DEFAULT, (3000, "45s")),
    ("losses", ("mlp",), ("lsgan",), "default", DEFAULT | R1_AND_SPECTRAL, (3000, "45s")),
    ("losses", ("maxout",), GAN, "published", {}, (3000, "45s")),
    ("gradients", BOTH, ("minimax", "non_saturating"), "plain", PLAIN, (500,), 20),
    ("half", ("mlp",), GAN, "plain", PLAIN, (4000,), 200),
    ("half", ("mlp",), GAN, "label smoothing", PLAIN | {"label_smoothing": 0.1}, (4000,), 200),
    ("half", ("mlp",), GAN, "R1", PLAIN | R1_THEN | {"penalty": "r1"}, (4000,), 200),
    ("half", ("mlp",), GAN, "strong D", PLAIN | {"d_lr": 1e-3}, (4000,), 200),
    *(("steps", ("mlp",), GAN, f"k = {k}", PLAIN | {"d_steps": k}, ("30s",)) for k in (1, 2, 3, 5)),
]
SINGLE_RUNS = [  # of seed 0 only
    ("parzen", ("maxout",), GAN, "published", {"ema_decay": 0.999}, PARZEN),
    ("parzen", ("mlp",), GAN, "annealed", PARZEN_ANNEALED, (9360, 18_720, 37_440, 56_160)),
    ("parzen", ("mlp",), GAN, "default", DEFAULT, (9360, 18_720, 37_440)),
    ("windows", ("dcgan",), ("lsgan",), "samples", DEFAULT, (3000,)),
    ("stacked", ("dcgan",), PAPERS, "plain", PLAIN | Z, (5000,)),
    ("stacked", ("dcgan",), (*PAPERS, *LATER), "default", DEFAULT | Z, (5000,)),
    ("stacked", ("dcgan",), RELATIVISTIC, "default", DEFAULT | Z, (5000, 16_000, 32_000)),
    ("stacked", ("dcgan",), RELATIVISTIC, "annealed", STACKED_ANNEALED, (16_000, 32_000, 48_000)),
]


@dataclasses.dataclass(frozen=True)
class Run:
    """One training, and when to score it."""

    part: str
    arch: str
    loss: str
    setting: str
    settings: dict
    marks: tuple
    course: int = 0
    seed: int = 0

    @property
    def dataset(self):
        return "stacked_mnist" if self.part == "stacked" else "mnist"

    def key(self, mark, setting=None):
        """The first columns of a row, {name: text}."""
        values = (self.part, self.arch, self.loss, setting or self.setting, self.seed, mark)
        return dict(zip(tables.KEY, map(str, values), strict=True))


def runs(lines, seed=0):
    """The runs of lines of RUNS or SINGLE_RUNS."""
    for part, archs, losses, *others in lines:
        for arch, loss in itertools.product(archs, losses):
            yield Run(part, arch, loss, *others, seed=seed)


def shortened(runs):
    """Every part and network, and every loss with `mlp`, for 20 updates or a second."""
    first = {}
    for run in runs:
        setting = run.part in ("losses", "steps", "stacked") and run.setting
        loss = run.arch == "mlp" and run.loss
        first.setdefault((run.part, run.arch, setting, loss), run)
    for run in first.values():
        marks = {"1s" if isinstance(mark, str) else 20 for mark in run.marks}
        yield dataclasses.replace(run, marks=tuple(marks), course=min(run.course, 20))


# Training


@functools.cache
def real(setup, dataset):
    """The training images, and the `Reference`: of stacked MNIST only some of them."""
    train, test = (data.load(dataset, setup.data_path, split) for split in ("train", "test"))
    known = train.images[: setup.stacked] if dataset == "stacked_mnist" else train.images
    return train, Reference(Samples(known), Samples(test.images))


def build_run(setup, run):
    """The GAN of a run, its training images, and its `Config`."""
    settings = {"arch": run.arch, "loss": run.loss, "seed": run.seed}
    settings |= STUDIED[run.arch] | run.settings
    images = real(setup, run.dataset)[0].images
    return common.build(images, settings)


def train(setup, run):
    """Trains a run, and appends its rows to the tables when it ends."""
    keras.backend.clear_session()
    gan, images, config = build_run(setup, run)
    course = Course()
    callbacks = [keras_gan.callbacks.TerminateOnNonFinite(), *([course] if run.course else [])]
    marks = common.train(gan, images, config.batch_size, run.marks, callbacks, run.course)
    rows = {}  # {mark: rows}
    try:
        for mark, seconds in marks:
            count = int(gan.step) * config.batch_size * config.d_steps
            about = {"steps": int(gan.step), "images": count, "seconds": f"{seconds:.1f}"}
            rows[mark] = [row | about for row in scored(setup, run, mark, gan)]
    except FloatingPointError as error:
        print(run, error, flush=True)
    diverged = {mark: [run.key(mark) | {"steps": int(gan.step)}] for mark in run.marks}
    if run.course:
        lines = [run.key("") | row for row in course.rows]
        append(setup.folder / tables.COURSES, COURSE_FIELDS, lines)
    append(setup.folder / tables.TABLE, FIELDS, itertools.chain(*(diverged | rows).values()))


def append(path, fields, rows):
    """Adds rows in one write: several processes may do so at a time."""
    frame = pd.DataFrame(rows, columns=fields, dtype=object)  # integers stay integers beside NaN
    with open(path, "a", newline="") as file:
        file.write(frame.to_csv(index=False, header=False, na_rep="nan"))


def rounded(scores):
    return {name: f"{score:.5g}" for name, score in scores.items()}


def scored(setup, run, mark, gan):
    """The rows of a mark, one for each of the `image_sets`."""
    for setting, images in image_sets(setup, run, gan).items():
        row = run.key(mark, setting)
        try:
            row |= rounded(evaluated(setup, run, gan, images, timed=isinstance(mark, str)))
        except keras_gan.InputError as error:
            print(run, error, flush=True)
        yield row


def image_sets(setup, run, gan):
    """{setting: images} that are scored: samples, and what the run's part compares them with."""
    count = setup.stacked if run.part == "stacked" else setup.samples
    samples = gan.generate(count)
    if run.part == "windows":
        # Other images than those that choose the windows' width.
        images = real(setup, "mnist")[1].train.images[VALIDATION:][:count]
        sets = {"samples": samples, "training images": images}
        return sets | {f"{name}, blurred": blurred(x) for name, x in sets.items()}
    if run.setting == "published" and gan.ema_decay:
        bare = keras_gan.GAN(gan.generator, gan.discriminator, latent=gan.latent)
        return {"published": bare.generate(count), "published, averaged": samples}
    return {run.setting: samples}


def evaluated(setup, run, gan, images, timed):
    """{score: number} of images; `timed`: only those that take no time."""

    def probability(pixels, labels):
        parts = np.array_split(pixels, -(-len(pixels) // 500))
        return np.concatenate([gan.probability(x / np.float32(127.5) - 1) for x in parts])

    train, reference = real(setup, run.dataset)
    samples = Samples(images, discriminator=probability)
    if run.part == "stacked":
        shares = np.bincount(train.labels, minlength=1000) / len(train.labels)
        found = {"class_kl": scores.class_kl(shares, samples.histogram)}
        found["modes"] = int(np.sum(samples.histogram > 0))
        return found | evaluate(samples, reference, ["fid"])
    found = evaluate(samples, reference, ["fid", "modes", "acceptance", "noise"])
    if not timed:
        found |= evaluate(samples, reference, ["parzen"])
        found |= evaluate(samples.head(setup.paired), reference, ["kid", "precision_recall"])
    return found


class Course(keras.callbacks.Callback):
    """Collects after each epoch the logs, and the mean norm of the generator's gradient in it."""

    def set_model(self, model):
        super().set_model(model)
        self.rows = []
        self.total = total = tf.Variable(0.0)
        apply = model.g_optimizer.apply

        def recorded(gradients, variables=None):
            total.assign_add(tf.linalg.global_norm(gradients))
            return apply(gradients, variables)

        model.g_optimizer.apply = recorded

    def on_epoch_end(self, epoch, logs=None):
        numbers = logs | {"gradient": float(self.total) / self.params["steps"]}
        self.rows.append({"step": int(self.model.step)} | rounded(numbers))
        self.total.assign(0.0)


def missing(setup, runs):
    """Those of the runs that have no rows."""
    done = pd.read_csv(setup.folder / tables.TABLE, usecols=tables.KEY, dtype=str)
    done = set(done[list(tables.KEY)].itertuples(index=False, name=None))
    return [
        run for run in runs if not done.issuperset(tuple(run.key(m).values()) for m in run.marks)
    ]


def train_missing(setup, runs):
    """Trains the runs that have no rows, as many at a time as there are cores."""
    create_tables(setup.folder)
    runs = missing(setup, runs)
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")
    os.environ.update(dict.fromkeys(names, "1"))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(None, spawn, configure_tensorflow) as pool:
        for i, _ in enumerate(pool.map(functools.partial(train, setup), runs), start=1):
            print(f"{i} of {len(runs)}", flush=True)


def create_tables(folder):
    for name, fields in ((tables.TABLE, FIELDS), (tables.COURSES, COURSE_FIELDS)):
        if not (folder / name).exists():
            pd.DataFrame(columns=fields).to_csv(folder / name, index=False)


def all_runs(seeds):
    return [*runs(SINGLE_RUNS), *(run for seed in range(seeds) for run in runs(RUNS, seed))]


def main(parts):
    setup = Setup()
    runs = all_runs(setup.seeds)
    known = {run.part for run in runs}
    if not known.issuperset(parts):
        sys.exit(f"{' '.join(parts)}: expected short, or some of {', '.join(sorted(known))}.")
    train_missing(setup, [run for run in runs if not parts or run.part in parts])
    print("Now: python -m benchmarks.claims")


def main_short():
    setup = Setup.short(ROOT / "runs/study-short")
    shutil.rmtree(setup.folder, ignore_errors=True)
    setup.folder.mkdir(parents=True)
    known, test = (data.load("synthetic", split=split) for split in ("train", "test"))
    arrays = {"x_train": known.images, "y_train": known.labels, "x_test": test.images}
    np.savez(setup.data_path, **{name: array[:6000] for name, array in arrays.items()})
    train_missing(setup, shortened(all_runs(setup.seeds)))
    claims.write(tables.read(setup.folder), setup.folder)


if __name__ == "__main__":
    main_short() if sys.argv[1:] == ["short"] else main(sys.argv[1:])
