"""`evaluate`, and the registry of the metrics."""

import numpy as np

from keras_gan import InputError
from keras_gan.evaluation import scores
from keras_gan.evaluation.network import default_network
from keras_gan.evaluation.samples import PAIRS
from keras_gan.evaluation.scores import UnavailableError

VALIDATION = 1_000  # images that choose the width of the Parzen windows


def evaluate(samples, reference, metrics=None):
    """Scores `Samples` against a `Reference`.

    Args:
        metrics: keys of `METRICS`; by default all that are available.

    Returns:
        A dict: the names of the scores -> numbers (`class_histogram`: a list of shares).

    Raises:
        InputError: if a metric of `metrics` is unknown or not available, or needs more samples, or
            if samples and reference have different networks.
    """
    shapes = [list(x.images.shape[1:]) for x in (samples, reference.train)]
    if shapes[0] != shapes[1]:
        mismatch = f"The samples have the shape {shapes[0]}, the real images {shapes[1]}"
        raise InputError(f"{mismatch}: expected the same.")
    networks = [x.network or default_network() for x in (samples, reference.train)]
    if networks[0] is not networks[1]:
        mismatch = "The features are from {}, those of the real images from {}"
        names = [network.name for network in networks]
        raise InputError(f"{mismatch.format(*names)}: expected one network.")
    results = {}
    for metric in METRICS if metrics is None else metrics:
        if metric not in METRICS:
            raise InputError(f"metric {metric!r}: expected one of {', '.join(METRICS)}.")
        try:
            values = METRICS[metric](samples, reference)
            results |= values if isinstance(values, dict) else {metric: values}
        except UnavailableError:
            if metrics is not None:
                raise
    return results


def _neighbours(s, r):
    """(real, fake) features; as many real images as fake ones, at most PAIRS."""
    return r.train.features[: min(PAIRS, len(s))], s.features


def _parzen(s, r):
    parts = s.images, r.train.images[:VALIDATION], r.test.images
    return scores.parzen_log_likelihood(*(np.asarray(x, np.float32) / 255 for x in parts))


def _accuracy(s, _):
    if np.max(s.labels) >= s.probabilities.shape[1]:
        raise UnavailableError("The feature network has fewer classes than the labels.")
    return float(np.mean(np.argmax(s.probabilities, axis=1) == s.labels))


def _class_fid(s, r):
    distances = {}
    for k in np.unique(s.labels):
        real, fake = (x.features[x.labels == k] for x in (r.train, s))
        least = real.shape[1] + 1
        if min(len(real), len(fake)) < least:
            found = f"of class {k} there are {len(real)} real images and {len(fake)} samples"
            raise UnavailableError(f"class_fid needs {least} of each class: {found}.")
        distances[f"class_fid_{k}"] = scores.frechet_distance(real, fake)
    return {"class_fid": float(np.mean([*distances.values()])), **distances}


def _swd(s, r):
    count = min(PAIRS, len(s), len(r.train))
    levels = scores.sliced_wasserstein(r.train.images[:count], s.images[:count])
    mean = sum(levels.values()) / len(levels)
    return {"swd": mean, **{f"swd_{size}": value for size, value in levels.items()}}


def _named(values, *names):
    return dict(zip(names, values, strict=True))


# Each takes (Samples, Reference) and gives one value, or a dict of several.
METRICS = {
    "fid": lambda s, r: scores.frechet_distance(r.train.moments, s.features),
    "fid_infinity": lambda s, r: scores.frechet_distance_infinity(r.train.moments, s.features),
    "kid": lambda s, r: _named(
        scores.kernel_distance(r.train.features[:PAIRS], s.features), "kid", "kid_error"
    ),
    "precision_recall": lambda s, r: _named(
        scores.precision_recall(*_neighbours(s, r)), "precision", "recall"
    ),
    "density_coverage": lambda s, r: _named(
        scores.density_coverage(*_neighbours(s, r)), "density", "coverage"
    ),
    "classifier_score": lambda s, r: scores.classifier_score(s.probabilities),
    "modes": lambda s, r: scores.modes_covered(r.train.histogram, s.histogram),
    "class_kl": lambda s, r: scores.class_kl(r.train.histogram, s.histogram),
    "class_histogram": lambda s, r: s.histogram.tolist(),
    "parzen": lambda s, r: _named(_parzen(s, r), "parzen", "parzen_error", "parzen_sigma"),
    "acceptance": lambda s, r: scores.acceptance_rate(s.acceptance),
    "swd": _swd,
    "accuracy": _accuracy,
    "class_fid": _class_fid,
    "noise": lambda s, r: scores.noise_energy(s.images) / r.noise_energy,
    "memorisation": lambda s, r: (
        scores.nearest_distance(s.images, r.train.images) / r.held_out_distance
    ),
}
OF_CLASSES = ("accuracy", "class_fid")  # of samples whose class was asked for
