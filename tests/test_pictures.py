import io
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from keras_gan import InputError, data
from keras_gan.data import pictures, readers

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Decoded pictures go to a folder of the test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KERAS_HOME", str(folder))
    return folder / "keras_gan"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "photos"
    path.mkdir()
    return path


def quadrants(height, width):
    """Red and green above, blue and white below."""
    pixels = np.zeros([height, width, 3], np.uint8)
    for rows, columns, color in [(0, 0, RED), (0, 1, GREEN), (1, 0, BLUE), (1, 1, WHITE)]:
        part = [slice(i * n // 2, (i + 1) * n // 2) for i, n in ((rows, height), (columns, width))]
        pixels[part[0], part[1]] = color
    return pixels


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def numbered(count):
    """Images that differ: image i is filled with i."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None], [count, 5, 4])


def bitmaps(folder):
    for i, pixels in enumerate(numbered(6)):
        save(folder / f"{i}.png", pixels)


# What is found


def test_folder_of_images(folder):
    for i, name in enumerate(["a.png", "b/c.png", "b/d.bmp"]):
        save(folder / name, numbered(3)[i])
    (folder / "notes.txt").write_text("no image")
    (folder / "._a.png").write_text("what macOS leaves beside a.png")
    images, labels = readers.read(folder)
    np.testing.assert_array_equal(images, numbered(3)[..., None])
    assert labels is None
    save(folder / "z.png", np.full([5, 4, 3], (10, 20, 30)))
    images, _ = readers.read(folder)
    np.testing.assert_array_equal(images[3, 0, 0], [10, 20, 30])
    np.testing.assert_array_equal(images[2, 0, 0], [2, 2, 2])


def test_hidden_folders_are_left_out_and_links_are_followed_once(tmp_path):
    folder, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    names = ["photos/c.png", "photos/.thumbnails/x.png", "elsewhere/deep/1.png", "elsewhere/.x.png"]
    for i, name in enumerate(names):
        save(tmp_path / name, numbered(4)[i])
    (folder / "b").symlink_to(elsewhere)
    (folder / "d").symlink_to(elsewhere / "deep")  # the same pictures again
    for loop in (elsewhere / "up", folder / "loop"):
        loop.symlink_to(folder)
    (folder / "root").symlink_to("/")
    images, _ = readers.read(folder)
    np.testing.assert_array_equal(images[:, 0, 0, 0], [2, 0])  # b/deep/1.png, c.png


def test_a_zip_is_its_folder(folder, tmp_path):
    bitmaps(folder)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir(), reverse=True):
            archive.write(path, f"deep/{path.name}")
        archive.writestr("__MACOSX/._0.png", "no picture")
        archive.writestr("notes.txt", "no picture")
    loaded = data.load(data_path=tmp_path / "photos.zip")
    assert loaded.name == "photos"
    np.testing.assert_array_equal(loaded.images, readers.read(folder)[0])


def test_a_zip_writes_nothing_outside_of_the_cache(tmp_path, cache):
    content = io.BytesIO()
    Image.new("L", (4, 5), 7).save(content, "PNG")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for name in ("../out.png", "/tmp/keras_gan_evil.png", "a/../../up.png"):
            archive.writestr(name, content.getvalue())
    images, _ = readers.read(tmp_path / "evil.zip")
    assert images.shape == (3, 5, 4, 1)
    for outside in (tmp_path / "..", cache.parent):
        assert not [path for path in outside.iterdir() if path.suffix == ".png"]
    assert not os.path.exists("/tmp/keras_gan_evil.png")
    assert [path.suffix for path in sorted(cache.iterdir())] == [".npy", ".lock"]


# What becomes of a picture


@pytest.mark.parametrize(
    ("size", "image_size", "expected"),
    [
        ((40, 40), "20", (20, 20)),
        ((80, 40), "20", (20, 20)),  # the upper and the lower quarter are cut off
        ((40, 120), "20x20", (20, 20)),
        ((40, 40), "20x10", (20, 10)),
    ],
)
def test_a_picture_is_scaled_and_its_centre_cut_out(size, image_size, expected, folder):
    save(folder / "a.png", quadrants(*size))
    images, _ = readers.read(folder, image_size=image_size)
    assert images.shape == (1, *expected, 3)
    # The corners keep the colours of the quadrants, which meet in the middle.
    height, width = expected
    wanted = quadrants(height, width)
    for rows in (slice(0, height // 2 - 3), slice(height // 2 + 3, height)):
        for columns in (slice(0, width // 2 - 3), slice(width // 2 + 3, width)):
            np.testing.assert_allclose(images[0, rows, columns], wanted[rows, columns], atol=1)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(images[0, ::-1], wanted, atol=100)


def test_what_is_cut_off_is_the_same_on_both_sides(folder):
    pixels = np.zeros([30, 10], np.uint8)
    pixels[10:20] = 200
    save(folder / "a.png", pixels)
    images, _ = readers.read(folder, image_size="10")
    np.testing.assert_array_equal(images, 200)


def test_pictures_are_turned_as_their_exif_says(folder):
    upright = quadrants(30, 20)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    save(folder / "a.png", np.rot90(upright), exif=exif)
    save(folder / "b.png", upright)  # of the same size, once a.png is turned
    images, _ = readers.read(folder)
    np.testing.assert_array_equal(images[0], upright)
    images, _ = readers.read(folder, image_size="12x8")
    np.testing.assert_array_equal(images[0], images[1])


def modes(folder):
    """Half transparent pictures: a hidden red, on the left, and an opaque blue."""
    rgba = np.zeros([4, 6, 4], np.uint8)
    rgba[:, :3] = (*RED, 0)
    rgba[:, 3:] = (*BLUE, 255)
    image = Image.fromarray(rgba)
    image.save(folder / "rgba.png")
    image.save(folder / "rgba.webp", lossless=True, exact=True)
    palette = Image.fromarray(np.repeat([[0, 0, 0, 1, 1, 1]], 4, axis=0).astype(np.uint8), "P")
    palette.putpalette([*RED, *BLUE])
    palette.save(folder / "palette.png", transparency=0)
    palette.save(folder / "palette.gif", transparency=0, save_all=True, append_images=[palette] * 2)


@pytest.mark.parametrize(("background", "color"), [("white", WHITE), ("#008000", GREEN)])
def test_transparent_pictures_lie_on_the_background(background, color, folder):
    modes(folder)
    images, _ = readers.read(folder, background=background)
    assert images.shape == (4, 4, 6, 3)
    np.testing.assert_array_equal(images[:, :, :3], np.broadcast_to(color, [4, 4, 3, 3]))
    np.testing.assert_array_equal(images[:, :, 3:], np.broadcast_to(BLUE, [4, 4, 3, 3]))


def test_half_transparent_grey_stays_grey_on_grey_only(folder):
    grey = np.zeros([4, 4, 2], np.uint8)
    grey[..., 0], grey[..., 1] = 100, 51  # a fifth of 100, and four fifths of the background
    save(folder / "a.png", grey)
    images, _ = readers.read(folder)
    assert images.shape == (1, 4, 4, 1)
    np.testing.assert_array_equal(images, 0.2 * 100 + 0.8 * 255)
    images, _ = readers.read(folder, background="blue")
    np.testing.assert_array_equal(images[0, 0, 0], [20, 20, 0.2 * 100 + 0.8 * 255])


def test_sixteen_bits_become_eight(folder):
    values = np.array([[0, 128, 129, 257], [32767, 65535, 65407, 65406]], np.uint16)
    Image.fromarray(values).save(folder / "a.png")
    images, _ = readers.read(folder)
    # 257 steps are one: 0, 0.498, 0.502, 1, 127.498, 255, 254.502 and 254.498.
    np.testing.assert_array_equal(images[0, ..., 0], [[0, 0, 1, 1], [127, 255, 255, 254]])


def test_every_format(folder):
    pixels = np.full([16, 16, 3], (200, 100, 50), np.uint8)
    for suffix in pictures.SUFFIXES:
        save(folder / f"a{suffix.upper()}", pixels)
    Image.fromarray(pixels).convert("CMYK").save(folder / "cmyk.jpg")
    images, _ = readers.read(folder)
    assert images.shape == (7, 16, 16, 3)
    np.testing.assert_allclose(images, np.broadcast_to(pixels, images.shape), atol=8)


@pytest.mark.parametrize("orientation", range(11))
def test_every_orientation_even_one_that_is_none(orientation, folder):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(folder / "a.png", quadrants(6, 4), exif=exif)
    size = (4, 6) if 5 <= orientation <= 8 else (6, 4)
    assert readers.read(folder)[0].shape == (1, *size, 3)


# What is refused


def test_mixed_sizes_say_which_and_what_to_type(folder):
    for i, size in enumerate([(4, 5), (4, 5), (5, 5), (6, 5), (7, 5), (8, 5)]):
        save(folder / f"{i}.png", np.zeros(size))
    with pytest.raises(InputError) as error:
        readers.read(folder)
    sizes = "pictures of 5 sizes: 4x5 (2), 5x5 (1), 6x5 (1), 7x5 (1), ...: give --image_size=64"
    assert sizes in str(error.value)


@pytest.mark.parametrize("size", ["0", "64x", "x64", "-3", "64x64x3", "large", "100000", ""])
def test_a_size_has_one_or_two_numbers(size, folder):
    with pytest.raises(InputError, match=f"--image_size={size}: expected 64, or 64x48"):
        pictures.parse_size(size)


def test_an_unknown_colour(folder):
    with pytest.raises(InputError, match="--background=whitish: expected a colour such as white"):
        readers.read(folder, background="whitish")


def test_only_pictures_are_scaled(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=numbered(6))
    assert data.load(data_path=tmp_path / "a.npz", image_size="5x4").images.shape == (6, 5, 4, 1)
    with pytest.raises(InputError, match=r"--image_size=8: .*a.npz: the images are 5x4; only a"):
        data.load(data_path=tmp_path / "a.npz", image_size="8")
    with pytest.raises(InputError, match="--image_size=8 without --data_path"):
        data.load("mnist", image_size="8")


def test_a_broken_picture_stops_everything_by_name(folder, cache):
    bitmaps(folder)
    whole = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"photos/3.png: not a readable image"):
        readers.read(folder)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]  # nothing half
    (folder / "3.png").write_bytes(whole)
    assert len(readers.read(folder)[0]) == 6


def test_a_picture_of_too_many_pixels_or_bytes(folder, monkeypatch):
    bitmaps(folder)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 19)
    with pytest.raises(InputError, match="0.png: not a readable .* 5x4 pixels, expected at most"):
        readers.read(folder)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 20)
    monkeypatch.setattr(pictures, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="0.png: more than 10 bytes"):
        readers.read(folder)


def test_a_picture_that_unpacks_to_more_than_its_zip_says(tmp_path):
    """A zip bomb: the member is unpacked up to what it announces, and no further."""
    content = io.BytesIO()
    Image.new("L", (4, 5), 7).save(content, "PNG")
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", content.getvalue() + bytes(10**8))
    with pytest.raises(InputError, match=r"bomb.zip/a.png: more than 100,000,000 bytes"):
        readers.read(bomb)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", "not a readable zip: File is not a zip file"),
        (b"PK\5\6" + bytes(18), "no images"),  # an empty archive
    ],
)
def test_a_damaged_zip(content, message, tmp_path):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=f"a.zip: {message}"):
        readers.read(tmp_path / "a.zip")


def test_a_folder_that_can_not_be_listed_is_named(folder, monkeypatch):
    bitmaps(folder)
    (folder / "secret").mkdir()
    scandir = os.scandir

    def refuse(path):
        if "secret" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="photos: can't be read: .*Permission denied: .*secret"):
        readers.read(folder)


def test_the_other_half_of_a_folder(folder):
    bitmaps(folder)
    with pytest.raises(InputError, match="only a .npz file and MNIST's IDX files have a test part"):
        readers.read(folder, "test")


# On disk


def test_pictures_are_decoded_once(folder, cache, monkeypatch):
    bitmaps(folder)
    first = readers.read(folder)[0]
    assert first.filename == next(cache.glob("*.npy"))
    with monkeypatch.context() as patch:
        patch.setattr(pictures._Reader, "pixels", None)
        np.testing.assert_array_equal(readers.read(folder)[0], first)
    save(folder / "0.png", numbered(9)[8])  # as long as before, but later
    os.utime(folder / "0.png", (1, 1))
    assert readers.read(folder)[0][0, 0, 0, 0] == 8
    assert readers.read(folder, image_size="8")[0].shape == (6, 8, 8, 1)
    assert len(list(cache.glob("*.npy"))) == 3


def test_the_cache_can_be_elsewhere(folder, tmp_path, cache):
    bitmaps(folder)
    data.load(data_path=folder, cache_dir=tmp_path / "mine")
    assert list((tmp_path / "mine").glob("photos-*.npy"))
    assert not cache.exists()


def test_a_killed_decoding_leaves_nothing_half(folder, cache):
    for i in range(400):
        save(folder / f"{i:03}.png", np.full([9, 9], i % 256))
    code = f"""
import time
from keras_gan.data import pictures, readers
real = pictures._Reader.pixels
pictures._Reader.pixels = lambda *a: (time.sleep(0.01), real(*a))[1]
readers.read({str(folder)!r})
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not list(cache.glob("*.tmp")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(cache.glob("*.tmp"))
    assert not list(cache.glob("*.npy"))
    images, _ = readers.read(folder)
    np.testing.assert_array_equal(images[:, 4, 4, 0], np.arange(400) % 256)
    assert not list(cache.glob("*.tmp"))


def test_npy_stays_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", numbered(6))
    loaded = data.load(data_path=tmp_path / "x.npy")
    assert isinstance(loaded.images, np.memmap)
    np.testing.assert_array_equal(loaded.images, numbered(6)[..., None])
    assert loaded.first(3).sha256 == data.Images("a", numbered(3)[..., None]).sha256
    for array, message in [
        (numbered(6) / 255, r"float64 \[6, 5, 4\], expected uint8"),
        (np.array([{}]), "not a readable .npy file: .*Python objects"),
    ]:
        np.save(tmp_path / "y.npy", array)
        with pytest.raises(InputError, match=message):
            data.load(data_path=tmp_path / "y.npy")


def test_the_stream_from_disk_is_that_from_memory(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, [50, 5, 4, 3], np.uint8)
    np.save(tmp_path / "x.npy", images)
    stored = data.load(data_path=tmp_path / "x.npy").images
    for some in (slice(None), slice(7, None), slice(0, 50, 2), np.arange(9)):
        options = {"seed": 3, "start": 5, "minibatches": 2, "mirror": True}
        streams = [data.batches(x[some], 4, **options).take(20) for x in (stored, images)]
        for a, b in zip(*streams, strict=True):
            np.testing.assert_array_equal(a, b)


def resident(kind):
    """The MB of this process's memory that are of the kind RssFile or RssAnon."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(kind)) / 1000


def test_pictures_on_disk_take_no_memory(tmp_path):
    path = tmp_path / "x.npy"
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (4000, 100, 100, 3))  # 120 MB
    for i in range(len(array)):
        array[i] = i % 256
    del array
    loaded = data.load(data_path=path)
    stream = iter(data.batches(loaded.images, 10))
    next(stream)
    before = resident("RssFile"), resident("RssAnon")
    assert len(loaded.sha256) == 64
    for _ in range(400):
        next(stream)
    after = resident("RssFile"), resident("RssAnon")
    assert max(np.subtract(after, before)) < 30  # 8 batches of 1.2 MB are waiting
