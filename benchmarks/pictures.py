"""Makes the pictures of the pages from finished runs.

python train.py --arch=dcgan --loss=lsgan
python train.py --steps_per_epoch=150 --epochs=50 --fid_every=0 --model_dir=runs/film
python -m benchmarks.pictures [RUN_DIRECTORY] [RUN_DIRECTORY]

docs/dcgan-lsgan.png is the last grid of 64 samples of the first run at twice its size,
docs/curves.png its curves; docs/training.gif is the second run as a film; docs/conditional.png is
drawn by the generator that comes with the package.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from keras_gan import images, report
from keras_gan.export import PRETRAINED, SavedGenerator
from keras_gan.run_directory import RunDirectory

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDE = 16  # digits of each class


def twice(name, pixels):
    """Writes grey pixels [H, W] at twice their size."""
    image = Image.fromarray(np.kron(pixels, np.ones([2, 2], np.uint8)))
    image.save(DOCS / name, optimize=True)


def main(default="runs/mnist-dcgan-lsgan", film="runs/film"):
    run = RunDirectory(default)
    twice("dcgan-lsgan.png", np.asarray(Image.open(max(run.samples.glob("epoch-*.png")))))
    shutil.copy(run.curves, DOCS / "curves.png")
    report.film(film, DOCS / "training.gif")
    generator = SavedGenerator(PRETRAINED["mnist"])
    rows = [generator.latents(WIDE, 0, [label]) for label in range(10)]
    twice("conditional.png", images.grid(generator.images(np.concatenate(rows)), WIDE)[..., 0])


if __name__ == "__main__":
    main(*sys.argv[1:])
