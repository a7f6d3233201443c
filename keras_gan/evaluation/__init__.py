"""What the scores are taken of, and `METRICS`: which there are.

reference = Reference(Samples(train_images), Samples(test_images))
evaluate(Samples(gan.generate(10_000)), reference, ["fid", "kid"])
"""

import functools
import hashlib
from pathlib import Path

import numpy as np

from keras_gan import InputError
from keras_gan._lazy import keras, tf
from keras_gan.evaluation import scores
from keras_gan.evaluation.scores import UnavailableError
from keras_gan.images import to_uint8

# Trained by benchmarks/feature_network.py on MNIST's training half. Scores by another network
# are other scores: it never changes, and a better one gets a name of its own.
NETWORK = Path(__file__).parent / "mnist-cnn-v1.keras"
NETWORK_SHA256 = "1d3af833dc90867c8c62f398737acd70b593b1e81d0ca73a8f9542f9c0b53497"

PAIRS = 10_000  # real images, at most, that are compared with every sample
VALIDATION = 1_000  # images that choose the Parzen window's width


class FeatureNetwork:
    """Images -> features, and the probabilities of classes where the model gives them.

    A model of images with one channel is applied to each channel of images with three: their
    features stand side by side, and a class is then a combination of the channels' classes, as
    the 1,000 modes of stacked MNIST are.

    Args:
        model: a Keras model, images float32 [n, H, W, C] in [-1, 1] -> features [n, d], or a
            dict of `features` and `probabilities` [n, classes]. By default `mnist-cnn-v1`, for
            images of digits of 28 x 28 x 1.
        name: goes with every score.

    Raises:
        InputError: if the model's shapes are others.
    """

    def __init__(self, model=None, name=None):
        device = None
        if model is None:
            device = "CPU"  # a GPU's rounding (TF32) would move the scores
            if hashlib.sha256(NETWORK.read_bytes()).hexdigest() != NETWORK_SHA256:
                raise InputError(f"{NETWORK}: damaged: install keras_gan anew.")
            model, name = keras.models.load_model(NETWORK, compile=False), NETWORK.stem
        self.name = name or model.name
        self.image_shape = getattr(model, "input_shape", (None,))[1:]
        if len(self.image_shape) != 3:
            raise InputError(f"{self.name}: expected a functional model of images [n, H, W, C].")

        @tf.function(input_signature=[tf.TensorSpec([None, *self.image_shape], tf.float32)])
        def apply(images):
            with tf.device(device):
                outputs = model(images, training=False)
            return outputs if isinstance(outputs, dict) else {"features": outputs}

        self._apply = apply

    def __call__(self, images, batch_size=500):
        """uint8 [n, H, W, C] -> a dict of float32 arrays, n rows each."""
        if images.shape[-1] != self.image_shape[-1] == 1:
            channels = [self(images[..., c : c + 1]) for c in range(images.shape[-1])]
            outputs = {"features": np.concatenate([c["features"] for c in channels], axis=1)}
            if "probabilities" in channels[0]:
                outputs["probabilities"] = functools.reduce(
                    lambda p, q: (p[:, :, np.newaxis] * q[:, np.newaxis]).reshape(len(p), -1),
                    [c["probabilities"] for c in channels],
                )
            return outputs
        batches = [
            self._apply(images[i : i + batch_size].astype(np.float32) / 127.5 - 1)
            for i in range(0, len(images), batch_size)
        ]
        outputs = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
        features = outputs.get("features", np.zeros([]))
        if features.ndim != 2:
            raise InputError(f"{self.name}: features {list(features.shape)}, expected [n, d].")
        if not np.all(np.isfinite(features)):
            raise InputError(f"{self.name}: some features are not finite.")
        return outputs

    def takes(self, shape):
        """Whether images may have this shape (H, W, C)."""
        *size, channels = self.image_shape
        return all(a in (None, b) for a, b in zip(size, shape[:-1], strict=True)) and (
            channels in (None, 1, shape[-1])
        )


class Samples:
    """Images, and what the scores need of them, each computed when first asked for.

    They are put in an order of their own, by their pixels' digests, so that the one they came in
    changes no score.

    Args:
        images: uint8 [n, H, W, C], or floats in [-1, 1], which become it.
        network: a `FeatureNetwork`; the default is for images of 28 x 28 x 1 only.
        discriminator: uint8 images -> the probabilities [n, 1] that they are real.

    Raises:
        InputError: if the images have another shape, are not finite, or show nothing.
    """

    def __init__(self, images, network=None, discriminator=None):
        images = np.asarray(images)
        if images.ndim != 4 or 0 in images.shape:
            raise InputError(f"Images of shape {list(images.shape)}: expected [n, H, W, C].")
        if images.dtype != np.uint8:
            if not np.issubdtype(images.dtype, np.floating):
                raise InputError(f"Images of {images.dtype}: expected uint8 or floats in [-1, 1].")
            if not np.all(np.isfinite(images)):
                raise InputError("Some images are not finite.")
            if np.abs(images).max() > 1 + 1e-3:
                raise InputError(
                    f"Images from {images.min():.4g} to {images.max():.4g}: expected [-1, 1]."
                )
            images = to_uint8(images)
        if np.all(images == images[:, :1, :1]):
            raise InputError("Every image is of one colour all over: there is nothing to score.")
        if np.all(images == images[:1]):
            raise InputError("The images are all one and the same: there is nothing to score.")
        digests = [hashlib.blake2b(image, digest_size=8).digest() for image in images]
        self.images = images[np.argsort(digests)]
        self.network = network
        self._discriminator = discriminator

    def __len__(self):
        return len(self.images)

    def head(self, count):
        """The first of them in that order: a random choice, always the same."""
        return Samples(self.images[:count], self.network, self._discriminator)

    @functools.cached_property
    def _outputs(self):
        network = self.network or default_network()
        if not network.takes(self.images.shape[1:]):
            raise UnavailableError(
                f"{network.name} takes images of shape {list(network.image_shape)}, these are "
                f"{list(self.images.shape[1:])}: give a feature network of your own."
            )
        return network(self.images)

    @property
    def features(self):
        """float32 [n, d]."""
        return self._outputs["features"]

    @property
    def probabilities(self):
        """float32 [n, classes]."""
        if "probabilities" not in self._outputs:
            raise UnavailableError("The feature network gives no probabilities of classes.")
        return self._outputs["probabilities"]

    @functools.cached_property
    def moments(self):
        return scores.moments(self.features)

    @functools.cached_property
    def histogram(self):
        return scores.class_histogram(self.probabilities)

    @property
    def acceptance(self):
        """float32 [n, 1]: the discriminator's probability that each image is real."""
        if self._discriminator is None:
            raise UnavailableError("The discriminator is not given.")
        return self._discriminator(self.images)


@functools.cache
def default_network():
    """`mnist-cnn-v1`, loaded once."""
    return FeatureNetwork()


class Reference:
    """The real images that samples are compared with.

    Args:
        train: `Samples` of the images trained on.
        test: `Samples` of held-out ones, or None: `memorisation` and `parzen` need them.
    """

    def __init__(self, train, test=None):
        self.train = train
        self._test = test

    @property
    def test(self):
        if self._test is None:
            raise UnavailableError("The data have no held-out images.")
        return self._test

    @functools.cached_property
    def held_out_distance(self):
        return scores.nearest_distance(self.test.images, self.train.images)

    @functools.cached_property
    def noise_energy(self):
        return scores.noise_energy(self.train.images[:PAIRS])


def evaluate(samples, reference, metrics=None):
    """Scores samples.

    Args:
        samples: `Samples`.
        reference: a `Reference`.
        metrics: keys of `METRICS`; by default all that can be had.

    Returns:
        A dict, the names of the scores -> numbers (`class_histogram`: a list of shares).

    Raises:
        InputError: if a metric is unknown, needs more samples, or was asked for by name and
            can't be had.
    """
    if samples.images.shape[1:] != reference.train.images.shape[1:]:
        raise InputError(
            f"The samples have the shape {list(samples.images.shape[1:])}, the real images "
            f"{list(reference.train.images.shape[1:])}: expected the same."
        )
    results = {}
    for metric in METRICS if metrics is None else metrics:
        if metric not in METRICS:
            raise InputError(f"metric {metric!r}: expected one of {', '.join(METRICS)}.")
        try:
            results |= METRICS[metric](samples, reference)
        except UnavailableError:
            if metrics is not None:
                raise
    return results


def _neighbours(s, r):
    """(real, fake) features, as many real ones as fake, up to PAIRS."""
    return r.train.features[: min(PAIRS, len(s))], s.features


def _parzen(s, r):
    parts = s.images, r.train.images[:VALIDATION], r.test.images
    return scores.parzen_log_likelihood(*(np.asarray(x, np.float32) / 255 for x in parts))


def _named(*names):
    return lambda values: dict(zip(names, values, strict=True))


# Each takes (Samples, Reference) and gives one score or several, by name.
METRICS = {
    "fid": lambda s, r: {"fid": scores.frechet_distance(r.train.moments, s.features)},
    "fid_infinity": lambda s, r: {
        "fid_infinity": scores.frechet_distance_infinity(r.train.moments, s.features)
    },
    "kid": lambda s, r: _named("kid", "kid_error")(
        scores.kernel_distance(r.train.features[:PAIRS], s.features)
    ),
    "precision_recall": lambda s, r: _named("precision", "recall")(
        scores.precision_recall(*_neighbours(s, r))
    ),
    "density_coverage": lambda s, r: _named("density", "coverage")(
        scores.density_coverage(*_neighbours(s, r))
    ),
    "classifier_score": lambda s, r: {"classifier_score": scores.classifier_score(s.probabilities)},
    "modes": lambda s, r: {"modes": scores.modes_covered(r.train.histogram, s.histogram)},
    "class_kl": lambda s, r: {"class_kl": scores.class_kl(r.train.histogram, s.histogram)},
    "class_histogram": lambda s, r: {"class_histogram": s.histogram.tolist()},
    "parzen": lambda s, r: _named("parzen", "parzen_error", "parzen_sigma")(_parzen(s, r)),
    "acceptance": lambda s, r: {"acceptance": scores.acceptance_rate(s.acceptance)},
    "noise": lambda s, r: {"noise": scores.noise_energy(s.images) / r.noise_energy},
    "memorisation": lambda s, r: {
        "memorisation": scores.nearest_distance(s.images, r.train.images) / r.held_out_distance
    },
}
