"""The commands as a user runs them: in separate processes; the files they write are checked."""

import csv
import html
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings

import forks
import numpy as np
import pytest
import tensorflow as tf
from conftest import picture
from PIL import Image

from keras_gan import files

SMALL = ("--steps_per_epoch=3", "--epochs=2", "--batch_size=8", "--fid_every=0")
SCORED = (*SMALL, "--fid_every=1")
EXPORT = "assets.extra/run.json"


@pytest.fixture(scope="module")
def run_dir(tiny_npz, tmp_path_factory, fresh_command):
    """A finished run of two short epochs."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    flags = [f"--data_path={tiny_npz}", f"--model_dir={directory}", *SCORED, "--max_minutes=9"]
    done = fresh_command("train.py", *flags)
    assert done.returncode == 0, done.stderr
    assert "Training dcgan with lsgan on tiny" in done.stdout
    # TensorFlow 2.18 says this of some training steps.
    assert [line for line in done.stderr.splitlines() if "remapper failed" not in line] == []
    return directory


def tree(directory):
    """Path -> content of all that is below a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def exported_epoch(directory, name):
    return json.loads((directory / name / EXPORT).read_text())["epoch"]


def history(directory):
    with open(directory / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


# A whole run


def test_run_directory(run_dir, tiny_npz):
    there = {path.name for path in run_dir.iterdir()}
    assert there == {
        ".lock", "checkpoints", "config.json", "curves.png", "export", "export-best", "history.csv",
        "report.html", "samples",
    }  # fmt: skip
    assert sorted(os.listdir(run_dir / "samples")) == ["epoch-0001.png", "epoch-0002.png"]
    assert picture(run_dir / "samples/epoch-0002.png").shape == (224, 224)
    assert [row["epoch"] for row in history(run_dir)] == ["0", "1"]
    assert {"d_loss", "g_loss", "d_real", "d_fake"} <= set(history(run_dir)[0])
    record = json.loads((run_dir / "config.json").read_text())
    assert record["settings"]["batch_size"] == 8
    assert record["settings"]["data_path"] == str(tiny_npz)
    assert record["dataset"]["name"] == "tiny"
    assert len(record["dataset"]["sha256"]) == 64
    assert record["versions"]["tensorflow"] == tf.__version__
    distances = [float(row["fid"]) for row in history(run_dir)]
    assert min(distances) > 0
    exported = [exported_epoch(run_dir, name) for name in ("export", "export-best")]
    assert exported == [2, 1 + np.argmin(distances)]
    assert record.keys() == {"settings", "dataset", "versions", "machine"}


def test_finished_run_says_so_and_trains_on(run_dir, tiny_npz, command, tmp_path):
    flags = [f"--data_path={tiny_npz}", f"--model_dir={run_dir}", *SCORED]
    before = tree(run_dir)
    done = command("train.py", *flags)
    assert done.returncode == 0
    assert "is finished: 2 epochs" in done.stdout
    assert "--epochs" in done.stdout
    assert tree(run_dir) == before
    done = command("train.py", *flags, "--g_lr=0.5", "--loss=minimax")
    assert done.returncode == 1
    assert "holds a run with --loss=lsgan, --g_lr=0.002: " in done.stderr
    assert tree(run_dir) == before
    shutil.rmtree(run_dir / "export")  # as a kill between checkpoint and export leaves it
    (run_dir / "export-best/saved_model.pb").write_bytes(b"damaged")
    assert "Done" in command("train.py", *flags).stdout
    assert tree(run_dir).keys() == before.keys()
    for name in ("export", "export-best"):
        assert exported_epoch(run_dir, name) == json.loads(before[f"{name}/{EXPORT}"])["epoch"]
        assert "images" in tf.saved_model.load(str(run_dir / name)).sample(2, 0)
    done = command("train.py", *flags, "--epochs=3")
    assert "Resuming" in done.stdout
    assert [row["epoch"] for row in history(run_dir)] == ["0", "1", "2"]
    assert exported_epoch(run_dir, "export") == 3


def test_overwrite_deletes_the_run_and_nothing_else(tiny_npz, command, tmp_path):
    flags = [f"--data_path={tiny_npz}", f"--model_dir={tmp_path}", "--arch=mlp", *SMALL]
    assert command("train.py", *flags).returncode == 0
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "samples/epoch-0099.png").write_text("old")
    more = ("--overwrite", "--epochs=1", "--loss=minimax", "--num_images=100")
    done = command("train.py", *flags, *more)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "config.json").read_text())
    assert (record["settings"]["num_images"], record["dataset"]["shape"][0]) == (100, 100)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path / "samples") == ["epoch-0001.png"]
    assert len(history(tmp_path)) == 1


def test_max_minutes_ends_as_a_finished_run(tiny_npz, command, tmp_path):
    flags = [f"--data_path={tiny_npz}", f"--model_dir={tmp_path / 'run'}", "--max_minutes=0.02"]
    flags += ["--epochs=10000", "--arch=mlp", "--batch_size=8", "--fid_every=0"]
    done = command("train.py", *flags)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/export/saved_model.pb").exists()
    rows = history(tmp_path / "run")
    assert 1 <= len(rows) < 10_000
    assert len(os.listdir(tmp_path / "run/samples")) == len(rows)
    done = command("train.py", *flags)
    assert "is finished" in done.stdout
    assert "--max_minutes" in done.stdout


@pytest.mark.parametrize("rate", ["--d_lr=300", "--g_lr=1000"])
def test_divergence_keeps_the_last_good_state(rate, tiny_npz, command, tmp_path):
    run = tmp_path / "run"
    flags = [f"--data_path={tiny_npz}", f"--model_dir={run}", "--arch=mlp", "--loss=hinge"]
    done = command(
        "train.py", *flags, "--steps_per_epoch=1", "--epochs=1000", "--fid_every=0", rate
    )
    assert done.returncode == 1
    network = "d(iscriminator|_optimizer)" if "d_lr" in rate else "generator"
    expected = rf"train.py: Training diverged: after \d+ steps a value in .* of the {network} is "
    assert re.match(expected, done.stderr)
    assert done.stderr.count("\n") == 1
    assert not (run / "export").exists()
    if "d_lr" in rate:  # at the other rate the first state is too bad to be kept
        for name, value in checkpoint_values(run).items():
            if name.startswith("model/"):
                assert np.all(np.isfinite(value)), name


# Exact resume


def checkpoint_values(directory, folder="checkpoints"):
    """The values in the newest state, without the time that it took."""
    paths = (directory / folder).glob("ckpt-*.index")
    newest = max(paths, key=lambda path: [int(number) for number in path.stem.split("-")[1:]])
    with files.without_wildcards(newest.parent) as parent:
        reader = tf.train.load_checkpoint(str(parent / newest.stem))
        return {
            name: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()
            if "seconds" not in name and "OBJECT_GRAPH" not in name
        }


def kill_when(process, condition, number=signal.SIGKILL):
    """Sends a signal to the process as soon as the condition is true, and waits for its end."""
    while not condition():
        assert process.is_alive(), "the run ended before it was killed"
        time.sleep(0.005)
    os.kill(process.pid, number)
    process.join()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        # A penalty that draws noise, and a discriminator with a state of its own.
        ["--arch=mlp", "--loss=relativistic", "--penalty=dragan", "--spectral_norm"],
        ["--arch=dcgan", "--loss=lsgan"],
        ["--arch=maxout", "--loss=non_saturating"],
    ],
    ids=lambda settings: settings[0],
)
def test_killed_run_continues_to_the_same_bits(settings, tiny_npz, command, tmp_path):
    flags = (f"--data_path={tiny_npz}", *settings, "--steps_per_epoch=150", "--epochs=3")
    flags = (*flags, "--batch_size=32")
    done = command("train.py", *flags, f"--model_dir={tmp_path / 'whole'}")
    assert done.returncode == 0, done.stderr

    cut = tmp_path / "cut"
    process = forks.start("train.py", *flags, f"--model_dir={cut}")
    kill_when(process, (cut / "checkpoints").exists)  # early in the first epoch
    assert not list((cut / "checkpoints").glob("*.index"))
    process = forks.start("train.py", *flags, f"--model_dir={cut}")
    first = cut / "checkpoints/ckpt-1.index"
    kill_when(
        process,
        lambda: first.exists() and time.time() - first.stat().st_mtime > 0.2,  # in the second
        signal.SIGTERM,
    )
    assert process.exitcode == 143
    # As if it had been killed between the row of an epoch and its checkpoint.
    rows = files.read_history(cut / "history.csv")
    rows.append(rows[-1] | {"epoch": 1, "g_loss": 0.0})
    files.write_history(cut / "history.csv", rows)

    done = command("train.py", *flags, f"--model_dir={cut}")
    assert re.search(r"Resuming .* after epoch 1 and \d+ steps of 3", done.stdout), done.stderr
    for folder in ("checkpoints", "checkpoints/best"):
        expected, found = (
            checkpoint_values(tmp_path / "whole", folder),
            checkpoint_values(cut, folder),
        )
        assert expected.keys() == found.keys()
        assert len(found) > 20
        for name, value in expected.items():
            np.testing.assert_array_equal(value, found[name], err_msg=name)
    assert without_seconds(history(cut)) == without_seconds(history(tmp_path / "whole"))
    path = "samples/epoch-0003.png"
    assert (cut / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()


@pytest.mark.slow
def test_run_killed_before_its_export_is_not_finished(tiny_npz, command, tmp_path):
    run = tmp_path / "run"
    flags = [f"--data_path={tiny_npz}", f"--model_dir={run}", "--arch=mlp", *SMALL]
    assert command("train.py", *flags).returncode == 0
    old = (run / "export/variables/variables.data-00000-of-00001").read_bytes()
    process = forks.start("train.py", *flags, "--epochs=3")
    kill_when(process, (run / "checkpoints/ckpt-3.index").exists)
    done = command("train.py", *flags, "--epochs=3")
    assert "Done" in done.stdout
    assert (run / "export/variables/variables.data-00000-of-00001").read_bytes() != old
    assert "is finished" in command("train.py", *flags, "--epochs=3").stdout


# Interruptions


def wait_for(process, path):
    while not path.exists():
        assert process.is_alive(), "the run ended too soon"
        time.sleep(0.01)


def test_one_process_per_directory_and_a_signal_saves(tiny_npz, command, tmp_path):
    flags = [f"--data_path={tiny_npz}", "--arch=mlp", "--steps_per_epoch=400", "--batch_size=8"]
    flags += ["--epochs=2", "--fid_every=0"]
    run, err = tmp_path / "run [1] \u00e9", tmp_path / "err"
    process = forks.start("train.py", *flags, f"--model_dir={run}", err=err)
    wait_for(process, run / "checkpoints")
    done = command("train.py", *flags, f"--model_dir={run}")
    assert done.returncode == 1
    expected = (
        f"train.py: --model_dir={run}: process {process.pid} on {socket.gethostname()} (since"
    )
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == 143
    states = [path.stem for path in (run / "checkpoints").glob("*.index")]
    _, epochs, steps = states[0].split("-")
    where = f"{run / 'checkpoints'} has the state after {epochs} epochs and {steps} steps."
    assert err.read_text() == f"Interrupted. {where} The same command goes on from there.\n"
    done = command("train.py", *flags, f"--model_dir={run}")
    assert f"Resuming {run} after epoch {epochs} and {steps} steps of 2." in done.stdout


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_before_the_first_step(number, status, tiny_npz, tmp_path):
    err = tmp_path / "err"
    flags = [f"--data_path={tiny_npz}", "--arch=mlp", f"--model_dir={tmp_path / 'run'}"]
    process = forks.start("train.py", *flags, err=err)
    wait_for(process, tmp_path / "run")
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == status
    assert err.read_text().startswith("Interrupted.")


def test_a_history_without_its_states_is_not_overwritten(run_dir, tiny_npz, command, tmp_path):
    run = shutil.copytree(run_dir, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    before = tree(run)
    flags = [f"--data_path={tiny_npz}", f"--model_dir={run}", *SCORED, "--epochs=9"]
    done = command("train.py", *flags)
    assert done.returncode == 1
    found = f"{run / 'history.csv'} has {len(history(run))} epochs, {run / 'checkpoints'} no state"
    assert done.stderr == f"train.py: {found}: put them back, or --overwrite starts afresh.\n"
    assert tree(run) == before


def test_the_states_of_another_model_are_left_alone(run_dir, tiny_npz, command, tmp_path):
    """As of a version whose networks were others: the settings are the same."""
    run = shutil.copytree(run_dir, tmp_path / "run")
    record = json.loads((run / "config.json").read_text())
    record["settings"]["latent_dim"] = 20
    (run / "config.json").write_text(json.dumps(record))
    before = tree(run)
    flags = [f"--data_path={tiny_npz}", f"--model_dir={run}", *SCORED, "--latent_dim=20"]
    done = command("train.py", *flags, "--epochs=9")
    assert done.returncode == 1
    newest = run / f"checkpoints/ckpt-{len(history(run))}"
    assert done.stderr == f"train.py: {newest}: the state of another model.\n"
    assert tree(run) == before


def test_a_directory_deleted_during_the_training(tiny_npz, tmp_path):
    run, err = tmp_path / "run", tmp_path / "err"
    flags = [f"--data_path={tiny_npz}", "--arch=mlp", f"--model_dir={run}", *SMALL]
    process = forks.start("train.py", *flags, "--epochs=100000", err=err)
    wait_for(process, run / "samples/epoch-0001.png")
    moved = run.rename(tmp_path / "moved")  # at one moment
    process.join()
    assert process.exitcode == 1
    assert re.fullmatch(rf"train\.py: {run}[/:].*\n", err.read_text())
    assert not run.exists()
    assert len(history(moved)) >= 1


# The SavedModel


def test_saved_model_needs_tensorflow_only(run_dir, tmp_path):
    code = f"""
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load({str(run_dir / "export")!r})
sample = model.signatures["sample"]
draw = lambda n, seed: sample(num_images=tf.constant(n), seed=tf.constant(seed))["images"].numpy()
first = draw(64, 0)
assert first.shape == (64, 28, 28, 1) and first.dtype == np.float32
assert 0 <= first.min() < first.max() <= 1
assert np.array_equal(first, draw(64, 0)) and not np.array_equal(first, draw(64, 1))
assert np.array_equal(first, model.sample(64, 0)["images"])
serve = model.signatures["serving_default"]
for n in (1, 3, 70):
    z = tf.random.normal([n, 74])
    images = serve(z=z)["images"]
    assert images.shape == (n, 28, 28, 1)
    assert np.array_equal(images, serve(z)["images"])
discriminator = model.signatures["discriminator"]
assert discriminator(images=first)["probability"].shape == (64, 1)
judged = model.discriminator(np.concatenate([first, 1 - first]))["probability"].numpy()
assert 0 <= judged.min() < judged.max() <= 1
z = model.signatures["latents"](num_images=tf.constant(64), seed=tf.constant(0))["z"]
np.testing.assert_allclose(first, serve(z=z)["images"], atol=1e-6)
assert "keras_gan" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


# sample.py


def sample(command, *flags):
    done = command("sample.py", *flags)
    assert done.returncode == 0, done.stderr
    return done


def test_sample_from_the_best_state(tiny_npz, command, tmp_path):
    run = tmp_path / "run"
    # At this rate the first epoch is the best of these.
    flags = ["--arch=mlp", "--g_lr=0.005", "--ema_decay=0", "--steps_per_epoch=20", "--epochs=4"]
    done = command("train.py", *flags, f"--data_path={tiny_npz}", f"--model_dir={run}")
    assert done.returncode == 0, done.stderr
    best = exported_epoch(run, "export-best")
    for checkpoint in ("last", "best"):
        output = f"--output={tmp_path / checkpoint}.png"
        sample(command, f"--model_dir={run}", f"--checkpoint={checkpoint}", output)
    last = picture(run / "samples/epoch-0004.png")
    np.testing.assert_allclose(picture(tmp_path / "last.png"), last, atol=1)
    grid = picture(run / f"samples/epoch-000{best}.png")
    np.testing.assert_allclose(picture(tmp_path / "best.png"), grid, atol=1)


def test_sample_from_a_saved_model_of_another_program(command, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    done = command("sample.py", f"--model_dir={tmp_path / 'other'}")
    assert done.returncode == 1
    assert done.stderr == f"sample.py: {tmp_path / 'other'}: a SavedModel of another program.\n"


@pytest.mark.slow
def test_training_without_fid(tiny_npz, command, tmp_path):
    flags = [f"--data_path={tiny_npz}", "--arch=mlp", *SMALL, "--epochs=1"]
    done = command("train.py", *flags, f"--model_dir={tmp_path / 'off'}")
    assert done.returncode == 0, done.stderr
    done = command("train.py", *flags, f"--model_dir={tmp_path / 'on'}", "--fid_every=1")
    off, on = checkpoint_values(tmp_path / "off"), checkpoint_values(tmp_path / "on")
    for name, value in off.items():
        if not name.startswith("fid/"):  # the lowest so far
            np.testing.assert_array_equal(value, on[name], err_msg=name)
    assert "fid" not in history(tmp_path / "off")[0]
    assert not (tmp_path / "off/export-best").exists()
    done = command("sample.py", f"--model_dir={tmp_path / 'off'}", "--checkpoint=best")
    assert done.returncode == 1
    assert "--fid_every" in done.stderr
    images = np.random.default_rng(0).integers(0, 256, [20, 32, 32], np.uint8)
    np.savez(tmp_path / "large.npz", x_train=images)
    done = command(
        "train.py",
        f"--data_path={tmp_path / 'large.npz'}",
        f"--model_dir={tmp_path / 'large'}",
        *SCORED,
        "--arch=mlp",
    )
    assert done.returncode == 0, done.stderr
    assert "Training without fid. mnist-cnn-v1 takes images of shape [28, 28, 1]" in done.stdout


def test_sample_npy_png_and_folder_hold_the_same_images(run_dir, command, tmp_path):
    model = f"--model_dir={run_dir}"
    for output in ("x.npy", "x.png", "x/"):
        sample(command, model, "--num_images=5", "--seed=4", f"--output={tmp_path}/{output}")
    images = np.load(tmp_path / "x.npy")
    assert images.shape == (5, 28, 28, 1)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == 5
    grid = picture(tmp_path / "x.png")
    assert grid.shape == (56, 84)
    np.testing.assert_array_equal(grid[28:, :28], images[3, :, :, 0])
    names = sorted(path.name for path in (tmp_path / "x").iterdir())
    assert names == [f"{i:05d}.png" for i in range(5)]
    np.testing.assert_array_equal(picture(tmp_path / "x/00004.png"), images[4, :, :, 0])


def test_sample_from_the_saved_models_own_folder_and_in_batches(run_dir, command, tmp_path):
    flags = ["--num_images=600", f"--output={tmp_path / 'x.npy'}"]
    sample(command, f"--model_dir={run_dir / 'export'}", *flags)
    images = np.load(tmp_path / "x.npy")
    assert images.shape == (600, 28, 28, 1)
    model = tf.saved_model.load(str(run_dir / "export"))
    expected = model.signatures["sample"](num_images=tf.constant(600), seed=tf.constant(0))
    difference = images - 255 * np.array(expected["images"])
    assert np.abs(difference).max() <= 0.51


def test_interpolation_walks_between_latents(run_dir, command, tmp_path):
    flags = [f"--model_dir={run_dir}", "--num_images=9", "--interpolate"]
    sample(command, *flags, f"--output={tmp_path / 'x.npy'}")
    walk = np.load(tmp_path / "x.npy").astype(float).reshape(3, 3, 784)
    sample(command, flags[0], "--num_images=6", f"--output={tmp_path / 'ends.npy'}")
    ends = np.load(tmp_path / "ends.npy").astype(float).reshape(6, 784)
    np.testing.assert_allclose(walk[:, 0], ends[:3], atol=1)
    np.testing.assert_allclose(walk[:, -1], ends[3:], atol=1)


def test_a_walk_is_a_film_that_closes(run_dir, command, tmp_path):
    flags = [f"--model_dir={run_dir}", "--num_images=4"]
    film = tmp_path / "walk.png"
    assert "64 frames" in sample(command, *flags, f"--walk={film}").stdout
    with Image.open(film) as frames:
        assert (frames.n_frames, frames.size) == (64, (56, 56))
        pixels = []
        for i in range(64):
            frames.seek(i)
            pixels.append(np.asarray(frames.convert("L"), float))
    sample(command, *flags, "--num_images=16", f"--output={tmp_path / 'x.npy'}")
    first = np.load(tmp_path / "x.npy")[::4, ..., 0]  # each of the four images visits four latents
    expected = np.concatenate([np.concatenate(row, axis=1) for row in (first[:2], first[2:])])
    np.testing.assert_allclose(pixels[0], expected, atol=1)
    jumps = [np.abs(a - b).max() for a, b in zip(pixels, pixels[1:] + pixels[:1], strict=True)]
    assert jumps[-1] <= max(jumps[:-1])


@pytest.mark.slow
def test_projection_beside_the_original(run_dir, command, tmp_path):
    flags = [f"--model_dir={run_dir}", "--num_images=2"]
    sample(command, *flags, "--seed=77", f"--output={tmp_path / 'x.npy'}")
    drawn = np.load(tmp_path / "x.npy")
    output = f"--output={tmp_path / 'pairs.npy'}"
    done = sample(command, *flags, f"--project={tmp_path / 'x.npy'}", output)
    pairs = np.load(tmp_path / "pairs.npy")
    np.testing.assert_array_equal(pairs[::2], drawn)
    distances = np.linalg.norm((drawn / 255.0 - pairs[1::2] / 255.0).reshape(2, -1), axis=1)
    assert distances.max() < 1  # random pairs of this run are about 4 apart
    assert f"median of 2): {np.median(distances):.3g}" in done.stdout
    # A picture of another size, in colour.
    scaled = np.repeat(drawn[0].repeat(2, axis=0).repeat(2, axis=1), 3, axis=2)
    Image.fromarray(scaled).save(tmp_path / "digit.png")
    output = f"--output={tmp_path / 'pair.png'}"
    done = sample(command, *flags, f"--project={tmp_path / 'digit.png'}", output)
    assert "median of 1" in done.stdout
    assert picture(tmp_path / "pair.png").shape == (28, 56)


@pytest.mark.slow
def test_other_formats(run_dir, command, tmp_path):
    """A generator as ONNX and as LiteRT draws what the SavedModel draws."""
    model = tf.saved_model.load(str(run_dir / "export"))
    z, expected = model.latents(4, 0)["z"].numpy(), model.sample(4, 0)["images"]
    path = tmp_path / "digits.tflite"
    flags = ("-m", "keras_gan.export", f"--model_dir={run_dir}", f"--output={path}")
    done = command(*flags, "--format=onnx")
    assert f"--output={path}: expected a name that ends in .onnx." in done.stderr
    done = command(*flags, "--format=litert")
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == ["digits.tflite"]
    with warnings.catch_warnings(action="ignore"):  # it has moved to another package
        interpreter = tf.lite.Interpreter(str(path))
    (given,), (drawn,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], z.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], z)
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(drawn["index"]), expected, atol=1e-4)
    path = tmp_path / "digits.onnx"
    done = command(*flags[:3], f"--output={path}", "--format=onnx")
    if importlib.util.find_spec("tf2onnx") is None:
        assert "--format=onnx: pip install tf2onnx onnx" in done.stderr
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        return
    assert done.returncode == 0, done.stderr
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path))
    (given,) = session.get_inputs()
    (images,) = session.run(None, {given.name: z})
    np.testing.assert_allclose(images, expected, atol=1e-4)


def test_the_report_says_how_to_go_on(run_dir, command):
    page = (run_dir / "report.html").read_text()
    found = html.unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1])
    train, draw, score = map(shlex.split, found.splitlines())
    assert [words[:2] for words in (train, draw)] == [
        ["python", "train.py"],
        ["python", "sample.py"],
    ]
    assert score == ["python", "-m", "keras_gan.evaluate", f"--model_dir={run_dir}"]
    done = command(*train[1:])
    assert f"{run_dir} is finished" in done.stdout, done.stderr


def test_a_tilde_is_the_home_folder(run_dir, command, tmp_path):
    (tmp_path / "run").symlink_to(run_dir)
    flags = ("--model_dir=~/run", "--num_images=1", "--output=~/x.png")
    assert command("sample.py", *flags, HOME=str(tmp_path)).returncode == 0
    assert (tmp_path / "x.png").exists()


# Mistakes


MISTAKES = {
    "unknown arch": (["--arch=resnet"], "--arch=resnet: value should be one of <mlp|dcgan|maxout>"),
    "unknown loss": (["--loss=hinged"], "--loss=hinged: value should be one of"),
    "unknown dataset": (["--dataset=cifar"], "--dataset=cifar: value should be one of"),
    "unknown flag": (["--archs=mlp"], "Unknown command line flag 'archs'. Did you mean: arch ?"),
    "no flag": (["dcgan"], "dcgan: expected flags only"),
    "batch size 0": (["--batch_size=0"], "--batch_size=0: expected 1 <= value <= 2147483647"),
    "batch size": (["--batch_size=501"], "--batch_size=501: expected at most the number of"),
    "missing data": (["--data_path=/nowhere/x.npz"], "/nowhere/x.npz: no such file or folder"),
    "unwritable": (
        ["--model_dir=/proc/keras_gan"],
        "--model_dir=/proc/keras_gan: can't be written (No such file or directory): choose another",
    ),
    "no number": (["--epochs=many"], "--epochs=many"),
    "no argument": (["--notensorboard=1"], "--notensorboard=1 does not take an argument"),
    "no penalty": (["--penalty=r3"], "--penalty=r3: value should be one of"),
    "weight of none": (
        ["--arch=maxout", "--penalty_weight=2"],
        "--penalty_weight=2.0: expected together",
    ),
    "no target": (["--loss=wasserstein", "--label_smoothing=0.1"], "the Wasserstein loss has no"),
    "below zero": (["--fid_every=-1"], "--fid_every=-1: expected 0 <= value <= 2147483647"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_is_one_line_and_exit_1_and_changes_nothing(case, tiny_npz, command, tmp_path):
    flags, message = MISTAKES[case]
    data = [] if "--data_path" in flags[0] else [f"--data_path={tiny_npz}"]
    model = [] if "--model_dir" in flags[0] else [f"--model_dir={tmp_path / 'new' / 'run'}"]
    done = command("train.py", *data, *model, *flags, *SMALL[:2])
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_image_sizes_that_dcgan_cannot_make(command, tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.zeros([9, 30, 28, 3], np.uint8))
    done = command("train.py", f"--data_path={tmp_path / 'x.npz'}", *SMALL)
    assert done.returncode == 1
    assert (
        "images of 30x28 don't work: the shorter side must be 4 to 7 times a power" in done.stderr
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_networks_larger_than_the_memory(command, tmp_path):
    np.savez(tmp_path / "large.npz", x_train=np.zeros([2, 28, 2**18], np.uint8))
    flags = [f"--data_path={tmp_path / 'large.npz'}", "--latent_dim=65536", "--batch_size=1"]
    done = command("train.py", *flags, f"--model_dir={tmp_path / 'run'}")  # 8 TB
    assert done.returncode == 1
    assert done.stderr.startswith("train.py: Out of memory: OOM when allocating tensor with shape")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arch", ["mlp", "dcgan"])
def test_colour_images_of_another_size(arch, command, tmp_path):
    images = np.random.default_rng(0).integers(256, size=[20, 16, 24, 3], dtype=np.uint8)
    np.savez(tmp_path / "photos.npz", x_train=images)
    run = tmp_path / "run"
    flags = [f"--data_path={tmp_path / 'photos.npz'}", f"--model_dir={run}", f"--arch={arch}"]
    assert command("train.py", *flags, *SMALL).returncode == 0
    sample(command, f"--model_dir={run}", "--num_images=2", f"--output={tmp_path / 'x.png'}")
    assert picture(tmp_path / "x.png").shape == (16, 48, 3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--model_dir is missing"),
        (["--model_dir=/nowhere"], "no SavedModel in /nowhere/export, /nowhere"),
        (["--num_images=0"], "--num_images=0: 0 is not an integer in the range [1, 2147483647]"),
        (["--seed=-1"], "--seed=-1: -1 is not an integer in the range [0, 2147483647]"),
        (["--output=x.jpg"], "--output=x.jpg: expected a name that ends in .png, .npy or /"),
    ],
)
def test_sample_mistakes(flags, message, run_dir, command, tmp_path):
    model = [f"--model_dir={run_dir}"] if flags and "--model_dir" not in flags[0] else []
    done = command("sample.py", *model, *flags)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("flags", [["--help"], ["--arch=resnet"]])
def test_flags_answer_within_a_second(flags, fresh_command):
    def seconds():
        begin = time.monotonic()
        fresh_command("train.py", *flags)
        return time.monotonic() - begin

    # A busy machine may be slow once; a command that imports TensorFlow is slow every time.
    assert any(seconds() < 1 for _ in range(10))


@pytest.mark.slow
def test_synthetic_fallback_trains_with_a_warning(command, tmp_path):
    environment = {
        "KERAS_GAN_DATA": "",
        "KERAS_HOME": str(tmp_path / "keras"),
        "https_proxy": "http://127.0.0.1:9",  # nothing listens there
    }
    done = command("train.py", f"--model_dir={tmp_path / 'run'}", *SMALL, **environment)
    assert done.returncode == 0, done.stderr
    assert "WARNING: training on SYNTHETIC digits, not on MNIST" in done.stderr
    record = json.loads((tmp_path / "run/config.json").read_text())
    assert record["dataset"]["name"] == "synthetic"
    done = command("train.py", "--dataset=mnist", f"--model_dir={tmp_path / 'x'}", **environment)
    assert done.returncode == 1
    assert "--data_path=" in done.stderr
    assert not (tmp_path / "x").exists()


# Pictures


@pytest.mark.slow
def test_a_folder_of_pictures(command, fresh_command, tmp_path):
    """From pictures of mixed sizes and modes to a grid, colour, a score, and back again."""
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = tmp_path / "icons"
    folder.mkdir()
    for i in range(30):
        pixels = rng.integers(0, 256, [20 + i % 3, 18, 1 + i % 4], np.uint8).squeeze()
        Image.fromarray(pixels).save(folder / f"{i}.png")
    flags = [f"--data_path={folder}", f"--model_dir={tmp_path / 'run'}", "--arch=dcgan", *SCORED]
    home = {"KERAS_HOME": str(tmp_path / "keras")}
    done = command("train.py", *flags, **home)
    assert done.returncode == 1
    assert "pictures of 3 sizes: 20x18 (10), 21x18 (10), 22x18 (10): give --image" in done.stderr
    flags += ["--image_size=16x24", "--augment=color,translation", "--mirror", "--channels=4"]
    done = fresh_command("train.py", *flags, **home)
    assert done.returncode == 0, done.stderr
    assert "Training without fid. mnist-cnn-v1 takes images" in done.stdout
    assert "of 30 pictures" not in done.stderr  # no progress where there is no terminal
    assert all(float(row["swd"]) > 0 for row in history(tmp_path / "run"))
    assert picture(tmp_path / "run/samples/epoch-0002.png").shape == (8 * 16, 8 * 24, 3)
    assert exported_epoch(tmp_path / "run", "export-best") in (1, 2)
    run = f"--model_dir={tmp_path / 'run'}"
    done = command("sample.py", run, f"--output={tmp_path / 'x.npy'}", **home)
    assert np.load(tmp_path / "x.npy").shape == (64, 16, 24, 3), done.stderr
    # The run knows the size; for other images it is theirs.
    data = f"--data_path={folder}"
    for source in ([run], [f"--images={tmp_path / 'x.npy'}", data]):
        sized = ["--metrics=swd", "--num_images=30"]
        done = command("-m", "keras_gan.evaluate", *source, *sized, **home)
        assert done.returncode == 0, done.stderr
        assert "swd_16" in done.stdout
    done = command("train.py", *flags, "--epochs=3", **home)
    assert "Resuming" in done.stdout, done.stderr
    for flag in ("--nomirror", "--augment=color", "--channels=8"):
        done = command("train.py", *flags, flag, **home)
        assert "holds a run with" in done.stderr
        assert flag.removeprefix("--no").split("=")[0] in done.stderr
