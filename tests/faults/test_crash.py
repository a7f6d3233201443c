"""A training that is killed, or whose disk fails, ends with the same bits when it is resumed.

every_call.py does it at each of its file calls.
"""

import signal

import injection
import pytest
from injection import KILL

pytestmark = injection.needs_strace


@pytest.mark.slow
def test_one_disturbance_after_the_other(tiny_npz, tmp_path):
    training = injection.Training(tmp_path, [f"--data_path={tiny_npz}", "--epochs=2"])
    for name, path, what in (
        ("rename", "checkpoints/ckpt-1.PID.tmp/ckpt-1.index", KILL),
        ("rename", "history.csv.PID.tmp", "error=EIO"),
        ("rename", "export.PID.tmp", KILL),
    ):
        done, call = training.disturb(*injection.fault_at(training.directory / path, name, what))
        if what == KILL:
            assert done.returncode == -signal.SIGKILL, (path, done)
        else:
            assert call.injected(), (path, done)
            assert injection.fails_in_one_line(done), (path, done.stderr)
    assert training.resume() == []
