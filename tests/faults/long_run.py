"""2,000 epochs take the memory, open files and time per epoch of the first 200. In half an hour:

.venv/bin/python -m pytest -rP tests/faults/long_run.py
"""

import statistics

from test_long_run import open_files, watch


def seconds_per_epoch(samples):
    return (samples[-1].seconds - samples[0].seconds) / (samples[-1].epoch - samples[0].epoch)


def memory(samples):
    """The median: while a file is written a process has a little more."""
    return statistics.median(sample.memory for sample in samples)


def test_memory_files_and_time_do_not_grow(tiny_npz, tmp_path):
    samples = watch(tmp_path / "run", 2000, 200, f"--data_path={tiny_npz}", "--steps_per_epoch=5")
    part = len(samples) // 4
    early, late = seconds_per_epoch(samples[:part]), seconds_per_epoch(samples[-part:])
    print(*samples[::100], samples[-1], f"{early:.3f} and {late:.3f} seconds", sep="\n")
    assert memory(samples[-50:]) < 1.05 * memory(samples[:50])
    assert open_files(samples[-part:]) == open_files(samples[:part])
    assert late < 1.1 * early
