"""2,000 epochs take the memory, open files and time per epoch of the first 200. In half an hour:

.venv/bin/python -m pytest -rP tests/faults/long_run.py
"""

from test_long_run import open_files, watch


def seconds_per_epoch(samples):
    return (samples[-1].seconds - samples[0].seconds) / (samples[-1].epoch - samples[0].epoch)


def test_memory_files_and_time_do_not_grow(tiny_npz, tmp_path):
    samples = watch(tmp_path / "run", 2000, 200, f"--data_path={tiny_npz}", "--steps_per_epoch=5")
    first, last, part = samples[0], samples[-1], len(samples) // 4
    early, late = seconds_per_epoch(samples[:part]), seconds_per_epoch(samples[-part:])
    print(first, last, f"{early:.3f} and {late:.3f} seconds per epoch", sep="\n")
    assert last.memory < 1.05 * first.memory
    assert open_files(samples[-part:]) == open_files(samples[:part])
    assert late < 1.1 * early
