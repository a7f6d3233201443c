"""The folder of a run: which runs may begin or resume there; files are written as a whole."""

import dataclasses
import multiprocessing
import os
import socket

import pytest

from keras_gan import InputError
from keras_gan.config import Config
from keras_gan.run_directory import RunDirectory, find_export, read_record

CONFIG = Config(batch_size=8).resolve(100)
DATASET = {"name": "tiny", "sha256": "abc", "shape": [100, 28, 28, 1]}


def tree(directory):
    return {path: path.is_file() and path.read_bytes() for path in directory.rglob("*")}


@pytest.fixture
def directory(tmp_path):
    """The directory of a run with this configuration."""
    directory = RunDirectory(tmp_path / "run")
    with directory.lock():
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
    with pytest.raises(InputError, match="holds a run with --loss=lsgan, --g_lr=0.002: give"):
        directory.check(other, DATASET)
    with pytest.raises(InputError, match=r"the data \(tiny, other pixels or labels\)"):
        directory.check(CONFIG, {**DATASET, "sha256": "def"})
    with pytest.raises(InputError, match=r"the data \(tiny, other pixels or labels\)"):
        directory.check(CONFIG, {**DATASET, "labels_sha256": "def"})
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
    for name in ("notes.txt", "logs/mine", "logs/train/mine"):
        (directory.path / name).parent.mkdir(parents=True, exist_ok=True)
        (directory.path / name).write_text("mine")
    (directory.logs / "train/events.out.tfevents.1").write_text("")
    for folder in (directory.samples, *directory.exports.values()):
        (folder / "deep").mkdir(parents=True)
    elsewhere = directory.path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("mine")
    directory.checkpoints.symlink_to(elsewhere)
    directory.history.write_text("epoch\n")
    for path in directory.evaluations.values():
        path.write_text("{}")
    directory.clear()
    left = sorted(str(p.relative_to(directory.path)) for p in directory.path.rglob("*"))
    assert left == [".lock", "logs", "logs/mine", "logs/train", "logs/train/mine", "notes.txt"]
    assert (elsewhere / "mine").read_text() == "mine"


def hold_lock(path, ready, done):
    with RunDirectory(path).lock():
        ready.set()
        done.wait(60)


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_one_process_at_a_time(end, directory):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold_lock, args=(directory.path, ready, done))
    other.start()
    assert ready.wait(60)
    owner = rf"process {other.pid} on {socket.gethostname()} \(since 20..-..-.. ..:..:.*\) trains"
    with pytest.raises(InputError, match=owner), directory.lock():
        pytest.fail("two hold the lock")
    other.kill() if end == "kill" else done.set()
    other.join()
    for _ in range(2):  # free again, and released
        with directory.lock():
            assert f"process {os.getpid()} " in (directory.path / ".lock").read_text()


def test_what_a_killed_process_left_is_removed(directory):
    directory.export(Exported(), "last", 3)
    directory.checkpoints.mkdir()
    left = ["history.csv.1.tmp", "checkpoints/ckpt-1.22.tmp", "export.3.tmp", "export.old"]
    kept = ["export-best.old", "mine.old", "mine.tmp"]
    for name in (*left, *kept):
        (directory.path / name).write_text("")
    with directory.lock():
        assert not any((directory.path / name).exists() for name in left)
        assert all((directory.path / name).exists() for name in kept)


class Exported:
    """A stub for a GAN."""

    def export(self, path):
        path.mkdir()
        (path / "saved_model.pb").write_text("model")


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
    directory.evaluations["last"].write_text("scores of the old one")
    directory.evaluations["best"].write_text("scores of another one")
    directory.export(Exported(), "last", 4)
    assert directory.exported_epoch("last") == 4
    assert not directory.evaluations["last"].exists()
    assert directory.evaluations["best"].exists()


@pytest.mark.parametrize("damage", ["cut off", "deleted", "no record"])
def test_a_damaged_export_is_noticed(damage, directory):
    directory.export(Exported(), "last", 3)
    model = directory.exports["last"] / "saved_model.pb"
    (directory.exports["last"] / "mine.txt").write_text("changes nothing")
    assert directory.exported_epoch("last") == 3
    if damage == "cut off":
        model.write_text("")
    elif damage == "deleted":
        model.unlink()
    else:
        (directory.exports["last"] / "assets.extra/run.json").write_text("[]")
    assert directory.exported_epoch("last") is None


def test_an_export_is_found_while_it_is_replaced(directory):
    directory.export(Exported(), "last", 3)
    directory.exports["last"].rename(directory.path / "export.old")
    assert find_export(directory.path) == directory.path / "export.old"
