"""Files of strangers: what they announce is checked first, and no code of theirs runs."""

import hashlib
import io
import itertools
import os
import pickle
import re
import shutil
import struct
import zipfile
import zlib

import forks
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from test_data import idx, png

from keras_gan import InputError, evaluate, evaluation, files
from keras_gan.data import readers
from keras_gan.evaluation.network import read_network
from keras_gan.export import SavedGenerator
from keras_gan.model import GAN
from keras_gan.networks import ARCHITECTURES
from keras_gan.run_directory import RunDirectory, find_export, read_record

TRAIN = "train-images-idx3-ubyte"
TERABYTE = (2**20, 2**10, 2**10)


def npy(shape):
    """The header of a .npy file."""
    header = str({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header


def packed(start, wbits):
    """`start` and 10 GB of zeros, deflated to 10 MB."""
    packer = zlib.compressobj(9, wbits=wbits)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    body = packer.compress(bytes(10**8)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + 100 * body + packer.flush()


def zip_bomb(path, member, start, announced):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, packed(start, -15))
        archive.filelist[0].compress_type = zipfile.ZIP_DEFLATED
        archive.filelist[0].file_size = announced
    return path


def bombs(folder):
    """Name -> (a function that reads, its path)."""

    def file(name, content, length=None):
        """A file that goes on with zeros, up to `length`: they take no room on the disk."""
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        os.truncate(folder / name, length or len(content))
        return folder / name

    def inside(name, content, length=None):
        parent = f"folder-{next(numbers)}"
        return readers.read, file(f"{parent}/{name}", content, length).parent

    numbers = itertools.count()

    with zipfile.ZipFile(folder / "header.npz", "w") as archive:
        archive.writestr("x_train.npy", npy(TERABYTE))
    announced = idx(np.zeros(0, np.uint8), magic=2051, shape=TERABYTE)
    bmp = struct.pack("<IIIIiiHH24x", 54, 0, 54, 40, 50_000, 50_000, 1, 24)
    gif = struct.pack("<6sHH3x", b"GIF89a", 65535, 65535) + b",\0\0\0\0\xff\xff\xff\xff\0\2\0;"
    webp = b"VP8X" + struct.pack("<II", 10, 16) + 2 * (16382).to_bytes(3, "little")
    webp = b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp
    wide = b"epoch," + ",".join(map(str, range(10**5))).encode() + 10**5 * b"\n1,2"
    return {
        "idx": inside(TRAIN, announced, 100),
        "gzip": inside(f"{TRAIN}.gz", packed(announced, 31)),
        "gzip of zeros": inside(f"{TRAIN}.gz", packed(b"", 31)),
        "zip": (readers.read, zip_bomb(folder / "x.npz", "x_train.npy", npy((10**10,)), 10**10)),
        "zip that lies": (
            readers.read,
            zip_bomb(folder / "y.npz", "x_train.npy", npy((10**10,)), 200),
        ),
        "npy in zip": (readers.read, folder / "header.npz"),
        "png": inside("a.png", png(50_000, 50_000)),
        "png within Pillow's limit": inside("b.png", png(10_000, 10_000)),
        "bmp": inside("a.bmp", b"BM" + bmp),
        "gif": inside("a.gif", gif),
        "webp": inside("a.webp", webp),
        "webp of 10 GB": inside("b.webp", webp, 10**10),
        "npy": (evaluate.read_images, file("header.npy", npy(TERABYTE), 100)),
        "npy of 1 TB": (evaluate.read_images, file("long.npy", npy(TERABYTE), 2**40 + 128)),
        "keras": (read_network, zip_bomb(folder / "x.keras", "config.json", b"{}", 10**10)),
        "json": (evaluate.read_evaluation, file("x.json", b"{", 10**10)),
        "history": (files.read_history, file("long.csv", b"epoch", 10**10)),
        "wide history": (files.read_history, file("wide.csv", wide)),
    }


def test_bombs_are_refused_within_a_second_and_300_mb(tmp_path):
    for name, (read, path) in bombs(tmp_path).items():
        kind, message, seconds, megabytes = forks.call(read, path)
        print(f"{name}: {seconds:.2f} s, {megabytes:.0f} MB, {kind.__name__}: {message}")
        assert kind is InputError, (name, message)
        assert seconds < 1, name  # fails on a very busy machine
        assert megabytes < 300, name


def test_the_disk_is_asked_before_pictures_are_decoded(tmp_path, monkeypatch):
    folder, cache = tmp_path / "photos", tmp_path / "cache"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.png").write_bytes(png(4, 4))
    usage = shutil._ntuple_diskusage(100, 53, 47)
    monkeypatch.setattr(shutil, "disk_usage", {cache: usage}.get)
    with pytest.raises(InputError, match="48 bytes for 3 pictures of 4x4, 47 are free in .*cache"):
        readers.read(folder, cache_dir=cache)
    (folder / "c.png").unlink()
    assert readers.read(folder, cache_dir=cache)[0].nbytes == 32


# Code


class Hostile:
    """Its pickle is a command that leaves a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_pickles_are_refused(tmp_path):
    mark = tmp_path / "mark"
    array = np.array([Hostile(mark)], object)
    np.savez(tmp_path / "x.npz", x_train=array)
    np.save(tmp_path / "x.npy", array)
    (tmp_path / "y.npy").write_bytes(pickle.dumps(Hostile(mark)))
    for read, name in (
        (readers.read, "x.npz"), (evaluate.read_images, "x.npy"), (evaluate.read_images, "y.npy"),
    ):  # fmt: skip
        with pytest.raises(InputError):
            read(tmp_path / name)
    assert not mark.exists()
    np.load(tmp_path / "x.npy", allow_pickle=True)
    assert mark.exists()  # it would have worked


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A .keras file: the mean of an image, and a dense layer."""
    layers = [keras.Input([4, 4, 1]), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    path = tmp_path_factory.mktemp("network") / "mean.keras"
    keras.Sequential(layers).save(path)
    return path


def changed(network, path, config=lambda text: text, weights=lambda file: None):
    """A copy of a .keras file: its configuration through `config`, its weights in `weights`."""
    with zipfile.ZipFile(network) as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("metadata.json", old.read("metadata.json"))
        new.writestr("config.json", config(old.read("config.json").decode()))
        content = io.BytesIO(old.read("model.weights.h5"))
        with h5py.File(content, "r+") as file:
            weights(file)
        new.writestr("model.weights.h5", content.getvalue())
    return path


def test_code_in_a_network_is_refused(network, tmp_path):
    mark = tmp_path / "mark"
    code = keras.layers.Lambda(eval(f"lambda x: [__import__('os').system('touch {mark}'), x][1]"))
    keras.Sequential([keras.Input([4, 4, 1]), code]).save(tmp_path / "lambda.keras")
    mark.unlink()
    paths = [tmp_path / "lambda.keras"]
    dense = '"module": "keras.layers", "class_name": "Dense"'
    for i, (module, name) in enumerate(
        [
            ("os", "system"),
            ("builtins", "eval"),
            ("subprocess", "Popen"),
            ("keras.saving", "load_model"),
        ]
    ):

        def config(text, module=module, name=name):
            assert dense in text
            return text.replace(dense, f'"module": "{module}", "class_name": "{name}"')

        paths.append(changed(network, tmp_path / f"{i}.keras", config))
    for path in paths:
        with pytest.raises(InputError, match=f"{path.name}: not a Keras model: ") as error:
            read_network(path)
        assert "\n" not in str(error.value)
    assert not mark.exists()


def test_weights_that_a_network_cannot_hold(network, tmp_path):
    assert read_network(changed(network, tmp_path / "same.keras")).image_shape == (4, 4, 1)

    def one(name, **options):
        def weights(file):
            del file["layers/dense/vars/0"]
            file.create_dataset("layers/dense/vars/0", dtype="f4", **options)

        return changed(network, tmp_path / name, weights=weights)

    paths = [
        changed(
            network,
            tmp_path / "a.keras",
            lambda text: text.replace('"units": 3', '"units": 1000000000'),
        ),
        one("b.keras", shape=[2**40]),
        one("c.keras", shape=[1, 3], maxshape=[1, None], chunks=(1, 2**29), compression="gzip"),
    ]
    for path in paths:
        kind, message, seconds, megabytes = forks.call(read_network, path)
        assert "bytes in memory, expected at most 100,000,000" in message
        assert (kind, seconds < 5, megabytes < 300) == (InputError, True, True), message


def test_a_network_that_fails_on_images(tmp_path):
    layers = [keras.Input([None, None, 1]), keras.layers.Conv2D(1, 9), keras.layers.Flatten()]
    path = tmp_path / "wide.keras"
    keras.Sequential(layers).save(path)
    network = read_network(path)
    with pytest.raises(InputError, match=re.escape("wide: fails on images of shape [4, 4, 1]: ")):
        network(np.zeros([2, 4, 4, 1], np.uint8))


# Text

RECORDS = {
    "nested": "[" * 10**5,
    "too long": '"' + " " * 10**7 + '"',
    "other encoding": '{"scores": {}}'.encode("utf-16"),
    "binary": bytes(range(256)),
    "another type": "[1]",
    "a number": "NaN",
}


@pytest.mark.parametrize("case", RECORDS)
def test_json_of_others(case, tmp_path):
    path = tmp_path / "evaluation.json"
    text = RECORDS[case]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match="exists and is not an evaluation"):
        evaluate.read_evaluation(path)


def test_json_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "evaluation.json")
    with pytest.raises(InputError, match="exists and is not an evaluation"):
        evaluate.read_evaluation(tmp_path / "evaluation.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"epoch,fid\nnan,1\n", "'nan'"),
        (b"epoch,fid\n-1,1\n", "its epochs don't rise"),
        (b"epoch,fid\n0,1\n1,1\n1,1\n", "its epochs don't rise"),
        (b"epoch,fid\n" + b"9" * 4000 + b",1\n", "its epochs don't rise"),
        (b"epoch,fid\n0\n", "NoneType"),
        (b"epoch,fid\n0,1,2\n", "list"),
        (b"epoch,fid\n0,x\n", "'x'"),
        (b"fid\n1\n", "no column is called epoch"),
        (b"epoch,fid\n0," + b"1" * 200_000 + b"\n", "field limit"),
        (bytes(range(256)), "can't decode"),
        (b"\0\1\2", "no column is called epoch"),
        (b'epoch,"fid\n0,1\n', "unexpected end of data"),
    ],
)
def test_histories_of_others(text, message, tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(text)
    with pytest.raises(InputError, match=f"history.csv: not a history of epochs .*{message}"):
        files.read_history(path)


DATASET = {"name": "digits", "sha256": "abc", "shape": [500, 28, 28, 1]}
SETTINGS = {"dataset": "auto", "data_path": "/nowhere/digits.npz"}


@pytest.mark.parametrize(
    ("dataset", "settings"),
    [
        ({"name": ["digits"]}, {}),
        ({"name": None}, {}),
        ({"shape": 500}, {}),
        ({"shape": []}, {}),
        ({"shape": ["500", 28, 28, 1]}, {}),
        ({"shape": [float("nan"), 28, 28, 1]}, {}),
        ({"sha256": {}}, {}),
        ({}, {"dataset": ["auto"]}),
        ({}, {"data_path": 5}),
        ({}, {"data_path": ["x.npz"]}),
        ({}, {"data_path": "~\0"}),
    ],
)
def test_records_of_other_types(dataset, settings, tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export/saved_model.pb").write_bytes(b"")
    record = {"dataset": DATASET | dataset, "settings": SETTINGS | settings, "versions": {}}
    files.write_json(tmp_path / "config.json", record)
    with pytest.raises(InputError, match="config.json: damaged: it does not say what the images"):
        evaluation.evaluate_run(tmp_path)


def test_record_whose_images_are_gone(tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export/saved_model.pb").write_bytes(b"")
    record = {"dataset": DATASET, "settings": SETTINGS, "versions": {}}
    files.write_json(tmp_path / "config.json", record)
    with pytest.raises(InputError, match="/nowhere/digits.npz: no such file or folder: give"):
        evaluation.evaluate_run(tmp_path)


@pytest.mark.parametrize("case", RECORDS)
def test_configurations_of_others(case, tmp_path):
    text = RECORDS[case]
    (tmp_path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match="config.json: not a run's configuration"):
        read_record(tmp_path / "config.json")


def test_the_record_of_an_export_names_no_file_outside(tmp_path):
    (tmp_path / "outside").write_bytes(b"")  # it could be /dev/zero
    directory = RunDirectory(tmp_path / "run")
    record = directory.exports["last"] / "assets.extra/run.json"
    record.parent.mkdir(parents=True)
    for name in (str(tmp_path / "outside"), "../../outside"):
        files.write_json(record, {"epoch": 3, "sha256": {name: hashlib.sha256(b"").hexdigest()}})
        assert directory.exported_epoch("last") is None


def test_home_of_nobody():
    with pytest.raises(InputError, match="~nobody-of-this-name/run: no SavedModel"):
        find_export("~nobody-of-this-name/run")


# SavedModels


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The SavedModel of an untrained GAN."""
    mlp = ARCHITECTURES["mlp"]
    gan = GAN(mlp.generator(16, (28, 28, 1)), mlp.discriminator((28, 28, 1)))
    folder = tmp_path_factory.mktemp("saved") / "a[1]*?"  # TensorFlow reads them as a pattern
    gan.export(folder)
    return folder


def test_saved_model_in_a_folder_like_a_pattern(saved):
    generator = SavedGenerator(saved)
    z = generator.latents(np.int64(3), np.int64(1))
    np.testing.assert_array_equal(z, generator.latents(3, 1))
    assert generator.images(z).shape == (3, 28, 28, 1)


VARIABLES = "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    "name", ["saved_model.pb", VARIABLES, "variables/variables.index", "fingerprint.pb"]
)
def test_saved_model_that_is_cut_off(name, saved, command, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "cut")
    os.truncate(folder / name, (folder / name).stat().st_size // 2)
    np.savez(tmp_path / "real.npz", x_train=np.eye(28, dtype=np.uint8)[None])
    real = f"--data_path={tmp_path / 'real.npz'}"
    for script, *flags in (["sample.py"], ["-m", "keras_gan.evaluate", real]):
        done = command(script, *flags, f"--model_dir={folder}")
        assert done.returncode == 1
        line = done.stderr.splitlines()[-1]
        assert f"{folder}: not a readable SavedModel: " in line
        assert "Traceback" not in done.stderr


def signatures(**outputs):
    """A module with signatures that give what they are told, for the inputs of a generator's."""
    module = tf.Module()
    z, scalar = tf.TensorSpec([None, 16], name="z"), tf.TensorSpec([], tf.int32)
    module.latents = tf.function(
        lambda num_images, seed: outputs["latents"](num_images), [scalar, scalar]
    )
    module.images = tf.function(lambda z: outputs["images"](z), [z])
    named = {"latents": module.latents, "serving_default": module.images}
    return module, named


@pytest.mark.parametrize(
    ("latents", "images", "message"),
    [
        (lambda n: {"y": tf.zeros([n, 16])}, None, "can't draw latents: z"),
        (lambda n: {"z": tf.zeros([n + 1, 16])}, None, "can't draw latents: cannot reshape"),
        (lambda n: {"z": tf.fill([n, 16], "x")}, None, "can't draw latents: could not convert"),
        (None, lambda z: {"images": tf.zeros([1, 28, 28, 1])}, "3 latents gave the shape [1, 28"),
        (None, lambda z: {"images": z}, "can't draw images: not enough values to unpack"),
        (None, lambda z: {"images": tf.zeros([3, 0, 28, 1])}, "the shape [3, 0, 28, 1]"),
        (None, lambda z: {"images": tf.zeros([3, 28, 28, 2])}, "the shape [3, 28, 28, 2]"),
        (None, lambda z: {"images": tf.io.read_file("/nowhere")}, "can't draw images: "),
    ],
)
def test_saved_model_that_does_not_keep_its_promises(latents, images, message, tmp_path):
    latents = latents or (lambda n: {"z": tf.zeros([n, 16])})
    module, named = signatures(latents=latents, images=images or (lambda z: {"images": z}))
    tf.saved_model.save(module, tmp_path, signatures=named)
    generator = SavedGenerator(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        generator.images(generator.latents(3, 0))
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
