"""Files written whole or not at all, and read without trust."""

import contextlib
import csv
import glob
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from keras_gan import InputError
from keras_gan.backend import tf


@contextlib.contextmanager
def replacing(path):
    """Yields a temporary path. After the block, its file or folder replaces `path`, on the disk.

    If the block raises, `path` stays as it was.

    Raises:
        OSError: names `path`; TensorFlow's errors become one.
    """
    path = Path(path)
    with scratch(path) as temporary:
        yield temporary
        for file in [*temporary.rglob("*"), temporary]:
            sync(file)
        if path.is_dir():  # a folder can't be replaced in one step: `find_export` knows .old
            remove(old_name(path))
            os.replace(path, old_name(path))
        os.replace(temporary, path)
        sync(path.parent)
        remove(old_name(path))


@contextlib.contextmanager
def scratch(path):
    """Yields a path beside `path` for temporary files, and removes what is there in the end."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except tf.errors.OpError as error:
        reason = re.sub(
            r"\{\{.*?\}\} | \[Op:.*", "", error.message
        )  # names of TensorFlow's operations
        raise OSError(None, reason, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            remove(temporary)


def remove_temporaries(folder):
    """Removes what `scratch` has left behind in a folder when its process was killed."""
    for path in folder.glob("*.[0-9]*.tmp"):
        remove(path)


def old_name(path):
    """Where `replacing` keeps the old folder for the moment in which there is no new one."""
    return path.with_name(path.name + ".old")


def sync(path):
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path):
    """Deletes a file, a folder or a link, not what a link leads to; nothing if it is missing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path, record):
    """Writes a dict as JSON."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def read_history(path):
    """The rows of a history.csv: dicts of "epoch", an int, and floats. Empty without a file."""
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        return [
            {"epoch": int(row.pop("epoch"))}
            # Keras' CSVLogger writes NA for what it did not find.
            | {name: float(value) for name, value in row.items() if value != "NA"}
            for row in rows
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not a history of epochs ({error}): move it away.") from error


def write_history(path, rows):
    """Writes the rows of a history.csv; nan where a row has no value."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="nan")
        writer.writeheader()
        writer.writerows(rows)


@contextlib.contextmanager
def without_wildcards(folder):
    """Yields a path to `folder` that TensorFlow can read: it takes [, * and ? for patterns."""
    if glob.escape(str(folder)) == str(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = Path(place, "folder")
        link.symlink_to(Path(folder).resolve(), target_is_directory=True)
        yield link
