"""The architectures: a generator and a discriminator each, and the settings they train with."""

import dataclasses
import functools
from collections.abc import Callable

from keras_gan._lazy import keras
from keras_gan.networks import dcgan, maxout, mlp


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Builders, and a default for every setting that the user leaves open.

    `initialize(generator, images)` sets weights that follow from the training images,
    uint8 [N, H, W, C]. `mnist_images`: how many of MNIST's 60,000 are trained on.
    `spectral_norm_for`: the losses that collapse under the default penalty alone.
    """

    generator: Callable  # (latent_dim, image_shape) -> keras.Model
    discriminator: Callable  # (image_shape) -> keras.Model
    optimizer: Callable  # (learning_rate) -> keras.optimizers.Optimizer
    epochs: int
    batch_size: int
    latent_dim: int
    g_lr: float
    d_lr: float
    ema_decay: float = 0.0
    penalty: str = "none"
    spectral_norm_for: tuple[str, ...] = ()
    simultaneous: bool = False
    latent: str = "normal"
    initialize: Callable | None = None
    mnist_images: int = 60_000


def adam(learning_rate, beta_2=0.999):
    """Without momentum, which makes the two networks circle each other."""
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
        penalty="r1",
        spectral_norm_for=("lsgan",),
        simultaneous=True,
    ),
    "dcgan": Architecture(
        dcgan.generator,
        dcgan.discriminator,
        # With 0.999 and batches of 32 the distance doubled for a while: benchmarks/recipes.md.
        functools.partial(adam, beta_2=0.99),
        epochs=8,
        batch_size=32,
        latent_dim=16,
        g_lr=1e-3,
        d_lr=1e-3,
        ema_decay=0.999,
        penalty="r1",
        simultaneous=True,
    ),
    "maxout": Architecture(
        maxout.generator,
        maxout.discriminator,
        maxout.optimizer,
        epochs=70,
        batch_size=100,
        latent_dim=100,
        g_lr=0.1,
        # The authors' D descends half the sum of its two terms at 0.1: the same steps.
        d_lr=0.05,
        simultaneous=True,
        latent="uniform",
        initialize=maxout.start_from_marginals,
        mnist_images=50_000,
    ),
}
