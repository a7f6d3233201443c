"""The folder of a run: which runs may begin or resume there; files are written as a whole."""

import dataclasses
import json

import pytest

from keras_gan import InputError
from keras_gan.config import Config
from keras_gan.run_directory import RunDirectory, find_export, read_record, replacing, write_json

CONFIG = Config(batch_size=8).resolve(100)
DATASET = {"name": "tiny", "sha256": "abc", "shape": [100, 28, 28, 1]}


def tree(directory):
    return {path: path.is_file() and path.read_bytes() for path in directory.rglob("*")}


@pytest.fixture
def directory(tmp_path):
    """The directory of a run with this configuration."""
    directory = RunDirectory(tmp_path / "run")
    directory.clear()
    directory.write_config(CONFIG, DATASET)
    return directory


def test_an_empty_or_new_directory_begins_a_run(tmp_path):
    assert RunDirectory(tmp_path / "new").check(CONFIG, DATASET) is False
    assert not (tmp_path / "new").exists()
    (tmp_path / "notes.txt").write_text("mine")
    assert RunDirectory(tmp_path).check(CONFIG, DATASET) is False


def test_the_same_settings_resume(directory):
    assert directory.check(CONFIG, DATASET) is True
    more = dataclasses.replace(CONFIG, epochs=99, max_minutes=1.0)
    assert directory.check(more, DATASET) is True


def test_other_settings_and_other_data_are_refused_by_name(directory):
    other = dataclasses.replace(CONFIG, g_lr=0.5, loss="minimax")
    with pytest.raises(InputError, match="holds a run with --loss=lsgan, --g_lr=0.001: give"):
        directory.check(other, DATASET)
    with pytest.raises(InputError, match=r"the data \(tiny, other pixels\)"):
        directory.check(CONFIG, {**DATASET, "sha256": "def"})
    assert directory.check(dataclasses.replace(other, overwrite=True), DATASET) is False


def test_what_is_not_a_run_is_never_taken_for_one(tmp_path):
    directory = RunDirectory(tmp_path)
    overwrite = dataclasses.replace(CONFIG, overwrite=True)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples/mine.png").write_text("mine")
    for config in (CONFIG, overwrite):
        with pytest.raises(InputError, match=r"holds samples and no config\.json"):
            directory.check(config, DATASET)
    (tmp_path / "config.json").write_text('{"model": "of another program"}')
    for config in (CONFIG, overwrite):
        with pytest.raises(InputError, match=r"config.json: not a run's configuration"):
            directory.check(config, DATASET)
    with pytest.raises(InputError, match=r"config\.json: a file, expected a folder"):
        RunDirectory(tmp_path / "config.json").check(CONFIG, DATASET)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 1, "dataset": {}, "versions": {}}'])
def test_damaged_record(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"config.json: not a run's configuration"):
        read_record(path)


def test_clear_deletes_what_a_run_writes_and_nothing_else(directory):
    (directory.path / "notes.txt").write_text("mine")
    for folder in (directory.samples, directory.logs, *directory.exports.values()):
        (folder / "deep").mkdir(parents=True)
    directory.history.write_text("epoch\n")
    directory.clear()
    assert [path.name for path in directory.path.iterdir()] == ["notes.txt"]


def test_history_ends_with_the_last_completed_epoch(directory):
    directory.trim_history(3)  # there is none yet
    rows = "epoch,d_loss\r\n0,0.5\r\n1,0.25\r\n2,0."
    directory.history.write_bytes(rows.encode())
    directory.trim_history(2)
    assert directory.history.read_bytes() == b"epoch,d_loss\r\n0,0.5\r\n1,0.25\r\n"
    directory.trim_history(0)
    assert directory.history.read_bytes() == b"epoch,d_loss\r\n"


def test_a_file_or_folder_is_replaced_as_a_whole(tmp_path):
    record = tmp_path / "record.json"
    write_json(record, {"a": 1})
    folder = tmp_path / "export"
    (folder / "old").mkdir(parents=True)
    before = tree(tmp_path)

    def interrupted(path):
        with replacing(path) as temporary:
            temporary.mkdir()
            (temporary / "half").write_text("")
            raise KeyboardInterrupt

    for path in (record, folder):
        with pytest.raises(KeyboardInterrupt):
            interrupted(path)
    assert before.items() <= tree(tmp_path).items()
    write_json(record, {"b": 2})  # the interrupted write has left a temporary file
    assert json.loads(record.read_text()) == {"b": 2}
    with replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("")
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "record.json"]


class Exported:
    """A stub for a GAN."""

    def export(self, path):
        path.mkdir()
        (path / "saved_model.pb").write_text("")


def test_exports(directory, tmp_path):
    with pytest.raises(InputError, match=r"no SavedModel in .*run/export, .*run\. A run writes"):
        find_export(directory.path)
    with pytest.raises(InputError, match=r"A run that scored its epochs \(--fid_every\) writes"):
        find_export(directory.path, "best")
    with pytest.raises(InputError, match="--model_dir is missing"):
        find_export(None)
    assert directory.exported_epoch("last") is None
    directory.export(Exported(), "last", 3)
    assert directory.exported_epoch("last") == 3
    assert directory.exported_epoch("best") is None
    assert find_export(directory.path) == find_export(directory.path / "export")
    directory.export(Exported(), "last", 4)
    assert directory.exported_epoch("last") == 4
