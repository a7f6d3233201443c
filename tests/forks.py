"""Runs the commands in forks of a process that has imported TensorFlow, which takes seconds.

Flags, exit status, signals and TensorFlow's set-up are as for a user. Only the start-up differs:
fresh processes test it.
"""

import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tensorflow", "keras_gan.callbacks", "keras_gan.training", "matplotlib.figure", "PIL.Image"]
)


def start(script, *flags, out=os.devnull, err=os.devnull, traced=False, **environment):
    """Starts `python SCRIPT FLAGS` (`-m` is a script, too); a `multiprocessing.Process`.

    With `traced` it opens `out` and `err`, and waits until a process such as strace traces it.
    """
    argv = [str(script), *map(str, flags)]
    arguments = (argv, str(out), str(err), traced, environment)
    process = _CONTEXT.Process(target=_execute, args=arguments)
    process.start()
    return process


def run(script, *flags, **environment):
    """Runs `python SCRIPT FLAGS` to its end; a `subprocess.CompletedProcess`."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = start(script, *flags, out=out, err=err, **environment)
        process.join(300)
        assert not process.is_alive(), f"{script} {flags} hangs"
        return subprocess.CompletedProcess(
            (script, *flags), process.exitcode, out.read_text(), err.read_text()
        )


def _execute(argv, out, err, traced, environment):
    status = open("/proc/self/status")  # noqa: SIM115 (open to the end)
    for descriptor, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    while traced and "TracerPid:\t0\n" in status.read():
        time.sleep(0.01)
        status.seek(0)
    os.environ.update(environment)
    os.chdir(ROOT)
    if argv[0] == "-m":
        sys.argv = argv[1:]
        sys.modules.pop(argv[1], None)  # a new process has not imported it yet
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        sys.path.insert(0, str(ROOT))
        runpy.run_path(argv[0], run_name="__main__")


def call(function, *arguments, timeout=60):
    """Calls a function in a fork: (type of its result or exception, its text, CPU seconds, MB)."""
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_send, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        assert receiver.poll(timeout), f"{function} {arguments} hangs"
        return receiver.recv()
    except EOFError:
        process.join()
        return EOFError, f"the process ended with status {process.exitcode}", 0, 0
    finally:
        process.kill()


def _send(sender, function, arguments):
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        result = function(*arguments)
    except Exception as error:
        result = error
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sender.send((type(result), str(result), seconds, (after.ru_maxrss - before.ru_maxrss) / 1000))
