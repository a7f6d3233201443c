"""Files are written whole or not at all."""

import errno
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gan import InputError, files


def tree(directory):
    return {path: path.is_file() and path.read_bytes() for path in directory.rglob("*")}


def test_a_file_or_folder_is_replaced_as_a_whole(tmp_path):
    record = tmp_path / "record.json"
    files.write_json(record, {"a": 1})
    folder = tmp_path / "export"
    (folder / "old").mkdir(parents=True)
    before = tree(tmp_path)

    def interrupted(path):
        with files.replacing(path) as temporary:
            temporary.mkdir()
            (temporary / "half").write_text("")
            raise KeyboardInterrupt

    for path in (record, folder):
        with pytest.raises(KeyboardInterrupt):
            interrupted(path)
    assert tree(tmp_path) == before
    with files.replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("")
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "record.json"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), "TensorFlow's"])
def test_an_error_names_the_file_and_leaves_it_as_it_was(error, tmp_path):
    import tensorflow as tf

    if error == "TensorFlow's":
        error = tf.errors.ResourceExhaustedError(None, None, "No space left")
    path = tmp_path / "a.json"
    path.write_text("before")
    with pytest.raises(OSError, match="No space left") as raised, files.replacing(path):
        raise error
    assert (raised.value.filename, raised.value.strerror) == (str(path), "No space left")
    assert tree(tmp_path) == {path: b"before"}


def test_what_is_replaced_is_on_the_disk_first(tmp_path, monkeypatch):
    """The content before the name, and the name before the next write may depend on it."""
    calls = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(inode(fd)) or sync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: calls.append("replace") or replace(a, b))

    def inode(file):
        return os.stat(file).st_ino

    files.write_json(tmp_path / "a.json", {})
    assert calls == [inode(tmp_path / "a.json"), "replace", inode(tmp_path)]


def test_a_disk_error_in_what_tensorflow_raises(tmp_path):
    """As it is when the fingerprint of a SavedModel can't be read."""
    text = "Could not create fingerprint.\nUNKNOWN: /run/export.4711.tmp/a.pb; Input/output error"
    whole = files.replacing(tmp_path / "export")
    with pytest.raises(OSError, match="Input/output error") as raised, whole:
        raise ValueError(text)
    assert raised.value.errno == errno.EIO
    assert raised.value.filename == str(tmp_path / "export")
    with pytest.raises(ValueError, match="another"), files.replacing(tmp_path / "export"):
        raise ValueError("of another kind")


def test_only_our_temporary_files_are_removed(tmp_path):
    theirs = [tmp_path / name for name in ("a.tmp", "b.x.tmp", "c.old", "d.123")]
    ours = [tmp_path / f"{name}.4711.tmp" for name in ("a.json", "ckpt-1")]
    for path in (*theirs, ours[0]):
        path.write_text("")
    ours[1].mkdir()
    (ours[1] / "part").write_text("")
    files.remove_temporaries(tmp_path)
    assert sorted(tmp_path.iterdir()) == theirs


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/mine").write_text("mine")
    (tmp_path / "near").symlink_to(tmp_path / "far")
    files.remove(tmp_path / "near")
    assert (tmp_path / "far/mine").read_text() == "mine"
    assert not (tmp_path / "near").exists()


def test_history_keeps_every_bit(tmp_path):
    path = tmp_path / "history.csv"
    assert files.read_history(path) == []
    rows = [{"epoch": 0, "d_loss": 0.1 + 0.2}, {"epoch": 1, "d_loss": 1 / 3, "fid": float("inf")}]
    files.write_history(path, rows)
    first, second = files.read_history(path)
    assert second == rows[1]
    assert first["d_loss"] == 0.1 + 0.2
    assert str(first["fid"]) == "nan"
    # As Keras' CSVLogger writes it.
    path.write_text("epoch,d_loss,val_d_loss\r\n0,0.5,NA\r\n")
    assert files.read_history(path) == [{"epoch": 0, "d_loss": 0.5}]


@pytest.mark.parametrize(
    "text", ["epoch\nx\n", "d_loss\n1\n", "epoch,d_loss\n1,x\n", "epoch,a\n1\n"]
)
def test_damaged_history(text, tmp_path):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(InputError, match=r"history\.csv: not a history of epochs"):
        files.read_history(tmp_path / "history.csv")


def test_the_reason_of_an_error_in_fit():
    class Model(keras.Model):
        def train_step(self, data):
            return {"x": tf.reduce_sum(tf.reshape(data[0], [7, tf.shape(data[0])[0]]))}

    model = Model()
    model.compile()
    with pytest.raises(tf.errors.InvalidArgumentError, match="Graph execution error") as caught:
        model.fit(np.ones([4, 1]), np.ones([4]), verbose=0)
    reason = "Input to reshape is a tensor with 4 values, but the requested shape has 28"
    assert files.first_line(caught.value) == reason
