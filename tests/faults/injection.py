"""Disturbs a training from outside: strace kills it at a file call, or makes the call fail.

So TensorFlow's own calls count, too.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import forks
import pytest
import tensorflow as tf

from keras_gan import InputError, files
from keras_gan.run_directory import find_export


def _hindrance():
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if not shutil.which("strace"):
        return "strace is not installed"
    if os.geteuid() and scope.exists() and int(scope.read_text()):
        return f"only root may trace a process: {scope} is not 0"
    return ""


needs_strace = pytest.mark.skipif(bool(_hindrance()), reason=_hindrance())

# strace leaves out those that the processor does not have.
NAMES = (
    *("open", "openat", "creat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("write", "writev", "pwrite64", "truncate", "ftruncate", "fsync", "fdatasync"),
    *("copy_file_range", "sendfile"),
)
_NAMES = ",".join(f"?{name}" for name in NAMES)
KILL = "signal=KILL"


@dataclasses.dataclass(frozen=True)
class Call:
    """A file call in a folder: the `ordinal`-th of its `name` in the main thread."""

    name: str
    ordinal: int
    line: str  # strace's

    def injected(self):
        return "(INJECTED)" in self.line

    def fault(self, what):
        """strace's options; `what` is KILL, or such as "error=EIO"."""
        return ["-e", f"inject={self.name}:{what}:when={self.ordinal}"]


def fault_at(path, name, what):
    """strace's options for the first call of `name` with this path; PID in it is replaced."""
    return ["-P", str(path), "-e", f"inject={name}:{what}:when=1"]


def train(flags, log, options=(), when_stopped=None):
    """Runs train.py under strace, which writes to `log`; a `subprocess.CompletedProcess`.

    If an option stops it, `when_stopped` is called each time.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = forks.start("train.py", *flags, out=out, err=err, traced=True)
        while not err.exists():  # from then on its calls are the same each time
            time.sleep(0.01)
        strace = ["strace", "-y", "-s0", "-o", log, "-e", f"trace={_NAMES}", *options]
        strace = [str(part).replace("PID", str(process.pid)) for part in (*strace, "-p", "PID")]
        stops = 0
        with subprocess.Popen(strace, stderr=subprocess.PIPE, text=True) as tracer:
            while tracer.poll() is None:  # it ends with the process
                time.sleep(0.001)
                if when_stopped and Path(log).read_text().count("stopped by SIGSTOP") > stops:
                    stops += 1
                    when_stopped()
                    os.kill(process.pid, signal.SIGCONT)
            said = tracer.stderr.read()
        if tracer.returncode:
            process.kill()
        process.join()
        assert tracer.returncode == 0, said
        return subprocess.CompletedProcess(
            flags, process.exitcode, out.read_text(), err.read_text()
        )


def read_log(log, directory):
    """The calls in `directory` that a strace of the main thread has written to `log`."""
    counts, found = {}, []
    for line in Path(log).read_text().splitlines():
        if match := re.match(r"(\w+)\(", line):
            name = match[1]
            counts[name] = counts.get(name, 0) + 1
            if f"{directory}/" in line or f'{directory}"' in line:
                found.append(Call(name, counts[name], line))
    return found


# A state in the middle of each epoch.
FLAGS = ("--arch=mlp", "--batch_size=8", "--steps_per_epoch=16", "--save_minutes=0.0001")


class Training:
    """A command, the run directory that it finds, and the one that it leaves undisturbed."""

    def __init__(self, folder, flags, before=None):
        self.folder = folder
        self.directory = folder / "run"
        self.log = folder / "log"
        self.flags = [f"--model_dir={self.directory}", *FLAGS, *flags]
        self.before = before
        self.checked = {}
        self.reset()
        self.exports = [exports(self.directory)]
        begin = time.monotonic()
        done = train(self.flags, self.log)
        self.seconds = time.monotonic() - begin
        assert done.returncode == 0, done.stderr
        self.calls = read_log(self.log, self.directory)
        self.after = contents(self.directory, without=[*older_states(self.directory)])
        self.exports.append(exports(self.directory))
        self.reset()

    def reset(self, state=None):
        shutil.rmtree(self.directory, ignore_errors=True)
        if state or self.before:
            shutil.copytree(state or self.before, self.directory)

    def disturb(self, *options):
        """Gives the command once; the finished process, and the last or injected call."""
        done = train(self.flags, self.log, options)
        calls = read_log(self.log, self.directory)
        assert calls, f"no such call: {options}"
        return done, next(filter(Call.injected, calls), calls[-1])

    @functools.cached_property
    def states(self):
        """Copies of the directory after each file call that changes it: what a kill would leave."""
        found = {}

        def keep():
            files = [(path, path.lstat()) for path in sorted(self.directory.rglob("*"))]
            key = tuple((path, at.st_ino, at.st_size, at.st_mtime_ns) for path, at in files)
            if files and key not in found:
                copy = self.folder / "states" / str(len(found))
                found[key] = shutil.copytree(self.directory, copy)

        self.reset()
        options = ["-e", f"inject={_NAMES}:signal=STOP:when=1+"]
        assert train(self.flags, self.log, options, keep).returncode == 0
        return [*found.values()]

    def resume(self):
        """Gives the command again, undisturbed. Returns what is wrong."""
        # Temporary files are deleted: only where they are matters.
        state = {
            re.sub(r"\.\d+\.tmp.*", ".tmp", name): ".tmp" not in name and value
            for name, value in contents(self.directory).items()
        }
        state = hashlib.sha256(pickle.dumps(state)).digest()
        if state not in self.checked:
            self.checked[state] = self._resume()
        return self.checked[state]

    def _resume(self):
        wrong = []
        for state, found in exports(self.directory).items():
            if found not in [known[state] for known in self.exports]:
                wrong.append(f"the export of the {state} state is not whole")
        history = self.directory / "history.csv"
        rows = len(history.read_text().splitlines()) - 1 if history.exists() else 0
        done = forks.run("train.py", *self.flags)
        if done.returncode:
            return [*wrong, f"the next command fails: {done.stderr}"]
        epoch = 0 if "Training " in done.stdout else rows
        if resumed := re.search(r"Resuming .* after epoch (\d+)", done.stdout):
            epoch = int(resumed[1])
        if epoch < rows - 1:
            wrong.append(f"{rows} epochs were done, it resumed after {epoch}")
        found = contents(self.directory, without=[*older_states(self.directory)])
        unlike = sorted(n for n in self.after | found if self.after.get(n) != found.get(n))
        return wrong + [f"{name}: differs" for name in unlike]


def contents(directory, without=()):
    """Path -> what must be the same each time: a file's bytes, or the values of variables."""
    found = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = str(path.relative_to(directory))
        if path.parent / path.name.split(".")[0] in without:
            continue
        if "variables_temp" in name:  # TensorFlow goes on if it can't delete it
            continue
        if path.suffix == ".index":
            found[name] = variables(path)
        elif path.name == "run.json":
            found[name] = json.loads(path.read_text())["epoch"]
        elif path.suffix == ".csv":
            rows = files.read_history(path)
            found[name] = [{n: v for n, v in row.items() if n != "seconds"} for row in rows]
        elif path.suffix in (".png", ".json"):
            found[name] = path.read_bytes()
        else:
            found[name] = path.stat().st_size if ".data-" in name else None
    return found


def older_states(directory):
    """All but the newest in each folder: the next state that is saved there replaces them."""
    for folder in (directory / "checkpoints", directory / "checkpoints/best"):
        states = folder.glob("ckpt-*.index")
        number = {path.with_suffix(""): path.stem.split("-")[1:] for path in states}
        yield from sorted(number, key=lambda path: [*map(int, number[path])])[:-1]


def variables(index):
    """The values in a checkpoint, sorted: their order in a SavedModel is not always the same."""
    unlike = ("seconds", "OBJECT_GRAPH")
    try:
        reader = tf.train.load_checkpoint(str(index.with_suffix("")))
        names = reader.get_variable_to_shape_map()
        names = [name for name in names if not any(part in name for part in unlike)]
        return sorted(reader.get_tensor(name).tobytes() for name in names)
    except tf.errors.OpError:  # half of one
        return index.read_bytes()


def exports(directory):
    """The values in the SavedModel of each state, None if there is none."""
    found = {}
    for state in ("last", "best"):
        try:
            found[state] = variables(find_export(directory, state) / "variables/variables.index")
        except InputError:
            found[state] = None
    return found


def fails_in_one_line(done):
    line = done.stderr.startswith("train.py: ") and done.stderr.count("\n") == 1
    return done.returncode == 1 and line
