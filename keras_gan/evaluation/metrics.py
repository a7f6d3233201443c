"""`evaluate`, and the registry of the metrics."""

import numpy as np

from keras_gan import InputError
from keras_gan.evaluation import scores
from keras_gan.evaluation.samples import PAIRS
from keras_gan.evaluation.scores import UnavailableError

VALIDATION = 1_000  # images that choose the width of the Parzen windows


def evaluate(samples, reference, metrics=None):
    """Scores samples.

    Args:
        samples: `Samples`.
        reference: a `Reference`.
        metrics: keys of `METRICS`; by default all that are available.

    Returns:
        A dict: the names of the scores -> numbers (`class_histogram`: a list of shares).

    Raises:
        InputError: if a metric is unknown, needs more samples, or is given in `metrics` and not
            available.
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
