"""The SavedModel of a GAN: what writes it, and what reads it back with TensorFlow alone.

python -m keras_gan.export --model_dir=runs/mnist-dcgan-lsgan --format=onnx --output=digits.onnx

writes its generator in another format: latents [n, latent_dim] -> images [n, H, W, C] in [0, 1].
"""

import contextlib
import os
from pathlib import Path

import numpy as np
from absl import flags

from keras_gan import InputError, commands, files
from keras_gan.backend import keras, tf
from keras_gan.images import in_parts, to_uint8
from keras_gan.run_directory import find_export

# SavedModels that come with the package: conditional generators, without a discriminator.
PRETRAINED = {"mnist": Path(__file__).parent / "pretrained" / "mnist"}


def write(gan, path):
    """Writes both networks of a `GAN` as a SavedModel.

    Its signatures, all with images float32 [n, H, W, C] in [0, 1]:
        serving_default(z: float32 [n, latent_dim]) -> {"images"}
        sample(num_images: int32 [], seed: int32 []) -> {"images"}, the same for the same seed
        latents(num_images: int32 [], seed: int32 []) -> {"z"}, those of `sample`
        discriminator(images) -> {"probability": float32 [n, 1]} of being real. Only if
            the GAN is compiled: its loss turns logits into probabilities.

    If the GAN is conditional, the last three also take `labels`, int32 [n]. `sample` and `latents`
    draw those classes in turn, or evenly if there are none, and `latents` gives them, too.
    """
    scalars = [tf.TensorSpec([], tf.int32, name=name) for name in ("num_images", "seed")]
    if gan.classes is not None:
        scalars.append(tf.TensorSpec([None], tf.int32, name="labels"))
    z = tf.TensorSpec([None, gan.latent_dim], tf.float32, name="z")

    def images(z):
        return {"images": (gan(z, training=False) + 1) / 2}

    def latents(num_images, seed, labels=None):
        z, labels = gan.labelled_latents(num_images, seed, labels)
        return {"z": z} | ({} if labels is None else {"labels": labels})

    def sample(num_images, seed, labels=None):
        return images(gan.latents(num_images, seed, labels))

    def discriminator(images, labels=None):
        return {"probability": gan.probability(2 * images - 1, labels)}

    archive = keras.export.ExportArchive()
    archive.track(gan.sampler)
    archive.add_endpoint("serving_default", images, [z])  # the first one is the default
    archive.add_endpoint("sample", sample, scalars)
    archive.add_endpoint("latents", latents, scalars)
    if gan.compiled:
        archive.track(gan.discriminator)
        pixels = tf.TensorSpec([None, *gan.generator.output_shape[1:]], tf.float32, "images")
        archive.add_endpoint("discriminator", discriminator, [pixels, *scalars[2:]])
    archive.write_out(str(path), verbose=False)


class SavedGenerator:
    """Reads the SavedModel that `GAN.export` has written to the folder `path`.

    A SavedModel is code: read only one that you trust. Each method but `__call__` raises
    an InputError if it fails, as the constructor does if the folder can't be read.
    """

    def __init__(self, path):
        self._path = path
        with self._refusing("not a readable SavedModel"), files.without_wildcards(path) as folder:
            with contextlib.suppress(FileNotFoundError):  # `load` logs a damaged one's traceback
                tf.saved_model.experimental.read_fingerprint(str(folder))
            self._model = tf.saved_model.load(str(folder))  # its variables live as long as it
            self._signatures = self._model.signatures
        if not {"latents", "serving_default"} <= set(self._signatures):
            raise InputError(f"{path}: a SavedModel of another program.")
        outputs = self._signatures["latents"].structured_outputs
        self.conditional = "labels" in outputs
        self.has_discriminator = "discriminator" in self._signatures

    def latents(self, num_images, seed, labels=None):
        """float32 [num_images, latent_dim], the same for the same seed; see `labelled_latents`."""
        return self.labelled_latents(num_images, seed, labels)[0]

    def labelled_latents(self, num_images, seed, labels=None):
        """`latents`, and their labels int32 [num_images]; None if the model is not conditional.

        `labels`: a class, or the classes to draw in turn; without any, each is drawn evenly.
        """
        labels = np.reshape([] if labels is None else labels, [-1])
        if len(labels) and not self.conditional:
            raise InputError(f"{self._path}: not a conditional model: it has no classes.")
        with self._refusing("can't draw latents"):
            scalars = {"num_images": num_images, "seed": seed}
            if self.conditional:
                scalars["labels"] = labels
            scalars = {name: tf.constant(value, tf.int32) for name, value in scalars.items()}
            drawn = self._signatures["latents"](**scalars)
            z = drawn["z"].numpy().astype(np.float32).reshape([num_images, -1])
            return z, drawn["labels"].numpy() if self.conditional else None

    def __call__(self, z):
        """Latents [n, latent_dim] -> float32 images in [-1, 1], a tensor, as `GAN` does."""
        return 2 * self._signatures["serving_default"](z=tf.convert_to_tensor(z))["images"] - 1

    def images(self, z):
        """Latents [n, latent_dim] -> uint8 [n, H, W, C], C 1 or 3."""
        draw = self._signatures["serving_default"]
        with self._refusing("can't draw images"):
            parts = (draw(z=tf.constant(part))["images"] for part in in_parts(z))
            images = np.concatenate([to_uint8(part, (0, 1)) for part in parts])
            n, height, width, channels = images.shape
            if n != len(z) or 0 in (height, width) or channels not in (1, 3):
                raise ValueError(f"{len(z)} latents gave the shape {list(images.shape)}")
            return images

    def probability(self, images, labels=None):
        """uint8 [n, H, W, C] -> D's probability that each image is real, float32 [n, 1].

        Only a conditional model looks at the labels of the images, int [n], and needs them.
        """
        if self.conditional and labels is None:
            raise InputError(f"{self._path}: the discriminator needs labels of the images.")
        with self._refusing("the discriminator fails"):
            discriminator, p = self._signatures["discriminator"], []
            classes = in_parts(np.zeros(len(images)) if labels is None else labels)
            for part, of in zip(in_parts(images), classes, strict=True):
                inputs = {"images": tf.constant(part.astype(np.float32) / 255)}
                if self.conditional:
                    inputs["labels"] = tf.constant(of, tf.int32)
                p.append(discriminator(**inputs)["probability"])
            return np.concatenate(p).astype(np.float32).reshape([len(images), 1])

    @contextlib.contextmanager
    def _refusing(self, what):
        try:
            yield
        except tf.errors.ResourceExhaustedError:
            raise
        except Exception as error:  # TensorFlow raises all sorts for a damaged or hostile model
            raise InputError(f"{self._path}: {what}: {files.first_line(error)}.") from error


# How the names of the files end, and the packages that each format needs, beside Keras.
FORMATS = {"onnx": (".onnx", "tf2onnx onnx"), "litert": (".tflite", "tensorflow")}


def convert(folder, path, format):
    """Writes the generator of a SavedModel as "onnx" or "litert", by Keras' exporters.

    Raises:
        InputError: if a package is missing, or if `path` has another ending than the format's.
    """
    path, (suffix, packages) = Path(path), FORMATS[format]
    if path.suffix != suffix:
        raise InputError(f"--output={path}: expected a name that ends in {suffix}.")
    z = SavedGenerator(folder).latents(1, 0)
    inputs = keras.Input([z.shape[1]], name="z")
    with files.without_wildcards(folder) as place, files.scratch(path) as temporary:
        layer = keras.layers.TFSMLayer(str(place), call_endpoint="serving_default")
        model = keras.Model(inputs, layer(inputs))
        model(z)  # the exporters want a model that has been called
        temporary.mkdir()
        written = temporary / f"generator{suffix}"
        try:
            model.export(str(written), format=format, verbose=False)
        except ImportError as error:
            raise InputError(f"--format={format}: pip install {packages} ({error}).") from error
        files.sync(written)
        os.replace(written, path)


def define_flags():
    commands.define_model_flags()
    flags.DEFINE_enum("format", "onnx", tuple(FORMATS), "Format of the file.")
    flags.DEFINE_string("output", None, "Where to write (default: generator.onnx, .tflite).")


def main():
    FLAGS = flags.FLAGS
    folder = find_export(FLAGS.model_dir, FLAGS.checkpoint)
    output = FLAGS.output or f"generator{FORMATS[FLAGS.format][0]}"
    commands.import_tensorflow_quietly()
    convert(folder, output, FLAGS.format)
    print(f"Written: {output}")


if __name__ == "__main__":
    define_flags()
    commands.start(main)
