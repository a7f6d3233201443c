"""A long training needs no more memory and open files at its end than early on.

long_run.py trains 2,000 epochs, and looks at the time, too.
"""

import os
import time
from pathlib import Path
from typing import NamedTuple

import forks
import pytest


class Sample(NamedTuple):
    epoch: int
    seconds: float
    memory: float  # resident, MiB
    open_files: int


def sample(process, history):
    status = (process / "status").read_text()
    resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    epoch = history.read_text().count("\n") - 1
    return Sample(epoch, time.monotonic(), int(resident) / 1024, len(os.listdir(process / "fd")))


def watch(directory, epochs, early, *flags):
    """Trains with train.py. Returns a `Sample` of each epoch from `early` on."""
    flags = ("--arch=mlp", "--batch_size=8", f"--epochs={epochs}", *flags)
    process = forks.start("train.py", *flags, f"--model_dir={directory}")
    history, samples = directory / "history.csv", {}
    while max(samples, default=0) < epochs - 1:
        time.sleep(0.1)
        assert process.is_alive()
        if history.exists():
            now = sample(Path(f"/proc/{process.pid}"), history)
            if now.epoch >= early:
                samples.setdefault(now.epoch, now)
    process.join()
    assert process.exitcode == 0
    return list(samples.values())


def open_files(samples):
    """Without those that are open for a moment, while a file is written."""
    return min(sample.open_files for sample in samples)


@pytest.mark.slow
def test_memory_and_open_files_do_not_grow(tiny_npz, tmp_path):
    flags = (f"--data_path={tiny_npz}", "--steps_per_epoch=2", "--fid_every=10")
    samples = watch(tmp_path / "run", 20, 8, *flags)
    assert samples[-1].memory < 1.1 * samples[0].memory
    assert open_files(samples[-5:]) == open_files(samples[:5])
