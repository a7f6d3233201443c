"""Draws images from a trained generator's SavedModel.

python sample.py --model_dir=runs/mnist-dcgan-lsgan --num_images=64 --seed=0 --output=samples.png
"""

import math
from pathlib import Path

import numpy as np
from absl import flags

from keras_gan import InputError, commands, files, images
from keras_gan.export import SavedGenerator
from keras_gan.run_directory import find_export

FLAGS = flags.FLAGS


def define_flags():
    commands.define_drawing_flags(num_images=64)
    output = "x.png: a grid; x.npy: uint8 [n, H, W, C]; x/: a folder of PNG files."
    flags.DEFINE_string("output", "samples.png", output)
    flags.DEFINE_list("label", [], "Classes to draw, in turn; in a grid, a row for each.")
    flags.DEFINE_bool("interpolate", False, "Each row goes from one latent to another.")


def slerp(start, end, steps):
    """Interpolates on great circles, which keeps the norms: two of [n, d] -> [n, steps, d]."""
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (start, end)]
    angle = np.arccos(np.clip((unit[0] * unit[1]).sum(axis=1), -1, 1))[:, None, None]
    angle = np.maximum(angle, 1e-6)
    t = np.linspace(0, 1, steps)[:, None]
    walk = np.sin((1 - t) * angle) * start[:, None] + np.sin(t * angle) * end[:, None]
    return walk / np.sin(angle)


def main():
    if not FLAGS.output.endswith(("/", ".png", ".npy")):
        raise InputError(f"--output={FLAGS.output}: expected a name that ends in .png, .npy or /.")
    folder = find_export(FLAGS.model_dir, FLAGS.checkpoint)
    commands.import_tensorflow_quietly()
    generator = SavedGenerator(folder)
    count, labels, row = FLAGS.num_images, class_numbers(), None
    if FLAGS.interpolate:
        wide = images.columns(count)
        rows = math.ceil(count / wide)
        start, end = np.split(generator.latents(2 * rows, FLAGS.seed, labels), 2)
        z = slerp(start, end, wide).reshape(rows * wide, -1)[:count].astype(np.float32)
    elif len(labels) > 1:  # equal latents but for the class
        row = math.ceil(count / len(labels))
        z = np.stack([generator.latents(row, FLAGS.seed, [label]) for label in labels])
        if FLAGS.output.endswith(".png"):
            z = z.reshape(len(labels) * row, -1)
        else:
            z = z.swapaxes(0, 1).reshape(len(labels) * row, -1)[:count]
    else:
        z = generator.latents(count, FLAGS.seed, labels)
    write(generator.images(z), row)


def class_numbers():
    if not all(label.isdecimal() and len(label) < 10 for label in FLAGS.label):
        raise InputError(f"--label={','.join(FLAGS.label)}: expected numbers such as 7, or 0,1,2.")
    return [int(label) for label in FLAGS.label]


def write(drawn, wide=None):
    output = Path(FLAGS.output)
    if FLAGS.output.endswith("/"):
        output.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(drawn):
            images.write_image(output / f"{i:05d}.png", image)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.suffix == ".npy":
            with files.replacing(output) as temporary, open(temporary, "wb") as file:
                np.save(file, drawn)
        else:
            images.write_grid(output, drawn, wide)
    print(f"{len(drawn)} images: {FLAGS.output}")


if __name__ == "__main__":
    define_flags()
    commands.start(main)
