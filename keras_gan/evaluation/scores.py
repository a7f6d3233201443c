"""The scores, each a function on arrays. NumPy only.

`real` and `fake` are features float [n, d], a row for each real or generated image; n may differ
between the two. `probabilities` are a classifier's, float [n, classes]. Pairs are compared in
blocks of rows: memory grows with n, not with its square.
"""

import numpy as np

from keras_gan import InputError

BLOCK = 2**23  # distances in memory at once


class UnavailableError(InputError):
    """A score is not available, since something that it needs is missing."""


def frechet_distance(real, fake):
    """|m_r - m_f|^2 + tr(C_r + C_f - 2 (C_r C_f)^(1/2)): Heusel et al. 2017, equation 6 ("FID").

    The squared Wasserstein-2 distance of two Gaussians with the means m and covariances C of the
    features. At least 0; lower is better. Its bias is positive and falls with 1 / n. Either side
    may be given by its `moments`.
    """
    (m_r, c_r), (m_f, c_f) = (x if isinstance(x, tuple) else moments(x) for x in (real, fake))
    # (C_r C_f)^(1/2) has the trace of the root of the symmetric C_r^(1/2) C_f C_r^(1/2).
    values, vectors = np.linalg.eigh(c_r)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ c_f @ root), 0)).sum()
    return float(np.sum((m_r - m_f) ** 2) + np.trace(c_r) + np.trace(c_f) - 2 * cross)


def moments(features):
    """(mean [d], covariance [d, d]) of features [n, d], n > d, unbiased, float64."""
    features = np.asarray(features)
    _require(features, features.shape[1] + 1, "The Frechet distance")
    covariance = np.cov(features, rowvar=False, dtype=np.float64)
    return features.mean(axis=0, dtype=np.float64), np.atleast_2d(covariance)


def frechet_distance_infinity(real, fake, points=15, seed=0):
    """The Frechet distance for infinitely many fakes: Chong and Forsyth 2020.

    A line fits the distances of random subsets of n / 10 to n fakes, n / 10 > d, over 1 / n; the
    result is its value at 1 / n = 0.
    """
    fake = np.asarray(fake)
    _require(fake, 10 * (fake.shape[1] + 1), "The extrapolated Frechet distance")
    real = real if isinstance(real, tuple) else moments(real)
    rng = np.random.default_rng(seed)
    sizes = np.linspace(len(fake) // 10, len(fake), points).astype(int)
    distances = [frechet_distance(real, fake[rng.permutation(len(fake))[:n]]) for n in sizes]
    return float(np.polyfit(1 / sizes, distances, 1)[1])


def kernel_distance(real, fake, blocks=20, seed=0):
    """MMD^2 with the kernel (x.y / d + 1)^3: Binkowski et al. 2018, section 4 ("KID").

    The unbiased estimate from all pairs (Gretton et al. 2012, equation 3), where Binkowski et
    al. average over random subsets. For equal distributions it is about 0, of either sign.

    Returns:
        (estimate, standard error), by the jackknife over `blocks` random parts of both sides. For
        equal distributions the error is too large by up to a factor of sqrt(2).
    """
    rng = np.random.default_rng(seed)
    sides = [rng.permutation(np.asarray(side, np.float64)) for side in (real, fake)]
    for side in sides:
        _require(side, 2 * blocks, "The kernel distance")
    starts = [np.arange(blocks) * len(side) // blocks for side in sides]  # of the parts

    def kernel_sums(rows, columns, column_starts):
        """float64 [rows, blocks]: sums of the kernel over the parts of columns."""
        sums = []
        for part in np.array_split(rows, -(-len(rows) * len(columns) // BLOCK)):
            base = part @ columns.T / rows.shape[1] + 1
            sums.append(np.add.reduceat(base * base * base, column_starts, axis=1))
        return np.concatenate(sums)

    def part_sums(i, j):
        """[blocks, blocks]: sums over pairs of parts of the sides i and j, without equal rows."""
        sums = np.add.reduceat(kernel_sums(sides[i], sides[j], starts[j]), starts[i])
        if i == j:
            itself = (np.mean(sides[i] ** 2, axis=1) + 1) ** 3
            sums -= np.diag(np.add.reduceat(itself, starts[i]))
        return sums

    xx, yy, xy = part_sums(0, 0), part_sums(1, 1), part_sums(0, 1)
    sizes = np.array([np.diff([*s, len(x)]) for s, x in zip(starts, sides, strict=True)])

    def estimate(kept):
        n, m = sizes[:, kept].sum(axis=1)
        inside = np.ix_(kept, kept)
        within = xx[inside].sum() / (n * (n - 1)) + yy[inside].sum() / (m * (m - 1))
        return within - 2 * xy[inside].sum() / (n * m)

    everything = np.arange(blocks)
    without_one = [estimate(np.delete(everything, i)) for i in everything]
    error = np.sqrt((blocks - 1) * np.var(without_one))
    return float(estimate(everything)), float(error)


def precision_recall(real, fake, k=3):
    """(precision, recall) of Kynkaanniemi et al. 2019, equations 1 and 2.

    Around each real image is a ball that reaches to its k-th nearest real neighbour. Precision is
    the share of fakes in at least one ball. Recall is the same with real and fake exchanged.
    """
    precise, _ = _inside(real, fake, k)
    recalled, _ = _inside(fake, real, k)
    return float(np.mean(precise > 0)), float(np.mean(recalled > 0))


def density_coverage(real, fake, k=5):
    """(density, coverage) of Naeem et al. 2020, section 3.2.

    Density is the mean number of the balls of `precision_recall` that a fake lies in, divided by
    k: about 1 for real images, and more where they are dense. Coverage is the share of the balls
    that contain a fake.
    """
    counts, hits = _inside(real, fake, k)
    return float(counts.mean() / k), float(np.mean(hits > 0))


def _inside(centers, points, k):
    """The numbers of centers' k-NN balls that contain each point, and of points in each ball."""
    for rows in (centers, points):
        _require(rows, k + 1, "A score by k nearest neighbours")
    # The nearest to each center is itself.
    radii = np.concatenate([np.partition(d, k)[:, k] for d in squared_distances(centers, centers)])
    counts, hits = [], np.zeros(len(centers), int)
    for distances in squared_distances(points, centers):
        inside = distances <= radii
        counts.append(inside.sum(axis=1))
        hits += inside.sum(axis=0)
    return np.concatenate(counts), hits


def squared_distances(x, y):
    """Yields the squared Euclidean distances of x [n, d] to y [m, d], float32 [rows, m] each."""
    center = np.mean(y, axis=0, dtype=np.float32)  # smaller numbers, smaller rounding errors
    y = np.subtract(y, center, dtype=np.float32)
    norms = np.einsum("ij,ij->i", y, y)
    rows = max(1, BLOCK // len(y))
    for start in range(0, len(x), rows):
        part = np.subtract(x[start : start + rows], center, dtype=np.float32)
        distances = part @ y.T
        distances *= -2
        distances += norms
        distances += np.einsum("ij,ij->i", part, part)[:, np.newaxis]
        yield np.maximum(distances, 0, out=distances)


def classifier_score(probabilities):
    """exp(E KL(p(y|x) || p(y))), Salimans et al. 2016, section 4: the Inception Score.

    From 1 to the number of classes: it rises with sharp predictions and equally frequent classes.
    All samples are scored at once, not in ten splits.
    """
    p = np.maximum(np.asarray(probabilities, np.float64), 1e-30)
    return float(np.exp(np.mean(np.sum(p * np.log(p / p.mean(axis=0)), axis=1))))


def class_histogram(probabilities):
    """The share of the samples in each class, by their most probable class: float [classes]."""
    counts = np.bincount(np.argmax(probabilities, axis=1), minlength=probabilities.shape[1])
    return counts / len(probabilities)


def class_kl(real_histogram, fake_histogram):
    """KL(fake || real) of two class histograms, in nats: 0 if they are equal."""
    real, fake = np.asarray(real_histogram), np.asarray(fake_histogram)
    some = fake > 0
    if np.any(real[some] == 0):
        raise UnavailableError("KL is infinite: the samples have a class that no real image has.")
    return float(np.sum(fake[some] * np.log(fake[some] / real[some])))


def modes_covered(real_histogram, fake_histogram):
    """The number of classes with at least a tenth of their share among the real images."""
    real, fake = np.asarray(real_histogram), np.asarray(fake_histogram)
    return int(np.sum((real > 0) & (fake >= real / 10)))


def parzen_log_likelihood(samples, validation, test, sigmas=None):
    """Log-likelihood of test images under Gaussians around samples, Goodfellow et al. 2014, 5.

    All are images [n, ...] in [0, 1]. The validation images choose the width among `sigmas`, by
    default ten from 0.1 to 1 in equal ratios, as in the authors' code.

    Returns:
        (mean, standard error of the mean, sigma), the first two in nats per image.
    """
    sigmas = np.logspace(-1, 0, 10) if sigmas is None else np.asarray(sigmas)
    flat = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (samples, validation, test))
    samples, validation, test = flat

    def log_likelihoods(images, sigma):
        constant = np.log(len(samples)) + samples.shape[1] / 2 * np.log(2 * np.pi * sigma**2)
        parts = []
        for exponents in squared_distances(images, samples):
            exponents *= -1 / (2 * sigma**2)
            largest = exponents.max(axis=1)
            exponents -= largest[:, np.newaxis]
            np.exp(exponents, out=exponents)
            parts.append(largest + np.log(exponents.sum(axis=1)) - constant)
        return np.concatenate(parts).astype(np.float64)

    sigma = max(sigmas, key=lambda sigma: log_likelihoods(validation, sigma).mean())
    values = log_likelihoods(test, sigma)
    return float(values.mean()), float(values.std() / np.sqrt(len(values))), float(sigma)


def noise_energy(images):
    """The mean squared change by a 3 x 3 median filter, of uint8 images scaled to [0, 1]."""
    total = 0.0
    for part in np.array_split(images, -(-len(images) // 500)):
        edged = np.pad(part, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(edged, (3, 3), axis=(1, 2))
        median = np.partition(windows.reshape(*part.shape, 9), 4)[..., 4]
        total += np.sum(((part.astype(np.float64) - median) / 255) ** 2)
    return float(total / images.size)


def sliced_wasserstein(real, fake, patches=2**17, directions=256, seed=0):
    """Sliced Wasserstein distances of patches, times 1,000: Karras et al. 2018, section 5 ("SWD").

    Patches of 7 x 7 pixels come from each level of a Laplacian pyramid. They are scaled to mean 0
    and variance 1 in each channel, and compared as projections on random directions.

    Args:
        real, fake: uint8 images [n, H, W, C], as many of both, and 7 x 7 at least.
        patches: how many to take from a level, of each side.

    Returns:
        {the shorter side of a level's images: its distance}, the finest level first.
    """
    if min(real.shape[1:3]) < 7:
        raise UnavailableError("The sliced Wasserstein distance needs images of 7 x 7 or more.")
    sides = (_patches(images, max(1, patches // len(images)), seed) for images in (real, fake))
    rng = np.random.default_rng(seed)
    distances = {}
    for (size, x), (_, y) in zip(*(side.items() for side in sides), strict=True):
        total = 0.0
        for part in np.array_split(np.arange(directions), -(-directions // 64)):  # less memory
            axes = rng.normal(size=[len(part), x.shape[1]]).astype(np.float32)
            axes /= np.linalg.norm(axes, axis=1, keepdims=True)
            difference = np.sort(axes @ x.T, axis=1) - np.sort(axes @ y.T, axis=1)
            total += np.abs(difference).mean(axis=1).sum()
        distances[size] = float(1000 * total / directions)
    return distances


def _patches(images, per_image, seed):
    """{the shorter side of a level: patches [n * per_image, 49 C]}, float32."""
    rng = np.random.default_rng(seed)
    levels = {}
    for part in np.array_split(images, -(-len(images) // 500)):
        for level in _laplacian_pyramid(part.astype(np.float32)):
            windows = np.lib.stride_tricks.sliding_window_view(level, (7, 7), axis=(1, 2))
            n, rows, columns = windows.shape[:3]
            row, column = (rng.integers(size, size=[n, per_image]) for size in (rows, columns))
            chosen = windows[np.arange(n)[:, np.newaxis], row, column]  # [n, per_image, C, 7, 7]
            chosen = chosen.reshape(-1, *chosen.shape[2:])
            levels.setdefault(min(level.shape[1:3]), []).append(chosen)
    for size, parts in levels.items():
        chosen = np.concatenate(parts)
        chosen -= chosen.mean(axis=(0, 2, 3), keepdims=True)
        chosen /= np.maximum(chosen.std(axis=(0, 2, 3), keepdims=True), 1e-8)
        levels[size] = chosen.reshape(len(chosen), -1)
    return levels


def _laplacian_pyramid(images):
    """Yields what each halving takes away, down to a side of at most 16, and what is left."""
    while min(images.shape[1:3]) > 16:
        small = _blur(images)[:, ::2, ::2]
        large = np.zeros_like(images)
        large[:, ::2, ::2] = 4 * small
        yield images - _blur(large)
        images = small
    yield images


def _blur(images):
    """Weights of 1, 4, 6, 4, 1 sixteenths along both sides; mirrored at the edges."""
    for axis in (1, 2):
        width = [(2, 2) if i == axis else (0, 0) for i in range(4)]
        padded = np.pad(images, width, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=axis)
        images = sum(windows[..., i] * (weight / 16) for i, weight in enumerate((1, 4, 6, 4, 1)))
    return images


def nearest_distance(images, others):
    """The mean Euclidean distance of images [n, ...] to the nearest of `others` [m, ...]."""
    images, others = (x.reshape(len(x), -1) for x in (images, others))
    nearest = [d.min(axis=1) for d in squared_distances(images, others)]
    return float(np.sqrt(np.concatenate(nearest)).mean())


def acceptance_rate(probabilities):
    """The share of samples that a discriminator takes for real: D(x) > 1/2."""
    return float(np.mean(np.asarray(probabilities) > 0.5))


def _require(rows, minimum, what):
    if len(rows) < minimum:
        raise InputError(f"{what} needs at least {minimum} images, got {len(rows)}: give more.")
