"""The architectures: a generator, a discriminator and the settings they train with."""

import dataclasses
import functools
from collections.abc import Callable

from keras_gan.backend import keras
from keras_gan.networks import dcgan, maxout, mlp


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Builders of two networks, and their defaults for the fields of `Config` of the same names.

    Args:
        generator: (latent_dim, image_shape) -> keras.Model.
        discriminator: (image_shape) -> keras.Model.
        optimizer: (learning_rate) -> keras.optimizers.Optimizer, for either network.
        num_images: the most images to train on, or None for all.
        penalty: the default for every loss that does not say what it needs.
        regularizers: exceptions: a loss -> the fields of `Config` to take with it.
        latent: the distribution of the latents, see `keras_gan.seeds.LATENTS`.
        initialize: (generator, images uint8 [N, H, W, C]) -> None. Sets those initial weights that
            follow from the training images.
    """

    generator: Callable
    discriminator: Callable
    optimizer: Callable
    epochs: int
    batch_size: int
    latent_dim: int
    g_lr: float
    d_lr: float
    ema_decay: float = 0.0
    num_images: int | None = None
    simultaneous: bool = False
    penalty: str = "none"
    regularizers: dict[str, dict] = dataclasses.field(default_factory=dict)
    latent: str = "normal"
    initialize: Callable | None = None


def adam(learning_rate, beta_2=0.999):
    """Adam without momentum: with it, the two networks oscillate around each other."""
    return keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=beta_2)


ARCHITECTURES = {
    "mlp": Architecture(
        mlp.generator,
        mlp.discriminator,
        adam,
        epochs=40,
        batch_size=64,
        latent_dim=16,
        g_lr=1e-3,
        d_lr=1e-3,
        ema_decay=0.999,
        simultaneous=True,
        penalty="r1",
        # With R1 alone three of five seeds collapsed: docs/claims.md.
        regularizers={"lsgan": {"penalty": "r1", "spectral_norm": True}},
    ),
    "dcgan": Architecture(
        dcgan.generator,
        dcgan.discriminator,
        # With beta_2 = 0.999 and batches of 32 the distance doubled for a while.
        functools.partial(adam, beta_2=0.99),
        epochs=8,
        batch_size=32,
        latent_dim=16,
        g_lr=1e-3,
        d_lr=1e-3,
        ema_decay=0.999,
        simultaneous=True,
        penalty="r1",
    ),
    "maxout": Architecture(
        maxout.generator,
        maxout.discriminator,
        maxout.optimizer,
        epochs=70,
        batch_size=100,
        latent_dim=100,
        g_lr=0.1,
        # The authors' D minimises half the sum of its two terms at 0.1: the same steps.
        d_lr=0.05,
        num_images=50_000,
        simultaneous=True,
        latent="uniform",
        initialize=maxout.start_from_marginals,
    ),
}
