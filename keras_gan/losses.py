"""Adversarial losses, on the discriminator's raw output (logits).

In every loss `real_logits` and `fake_logits` are D's outputs for real and for
generated images, float [n, 1]; the result is a scalar, the mean over the batch.
The generator and the discriminator both minimise.
"""

import abc
import dataclasses

from keras_gan._lazy import keras


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(abc.ABC):
    """What `GAN.compile(loss=...)` takes.

    Args:
        label_smoothing: s in [0, 1): D's target for real images moves that share of the way
            towards its target for fakes. One-sided: the fakes' target stays
            (Salimans et al. 2016, section 3.4).

    Raises:
        ValueError: if `label_smoothing` is outside [0, 1).
    """

    label_smoothing: float = 0.0

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
        """D's belief that each image is real, in [0, 1], of the shape of `logits`."""

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


LOSSES = {"minimax": Minimax, "non_saturating": NonSaturating, "lsgan": LeastSquares}
