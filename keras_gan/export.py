"""The SavedModel of a GAN: what writes it, and what reads it back with TensorFlow alone."""

import numpy as np

from keras_gan import InputError
from keras_gan.backend import keras, tf
from keras_gan.images import in_parts, to_uint8


def write(gan, path):
    """Writes both networks of a `GAN` as a SavedModel.

    Its signatures, all with images float32 [n, H, W, C] in [0, 1]:
        serving_default(z: float32 [n, latent_dim]) -> {"images"}
        sample(num_images: int32 [], seed: int32 []) -> {"images"}, the same for the same seed
        latents(num_images: int32 [], seed: int32 []) -> {"z"}, those of `sample`
        discriminator(images) -> {"probability": float32 [n, 1]} of being real. Only if
            the GAN is compiled: its loss turns logits into probabilities.
    """
    scalar = tf.TensorSpec([], tf.int32)
    z = tf.TensorSpec([None, gan.latent_dim], tf.float32, name="z")

    def images(z):
        return {"images": (gan(z, training=False) + 1) / 2}

    def latents(num_images, seed):
        return {"z": gan.latents(num_images, seed)}

    def sample(num_images, seed):
        return images(gan.latents(num_images, seed))

    def discriminator(images):
        logits = gan.discriminator(2 * images - 1, training=False)
        return {"probability": gan.adversarial_loss.probability(tf.cast(logits, tf.float32))}

    archive = keras.export.ExportArchive()
    archive.track(gan.sampler)
    archive.track(gan.discriminator)
    archive.add_endpoint("serving_default", images, [z])  # the first one is the default
    archive.add_endpoint("sample", sample, [scalar, scalar])
    archive.add_endpoint("latents", latents, [scalar, scalar])
    if gan.compiled:
        pixels = tf.TensorSpec([None, *gan.discriminator.input_shape[1:]], tf.float32, "images")
        archive.add_endpoint("discriminator", discriminator, [pixels])
    archive.write_out(str(path), verbose=False)


class SavedGenerator:
    """Reads the SavedModel that `GAN.export` has written to the folder `path`."""

    def __init__(self, path):
        self._signatures = tf.saved_model.load(str(path)).signatures
        if not {"latents", "serving_default"} <= set(self._signatures):
            raise InputError(f"{path}: a SavedModel of another program.")
        self.has_discriminator = "discriminator" in self._signatures

    def latents(self, num_images, seed):
        """float32 [num_images, latent_dim], the same for the same seed."""
        scalars = {"num_images": tf.constant(num_images), "seed": tf.constant(seed)}
        return self._signatures["latents"](**scalars)["z"].numpy()

    def images(self, z):
        """Latents [n, latent_dim] -> uint8 [n, H, W, C]."""
        draw = self._signatures["serving_default"]
        parts = (draw(z=tf.constant(part))["images"] for part in in_parts(z))
        return np.concatenate([to_uint8(part, (0, 1)) for part in parts])

    def probability(self, images):
        """uint8 [n, H, W, C] -> D's probability that each image is real, float32 [n, 1]."""
        discriminator = self._signatures["discriminator"]
        parts = (tf.constant(part.astype(np.float32) / 255) for part in in_parts(images))
        return np.concatenate([discriminator(images=part)["probability"] for part in parts])
