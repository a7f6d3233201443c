"""Draws images from a trained generator's SavedModel.

python sample.py --pretrained=mnist --label=7 --output=seven.png
python sample.py --model_dir=runs/mnist-dcgan-lsgan --num_images=64 --seed=0 --output=samples.png
"""

import math
from pathlib import Path

import numpy as np
from absl import flags

from keras_gan import InputError, commands, files, images, latents
from keras_gan.data.pictures import read_picture
from keras_gan.data.readers import read
from keras_gan.export import PRETRAINED, SavedGenerator
from keras_gan.run_directory import find_export

FLAGS = flags.FLAGS
STOPS, STEPS = 4, 16  # of a walk: the latents that it visits, the frames from one to the next


def define_flags():
    commands.define_drawing_flags(num_images=64)
    output = "x.png: a grid; x.npy: uint8 [n, H, W, C]; x/: a folder of PNG files."
    flags.DEFINE_string("output", "samples.png", output)
    flags.DEFINE_list("label", [], "Classes to draw, in turn; in a grid, a row for each.")
    flags.DEFINE_bool("interpolate", False, "Each row goes from one latent to another.")
    flags.DEFINE_string("walk", None, "x.gif, .webp or .png: a film of a walk and back instead.")
    help = "A picture, or a .npy of images: find the nearest that the model draws."
    flags.DEFINE_string("project", None, help)
    choices = tuple(PRETRAINED)
    flags.DEFINE_enum("pretrained", None, choices, "A model of the package, for --model_dir.")


def main():
    if not FLAGS.output.endswith(("/", ".png", ".npy")):
        raise InputError(f"--output={FLAGS.output}: expected a name that ends in .png, .npy or /.")
    if FLAGS.walk and not FLAGS.walk.endswith(tuple(images.FILMS)):
        raise InputError(f"--walk={FLAGS.walk}: expected a name that ends in .gif, .webp or .png.")
    if FLAGS.pretrained and FLAGS.model_dir:
        raise InputError("Give either --pretrained or --model_dir.")
    folder = PRETRAINED.get(FLAGS.pretrained) or find_export(FLAGS.model_dir, FLAGS.checkpoint)
    labels = class_numbers()
    commands.import_tensorflow_quietly()
    generator = SavedGenerator(folder)
    if FLAGS.walk:
        write_walk(generator, labels)
    elif FLAGS.project:
        write_projection(generator)
    else:
        write_samples(generator, labels)


def write_samples(generator, labels):
    count, row = FLAGS.num_images, None
    if FLAGS.interpolate:
        wide = images.columns(count)
        rows = math.ceil(count / wide)
        labels = np.resize(labels, rows) if labels else []  # a row stays in its class
        z = generator.latents(2 * rows, FLAGS.seed, np.tile(labels, 2))
        start, end = np.split(z, 2)
        z = latents.slerp(start, end, np.linspace(0, 1, wide)).reshape(rows * wide, -1)[:count]
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


def write_walk(generator, labels):
    """A film: each image of a grid visits several latents, or the classes of --label in turn."""
    stops = len(labels) if len(labels) > 1 else STOPS
    z = generator.latents(FLAGS.num_images * stops, FLAGS.seed, labels)
    loops = [latents.loop(part, STEPS) for part in np.split(z, FLAGS.num_images)]
    frames = [images.grid(generator.images(z)) for z in np.stack(loops, axis=1)]
    images.write_film(FLAGS.walk, frames)
    print(f"{len(frames)} frames: {FLAGS.walk}")


def write_projection(generator):
    """Pairs: an image, and the nearest one that the model draws."""
    path = Path(FLAGS.project)
    shape = generator.images(generator.latents(1, 0)).shape[1:]
    real = read(path)[0] if path.suffix == ".npy" else read_picture(path, shape[:2])[np.newaxis]
    if real.shape[-1] != shape[-1]:  # to grey, or grey in three channels
        real = np.rint(real.mean(axis=-1, keepdims=True)).astype(np.uint8)
        real = np.repeat(real, shape[-1], axis=-1)
    found = generator.images(latents.project(generator, real, seed=FLAGS.seed))
    pairs = np.stack([real, found], axis=1).reshape(-1, *shape)
    write(pairs, 2 * images.columns(math.ceil(len(real) / 2)))
    differences = (real.astype(np.float32) - found).reshape(len(real), -1) / 255
    distance = np.median(np.linalg.norm(differences, axis=1))
    print(f"Distance (Euclidean, pixels in [0, 1]; median of {len(real)}): {distance:.3g}")


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
