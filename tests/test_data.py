import gzip
import hashlib
import http.client
import io
import os
import socket
import struct
import threading
import time
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_gan import InputError, data
from keras_gan.data import synthetic


def idx(array, magic=None, shape=None):
    header = [magic or 0x0800 + array.ndim, *(shape or array.shape)]
    return struct.pack(f">{len(header)}I", *header) + array.tobytes()


def numbered(count, height=5, width=4):
    """Images that differ: image i is filled with i."""
    return np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None], [count, height, width]
    ).copy()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Decoded pictures go to a folder of the test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KERAS_HOME", str(folder))
    return folder / "keras_gan"


# The stream


def epochs(images, batch_size, count, **options):
    """The numbers of the images in `count` batches."""
    batches = data.batches(images[..., None], batch_size, **options).take(count)
    pixels = np.concatenate([np.array(batch) for batch in batches])
    assert np.ptp(pixels, axis=(1, 2, 3)).max() == 0
    return np.rint((pixels[:, 0, 0, 0] + 1) * 127.5).astype(int)


def test_each_epoch_is_a_permutation_even_where_batches_straddle_it():
    seen = epochs(numbered(10), 4, 10)  # 40 images: four epochs of 10 in batches of 4
    for epoch in seen.reshape(4, 10):
        assert sorted(epoch) == list(range(10))
    assert len({tuple(epoch) for epoch in seen.reshape(4, 10)}) == 4


def test_order_follows_from_the_seed_and_can_be_entered_anywhere():
    images = numbered(100)
    np.testing.assert_array_equal(epochs(images, 8, 20), epochs(images, 8, 20))
    np.testing.assert_array_equal(epochs(images, 8, 20)[8 * 13 :], epochs(images, 8, 7, start=13))
    assert not np.array_equal(epochs(images, 8, 20), epochs(images, 8, 20, seed=1))


def test_shuffle_is_thorough():
    """Neighbours, the old order and the orders of two epochs are all uncorrelated.

    The shuffle of tf.random.experimental.index_shuffle itself fails here, with 0.89.
    """
    import tensorflow as tf

    count = 60_000
    images = np.zeros([count, 1, 2, 1], np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(count), 256)
    stream = data.batches(images, count // 10).take(20)
    pixels = np.rint((np.concatenate([np.array(b) for b in stream]) + 1) * 127.5)
    order = pixels[:, 0, 0, 0] * 256 + pixels[:, 0, 1, 0]
    first, second = order[:count], order[count:]
    pairs = [(first, second), (first, np.arange(count)), (first[1:], first[:-1])]
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(count)
    assert stream.element_spec == tf.TensorSpec([count // 10, 1, 2, 1], tf.float32)


def test_batches_hold_their_minibatches_and_span_the_pixel_range():
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    batch = next(iter(data.batches(images, 3, minibatches=2)))
    assert batch.shape == (6, 1, 1, 1)
    np.testing.assert_allclose(np.unique(batch), [-1, -0.6, 1], rtol=1e-6)


def test_mirror_flips_half_of_the_images_left_to_right():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    stream = data.batches(np.stack([image] * 8), 8, mirror=True).take(50)
    pixels = np.rint((np.concatenate([np.array(batch) for batch in stream]) + 1) * 127.5)
    flipped = (pixels == image[:, ::-1]).all(axis=(1, 2, 3))
    assert np.all(flipped | (pixels == image).all(axis=(1, 2, 3)))
    assert 0.4 < flipped.mean() < 0.6
    assert len(np.unique(flipped.reshape(50, 8), axis=0)) > 30  # each time anew


# Files


def test_npz(tmp_path):
    path = tmp_path / "mine.npz"
    images = numbered(6)
    np.savez(path, x_train=images, y_train=np.arange(6), x_test=images[:2])
    loaded = data.load("auto", str(path))
    assert loaded.name == "mine"
    np.testing.assert_array_equal(loaded.images, images[..., None])
    np.testing.assert_array_equal(loaded.labels, np.arange(6))
    assert loaded.sha256 == hashlib.sha256(images.tobytes()).hexdigest()
    test = data.load("auto", path, split="test")
    assert (len(test.images), test.labels) == (2, None)
    np.savez(path, x_train=np.repeat(images[..., None], 3, axis=-1))
    assert data.load("auto", path).images.shape == (6, 5, 4, 3)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_idx_folder(tmp_path, suffix, separator):
    images, labels = numbered(6), np.arange(6, dtype=np.uint8)
    for prefix, count in (("train", 6), ("t10k", 2)):
        for kind, array in (("images", images), ("labels", labels)):
            content = idx(array[:count])
            name = f"{prefix}-{kind}{separator}idx{array.ndim}-ubyte{suffix}"
            (tmp_path / name).write_bytes(gzip.compress(content) if suffix else content)
    loaded = data.load("mnist", tmp_path)
    assert loaded.name == "mnist"
    np.testing.assert_array_equal(loaded.images, images[..., None])
    np.testing.assert_array_equal(loaded.labels, labels)
    assert len(data.load("mnist", tmp_path, split="test").images) == 2


def png(width, height, *chunks):
    """A PNG file of grey pixels, which may lie about its size, with more chunks (name, content)."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(20))), (b"IEND", b"")]
    content = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + content


def bad_inputs(folder):
    """Name -> (a path, what its error must say)."""
    images = numbered(6)
    good = idx(images)

    def file(name, content):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name

    def npz(name, **arrays):
        np.savez(folder / name, **arrays)
        return folder / name

    def archive(name, compression=zipfile.ZIP_STORED, **members):
        with zipfile.ZipFile(folder / name, "w", compression) as file:
            for member, content in members.items():
                file.writestr(member, content)
        return folder / name

    def pipe(name):
        (folder / name).parent.mkdir(exist_ok=True)
        os.mkfifo(folder / name)
        return folder / name

    train = "train-images-idx3-ubyte"
    one = io.BytesIO()
    np.save(one, images)
    text = b"key\0\0" + zlib.compress(bytes(8 * 10**7))
    whole = npz("whole.npz", x_train=images).read_bytes()
    (folder / "none").mkdir()
    (folder / "sizes").mkdir()
    for i, size in enumerate([(4, 5), (5, 5)]):
        Image.new("L", size).save(folder / "sizes" / f"{i}.png")
    return {
        "missing": (folder / "nowhere.npz", "no such file or folder"),
        "empty file": (file("empty.npz", b""), "expected a .npz with x_train"),
        "truncated": (file("short.npz", whole[: len(whole) // 2]), "expected a .npz with x_train"),
        "pickled": (
            npz("pickled.npz", x_train=np.array([{}], object)),
            "expected a .npz with x_train",
        ),
        "no x_train": (npz("other.npz", images=images), "it has no x_train"),
        "one array": (file("npy.npz", one.getvalue()), "expected a .npz with x_train"),
        "floats": (npz("floats.npz", x_train=images / 255), "float64 [6, 5, 4], expected uint8"),
        "no images": (npz("zero.npz", x_train=images[:0]), "at least one image"),
        "two channels": (
            npz("two.npz", x_train=np.stack([images] * 2, axis=-1)),
            "1 or 3 channels",
        ),
        "labels": (npz("labels.npz", x_train=images, y_train=[1, 2]), "labels int64 [2]"),
        "words": (npz("words.npz", x_train=images, y_train=[*"abcdef"]), "labels <U1 [6]"),
        "no array": (archive("bytes.npz", x_train=b"abc"), "images |S3 [], expected uint8"),
        "lzma": (
            archive("lzma.npz", zipfile.ZIP_LZMA, **{"x_train.npy": one.getvalue()}),
            "expected a zip archive that is deflated or not compressed",
        ),
        "pipe": (pipe("pipe.npz"), "expected a folder, or a .npz, .npy or .zip file"),
        "pipe in a folder": (pipe(f"pipe/{train}").parent, "no images"),
        "a text": (file("text.txt", b"x"), "expected a folder, or a .npz, .npy or .zip file"),
        "magic": (
            file(f"magic/{train}", idx(images, magic=2049)).parent,
            "magic number 2049, expected 2051",
        ),
        "cut": (file(f"cut/{train}", good[:-1]).parent, "135 bytes, expected 16 + 6 x 5 x 4"),
        "header": (file(f"header/{train}", good[:9]).parent, "9 bytes, expected 16 + "),
        "long": (
            file(f"long/{train}", good + b"0").parent,
            "137 bytes or more, expected 16 + 6 x 5 x 4",
        ),
        "gzip": (
            file(f"gzip/{train}.gz", gzip.compress(good)[:-12]).parent,
            "damaged gzip file",
        ),
        "no gzip": (file(f"plain/{train}.gz", good).parent, "damaged gzip file"),
        "no images in folder": (folder / "none", "no images"),
        "sizes": (folder / "sizes", "pictures of 2 sizes: 5x4 (1), 5x5 (1): give --image_size=64"),
        "text in a PNG": (
            file("text/a.png", png(4, 4, (b"zTXt", text))).parent,
            "a.png: not a readable",
        ),
        "another format": (
            file("eps/a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n").parent,
            "a.png: not a readable image: cannot identify",
        ),
        "broken image": (file("broken/a.png", b"PNG").parent, "not a readable image"),
    }


def test_bad_files_are_one_clear_line(tmp_path):
    for case, (path, message) in bad_inputs(tmp_path).items():
        with pytest.raises(InputError) as error:
            data.load("auto", path)
        assert message in str(error.value), case
        assert str(path) in str(error.value), case
        assert "\n" not in str(error.value), case


def test_links_and_homes_that_lead_nowhere(tmp_path):
    (tmp_path / "x.npz").symlink_to("x.npz")
    for path in (tmp_path / "x.npz", "~nobody-of-this-name/x.npz"):
        with pytest.raises(InputError, match="x.npz: no such file or folder"):
            data.load("auto", path)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="--dataset='mnits': expected one of auto, mnist, "):
        data.load("mnits")
    with pytest.raises(InputError, match="leave --data_path out"):
        data.load("synthetic", "x.npz")


# MNIST


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No MNIST on disk, and a network whose packets are dropped: a proxy that never answers."""
    monkeypatch.delenv(data.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(data, "DOWNLOAD_TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


def test_mnist_gives_up_in_time_and_says_where_to_put_it(offline):
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"neither in KERAS_GAN_DATA nor .* --data_path="):
        data.load("mnist")
    assert time.monotonic() - begin < 2


def test_name_lookup_that_hangs_is_given_up_too(offline, monkeypatch):
    release = threading.Event()

    def hang(*_, **__):
        release.wait(30)
        raise OSError("released")

    monkeypatch.setattr(data.urllib.request, "urlopen", hang)
    begin = time.monotonic()
    with pytest.raises(InputError, match="no answer within 1 s"):
        data.load("fashion_mnist")
    assert time.monotonic() - begin < 2
    release.set()


def test_proxy_that_answers_rubbish(offline, monkeypatch):
    def answer(*_, **__):
        raise http.client.BadStatusLine("")

    monkeypatch.setattr(data.urllib.request, "urlopen", answer)
    with pytest.raises(InputError, match=r"the download failed \(BadStatusLine\)"):
        data.load("mnist")


def test_auto_falls_back_with_a_warning_no_one_can_miss(offline, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr(synthetic, "digits", lambda *args: drawn.append(args) or (None, None))
    loaded = data.load("auto")
    assert loaded.name == "synthetic"
    assert drawn == [(60_000, 0)]  # which takes seconds
    warning = capsys.readouterr().err
    assert "WARNING: training on SYNTHETIC digits, not on MNIST" in warning
    assert "KERAS_GAN_DATA" in warning


def test_search_order(offline, tmp_path, monkeypatch):
    def put(path, value):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, x_train=np.full([3, 28, 28], value, np.uint8))
        return path

    def found(name="mnist", path=None):
        return data.load(name, path).images[0, 0, 0, 0]

    put(tmp_path / "keras/datasets/mnist.npz", 1)
    assert found() == found("auto") == 1
    monkeypatch.setenv(data.ENVIRONMENT_VARIABLE, str(put(tmp_path / "file.npz", 2)))
    assert found() == found("auto") == 2
    put(tmp_path / "folder/mnist.npz", 3)
    put(tmp_path / "folder/fashion_mnist.npz", 4)
    monkeypatch.setenv(data.ENVIRONMENT_VARIABLE, str(tmp_path / "folder"))
    assert (found(), found("fashion_mnist")) == (3, 4)
    assert found("mnist", put(tmp_path / "given.npz", 5)) == 5
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx/train-images-idx3-ubyte").write_bytes(idx(numbered(6)[5:]))
    monkeypatch.setenv(data.ENVIRONMENT_VARIABLE, str(tmp_path / "idx"))
    assert found() == 5
    monkeypatch.setenv(data.ENVIRONMENT_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(InputError, match="KERAS_GAN_DATA=.*gone: no such file"):
        data.load("auto")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_variable_names_a_folder_of_folders(name, offline, tmp_path, monkeypatch):
    folder = tmp_path / name.replace("_", "-")
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(idx(numbered(6)))
    monkeypatch.setenv(data.ENVIRONMENT_VARIABLE, str(tmp_path))
    np.testing.assert_array_equal(data.load(name).images[..., 0], numbered(6))


def test_sha256_is_that_of_all_pixels():
    images = np.random.default_rng(0).integers(0, 256, [2500, 2, 2, 1], np.uint8)
    assert data.Images("x", images).sha256 == hashlib.sha256(images.tobytes()).hexdigest()


def test_stacked_mnist_has_a_digit_in_each_channel(tmp_path, monkeypatch):
    digits = np.repeat(np.arange(10, dtype=np.uint8), 3)  # an image shows its label as its pixels
    pixels = np.broadcast_to(digits[:, np.newaxis, np.newaxis], [30, 4, 4])
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=pixels, y_train=digits, x_test=pixels, y_test=digits)
    train = data.load("stacked_mnist", path)
    assert train.name == "stacked_mnist"
    assert train.images.shape == (128_000, 4, 4, 3)
    shown = train.images[:, 0, 0] @ np.array([100, 10, 1])
    np.testing.assert_array_equal(train.labels, shown)
    # All 1,000 modes alike: counts of mean 128, so of standard deviation 11.3.
    counts = np.bincount(shown, minlength=1000)
    assert len(counts) == 1000
    assert abs(counts - 128).max() < 5 * 11.3
    assert 10.3 < counts.std() < 12.3
    monkeypatch.setenv(data.ENVIRONMENT_VARIABLE, str(path))
    np.testing.assert_array_equal(data.load("stacked_mnist").images, train.images)
    test = data.load("stacked_mnist", split="test")
    assert len(test.images) == 26_000
    assert not np.array_equal(test.labels, train.labels[:26_000])
    np.savez(path, x_train=np.zeros([5, 4, 4, 3], np.uint8))
    with pytest.raises(InputError, match="expected grey digits"):
        data.load("stacked_mnist")


def test_keras_cache_of_fashion_mnist(offline, tmp_path):
    folder = tmp_path / "keras/datasets/fashion-mnist"
    folder.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        for kind, array in (("images", numbered(4)), ("labels", np.arange(4, dtype=np.uint8))):
            path = folder / f"{prefix}-{kind}-idx{array.ndim}-ubyte.gz"
            path.write_bytes(gzip.compress(idx(array)))
    np.testing.assert_array_equal(data.load("fashion_mnist").images[..., 0], numbered(4))


# Synthetic digits


def test_synthetic_digits_are_labelled_handwriting_in_mnists_shape():
    images, labels = synthetic.digits(2000, seed=3)
    again, _ = synthetic.digits(2000, seed=3)
    np.testing.assert_array_equal(images, again)
    assert images.shape == (2000, 28, 28, 1)
    assert images.dtype == np.uint8
    assert not np.array_equal(images, synthetic.digits(2000, seed=4)[0])
    assert len({image.tobytes() for image in images}) == 2000
    assert np.bincount(labels, minlength=10).min() > 150
    # Ink like MNIST's, whose mean is 33 and whose border is empty.
    assert 25 < images.mean() < 45
    assert images[:, [0, -1]].mean() < 0.5


def test_synthetic_digits_have_ten_modes_that_differ():
    """The nearest class mean finds the digit: the labels are right, and ten modes are there."""
    images, labels = synthetic.digits(4000, seed=5)
    flat = images.reshape(len(images), -1).astype(np.float32)
    means = np.stack([flat[:2000][labels[:2000] == digit].mean(axis=0) for digit in range(10)])
    distances = ((flat[2000:, None] - means) ** 2).sum(axis=-1)
    assert (distances.argmin(axis=1) == labels[2000:]).mean() > 0.9
