import os
import types

import numpy as np
import pytest
from conftest import picture

import sample
from keras_gan import images


def test_to_uint8_rounds_and_clips():
    pixels = np.array([-1.5, -1.0, 0.0, 0.999, 1.0, np.inf, np.nan]).reshape(1, 1, 7, 1)
    # (0 + 1) * 127.5 = 127.5 rounds to the even 128; (0.999 + 1) * 127.5 = 254.87.
    np.testing.assert_array_equal(images.to_uint8(pixels).ravel(), [0, 0, 128, 255, 255, 255, 0])
    np.testing.assert_array_equal(
        images.to_uint8(np.array([0.0, 0.2, 1.0]), value_range=(0, 1)), [0, 51, 255]
    )


def test_every_pixel_value_survives_the_way_through_the_model():
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(images.to_uint8(pixels.astype(np.float32) / 127.5 - 1), pixels)


def test_grid_is_filled_row_by_row(tmp_path):
    five = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones([5, 2, 3, 1], np.uint8)
    images.write_grid(tmp_path / "grid.png", five)
    grid = picture(tmp_path / "grid.png")
    assert grid.shape == (4, 9)  # 2 rows of height 2, 3 columns of width 3
    np.testing.assert_array_equal(grid[::2, ::3], [[1, 2, 3], [4, 5, 0]])


def test_colour(tmp_path):
    image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    images.write_grid(tmp_path / "grid.png", image)
    np.testing.assert_array_equal(picture(tmp_path / "grid.png"), image[0])


def test_grids_and_arrays_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def interrupted(path, *_):
        with open(path, "wb") if isinstance(path, os.PathLike) else path as file:
            file.write(b"half")
        raise KeyboardInterrupt

    five = np.zeros([5, 2, 3, 1], np.uint8)
    for name, module, function in (("x.png", images, "write_image"), ("x.npy", np, "save")):
        monkeypatch.setattr(sample, "FLAGS", types.SimpleNamespace(output=str(tmp_path / name)))
        sample.write(five)
        before = (tmp_path / name).read_bytes()
        monkeypatch.setattr(module, function, interrupted)
        with pytest.raises(KeyboardInterrupt):
            sample.write(five + 1)
        assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "x.png"]
