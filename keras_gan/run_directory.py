"""Everything about the folder of a run: its files, and whether a run may begin or resume there."""

import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import os
import platform
import socket
from pathlib import Path

import filelock

from keras_gan import InputError, __version__, files

# The SavedModel of each state.
EXPORTS = {"last": "export", "best": "export-best"}

# Where a SavedModel records its epoch and its files: TensorFlow leaves assets.extra to the user.
_RECORD = "assets.extra/run.json"


class RunDirectory:
    """The folder of a run. Making the object changes nothing on disk."""

    def __init__(self, path):
        self.path = Path(os.path.expanduser(path))
        self.samples = self.path / "samples"
        self.history = self.path / "history.csv"
        self.checkpoints = self.path / "checkpoints"
        self.exports = {state: self.path / name for state, name in EXPORTS.items()}
        self.curves = self.path / "curves.png"
        self.report = self.path / "report.html"
        self.logs = self.path / "logs"
        self.evaluations = {
            state: self.path / f"{name.replace('export', 'evaluation')}.json"
            for state, name in EXPORTS.items()
        }
        self.config = self.path / "config.json"
        # Everything that a run writes. config.json is deleted last: it marks a run directory.
        self._files = [self.samples, self.history, self.checkpoints, *self.exports.values()]
        self._files += [self.curves, self.report, *self.evaluations.values(), self.config]

    @contextlib.contextmanager
    def lock(self):
        """Makes the directory, and keeps other processes from training in it.

        The operating system ends the lock with the process, however that ends.

        Raises:
            InputError: if another process trains there. It names it.
        """
        path = self.path / ".lock"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(path).acquire(blocking=False)
        except filelock.Timeout as error:
            owner = path.read_text() or "another process"
            reason = f"{owner} trains in it: wait for its end, or choose another one"
            raise InputError(f"--model_dir={self.path}: {reason}.") from error
        except OSError as error:
            reason = f"can't be written ({error.strerror}): choose another one"
            raise InputError(f"--model_dir={self.path}: {reason}.") from error
        with lock:
            now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            path.write_text(f"process {os.getpid()} on {socket.gethostname()} (since {now})")
            for folder in (self.path, self.samples, self.checkpoints, self.checkpoints / "best"):
                files.remove_temporaries(folder)
            for export in filter(Path.exists, self.exports.values()):
                files.remove(files.old_name(export))
            yield

    def check(self, config, dataset):
        """True if a run of the resolved `config` on `dataset`, an `Images.record`, resumes here.

        Raises:
            InputError: if the directory holds another run, or files of something else.
        """
        if not self.config.exists():
            if self.path.exists() and not self.path.is_dir():
                raise InputError(f"--model_dir={self.path}: a file, expected a folder.")
            for file in filter(Path.exists, self._files):
                found = f"holds {file.name} and no config.json"
                raise InputError(f"--model_dir={self.path}: {found}: choose another one.")
            return False
        record = read_record(self.config)  # raises for another program's file, even with overwrite
        if config.overwrite:
            return False
        differing = config.differences(record["settings"])
        before = record["dataset"]
        if any(before.get(name) != dataset.get(name) for name in ("sha256", "labels_sha256")):
            differing.append(f"the data ({before.get('name')}, other pixels or labels)")
        if differing:
            found = f"--model_dir={self.path}: holds a run with {', '.join(differing)}"
            advice = "give the same, another --model_dir, or --overwrite to start afresh"
            raise InputError(f"{found}: {advice}.")
        return True

    def clear(self):
        """Deletes the files of an old run and no others."""
        events = self.logs.glob("train/events.out.tfevents.*")
        for file in (*events, *map(files.old_name, self.exports.values()), *self._files):
            files.remove(file)

    def write_config(self, config, dataset):
        """Writes config.json: every setting, the data, the versions and the machine."""
        settings = dataclasses.asdict(config)
        record = {"settings": settings, "dataset": dataset, "versions": versions()}
        files.write_json(self.config, record | {"machine": machine()})

    def export(self, gan, state, epoch):
        """Writes the SavedModel of `state`, a key of `EXPORTS`, with its epoch inside.

        The scores of the SavedModel that it replaces are deleted.
        """
        with files.replacing(self.exports[state]) as temporary:
            gan.export(temporary)
            digests = {str(p.relative_to(temporary)): _sha256(p) for p in _files(temporary)}
            (temporary / _RECORD).parent.mkdir()
            files.write_json(temporary / _RECORD, {"epoch": epoch, "sha256": digests})
            files.remove(self.evaluations[state])

    def exported_epoch(self, state):
        """The epoch of the SavedModel of a state, or None if there is none or it is damaged."""
        folder = self.exports[state]
        try:
            record = files.read_json(folder / _RECORD)
            paths = {str(p.relative_to(folder)): p for p in _files(folder)}  # others: KeyError
            whole = all(_sha256(paths[name]) == sha for name, sha in record["sha256"].items())
            return record["epoch"] if whole else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_record(path):
    """Reads a config.json: a dict of the dicts "settings", "dataset" and "versions"."""
    try:
        record = files.read_json(path)
        if not all(isinstance(record[key], dict) for key in ("settings", "dataset", "versions")):
            raise ValueError("settings, dataset and versions are not all there")
        return record
    except (ValueError, KeyError, TypeError) as error:
        reason = f"not a run's configuration ({error}): choose another --model_dir"
        raise InputError(f"{path}: {reason}.") from error


def versions():
    """The versions of the software, for a record."""
    packages = ("keras", "tensorflow", "numpy")
    installed = {name: importlib.metadata.version(name) for name in packages}
    return {"keras_gan": __version__, **installed, "python": platform.python_version()}


def machine():
    """The system, the processor and its cores, for a record."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):  # Linux' own name for it
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = (line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
        processor = next(names, processor)
    return {"system": platform.platform(), "processor": processor, "cores": os.cpu_count()}


def find_export(model_dir, checkpoint="last"):
    """The SavedModel of a run's state, a key of `EXPORTS`, or `model_dir` itself; or InputError."""
    if model_dir is None:
        raise InputError("--model_dir is missing: expected a run directory or a SavedModel.")
    root = Path(os.path.expanduser(model_dir))
    folders = [root / EXPORTS[checkpoint]] + [root] * (checkpoint == "last")
    for folder in (*folders, files.old_name(folders[0])):  # .old while it is being replaced
        if (folder / "saved_model.pb").is_file():
            return folder
    scored = " that scored its epochs (--fid_every)" if checkpoint == "best" else ""
    places = f"{', '.join(map(str, folders))}. A run{scored} writes it when it ends"
    raise InputError(f"--model_dir={model_dir}: no SavedModel in {places}.")
