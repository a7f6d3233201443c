"""Kills a training after each of its file calls, and makes each of them fail. It takes hours:

.venv/bin/python -m pytest -n 2 -rP tests/faults/every_call.py
"""

import random
import time

import forks
import injection
import pytest

pytestmark = injection.needs_strace
PARTS = 16
ERRORS = ["ENOSPC", "EIO", "EACCES"]


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
def test_killed_after_each_file_call(training, part):
    states, wrong = training.states[part::PARTS], []
    for state in states:
        training.reset(state)
        if found := training.resume():
            wrong.append("\n    ".join([state.name, *found]))
    print(f"{len(states)} states that a kill would leave")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("turn", range(len(ERRORS)))
@pytest.mark.parametrize("part", range(PARTS))
def test_each_file_call_fails(training, part, turn):
    """Each call fails with another error in each turn."""
    hit, missed, went_on, wrong = 0, 0, 0, []
    for i, call in [*enumerate(training.calls)][part::PARTS]:
        training.reset()
        error = ERRORS[(i + turn) % len(ERRORS)]
        done, failed = training.disturb(*call.fault(f"error={error}"))
        if not failed.injected():  # it was another file's: TensorFlow's temporary names are random
            missed += 1
            continue
        hit += 1
        went_on += done.returncode == 0
        found = training.resume()
        if done.returncode and not injection.fails_in_one_line(done):
            found = [*found, f"exit status {done.returncode}: {done.stderr[-500:]}"]
        if found:
            wrong.append("\n    ".join([failed.line, *found]))
    print(f"{hit} calls failed, {missed} were not hit; {went_on} commands went on")
    assert not wrong, "\n".join(wrong)
    assert hit > missed


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
