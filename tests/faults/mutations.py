"""Mutations of files: `mutated(rng, content)`, all from a seeded `random.Random`."""

import contextlib
import gzip
import io
import re
import zipfile
import zlib

EXTREMES = [0, 1, 127, 255, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**64 - 1]
TEXTS = [
    "-1", "0", "NaN", "1e999", "9" * 5000, "9" * 30, "null", "true", "[]", "{}", '"x"', '""', ",",
    '"', "1.5", '"\\u0000"', '"\\ud800"', "[" * 3000 + "]" * 3000, "\n", "\udcff", "~nobody", "..",
]  # fmt: skip


def flip(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 10])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(rng, data):
    return data[: rng.randrange(len(data))]


def insert(rng, data):
    at, length = rng.randrange(len(data)), rng.choice([1, 4, 100, 5000])
    return data[:at] + rng.choice([bytes(length), rng.randbytes(length)]) + data[at:]


def drop(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice([1, 2, 4, 100]) :]


def swap(rng, data):
    a, b, c = sorted(rng.randrange(len(data)) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def repeat(rng, data):
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:b] + data[a:b] * rng.choice([1, 2, 50]) + data[b:]


def set_number(rng, data):
    """Sets a field of 1 to 8 bytes to an extreme, near the start or anywhere."""
    size, at = rng.choice([1, 2, 4, 4, 8]), rng.randrange(min(len(data), rng.choice([64, 2**30])))
    value = rng.choice(EXTREMES) % 256**size
    return data[:at] + value.to_bytes(size, rng.choice(["little", "big"])) + data[at + size :]


def set_text(rng, data):
    """Replaces a number, a quoted text or a word."""
    text = data.decode(errors="surrogateescape")
    places = [*re.finditer(r'-?\d[\d.e+-]*|"[^"]*"|[a-z_]+', text)] or [re.match("", text)]
    place = rng.choice(places)
    text = text[: place.start()] + rng.choice(TEXTS) + text[place.end() :]
    return text.encode(errors="surrogateescape")


def pack(rng, data):
    """An archive of it."""
    return rng.choice([gzip.compress(data), zipped({rng.choice(["x_train.npy", "x"]): data})])


def zipped(contents, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(file := io.BytesIO(), "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


def inside(rng, data):
    """Mutates a member of an archive, or a chunk of a PNG, which is whole again afterwards."""
    chunks = [match.start() for match in re.finditer(b"IHDR|PLTE|eXIf|IDAT|IEND", data)]
    if data[:4] == b"\x89PNG" and chunks:
        at = rng.choice(chunks)
        length = int.from_bytes(data[at - 4 : at], "big")
        chunk = data[at : at + 4] + mutated(rng, data[at + 4 : at + 4 + length])
        crc = zlib.crc32(chunk).to_bytes(4, "big")
        size = (len(chunk) - 4).to_bytes(4, "big")
        return data[: at - 4] + size + chunk + crc + data[at + 8 + length :]
    with contextlib.suppress(Exception):  # an archive that another mutation has damaged
        if data[:2] == b"\x1f\x8b":
            return gzip.compress(mutated(rng, gzip.decompress(data)))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        name = rng.choice(list(contents))
        return zipped(contents | {name: mutated(rng, contents[name])}, rng.choice([0, 8, 14]))
    return rng.choice([set_number, set_text])(rng, data)


MUTATIONS = [flip, cut, insert, drop, swap, repeat, set_number, set_text, pack, *4 * [inside]]


def mutated(rng, data):
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        data = rng.choice(MUTATIONS)(rng, data) if data else data
    return data
