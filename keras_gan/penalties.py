"""Gradient penalties: they limit the slope of the discriminator.

A penalty is on the gradient of each logit with respect to its own image. So the logit of an image
must not depend on the rest of the batch, as it does in a D with batch normalisation.
"""

import abc
import dataclasses

from keras_gan import replicas
from keras_gan.backend import tf

_SCALE = 2.0**10


@dataclasses.dataclass(frozen=True)
class GradientPenalty(abc.ABC):
    """The base class of what `GAN.compile(penalty=...)` takes.

    Args:
        weight: its factor, > 0.
        one_in: the mean is taken over the first n / one_in of a batch's n images, rounded up. Its
            expectation is the same, and a step takes less time.
    """

    weight: float
    one_in: int = 1

    def __post_init__(self):
        if not self.weight > 0:
            raise ValueError(f"weight={self.weight}: expected a positive number.")
        if self.one_in < 1:
            raise ValueError(f"one_in={self.one_in}: expected at least 1.")

    @abc.abstractmethod
    def __call__(self, discriminator, real, fake, seed):
        """Returns logits of `real` [n, 1], logits of `fake` [n, 1], and the penalty, a scalar.

        Args:
            discriminator: images [n, H, W, C] -> logits [n, 1]. If it is called with a part of the
                batch, it needs to be told which: `discriminator(real[:m], slice(m))`.
            real, fake: n images each.
            seed: int32 [2], for the random draws of this update.
        """

    def _slope(self, discriminator, images):
        """Logits and squared slopes of the images that the mean is taken over, and their number."""
        if self.one_in == 1:
            return *_slope(discriminator, images), None
        m = -(-_count(images) // self.one_in)
        return *_slope(lambda some: discriminator(some, slice(m)), images[:m]), m

    def _logits_and_slope(self, discriminator, images):
        """All logits [n, 1], and the squared slopes of those that the mean is taken over."""
        logits, square, m = self._slope(discriminator, images)
        if m is not None:
            # Of a batch of one image nothing is left, and a convolution fails on that: then D sees
            # the image again, and its logit is dropped.
            start = m - m // _count(images)  # 0 for one image, else m
            rest = discriminator(images[start:], slice(start, None))[m - start :]
            logits = tf.concat([logits, rest], axis=0)
        return logits, square

    get_config = dataclasses.asdict

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _count(images):
    return images.shape[0] or tf.shape(images)[0]


def _slope(discriminator, images):
    """Logits [n, 1], and the squared norm [n] of each logit's gradient by its image, float32."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = discriminator(images)
    # In float16 a small gradient would be 0. A power of 2 changes no bit of a float32.
    scale = tf.fill(tf.shape(logits), tf.cast(_SCALE, logits.dtype))
    gradient = tape.gradient(logits, images, output_gradients=scale)
    gradient = tf.cast(gradient, tf.float32) / _SCALE
    return logits, tf.reduce_sum(tf.square(gradient), axis=range(1, gradient.shape.rank))


@dataclasses.dataclass(frozen=True)
class R1(GradientPenalty):
    """weight / 2 E[|grad D(x)|^2] on real images (Mescheder et al. 2018, equation 9)."""

    weight: float = 3.0

    def __call__(self, discriminator, real, fake, seed):
        real_logits, square = self._logits_and_slope(discriminator, real)
        return real_logits, discriminator(fake), self.weight / 2 * tf.reduce_mean(square)


@dataclasses.dataclass(frozen=True)
class R1R2(GradientPenalty):
    """R1, and the same on generated images: R2 (Mescheder et al. 2018; Huang et al. 2025)."""

    weight: float = 3.0

    def __call__(self, discriminator, real, fake, seed):
        real_logits, real_square = self._logits_and_slope(discriminator, real)
        fake_logits, fake_square = self._logits_and_slope(discriminator, fake)
        penalty = self.weight / 2 * tf.reduce_mean(real_square + fake_square)
        return real_logits, fake_logits, penalty


class _UnitSlope(GradientPenalty):
    """weight E[(|grad D(x')| - 1)^2], x' uniform on the line from a real image to another image."""

    @abc.abstractmethod
    def _other_ends(self, real, fake, seed):
        """Images of the shape of `real`."""

    def __call__(self, discriminator, real, fake, seed):
        share_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        share = replicas.uniform(real, [1] * (real.shape.rank - 1), share_seed)
        other = tf.cast(self._other_ends(real, fake, seed), real.dtype)
        between = real + share * (other - real)
        _, square, _ = self._slope(discriminator, between)
        # The derivative of the square root is infinite at 0.
        excess = tf.sqrt(square + 1e-12) - 1
        penalty = self.weight * tf.reduce_mean(tf.square(excess))
        return discriminator(real), discriminator(fake), penalty


@dataclasses.dataclass(frozen=True)
class WassersteinGradientPenalty(_UnitSlope):
    """WGAN-GP (Gulrajani et al. 2017, equation 3): between real and generated images."""

    weight: float = 10.0

    def _other_ends(self, real, fake, seed):
        return fake


@dataclasses.dataclass(frozen=True)
class DRAGAN(_UnitSlope):
    """DRAGAN (Kodali et al. 2017): near the real images.

    As in the authors' code, the line goes from a real image to the same image with uniform noise
    added, of 0 to half the standard deviation of the batch's pixels.
    """

    weight: float = 10.0

    def _other_ends(self, real, fake, seed):
        # The variance of the whole batch, on any number of replicas.
        center = replicas.mean(tf.reduce_mean(real))
        variance = replicas.mean(tf.reduce_mean(tf.square(real - center)))
        noise = replicas.uniform(real, real.shape[1:], seed)
        return real + 0.5 * tf.sqrt(variance) * noise


PENALTIES = {
    "wgan_gp": WassersteinGradientPenalty,
    "dragan": DRAGAN,
    "r1": R1,
    "r1_r2": R1R2,
}
