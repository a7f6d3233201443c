"""Adversarial losses, on the discriminator's raw output (logits).

In every loss `real_logits` and `fake_logits` are D's outputs for real and for generated images,
float [n, 1]. The result is a scalar, the mean over the batch. Both networks minimise their loss.
"""

import abc
import dataclasses
from typing import ClassVar

from keras_gan import replicas
from keras_gan.backend import keras


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(abc.ABC):
    """The base class of what `GAN.compile(loss=...)` takes.

    Args:
        label_smoothing: s in [0, 1), or a ValueError. D's target for real images moves this share
            of the way to its target for generated ones (Salimans et al. 2016, section 3.4).
    """

    label_smoothing: float = 0.0

    # Whether the generator's loss compares with real images: generator(fake_logits, real_logits).
    relativistic: ClassVar[bool] = False
    # The default regularisers of this loss, fields of `Config`, instead of the architecture's.
    regularizers: ClassVar[dict] = {}

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing={self.label_smoothing}: expected 0 <= value < 1.")

    @abc.abstractmethod
    def discriminator(self, real_logits, fake_logits):
        """The discriminator's loss, a scalar."""

    @abc.abstractmethod
    def generator(self, fake_logits):
        """The generator's loss, a scalar."""

    def value(self, real_logits, fake_logits):
        """The value function V(D, G) if the loss plays that game, else None."""
        return None

    def probability(self, logits):
        """D's probability that each image is real, in [0, 1]: sigmoid(logit) unless overridden."""
        return keras.ops.sigmoid(logits)

    get_config = dataclasses.asdict

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class _CrossEntropy(AdversarialLoss):
    """D(x) = sigmoid(logit), and D maximises V(D, G) (Goodfellow et al. 2014, equation 1)."""

    def discriminator(self, real_logits, fake_logits):
        """-E[log D(x)] - E[log(1 - D(G(z)))]: log 4 where D(x) = D(G(z)) = 1/2."""
        # -log sigmoid(l) = softplus(-l) and -log(1 - sigmoid(l)) = softplus(l) = softplus(-l) + l:
        # the target 1 - s adds s * l to the real term.
        real = keras.ops.softplus(-real_logits) + self.label_smoothing * real_logits
        return keras.ops.mean(real) + keras.ops.mean(keras.ops.softplus(fake_logits))

    def value(self, real_logits, fake_logits):
        """V(D, G) = E[log D(x)] + E[log(1 - D(G(z)))], without label smoothing."""
        real, fake = keras.ops.softplus(-real_logits), keras.ops.softplus(fake_logits)
        return -keras.ops.mean(real) - keras.ops.mean(fake)


class Minimax(_CrossEntropy):
    """The minimax game (Goodfellow et al. 2014, equation 1).

    The generator's gradient vanishes where D is sure that its samples are generated.
    """

    def generator(self, fake_logits):
        """E[log(1 - D(G(z)))], unbounded below."""
        return -keras.ops.mean(keras.ops.softplus(fake_logits))


class NonSaturating(_CrossEntropy):
    """The usual GAN loss (Goodfellow et al. 2014, section 3), which many call "minimax"."""

    def generator(self, fake_logits):
        """-E[log D(G(z))]."""
        return keras.ops.mean(keras.ops.softplus(-fake_logits))


@dataclasses.dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """LSGAN (Mao et al. 2017, equation 2).

    The default is the paper's 0-1 coding (equation 9). With `a=-1, b=1, c=0` (equation 8) the
    game minimises a Pearson chi-squared divergence.

    Args:
        a, b: D's targets for generated and for real images; a ValueError if they are equal.
        c: G's target for D's output on generated images.
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if self.a == self.b:
            raise ValueError(f"a={self.a}, b={self.b}: expected two different targets.")

    def discriminator(self, real_logits, fake_logits):
        """E[(D(x) - b)^2] / 2 + E[(D(G(z)) - a)^2] / 2."""
        b = self.b + self.label_smoothing * (self.a - self.b)
        real = keras.ops.mean(keras.ops.square(real_logits - b))
        return (real + keras.ops.mean(keras.ops.square(fake_logits - self.a))) / 2

    def generator(self, fake_logits):
        """E[(D(G(z)) - c)^2] / 2."""
        return keras.ops.mean(keras.ops.square(fake_logits - self.c)) / 2

    def probability(self, logits):
        """Clipped to [0, 1]. For the optimal D (equation 5) it is p_data / (p_data + p_g)."""
        return keras.ops.clip((logits - self.a) / (self.b - self.a), 0, 1)


class Hinge(AdversarialLoss):
    """The hinge loss (Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17).

    D loses nothing where its logit is beyond the margin, 1 for real and -1 for generated images.
    The sign of the optimal D says which density is greater.
    """

    def discriminator(self, real_logits, fake_logits):
        """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]; smoothing moves the first 1 to -1."""
        margin = 1 - 2 * self.label_smoothing
        real = keras.ops.mean(keras.ops.relu(margin - real_logits))
        return real + keras.ops.mean(keras.ops.relu(1 + fake_logits))

    def generator(self, fake_logits):
        """-E[D(G(z))]."""
        return -keras.ops.mean(fake_logits)

    def probability(self, logits):
        """(logit + 1) / 2, clipped to [0, 1]: -1 gives 0, and 1 gives 1."""
        return keras.ops.clip((logits + 1) / 2, 0, 1)


class Wasserstein(AdversarialLoss):
    """The dual form of the Wasserstein distance (Arjovsky et al. 2017, equation 2, Algorithm 1).

    D, the paper's critic, must be Lipschitz: by the penalty `wgan_gp`, or by spectral normalisation
    or the paper's weight clipping (`keras_gan.layers.constrain`). R1 is not enough: it limits the
    slope at real images only. D's output has no zero and no unit, so `probability` only orders
    images, and there is no target for `label_smoothing`: a ValueError.
    """

    regularizers: ClassVar[dict] = {"penalty": "wgan_gp"}

    def __post_init__(self):
        super().__post_init__()
        if self.label_smoothing:
            given = f"label_smoothing={self.label_smoothing}"
            raise ValueError(f"{given}: the Wasserstein loss has no targets, expected 0.")

    def discriminator(self, real_logits, fake_logits):
        """E[D(G(z))] - E[D(x)], unbounded below unless D is Lipschitz."""
        return keras.ops.mean(fake_logits) - keras.ops.mean(real_logits)

    def generator(self, fake_logits):
        """-E[D(G(z))]."""
        return -keras.ops.mean(fake_logits)


class Relativistic(AdversarialLoss):
    """The relativistic GAN (Jolicoeur-Martineau 2018, section 4): which image is more real?

    The paired form, which R3GAN uses too (Huang et al. 2025, section 2): the n-th real image is
    compared with the n-th generated one. `probability` compares with an image of logit 0.
    """

    relativistic = True

    def discriminator(self, real_logits, fake_logits):
        """-E[log sigmoid(D(x) - D(G(z)))]. Label smoothing lowers the target 1."""
        logits = real_logits - fake_logits
        return keras.ops.mean(keras.ops.softplus(-logits) + self.label_smoothing * logits)

    def generator(self, fake_logits, real_logits):
        """-E[log sigmoid(D(G(z)) - D(x))]."""
        return keras.ops.mean(keras.ops.softplus(real_logits - fake_logits))


class RelativisticAverage(Relativistic):
    """The average form: each logit is compared with the mean logit of the other batch."""

    def discriminator(self, real_logits, fake_logits):
        """-E[log sigmoid(D(x) - E[D(G(z))])] - E[log(1 - sigmoid(D(G(z)) - E[D(x)]))]."""
        real = real_logits - replicas.mean(keras.ops.mean(fake_logits))
        fake = fake_logits - replicas.mean(keras.ops.mean(real_logits))
        return NonSaturating(self.label_smoothing).discriminator(real, fake)

    def generator(self, fake_logits, real_logits):
        """-E[log sigmoid(D(G(z)) - E[D(x)])] - E[log(1 - sigmoid(D(x) - E[D(G(z))]))]."""
        # The discriminator's loss with real and generated images exchanged.
        return RelativisticAverage().discriminator(fake_logits, real_logits)


LOSSES = {
    "minimax": Minimax,
    "non_saturating": NonSaturating,
    "lsgan": LeastSquares,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "relativistic": Relativistic,
    "relativistic_average": RelativisticAverage,
}
