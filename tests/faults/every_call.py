"""Kills a training at each of its file calls, and makes each of them fail. It takes hours:

.venv/bin/python -m pytest -n 2 -rP tests/faults/every_call.py
"""

import random
import signal
import time

import forks
import injection
import pytest
from injection import KILL

pytestmark = injection.needs_strace
PARTS = 16


@pytest.fixture(scope="module", params=["new", "resumed"])
def training(request, tiny_npz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crash")
    data = f"--data_path={tiny_npz}"
    if request.param == "new":  # its second epoch has the lower fid
        return injection.Training(folder, [data, "--g_lr=0.003", "--epochs=2"])
    # Another epoch, which is not the best one: the oldest state goes.
    before = folder / "before"
    flags = [f"--model_dir={folder / 'before'}", *injection.FLAGS, data, "--g_lr=0.0001"]
    done = forks.run("train.py", *flags, "--epochs=2")
    assert done.returncode == 0, done.stderr
    return injection.Training(folder, [data, "--g_lr=0.0001", "--epochs=3"], before)


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_each_file_call(training, part):
    # At a call that only reads, the files are those at the next one.
    calls = [call for call in training.calls if call.changes_files()]
    hit, wrong = set(), []
    for call in calls[part::PARTS]:
        training.reset()
        done, last = training.disturb(*call.fault(KILL))
        assert done.returncode == -signal.SIGKILL, (call, done)
        hit.add((last.name, last.ordinal))
        if found := training.resume():
            wrong.append("\n    ".join([last.line, *found]))
    print(f"killed at {len(hit)} calls")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EACCES"])
@pytest.mark.parametrize("part", range(PARTS))
def test_each_file_call_fails(training, part, error):
    # A best state that can't be read is replaced by the next one, as if it were damaged.
    calls = [call for call in training.calls if not call.reads("checkpoints/best/ckpt")]
    hit, went_on, wrong = set(), 0, []
    for call in calls[part::PARTS]:
        training.reset()
        done, failed = training.disturb(*call.fault(f"error={error}"))
        if not failed.injected():
            wrong.append(f"not hit: {call.line}")
            continue
        hit.add((failed.name, failed.ordinal))
        went_on += done.returncode == 0
        found = training.resume()
        if done.returncode and not injection.fails_in_one_line(done):
            found = [*found, f"exit status {done.returncode}: {done.stderr[-500:]}"]
        if found:
            wrong.append("\n    ".join([failed.line, *found]))
    print(f"{error} at {len(hit)} calls; {went_on} commands went on")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_a_random_moment(training, seed):
    training.reset()
    process = forks.start("train.py", *training.flags)
    time.sleep(random.Random(seed).uniform(0, training.seconds))
    process.kill()
    process.join()
    assert training.resume() == []


def test_all_calls_are_in_the_main_thread(training):
    """The other threads are not disturbed."""
    training.reset()
    done = injection.train(training.flags, training.log, ["-f"])
    assert done.returncode == 0
    lines = training.log.read_text().splitlines()
    assert len({line.split()[0] for line in lines if f"{training.directory}/" in line}) == 1
