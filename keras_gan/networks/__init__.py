"""The architectures: builders of both networks, and their default settings and penalty."""

import dataclasses
import functools
from collections.abc import Callable

from keras_gan.augment import AUGMENTATIONS
from keras_gan.backend import keras
from keras_gan.networks import dcgan, maxout, mlp
from keras_gan.penalties import PENALTIES, R1, GradientPenalty

FEW = 5_000  # fewer colour images are augmented by default: D would learn them by heart


def adam(learning_rate, beta_2=0.999):
    """Adam without momentum: with it, the two networks oscillate around each other."""
    return keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=beta_2)


def muon(learning_rate):
    from keras_gan.optimizers import Muon  # imports Keras

    return Muon(learning_rate, beta_1=0.0, beta_2=0.99)


def goodfellow_sgd(learning_rate):
    from keras_gan.optimizers import GoodfellowSGD  # imports Keras

    return GoodfellowSGD(learning_rate)


# name -> a function of the learning rate
OPTIMIZERS = {"adam": adam, "muon": muon, "goodfellow_sgd": goodfellow_sgd}


def projection(discriminator, classes):
    """A discriminator of (images, labels int [n]) from one of images: the projection discriminator.

    Miyato and Koyama 2018, equation 3: to the logit of an image comes the scalar product of what
    the last layer sees of it, and of a learned vector of its class.

    Args:
        discriminator: a Sequential or functional model that ends in a dense layer. The result
            shares its layers.
        classes: how many.
    """
    features, label = discriminator.layers[-1].input, keras.Input([], dtype="int32")
    # An embedding, as a dense layer: spectral normalisation and clipping know what to do with it.
    one_hot = keras.ops.one_hot(label, classes)
    vector = keras.layers.Dense(features.shape[-1], use_bias=False)(one_hot)
    product = keras.layers.Dot(1)([vector, features])
    logits = keras.layers.Add()([discriminator.outputs[0], product])
    return keras.Model([discriminator.inputs[0], label], logits, name=discriminator.name)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Builders of two networks, and their defaults for the fields of `Config` of the same names.

    `penalty` is the default for every loss that has no `regularizers` of its own. The field
    `penalties` overrides the default of a penalty: its name -> a `GradientPenalty`. The field
    `optimizers` overrides entries of OPTIMIZERS.
    """

    generator: Callable  # (latent_dim, image_shape, [channels]) -> keras.Model
    discriminator: Callable  # (image_shape, [channels]) -> keras.Model
    epochs: int = 20
    batch_size: int = 64
    latent_dim: int = 16
    channels: int | None = None  # None: the builders don't take it
    optimizer: str = "adam"
    optimizers: dict[str, Callable] = dataclasses.field(default_factory=dict)
    g_lr: float = 1e-3
    d_lr: float = 1e-3
    decay_steps: int = 0  # 0: the learning rates do not fall
    ema_decay: float = 0.0
    num_images: int | None = None  # at most
    simultaneous: bool = False
    augment: str = "none"
    penalty: str = "none"
    penalties: dict[str, GradientPenalty] = dataclasses.field(default_factory=dict)
    latent: str = "normal"  # a key of keras_gan.seeds.LATENTS
    conditional_dim: int | None = None  # normal numbers in a latent with classes
    initialize: Callable | None = None  # (generator, images uint8): sets initial weights from them
    sizes: Callable | None = None  # (height, width) -> the fields that depend on the images' size

    def default_penalty(self, name):
        """The `GradientPenalty` of this name, with its default weight."""
        return self.penalties.get(name) or PENALTIES[name]()

    def make_optimizer(self, name, learning_rate):
        """An optimiser of this name, with its default settings."""
        return (self.optimizers.get(name) or OPTIMIZERS[name])(learning_rate)

    def for_images(self, count, height, width, channels):
        """A copy with its defaults for such images; an InputError if it can't draw them."""
        fields = self.sizes(height, width) if self.sizes else {}
        if count < FEW and channels == 3:
            fields["augment"] = ",".join(AUGMENTATIONS)
        return dataclasses.replace(self, **fields)


def _dcgan_sizes(height, width):
    """R1 in proportion to the pixels (Karras et al. 2020, StyleGAN2-ADA), 1 for 28 x 28.

    With more than two doublings the networks are wider, and need smaller steps. Rates that fall
    did not help there, nor did Muon (docs/benchmarks.md).
    """
    fields = {"penalties": {"r1": R1(height * width / 28**2, one_in=4)}}
    if dcgan.doublings(height, width) > 2:
        fields |= {"optimizer": "adam", "g_lr": 4e-4, "d_lr": 2e-4, "decay_steps": 0}
    return fields


ARCHITECTURES = {
    "mlp": Architecture(
        mlp.generator,
        mlp.discriminator,
        epochs=40,
        g_lr=2e-3,
        ema_decay=0.999,
        simultaneous=True,
        penalty="r1",
        penalties={"r1": R1(1.0)},
    ),
    "dcgan": Architecture(
        dcgan.generator,
        dcgan.discriminator,
        # With Muon fewer images bring the same distance: benchmarks/recipes.md, "The trials".
        optimizer="muon",
        # With beta_2 = 0.999 and batches of 32 the distance doubled for a while.
        optimizers={"adam": functools.partial(adam, beta_2=0.99)},
        epochs=8,
        batch_size=32,
        # With normal numbers alone, G also draws images between two digits, which are no digits.
        latent="categorical",
        latent_dim=74,
        conditional_dim=128,
        channels=dcgan.CHANNELS,
        g_lr=2e-3,
        # With Adam at constant rates the samples became worse again after two million images.
        decay_steps=3_000,
        ema_decay=0.999,
        simultaneous=True,
        penalty="r1",
        penalties={"r1": R1(1.0, one_in=4)},
        sizes=_dcgan_sizes,
    ),
    "maxout": Architecture(
        maxout.generator,
        maxout.discriminator,
        epochs=70,
        batch_size=100,
        latent_dim=100,
        optimizer="goodfellow_sgd",
        g_lr=0.1,
        # The authors' D minimises half the sum of its two terms at 0.1: the same steps.
        d_lr=0.05,
        num_images=50_000,
        simultaneous=True,
        latent="uniform",
        initialize=maxout.start_from_marginals,
    ),
}
