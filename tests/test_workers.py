"""Several processes on this machine compute what one does; files are written by one of them."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

from keras_gan import training
from keras_gan.launch import tf_configs

pytestmark = pytest.mark.slow
SMALL = ("--arch=mlp", "--batch_size=8", "--steps_per_epoch=8", "--steps_per_execution=1")


def launch(*flags, workers=2):
    """Starts the workers; the process of the launcher, in a group of its own."""
    command = [
        sys.executable,
        "-m",
        "keras_gan.launch",
        f"--workers={workers}",
        "--",
        *SMALL,
        *flags,
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)


def cluster():
    """The environments of two workers on this machine."""
    return [{"TF_CONFIG": config} for config in tf_configs(2)]


def start(command, environments, stdout=subprocess.PIPE):
    """Starts a Python command in each of these environments: nobody but TensorFlow ends them."""
    options = {"cwd": ROOT, "stdout": stdout, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, *command]
    return [subprocess.Popen(command, env={**os.environ, **e}, **options) for e in environments]


def history(run):
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: float(v) for name, v in row.items() if name != "seconds"} for row in rows]


def weights(run):
    gan = training.load(run)
    return [np.array(w) for w in (*gan.generator.weights, *gan.discriminator.weights)]


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_end_with_the_weights_of_one(workers, tiny_npz, command, tmp_path):
    flags = (f"--data_path={tiny_npz}", "--epochs=2", "--g_lr=1e-5", "--d_lr=1e-5")
    done = command("train.py", *SMALL, *flags, f"--model_dir={tmp_path / 'one'}")
    assert done.returncode == 0, done.stderr
    process = launch(*flags, f"--model_dir={tmp_path / 'several'}", workers=workers)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert output.count("Done. Now: python sample.py") == 1
    one, several = history(tmp_path / "one"), history(tmp_path / "several")
    assert len(one) == len(several) == 2
    for a, b in zip(one, several, strict=True):
        assert a == pytest.approx(b, rel=1e-3)
    for a, b in zip(weights(tmp_path / "one"), weights(tmp_path / "several"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    there = {path.name for path in (tmp_path / "several").iterdir()}
    assert there == {path.name for path in (tmp_path / "one").iterdir()}


USER_CODE = """
import hashlib
import keras
import tensorflow as tf
import keras_gan

mlp = keras_gan.networks.ARCHITECTURES["mlp"]
images, _ = keras_gan.data.synthetic.digits(200, seed=0)
with tf.distribute.MultiWorkerMirroredStrategy().scope():
    networks = mlp.generator(16, (28, 28, 1)), mlp.discriminator((28, 28, 1))
    gan = keras_gan.GAN(*networks, ema_decay=0.9)
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3), penalty="r1", d_steps=3)
gan.fit(keras_gan.data.batches(images, 24, minibatches=3), steps_per_epoch=20, verbose=0)
weights = [w for model in (*networks, gan.ema_generator) for w in model.weights]
states = [*weights, *gan.g_optimizer.variables, *gan.d_optimizer.variables]
print(hashlib.sha256(b"".join(tf.constant(w).numpy().tobytes() for w in states)).hexdigest())
print(*(int(o.iterations.numpy()) for o in (gan.g_optimizer, gan.d_optimizer)))
"""


def test_all_workers_hold_the_same_bits():
    """After 20 steps of Algorithm 1 with k = 3, in a user's own program."""
    workers = start(["-c", USER_CODE], cluster())
    (first, errors), (second, _) = (worker.communicate(timeout=120) for worker in workers)
    assert [worker.returncode for worker in workers] == [0, 0], errors
    assert first == second
    assert first.split("\n")[1] == "20 60"


def children(process):
    """The workers of a launcher: [(their place, process number)] in order."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    return sorted(map(int, listed.stdout.split()))


def test_workers_killed_five_times_go_on(tiny_npz, tmp_path):
    """At a random step, the chief or the other; the last state is at most an epoch old."""
    run, random = tmp_path / "run", np.random.default_rng(0)
    flags = (f"--data_path={tiny_npz}", f"--model_dir={run}", "--fid_every=0")
    epochs = 0
    for place in (0, 1, 1, 0, 1):
        process = launch("--epochs=9999", *flags)
        begin = time.monotonic()
        while time.monotonic() < begin + 120:
            if (run / "history.csv").exists() and len(history(run)) > epochs:
                break
            time.sleep(0.05)
        time.sleep(random.uniform(0, 1))
        os.kill(children(process)[place], signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert f"Worker {place} ended with status -9" in output
        assert "Traceback" not in output
        assert len(history(run)) > epochs
        epochs = len(history(run))
    process = launch(f"--epochs={epochs + 2}", *flags)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert [row["epoch"] for row in history(run)] == list(range(epochs + 2))
    assert not list(run.rglob("*.tmp"))
    assert training.load(run).step == 8 * (epochs + 2)


def test_workers_of_slurm(tiny_npz, tmp_path):
    """Its variables for two tasks on this machine stand for TF_CONFIG."""
    flags = (f"--data_path={tiny_npz}", "--epochs=1", f"--model_dir={tmp_path / 'run'}")
    step = {"NUM_TASKS": "2", "NODELIST": "localhost", "TASKS_PER_NODE": "2"}
    slurm = {f"SLURM_STEP_{name}": value for name, value in step.items()}
    environments = [{**slurm, "SLURM_PROCID": str(index)} for index in range(2)]
    workers = start(["train.py", *SMALL, *flags, "--strategy=multi_worker"], environments)
    (first, errors), (second, _) = (worker.communicate(timeout=120) for worker in workers)
    assert [worker.returncode for worker in workers] == [0, 0], errors
    assert "Done. Now: python sample.py" in first
    assert "Done" not in second
    assert [row["epoch"] for row in history(tmp_path / "run")] == [0]


@pytest.mark.parametrize(
    ("number", "place"), [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGSTOP, 1)], ids=str
)
def test_without_one_worker_the_other_ends_with_a_line(number, place, tiny_npz, tmp_path):
    flags = (f"--data_path={tiny_npz}", "--epochs=9999", f"--model_dir={tmp_path / 'run'}")
    command = ["train.py", *SMALL, *flags, "--strategy=multi_worker", "--fid_every=0"]
    workers = start(command, cluster(), stdout=subprocess.DEVNULL)
    begin = time.monotonic()
    try:
        while not (tmp_path / "run/history.csv").exists() and time.monotonic() < begin + 120:
            time.sleep(0.05)
        workers[place].send_signal(number)
        other = workers[1 - place]
        _, errors = other.communicate(timeout=60)
        assert other.returncode == 1
        assert "train.py: A worker is missing (" in errors
        assert "Traceback" not in errors
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_a_worker_that_sees_another_folder(tiny_npz, tmp_path):
    flags = ("--epochs=1", f"--data_path={tiny_npz}", "--strategy=multi_worker")
    workers = []
    for name, environment in zip(("one", "two"), cluster(), strict=True):
        command = ["train.py", *SMALL, *flags, f"--model_dir={tmp_path / name}"]
        workers += start(command, [environment])
    (_, chief), (_, other) = (worker.communicate(timeout=120) for worker in workers)
    assert [worker.returncode for worker in workers] == [1, 1]
    assert f"--model_dir={tmp_path / 'two'}: not the chief's run: expected a folder" in other
    assert "train.py: A worker is missing (" in chief
    assert "Traceback" not in chief + other
    assert not (tmp_path / "two").exists()


def test_workers_without_a_cluster(command, tiny_npz, tmp_path):
    flags = (f"--data_path={tiny_npz}", "--strategy=multi_worker", f"--model_dir={tmp_path}/run")
    done = command("train.py", *flags)
    assert done.returncode == 1
    assert "--strategy=multi_worker: expected the workers in TF_CONFIG" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
    done = command("train.py", *flags, "--max_minutes=1")
    assert "--max_minutes: not with multi_worker" in done.stderr
