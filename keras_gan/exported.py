"""`Exported`: the SavedModel that `GAN.export` writes, read back with TensorFlow alone."""

from pathlib import Path

import numpy as np

from keras_gan import InputError
from keras_gan._lazy import load_tensorflow, tf
from keras_gan.images import to_uint8

BATCH = 500  # images at a time: bounds the memory

# Where in a run directory the SavedModel of each state stands.
EXPORTS = {"last": "export", "best": "export-best"}


def check_draw(num_images, seed):
    """Raises InputError if these are no int32 that draw something."""
    if not 1 <= num_images < 2**31:
        raise InputError(f"--num_images={num_images}: expected 1 <= value < 2**31.")
    if not 0 <= seed < 2**31:
        raise InputError(f"--seed={seed}: expected 0 <= value < 2**31.")


def find(model_dir, checkpoint="last"):
    """The folder of a SavedModel: in a run directory, or `model_dir` itself.

    Raises:
        InputError: if there is none.
    """
    if model_dir is None:
        raise InputError("--model_dir is missing: expected a run directory or a SavedModel.")
    root = Path(model_dir)
    folders = [root / EXPORTS[checkpoint]] + [root] * (checkpoint == "last")
    for folder in folders:
        if (folder / "saved_model.pb").is_file():
            return folder
    scored = " that scored its epochs (--fid_every)" if checkpoint == "best" else ""
    raise InputError(
        f"--model_dir={model_dir}: no SavedModel in {', '.join(map(str, folders))}. "
        f"A run{scored} writes it when it ends."
    )


class Exported:
    """Draws images from a SavedModel, and has its discriminator judge some.

    Raises:
        InputError: if it is not of `GAN.export`.
    """

    def __init__(self, path):
        load_tensorflow()
        self._signatures = tf.saved_model.load(str(path)).signatures
        if not {"latents", "serving_default"} <= set(self._signatures):
            raise InputError(f"{path}: a SavedModel of another program.")
        self.has_discriminator = "discriminator" in self._signatures

    def latents(self, count, seed):
        """float32 [count, latent_dim], the same for the same seed."""
        drawn = self._signatures["latents"](num_images=tf.constant(count), seed=tf.constant(seed))
        return drawn["z"].numpy()

    def images(self, z):
        """Latents [n, latent_dim] -> uint8 [n, H, W, C]."""
        return np.concatenate(
            [
                to_uint8(self._signatures["serving_default"](z=tf.constant(part))["images"], (0, 1))
                for part in np.split(z, range(BATCH, len(z), BATCH))
            ]
        )

    def discriminate(self, images):
        """uint8 [n, H, W, C] -> D's probability that each is real, float32 [n, 1]."""
        parts = np.split(images, range(BATCH, len(images), BATCH))
        return np.concatenate(
            [
                self._signatures["discriminator"](
                    images=tf.constant(part.astype(np.float32) / 255)
                )["probability"]
                for part in parts
            ]
        )
