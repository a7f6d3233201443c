"""Everything about the folder of a run: its files, and whether a run may begin or resume there.

`RunDirectory(path)` knows the names. Files are written under a temporary name and renamed, so that
whoever finds one finds it whole.
"""

import contextlib
import csv
import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
from pathlib import Path

import keras_gan
from keras_gan import InputError

# The SavedModel of each state.
EXPORTS = {"last": "export", "best": "export-best"}

# The epoch of a SavedModel, in the folder that TensorFlow leaves to others.
_EPOCH = "assets.extra/run.json"

# Everything that a run writes. config.json is deleted last: its presence marks a run directory.
FILES = (
    "samples",
    "history.csv",
    "checkpoints",
    *EXPORTS.values(),
    "curves.png",
    "logs",
    "evaluation.json",
    "config.json",
)


class RunDirectory:
    """The folder of a run. Making the object changes nothing on disk."""

    def __init__(self, path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.csv"
        self.samples = self.path / "samples"
        self.checkpoints = self.path / "checkpoints"
        self.curves = self.path / "curves.png"
        self.logs = self.path / "logs"
        self.evaluation = self.path / "evaluation.json"
        self.exports = {state: self.path / name for state, name in EXPORTS.items()}

    def check(self, config, dataset):
        """Says whether there is a run to resume.

        Args:
            config: the resolved `Config` of the run to come.
            dataset: a dict that describes its images, with their "sha256".

        Returns:
            True to resume the run in this directory, False to begin one.

        Raises:
            InputError: if the directory holds another run, or files of something else.
        """
        if not self.config.exists():
            if self.path.exists() and not self.path.is_dir():
                raise InputError(f"--model_dir={self.path}: a file, expected a folder.")
            found = [name for name in FILES if (self.path / name).exists()]
            if found:
                raise InputError(
                    f"--model_dir={self.path}: holds {found[0]} and no config.json: choose another "
                    "one."
                )
            return False
        record = read_record(self.config)  # may raise, also with overwrite: not ours to delete
        if config.overwrite:
            return False
        differing = config.differences(record["settings"])
        if record["dataset"].get("sha256") != dataset["sha256"]:
            differing.append(f"the data ({record['dataset'].get('name')}, other pixels)")
        if differing:
            raise InputError(
                f"--model_dir={self.path}: holds a run with {', '.join(differing)}: give the same, "
                "another --model_dir, or --overwrite to start afresh."
            )
        return True

    def clear(self):
        """Makes the directory, and deletes the files of an old run and no others."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                _remove(self.path / name)
        except OSError as error:
            raise InputError(
                f"--model_dir={self.path}: can't be written ({error.strerror}): choose another one."
            ) from error

    def write_config(self, config, dataset):
        """Writes config.json: every setting, the data and the versions."""
        settings = dataclasses.asdict(config)
        write_json(self.config, {"settings": settings, "dataset": dataset, "versions": versions()})

    def trim_history(self, epochs):
        """Deletes the rows of epochs after the first `epochs`: no checkpoint completed them."""
        if epochs == 0:
            self.history.unlink(missing_ok=True)
        if not self.history.exists():
            return
        with open(self.history, newline="") as file:
            header, *rows = csv.reader(file)
        with replacing(self.history) as temporary, open(temporary, "w", newline="") as file:
            csv.writer(file).writerows([header, *(row for row in rows if int(row[0]) < epochs)])

    def export(self, gan, state, epoch):
        """Writes the SavedModel of a state, a key of `EXPORTS`, and in it the epoch."""
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
    """Yields a temporary path beside `path`, which replaces it once the block has succeeded."""
    temporary = path.with_suffix(".tmp")
    _remove(temporary)
    yield temporary
    if path.is_dir():
        shutil.rmtree(path)  # a folder can't be replaced in one step
    os.replace(temporary, path)


def _remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def read_record(path):
    """Reads a `config.json`: a dict with the dicts "settings", "dataset" and "versions".

    Raises:
        InputError: if it is not one.
    """
    try:
        record = json.loads(path.read_text())
        if not all(isinstance(record[key], dict) for key in ("settings", "dataset", "versions")):
            raise ValueError("settings, dataset and versions are not all there")
        return record
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a run's configuration ({error}): restore it, or choose another "
            "--model_dir."
        ) from error


def write_json(path, record):
    """Writes a dict as JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def versions():
    """The versions of the software, for a record."""
    packages = ("keras", "tensorflow", "numpy")
    return {
        "keras_gan": keras_gan.__version__,
        **{name: importlib.metadata.version(name) for name in packages},
        "python": platform.python_version(),
    }


def find_export(model_dir, checkpoint="last"):
    """Finds the folder of a SavedModel.

    Args:
        model_dir: a run directory, or the folder itself.
        checkpoint: a key of `EXPORTS`.

    Raises:
        InputError: if there is none.
    """
    if model_dir is None:
        raise InputError("--model_dir is missing: expected a run directory or a SavedModel.")
    root = Path(model_dir)
    folders = [root / EXPORTS[checkpoint]] + [root] * (checkpoint == "last")
    for folder in folders:
        if (folder / "saved_model.pb").is_file():
            return folder
    scored = " that scored its epochs (--fid_every)" if checkpoint == "best" else ""
    raise InputError(
        f"--model_dir={model_dir}: no SavedModel in {', '.join(map(str, folders))}. "
        f"A run{scored} writes it when it ends."
    )
