"""Several processes on this machine compute what one does; files are written by one of them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

from keras_gan import training
from keras_gan.launch import free_ports

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


def children(process):
    """The workers of a launcher: [(their place, process number)] in order."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    return sorted(map(int, listed.stdout.split()))


@pytest.mark.parametrize("place", [0, 1])
def test_a_killed_worker_ends_all_and_they_go_on(place, tiny_npz, tmp_path):
    run = tmp_path / "run"
    flags = (f"--data_path={tiny_npz}", "--epochs=40", f"--model_dir={run}", "--fid_every=0")
    process = launch(*flags)
    begin = time.monotonic()
    while not (run / "history.csv").exists() and time.monotonic() < begin + 120:
        time.sleep(0.05)
    os.kill(children(process)[place], signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Worker {place} ended with status -9" in output
    assert "Traceback" not in output
    process = launch(*(flag.replace("epochs=40", "epochs=3") for flag in flags))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert [row["epoch"] for row in history(run)] == list(range(len(history(run))))
    assert not list(run.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("number", "place"), [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGSTOP, 1)], ids=str
)
def test_without_one_worker_the_other_ends_with_a_line(number, place, tiny_npz, tmp_path):
    """Each started by hand: nobody ends them but TensorFlow."""
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    flags = (f"--data_path={tiny_npz}", "--epochs=9999", f"--model_dir={tmp_path / 'run'}")
    workers = []
    for index in range(2):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        command = [sys.executable, "train.py", *SMALL, *flags, "--strategy=multi_worker"]
        options = {"env": {**os.environ, "TF_CONFIG": json.dumps(task)}, "cwd": ROOT}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        workers.append(subprocess.Popen([*command, "--fid_every=0"], **options, **pipes))
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


def test_workers_without_a_cluster(command, tiny_npz, tmp_path):
    flags = (f"--data_path={tiny_npz}", "--strategy=multi_worker", f"--model_dir={tmp_path}/run")
    done = command("train.py", *flags)
    assert done.returncode == 1
    assert "--strategy=multi_worker: TF_CONFIG is not set" in done.stderr
    assert not (tmp_path / "run").exists()
    done = command("train.py", *flags, "--max_minutes=1")
    assert "--max_minutes: not with multi_worker" in done.stderr
