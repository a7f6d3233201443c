"""Thousands of mutated files and flags: each is accepted, or refused in one line and in time.

An input follows from the name of its reader and its number, so `fuzz(folder, "npz", [17])` repeats
one.
"""

import collections
import dataclasses
import gzip
import json
import os
import random
import runpy
import shutil
import signal
import sys
from pathlib import Path

import forks
import keras
import numpy as np
import pytest
from conftest import ROOT
from mutations import mutated
from PIL import Image
from test_data import idx

from keras_gan import InputError, data, evaluate, evaluation, files
from keras_gan.checkpoint import Checkpoint
from keras_gan.config import Config
from keras_gan.data import readers
from keras_gan.evaluation.network import read_network
from keras_gan.export import SavedGenerator
from keras_gan.model import GAN
from keras_gan.networks import ARCHITECTURES, adam
from keras_gan.plots import draw_curves
from keras_gan.run_directory import RunDirectory

SECONDS, MEGABYTES = 20, 1500
PIXELS = np.random.default_rng(0).integers(0, 256, [100, 4, 4, 1], np.uint8)
LABELS = np.arange(100, dtype=np.uint8)


# Files: what is mutated, and what reads it


def written(write, path="whole"):
    """The content of a file that `write(path)` writes."""
    write(path)
    with open(path, "rb") as file:
        return file.read()


def npz():
    arrays = {"x_train": PIXELS, "y_train": LABELS}
    saves = (np.savez, np.savez_compressed)
    return [written(lambda path, s=s: s(path, **arrays), "whole.npz") for s in saves]


def npy():
    arrays = (PIXELS, PIXELS[..., 0], PIXELS / 255)
    return [written(lambda path, a=a: np.save(path, a), "whole.npy") for a in arrays]


def picture(kind):
    pixels = np.random.default_rng(0).integers(0, 256, [9, 8, 3], np.uint8)
    colour, grey = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned
    options = {"exif": exif} if kind in ("png", "jpeg", "webp") else {}
    images = [colour, grey] + [colour.quantize(16)] * (kind != "jpeg")
    return [written(lambda path, i=i: i.save(path, kind, **options)) for i in images]


def configuration():
    record = data.Images("real", PIXELS).record
    directory = RunDirectory("run")
    directory.path.mkdir(exist_ok=True)
    np.savez("real.npz", x_train=PIXELS)
    directory.write_config(CONFIG, record)
    return [directory.config.read_bytes()]


CONFIG = Config(data_path="real.npz").resolve(100)


def evaluated():
    record = {"samples": {"seed": 0}, "scores": {"fid": {"model": 1.5, "real": 0.1, "noise": None}}}
    return [json.dumps(record).encode()]


def history():
    rows = [{"epoch": i, "d_loss": 0.5 + i, "fid": float("nan")} for i in range(5)]
    return [written(lambda path: files.write_history(path, rows))]


def network():
    layers = [keras.Input([4, 4, 1]), keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()]
    model = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(3)])
    return [written(model.save, "whole.keras")]


def read_folder(path):
    readers.read(path.parent)


def read_configuration(path):
    """As train.py does, and keras_gan.evaluate before it reads the SavedModel."""
    (path.parent / "export").mkdir(exist_ok=True)
    (path.parent / "export/saved_model.pb").touch()
    try:
        RunDirectory(path.parent).check(CONFIG, data.Images("real", PIXELS).record)
    finally:
        try:
            evaluation.evaluate_run(path.parent)
        except InputError as error:
            if "not a readable SavedModel" not in str(error):
                raise


def read_history(path):
    rows = files.read_history(path)
    files.write_history(path, rows)
    if rows:
        draw_curves(path, path.with_name("curves.png"))


def read_and_call_network(path):
    read_network(path)(PIXELS)


TRAIN = "train-images-idx3-ubyte"
# Name -> (contents of whole files, the file's name, what reads it).
READERS = {
    "npz": (npz, "x.npz", readers.read),
    "idx": (lambda: [idx(PIXELS[..., 0])], TRAIN, read_folder),
    "idx.gz": (lambda: [gzip.compress(idx(PIXELS[..., 0]))], f"{TRAIN}.gz", read_folder),
    "npy": (npy, "x.npy", evaluate.read_images),
    "config.json": (configuration, "config.json", read_configuration),
    "evaluation.json": (evaluated, "evaluation.json", evaluate.read_evaluation),
    "history.csv": (history, "history.csv", read_history),
    "keras": (network, "x.keras", read_and_call_network),
} | {
    kind: (lambda kind=kind: picture(kind), f"a.{kind}", read_folder)
    for kind in ("png", "jpeg", "bmp", "gif", "webp")
}


def fuzz(folder, names, numbers):
    """Reads mutated files: how many of each reader were accepted; raises what failed."""
    os.chdir(folder)
    accepted, failed = dict.fromkeys(names, 0), []
    for name in names:
        originals, file, read = READERS[name]
        originals, path = originals(), folder / f"in-{name}" / file
        path.parent.mkdir()
        for number in numbers:
            rng = random.Random(f"{name} {number}")
            path.write_bytes(mutated(rng, rng.choice(originals)))
            signal.alarm(SECONDS)  # it kills the process
            try:
                read(path)
                accepted[name] += 1
            except InputError as error:
                if len(str(error).splitlines()) != 1:
                    failed.append(f"{name} {number}: {error!r}")
            except Exception as error:
                failed.append(f"{name} {number}: {error!r:.300}")
            signal.alarm(0)
    assert not failed, "\n".join(failed)
    return accepted


@pytest.mark.parametrize("names", [[name] for name in READERS], ids=lambda names: names[0])
@pytest.mark.slow
def test_mutated_files(names, tmp_path):
    kind, text, _, megabytes = forks.call(fuzz, tmp_path, names, range(10, 260), timeout=600)
    assert kind is dict, text
    assert megabytes < MEGABYTES
    print(f"250 inputs, accepted: {text}, {megabytes:.0f} MB")


def test_some_mutated_files(tmp_path):
    kind, text, _, _ = forks.call(fuzz, tmp_path, list(READERS), range(8))
    assert kind is dict, text


# Models and states, which TensorFlow reads


def gan():
    mlp = ARCHITECTURES["mlp"]
    model = GAN(mlp.generator(2, (4, 4, 1)), mlp.discriminator((4, 4, 1)))
    model.compile(adam(0.1), adam(0.1), "lsgan")
    return model


def draw(folder):
    generator = SavedGenerator(folder)
    generator.probability(generator.images(generator.latents(3, 0)))


def restore(folder):
    Checkpoint(gan(), folder).restore()


def write_state(folder):
    """Two states."""
    checkpoint = Checkpoint(model := gan(), folder)
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    for epoch in range(2):
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"fid": 1.0})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "read"), [(lambda folder: gan().export(folder), draw), (write_state, restore)]
)
def test_mutated_models(write, read, tmp_path):
    """Each in a fork of its own: TensorFlow ends the process for some of them."""
    write(tmp_path / "whole")
    paths = [
        p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*") if p.is_file()
    ]
    outcomes, failed = collections.Counter(), []
    for number in range(60):
        rng = random.Random(f"{read.__name__} {number}")
        folder = shutil.copytree(tmp_path / "whole", tmp_path / "mutated", dirs_exist_ok=True)
        path = folder / rng.choice(sorted(paths))
        path.write_bytes(mutated(rng, path.read_bytes()))
        kind, text, _, megabytes = forks.call(read, folder, timeout=120)
        outcomes[kind.__name__] += 1
        if kind not in (type(None), InputError) or megabytes > MEGABYTES:
            failed.append(f"{number} {path.name}: {kind.__name__}: {text:.300}, {megabytes:.0f} MB")
    print(outcomes, *failed, sep="\n")
    assert not failed


# Flags

WORDS = [
    "", "0", "-1", "1", "2", "5", "nan", "inf", "-inf", "1e999", "1e-320", "0.5", "0x10", "1e3",
    "true", "none", "2147483647", "2147483648", "9" * 30, "9" * 5000, "x", "~nobody/x", "\u00e9",
    "a\nb", "a,b", "/dev/null", "/proc/self/mem", "/dev/null/x", ".", "[*?", "a" * 300, "%s{}", "-",
    "--", "\udcff", "x.png", "x.npy", "mlp", "wasserstein", "r1", "mnist", "best",
]  # fmt: skip
TRAINED = [f"--{field.name}" for field in dataclasses.fields(Config)]
DRAWN = ["--model_dir", "--checkpoint", "--num_images", "--seed", "--output"]
SCORED = [*DRAWN, "--images", "--data_path", "--feature_network", "--metrics", "--dataset"]
# Script -> (flags that end it soon, flags that are changed or added).
COMMANDS = {
    "train.py": (
        [
            "--data_path=real.npz",
            "--arch=mlp",
            "--epochs=1",
            "--batch_size=4",
            "--steps_per_epoch=1",
        ],
        [*TRAINED, "--flagfile", "--verbosity", "--help", "--no", "--nospectral_norm"],
    ),
    "sample.py": (["--model_dir=export", "--num_images=4"], [*DRAWN, "--interpolate", "--label"]),
    "keras_gan/evaluate.py": (
        ["--images=real.npy", "--data_path=real.npz", "--metrics=noise"],
        SCORED,
    ),
}


def run(folder, script, flags):
    """Runs a command in this process. Gives its status, or the line that it ends with."""
    os.chdir(folder)
    sys.path.insert(0, str(ROOT))
    sys.argv = [script, *flags]
    signal.alarm(SECONDS)
    try:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    except SystemExit as status:
        return status.code or 0


@pytest.mark.slow
def test_mutated_flags(tmp_path):
    np.savez(tmp_path / "real.npz", x_train=PIXELS)
    np.save(tmp_path / "real.npy", PIXELS)
    gan().export(tmp_path / "export")
    outcomes, failed = collections.Counter(), []
    for number in range(200):
        rng = random.Random(f"flags {number}")
        script = rng.choice(["train.py", "train.py", *COMMANDS])
        flags, names = COMMANDS[script]
        flags = [*flags]
        for _ in range(rng.choice([1, 1, 2, 3])):
            flags.append(f"{rng.choice(names)}={rng.choice(WORDS)}")
        if script == "train.py" and rng.random() < 0.5:
            flags.append("--model_dir=/proc/keras_gan")  # ends after all checks
        kind, text, _, megabytes = forks.call(run, tmp_path, script, flags, timeout=60)
        outcomes[kind.__name__] += 1
        fine = text in ("0", "1") or (kind is str and text.startswith(f"{Path(script).name}: "))
        if not fine or len(text.splitlines()) > 1 or megabytes > MEGABYTES:
            failed.append(
                f"{number} {script} {flags[-4:]}: {kind}: {text:.300}, {megabytes:.0f} MB"
            )
    print(outcomes, *failed, sep="\n")
    assert not failed
