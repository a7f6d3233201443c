"""The inputs of the scores: sets of images, and what is computed from them once."""

import functools
import hashlib

import numpy as np

from keras_gan import InputError
from keras_gan.evaluation import scores
from keras_gan.evaluation.network import default_network
from keras_gan.evaluation.scores import UnavailableError
from keras_gan.images import to_uint8

PAIRS = 10_000  # real images, at most, that are compared with every sample


class Samples:
    """Images, sorted so that their order changes no score, and their features and classes.

    Args:
        images: uint8 [n, H, W, C], or floats in [-1, 1], which are converted. An InputError if
            they have another shape or range, or are all alike.
        network: a `FeatureNetwork`; the default is for images of 28 x 28 x 1 only.
        discriminator: (uint8 images, labels) -> the probabilities [n, 1] that they are real.
        labels: int [n]: the class that was asked for, or that is known. None: not known.
    """

    def __init__(self, images, network=None, discriminator=None, labels=None):
        images = np.asarray(images)
        if images.ndim != 4 or 0 in images.shape:
            raise InputError(f"Images of shape {list(images.shape)}: expected [n, H, W, C].")
        if images.dtype != np.uint8:
            if not np.issubdtype(images.dtype, np.floating):
                raise InputError(f"Images of {images.dtype}: expected uint8 or floats in [-1, 1].")
            if not np.all(np.isfinite(images)):
                raise InputError("Some images are not finite.")
            low, high = images.min(), images.max()
            if max(-low, high) > 1 + 1e-3:
                raise InputError(f"Images from {low:.4g} to {high:.4g}: expected [-1, 1].")
            images = to_uint8(images)
        if np.all(images == images[:, :1, :1]):
            raise InputError("Every image has one colour: there is nothing to score.")
        if np.all(images == images[:1]):
            raise InputError("All images are the same: there is nothing to score.")
        images = np.ascontiguousarray(images)
        digests = [hashlib.blake2b(image, digest_size=8).digest() for image in images]
        order = np.argsort(digests)
        self.images = images[order]
        self._labels = None if labels is None else np.asarray(labels)[order]
        self.network = network
        self._discriminator = discriminator

    def __len__(self):
        return len(self.images)

    def head(self, count):
        """A fixed random choice of `count` images: the first in sorted order."""
        labels = None if self._labels is None else self._labels[:count]
        return Samples(self.images[:count], self.network, self._discriminator, labels)

    @functools.cached_property
    def _outputs(self):
        network = self.network or default_network()
        network.check(self.images.shape[1:])
        return network(self.images)

    @property
    def features(self):
        """float32 [n, d]."""
        return self._outputs["features"]

    @property
    def probabilities(self):
        """float32 [n, classes]."""
        if "probabilities" not in self._outputs:
            raise UnavailableError("The feature network has no probabilities of classes.")
        return self._outputs["probabilities"]

    @functools.cached_property
    def moments(self):
        return scores.moments(self.features)

    @functools.cached_property
    def histogram(self):
        return scores.class_histogram(self.probabilities)

    @property
    def labels(self):
        """int [n]."""
        if self._labels is None:
            raise UnavailableError("The images have no classes that were asked for.")
        return self._labels

    @property
    def acceptance(self):
        """float32 [n, 1]: the discriminator's probability that each image is real."""
        if self._discriminator is None:
            raise UnavailableError("The discriminator is not given.")
        return self._discriminator(self.images, self._labels)


class Reference:
    """The real images that samples are compared with, as `Samples` of training and test images.

    Without test images there is no `memorisation` and no `parzen`.
    """

    def __init__(self, train, test=None):
        self.train = train
        self._test = test

    @property
    def test(self):
        if self._test is None:
            raise UnavailableError("The dataset has no held-out images.")
        return self._test

    @functools.cached_property
    def held_out_distance(self):
        return scores.nearest_distance(self.test.images, self.train.images)

    @functools.cached_property
    def noise_energy(self):
        return scores.noise_energy(self.train.images[:PAIRS])
