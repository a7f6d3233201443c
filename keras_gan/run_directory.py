"""Everything about the folder of a run: its files, and whether a run may begin or resume there.

JSON files and exports are written under a temporary name and then renamed: never half of one.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
from pathlib import Path

from keras_gan import InputError, __version__

# The SavedModel of each state.
EXPORTS = {"last": "export", "best": "export-best"}

# Where a SavedModel records its epoch: TensorFlow leaves assets.extra to the user.
_EPOCH = "assets.extra/run.json"


class RunDirectory:
    """The folder of a run. Making the object changes nothing on disk."""

    def __init__(self, path):
        self.path = Path(path)
        self.samples = self.path / "samples"
        self.history = self.path / "history.csv"
        self.checkpoints = self.path / "checkpoints"
        self.exports = {state: self.path / name for state, name in EXPORTS.items()}
        self.curves = self.path / "curves.png"
        self.logs = self.path / "logs"
        self.evaluation = self.path / "evaluation.json"
        self.config = self.path / "config.json"
        # Everything that a run writes. config.json is deleted last: it marks a run directory.
        self._files = [self.samples, self.history, self.checkpoints, *self.exports.values()]
        self._files += [self.curves, self.logs, self.evaluation, self.config]

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
        if record["dataset"].get("sha256") != dataset["sha256"]:
            differing.append(f"the data ({record['dataset'].get('name')}, other pixels)")
        if differing:
            found = f"--model_dir={self.path}: holds a run with {', '.join(differing)}"
            advice = "give the same, another --model_dir, or --overwrite to start afresh"
            raise InputError(f"{found}: {advice}.")
        return True

    def clear(self):
        """Makes the directory, and deletes the files of an old run and no others."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for file in self._files:
                _remove(file)
        except OSError as error:
            reason = f"can't be written ({error.strerror}): choose another one"
            raise InputError(f"--model_dir={self.path}: {reason}.") from error

    def write_config(self, config, dataset):
        """Writes config.json: every setting, the data and the versions."""
        settings = dataclasses.asdict(config)
        write_json(self.config, {"settings": settings, "dataset": dataset, "versions": versions()})

    def trim_history(self, epochs):
        """Keeps the header and the first `epochs` rows: later epochs have no checkpoint."""
        if self.history.exists():
            lines = self.history.read_bytes().splitlines(keepends=True)  # the first is the header
            with replacing(self.history) as temporary:
                temporary.write_bytes(b"".join(lines[: epochs + 1]))

    def export(self, gan, state, epoch):
        """Writes the SavedModel of `state`, a key of `EXPORTS`, with its epoch inside."""
        with replacing(self.exports[state]) as temporary:
            gan.export(temporary)
            (temporary / _EPOCH).parent.mkdir()
            write_json(temporary / _EPOCH, {"epoch": epoch})

    def exported_epoch(self, state):
        """The epoch of the SavedModel of a state, or None if there is none."""
        try:
            return json.loads((self.exports[state] / _EPOCH).read_text())["epoch"]
        except (OSError, ValueError, KeyError, TypeError):
            return None


@contextlib.contextmanager
def replacing(path):
    """Yields a temporary path. After the block, if nothing was raised, it replaces `path`."""
    temporary = path.with_name(path.name + ".tmp")
    _remove(temporary)
    yield temporary
    if path.is_dir():
        shutil.rmtree(path)  # a folder can't be replaced in one step
    os.replace(temporary, path)


def _remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def read_record(path):
    """Reads a config.json: a dict of the dicts "settings", "dataset" and "versions"."""
    try:
        record = json.loads(path.read_text())
        if not all(isinstance(record[key], dict) for key in ("settings", "dataset", "versions")):
            raise ValueError("settings, dataset and versions are not all there")
        return record
    except (ValueError, KeyError, TypeError) as error:
        reason = f"not a run's configuration ({error}): choose another --model_dir"
        raise InputError(f"{path}: {reason}.") from error


def write_json(path, record):
    """Writes a dict as JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def versions():
    """The versions of the software, for a record."""
    packages = ("keras", "tensorflow", "numpy")
    installed = {name: importlib.metadata.version(name) for name in packages}
    return {"keras_gan": __version__, **installed, "python": platform.python_version()}


def find_export(model_dir, checkpoint="last"):
    """The SavedModel of a run's state, a key of `EXPORTS`, or `model_dir` itself; or InputError."""
    if model_dir is None:
        raise InputError("--model_dir is missing: expected a run directory or a SavedModel.")
    root = Path(model_dir)
    folders = [root / EXPORTS[checkpoint]] + [root] * (checkpoint == "last")
    for folder in folders:
        if (folder / "saved_model.pb").is_file():
            return folder
    scored = " that scored its epochs (--fid_every)" if checkpoint == "best" else ""
    places = f"{', '.join(map(str, folders))}. A run{scored} writes it when it ends"
    raise InputError(f"--model_dir={model_dir}: no SavedModel in {places}.")
