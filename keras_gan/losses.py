"""Adversarial losses, on the discriminator's raw output (logits).

In every loss `real_logits` and `fake_logits` are D's outputs for real and for
generated images, float [n, 1]; the result is a scalar, the mean over the batch.
The generator and the discriminator both minimise.
"""

import abc
import dataclasses
from typing import ClassVar

from keras_gan._lazy import keras


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(abc.ABC):
    """What `GAN.compile(loss=...)` takes.

    A class whose generator's loss compares with real images is `relativistic`: its `generator`
    takes (fake_logits, real_logits).

    Args:
        label_smoothing: s in [0, 1): D's target for real images moves that share of the way
            towards its target for fakes. One-sided: the fakes' target stays
            (Salimans et al. 2016, section 3.4).

    Raises:
        ValueError: if `label_smoothing` is outside [0, 1).
    """

    label_smoothing: float = 0.0

    relativistic: ClassVar[bool] = False

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing={self.label_smoothing}: expected 0 <= value < 1.")

    @abc.abstractmethod
    def discriminator(self, real_logits, fake_logits):
        """The discriminator's loss, a scalar."""

    @abc.abstractmethod
    def generator(self, fake_logits):
        """The generator's loss, a scalar."""

    @abc.abstractmethod
    def probability(self, logits):
        """D's belief that each image is real, in [0, 1], of the shape of `logits`.

        Where the loss fixes none, a rising function that is 1/2 at the logit 0.
        """

    def get_config(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class _CrossEntropy(AdversarialLoss):
    """D(x) = sigmoid(logit), and D ascends V(D, G) (Goodfellow et al. 2014, equation 1)."""

    def discriminator(self, real_logits, fake_logits):
        """-E[log D(x)] - E[log(1 - D(G(z)))]: log 4 where D(x) = D(G(z)) = 1/2."""
        # -log sigmoid(l) = softplus(-l) and -log(1 - sigmoid(l)) = softplus(l) = softplus(-l) + l:
        # the target 1 - s adds s * l to the real term.
        real = keras.ops.softplus(-real_logits) + self.label_smoothing * real_logits
        return keras.ops.mean(real) + keras.ops.mean(keras.ops.softplus(fake_logits))

    def probability(self, logits):
        return keras.ops.sigmoid(logits)


class Minimax(_CrossEntropy):
    """The minimax game of Goodfellow et al. 2014, equation 1.

    The generator's gradient vanishes where D rejects its samples with confidence.
    """

    def generator(self, fake_logits):
        """E[log(1 - D(G(z)))], unbounded below."""
        return -keras.ops.mean(keras.ops.softplus(fake_logits))


class NonSaturating(_CrossEntropy):
    """Goodfellow et al. 2014, section 3: "maximize log D(G(z))". What most call the GAN loss."""

    def generator(self, fake_logits):
        """-E[log D(G(z))]."""
        return keras.ops.mean(keras.ops.softplus(-fake_logits))


@dataclasses.dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """LSGAN (Mao et al. 2017, equation 2).

    Args:
        a: D's target for generated images.
        b: D's target for real images, different from `a`.
        c: the value that G wants D to give to its images.

    The default is the paper's 0-1 coding (equation 9). `a=-1, b=1, c=0` (equation 8) makes
    the game minimise a Pearson chi-squared divergence.

    Raises:
        ValueError: if `a` equals `b`.
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
        """p_data / (p_data + p_g), where D is optimal (equation 5), clipped to [0, 1]."""
        return keras.ops.clip((logits - self.a) / (self.b - self.a), 0, 1)


class Hinge(AdversarialLoss):
    """The hinge loss (Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17).

    D is asked for a margin of 1 on either side and for no more: where it is optimal, its sign
    says which density is greater.
    """

    def discriminator(self, real_logits, fake_logits):
        """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]; smoothing moves the real 1 towards -1."""
        margin = 1 - 2 * self.label_smoothing
        real = keras.ops.mean(keras.ops.relu(margin - real_logits))
        return real + keras.ops.mean(keras.ops.relu(1 + fake_logits))

    def generator(self, fake_logits):
        """-E[D(G(z))]."""
        return -keras.ops.mean(fake_logits)

    def probability(self, logits):
        """The margins -1 and 1 become 0 and 1."""
        return keras.ops.clip((logits + 1) / 2, 0, 1)


class Wasserstein(AdversarialLoss):
    """The Wasserstein distance's dual (Arjovsky et al. 2017, equation 2 and Algorithm 1).

    D, their critic, must be held Lipschitz: by the penalty `wgan_gp`, or by
    `keras_gan.layers.constrain` (spectral normalisation, or their weight clipping, here of the
    kernels). R1 does not bound it away from the real images. Its values have no zero and no
    unit, so `probability` orders images and says no more.

    Raises:
        ValueError: if `label_smoothing` is given: there is no target to smooth.
    """

    def __post_init__(self):
        super().__post_init__()
        if self.label_smoothing:
            raise ValueError(
                f"label_smoothing={self.label_smoothing}: the Wasserstein loss has no targets, "
                "expected 0."
            )

    def discriminator(self, real_logits, fake_logits):
        """E[D(G(z))] - E[D(x)], unbounded below unless D is constrained."""
        return keras.ops.mean(fake_logits) - keras.ops.mean(real_logits)

    def generator(self, fake_logits):
        """-E[D(G(z))]."""
        return -keras.ops.mean(fake_logits)

    def probability(self, logits):
        return keras.ops.sigmoid(logits)


class Relativistic(AdversarialLoss):
    """The relativistic GAN (Jolicoeur-Martineau 2018, section 4): which one is more real?

    The paired form, on which R3GAN builds (Huang et al. 2025, section 2): the n-th real image
    is compared with the n-th generated one. Logits have no zero: `probability` is that of
    being the more real one, beside an image of logit 0.
    """

    relativistic = True

    def discriminator(self, real_logits, fake_logits):
        """-E[log sigmoid(D(x) - D(G(z)))]; smoothing takes its share off the target 1."""
        lead = real_logits - fake_logits
        return keras.ops.mean(keras.ops.softplus(-lead) + self.label_smoothing * lead)

    def generator(self, fake_logits, real_logits):
        """-E[log sigmoid(D(G(z)) - D(x))]."""
        return keras.ops.mean(keras.ops.softplus(real_logits - fake_logits))

    def probability(self, logits):
        return keras.ops.sigmoid(logits)


class RelativisticAverage(Relativistic):
    """Its average form: an image is compared with the mean logit of the other kind."""

    def discriminator(self, real_logits, fake_logits):
        """-E[log sigmoid(D(x) - E[D(G(z))])] - E[log(1 - sigmoid(D(G(z)) - E[D(x)]))]."""
        real = real_logits - keras.ops.mean(fake_logits)
        fake = fake_logits - keras.ops.mean(real_logits)
        return NonSaturating(self.label_smoothing).discriminator(real, fake)

    def generator(self, fake_logits, real_logits):
        """-E[log sigmoid(D(G(z)) - E[D(x)])] - E[log(1 - sigmoid(D(x) - E[D(G(z))]))]."""
        # The discriminator's loss with the two kinds exchanged.
        return NonSaturating().discriminator(
            fake_logits - keras.ops.mean(real_logits), real_logits - keras.ops.mean(fake_logits)
        )


LOSSES = {
    "minimax": Minimax,
    "non_saturating": NonSaturating,
    "lsgan": LeastSquares,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "relativistic": Relativistic,
    "relativistic_average": RelativisticAverage,
}
