"""Files written whole or not at all, and read without trust."""

import contextlib
import csv
import errno
import glob
import itertools
import json
import math
import os
import re
import shutil
import tempfile
import zipfile
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
    except (tf.errors.OpError, ValueError) as error:  # a ValueError: from saving a SavedModel
        if found := disk_error(error, path):
            raise found from error
        if isinstance(error, ValueError):
            raise
        raise OSError(None, first_line(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            remove(temporary)


def disk_error(error, path):
    """The OSError that an exception of TensorFlow is about, with `path`; None if it is no such one.

    TensorFlow keeps the operating system's reason in the text only: "/a/path; Input/output error".
    A missing file is none: what was written is incomplete then.
    """
    for number in errno.errorcode:
        if number != errno.ENOENT and f"; {os.strerror(number)}" in str(error):
            return OSError(number, os.strerror(number), str(path))
    return None


def remove_temporaries(folder, name="*"):
    """Removes what `scratch` has left behind in a folder when its process was killed."""
    for path in folder.glob(f"{name}.[0-9]*.tmp"):
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


def read_json(path):
    """The content of a JSON file of at most 10 MB, of any type.

    Raises:
        ValueError: says in a line why the file can't be read.
    """
    try:
        _require_file(path, 10**7)
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_history(path):
    """The rows of a history.csv: dicts of "epoch", an int, and floats. Empty without a file.

    Raises:
        InputError: also if an epoch is negative, or not larger than the one before.
    """
    try:
        _require_file(path, 10**8)
        with open(path, encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, strict=True)
            if "epoch" not in (table.fieldnames or ["epoch"]):
                raise ValueError("no column is called epoch")
            rows = [  # one by one: after a header of a million columns the first one is refused
                {"epoch": int(row.pop("epoch"))}
                # Keras' CSVLogger writes NA for what it did not find.
                | {name: float(value) for name, value in row.items() if value != "NA"}
                for row in table
            ]
        epochs = [-1, *(row["epoch"] for row in rows), 2**31]
        if not all(a < b for a, b in itertools.pairwise(epochs)):
            raise ValueError("its epochs don't rise")
        return rows
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not a history of epochs ({error}): move it away.") from error


def _require_file(path, limit):
    """Raises a ValueError for a file larger than `limit` bytes, and for a folder or a pipe."""
    if os.stat(path).st_size > limit or not os.path.isfile(path):
        raise ValueError(f"expected a file of at most {limit // 10**6} MB")


def write_history(path, rows):
    """Writes the rows of a history.csv; nan where a row has no value."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="nan")
        writer.writeheader()
        writer.writerows(rows)


def require_room(path, size):
    """Raises an InputError if the content of a file or folder can't have `size` bytes in memory.

    At most half the memory; for a file also at most 100 times its length, or 100 MB.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    unpacked = max(10**8, 100 * path.stat().st_size) if path.is_file() else math.inf
    limit = min(memory // 2, unpacked)
    if size > limit:
        found = f"{size:,} bytes in memory, expected at most {limit:,}"
        raise InputError(f"{path}: {found}: it is damaged, or too large for this machine.")


def check_zip(path):
    """Checks what a zip archive announces, before it is unpacked.

    Raises:
        InputError: by `require_room`, or for a compression that NumPy and Keras never write.
            Python unpacks the others without limits.
        OSError, ValueError, zipfile.BadZipFile: if it can't be read.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if {member.compress_type for member in members} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise InputError(f"{path}: expected a zip archive that is deflated or not compressed.")
    require_room(path, sum(member.file_size for member in members))


def first_line(error):
    """The first line of an exception's message, without the operation that TensorFlow names.

    If an assertion in a graph failed, what it says.
    """
    if failed := re.search(r"assertion failed: (.*\])", str(error)):
        return " ".join(re.findall(r"\[(.*?)\]", failed[1])).replace(" : ", ": ").rstrip(".")
    # Keras' `fit` puts the places in the code first.
    places = r"^Graph execution error:.*\n(  File [^\n]*|<stack traces unavailable>)\n+"
    text = re.sub(places, "", str(error), flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\} | \[Op:.*", "", text).strip("'\"")
    return (text or type(error).__name__).splitlines()[0].rstrip(".")


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
