"""Makes the pictures of the README from a finished run with the default settings.

python train.py --arch=dcgan --loss=lsgan
python -m benchmarks.pictures [RUN_DIRECTORY]

docs/dcgan-lsgan.png is the last grid of 64 samples at twice its size, docs/epochs.png the first 16
samples of every epoch, a row each, and docs/curves.png the run's curves.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from keras_gan.run_directory import RunDirectory

DOCS = Path(__file__).resolve().parent.parent / "docs"
ROWS = 8  # of a grid


def main(directory="runs/mnist-dcgan-lsgan"):
    run = RunDirectory(directory)
    grids = [np.asarray(Image.open(path)) for path in sorted(run.samples.glob("epoch-*.png"))]
    first_16 = [np.concatenate(np.split(grid, ROWS)[:2], axis=1) for grid in grids]
    for name, pixels in (("dcgan-lsgan", grids[-1]), ("epochs", np.concatenate(first_16))):
        twice = np.kron(pixels, np.ones([2, 2], np.uint8))
        Image.fromarray(twice).save(DOCS / f"{name}.png", optimize=True)
    shutil.copy(run.curves, DOCS / "curves.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
