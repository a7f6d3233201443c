"""Folders and zip archives of pictures -> one array on disk, all of one size."""

import concurrent.futures
import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import sys
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import filelock
import numpy as np

from keras_gan import InputError, __version__, files

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # Pillow would start Ghostscript for another
MAX_PIXELS = 2**26  # of one picture
MAX_BYTES = 10**8  # of its file: some formats are read as a whole
BLOCK = 64  # the pictures that a thread decodes at a time


def read(path, image_size=None, background="white", cache_dir=None):
    """All pictures in a folder or a `.zip`, in the order of their paths, decoded once.

    Args:
        image_size: "64", or "64x48" for a height of 64: each picture is scaled to cover it, and
            the centre is cut out. None: all pictures must have one size.
        background: the colour behind transparent pictures, a name or "#rrggbb".
        cache_dir: where the decoded pictures are kept; by default `keras_gan` in Keras' home.

    Returns:
        (images, labels). The images are a `numpy.memmap`, uint8 [N, H, W, C], C 1 if all pictures
        are grey, else 3. A label is the number of the picture's subfolder, in the order of their
        names. The labels are None if a picture is in no subfolder.
    """
    target, color = image_size and parse_size(image_size), parse_color(background)
    with _opened(path) as (pictures, open_picture):
        if not pictures:
            raise InputError(f"{path}: no images ({', '.join(SUFFIXES)}).")
        for name, size, _ in pictures:
            if size > MAX_BYTES:
                raise InputError(
                    f"{path / name}: more than {MAX_BYTES:,} bytes, which is too large."
                )
        names = [name for name, *_ in pictures]
        made_of = [__version__, os.path.realpath(path), target, color, pictures]
        key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
        folder = Path(os.path.expanduser(cache_dir or keras_home() / "keras_gan"))
        cached = folder / f"{Path(path).stem}-{key}.npy"
        if not cached.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(f"{cached}.lock"):
                files.remove_temporaries(folder, cached.name)  # of a process that was killed
                if not cached.exists():  # another process may have made it
                    reader = _Reader(path, open_picture, target, color)
                    _decode(names, reader, cached)
    return np.load(cached, mmap_mode="r"), _labels(names)


def read_picture(path, size, background="white"):
    """One picture: uint8 [*size, C], scaled and cropped as `read` does."""
    path = Path(path)
    reader = _Reader(
        path.parent, lambda name: (path.parent / name).open("rb"), size, parse_color(background)
    )
    return reader.pixels(path.name)


def keras_home():
    """The folder where Keras keeps its files."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


def _labels(names):
    """int [n], the number of the first folder of each name; None if one has no folder."""
    folders = [name.split("/")[0] for name in names if "/" in name]
    if len(folders) < len(names):
        return None
    return np.unique(folders, return_inverse=True)[1]


def parse_size(text):
    """The text of --image_size -> (height, width)."""
    match = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", str(text))
    if not match:
        raise InputError(f"--image_size={text}: expected 64, or 64x48 for 64 rows of 48 pixels.")
    return int(match[1]), int(match[2] or match[1])


def parse_color(text):
    """The text of --background -> (red, green, blue)."""
    from PIL import ImageColor  # here: `--help` does not wait for it

    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError as error:
        expected = "expected a colour such as white or #ffffff"
        raise InputError(f"--background={text}: {expected}.") from error


@contextlib.contextmanager
def _opened(path):
    """Yields ([(name, bytes, time or checksum)] of the pictures, a function that opens one)."""
    if path.is_dir():
        stats = ((picture, picture.stat()) for picture in _find(path))
        names = [(os.path.relpath(p, path), s.st_size, s.st_mtime_ns) for p, s in stats]
        yield sorted(names), lambda name: (path / name).open("rb")
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InputError(f"{path}: not a readable zip: {files.first_line(error)}.") from error
    with archive:
        # Nothing is unpacked to the disk: a name such as ../x.png leads nowhere.
        infos = [info for info in archive.infolist() if _is_picture(*info.filename.split("/"))]
        yield sorted((i.filename, i.file_size, i.CRC) for i in infos), archive.open


def _is_picture(*parts):
    """By its name. Hidden files, and those in hidden folders, are none."""
    hidden = any(part.startswith(".") and part != ".." for part in parts)
    return not hidden and parts[-1].lower().endswith(SUFFIXES)


def _find(folder):
    """The pictures below a folder and behind links, each folder once."""

    def stop(error):
        raise error  # of a folder that can't be listed

    seen = set(map(str, folder.resolve().parents))  # a link to one of them would be a loop
    for root, folders, names in os.walk(folder, onerror=stop, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (p for n in names if _is_picture(n) and (p := Path(root, n)).is_file())


def _decode(names, reader, cached):
    """Decodes pictures on all cores into the `.npy` file `cached`, which is written last."""
    blocks = [names[i : i + BLOCK] for i in range(0, len(names), BLOCK)]
    with warnings.catch_warnings(action="ignore"):  # Pillow's, of odd files that it can read
        shapes = list(_each(reader.shape, blocks, len(names), "looking at"))
        sizes = Counter(shape[:2] for shape in shapes)
        if not reader.size and len(sizes) > 1:
            found = ", ".join(f"{h}x{w} ({n})" for (h, w), n in sizes.most_common(4))
            found += ", ..." * (len(sizes) > 4)
            advice = "give --image_size=64, or another size, to scale and crop all to it"
            raise InputError(f"{reader.path}: pictures of {len(sizes)} sizes: {found}: {advice}.")
        size = reader.size or shapes[0][:2]
        shape = len(names), *size, max(channels for *_, channels in shapes)
        free = shutil.disk_usage(cached.parent).free
        if math.prod(shape) > free:
            what = "{:,} bytes for {:,} pictures of {}x{}".format(math.prod(shape), *shape[:3])
            room = f"{free:,} are free in {cached.parent}: choose another --cache_dir"
            raise InputError(f"{reader.path}: {what}, {room}.")
        with files.replacing(cached) as temporary, open(temporary, "wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for pixels in _each(reader.pixels, blocks, len(names), "decoding"):
                file.write(np.broadcast_to(pixels, shape[1:]).tobytes())


def _each(function, blocks, count, what):
    """Yields function(name) of all names in the blocks, in order, by a thread for each core.

    Shows how far it is, in one line of a terminal.
    """
    done = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for results in pool.map(lambda block: [function(name) for name in block], blocks):
            yield from results
            done += len(results)
            if sys.stderr.isatty():
                end = "\n" if done == count else ""
                text = f"\r{what} {done:,} of {count:,} pictures"
                print(text, end=end, file=sys.stderr, flush=True)


class _Reader:
    """Reads one picture. What is wrong with it is an InputError with its name."""

    def __init__(self, path, open_picture, size, color):
        self.path = path
        self.size = size
        self._open_picture = open_picture
        self._color = color

    @contextlib.contextmanager
    def _open(self, name):
        from PIL import Image

        try:
            with self._open_picture(name) as file, Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    found = f"{image.height}x{image.width} pixels"
                    raise OSError(f"{found}, expected at most {MAX_PIXELS:,}")
                yield image
        except Exception as error:  # Pillow and zipfile raise all sorts for a damaged picture
            reason = files.first_line(error)
            raise InputError(f"{self.path / name}: not a readable image: {reason}.") from error

    def _is_grey(self, image):
        grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
        return grey and (not _is_transparent(image) or len(set(self._color)) == 1)

    def shape(self, name):
        """(height, width, channels) of a picture, from the head of its file."""
        with self._open(name) as image:
            turned = image.getexif().get(0x0112) in (5, 6, 7, 8)  # by 90 degrees
            size = image.size if turned else image.size[::-1]
            return *size, 1 if self._is_grey(image) else 3

    def pixels(self, name):
        """uint8 [H, W, C], upright, on the background, and of the size that was asked for."""
        from PIL import Image, ImageOps

        with self._open(name) as image:
            mode = "L" if self._is_grey(image) else "RGB"
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16 bits
                values = np.rint(np.asarray(image, np.float32) / 257)
                image = Image.fromarray(values.clip(0, 255).astype(np.uint8))
            if _is_transparent(image):
                behind = Image.new("RGBA", image.size, (*self._color, 255))
                image = Image.alpha_composite(behind, image.convert("RGBA"))
            image = image.convert(mode)
            if self.size:
                image = ImageOps.fit(image, self.size[::-1], Image.Resampling.LANCZOS)
            return np.asarray(image).reshape(image.height, image.width, -1)


def _is_transparent(image):
    return "A" in image.getbands() or "transparency" in image.info
