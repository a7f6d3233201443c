"""The scores against values worked out by hand, closed forms and brute force."""

import math

import numpy as np
import pytest

from keras_gan import InputError
from keras_gan.evaluation import scores


def gaussian(n, mean, covariance, seed=0):
    """n rows whose own mean and unbiased covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=[n, len(mean)])
    x = x - x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / (n - 1))).T
    return x @ np.linalg.cholesky(np.array(covariance, float)).T + mean


# Frechet distance


def test_frechet_distance_in_closed_form():
    real = gaussian(50, [1.0, 2.0], [[2, 1], [1, 2]])
    fake = gaussian(70, [4.0, -2.0], [[1, 0], [0, 4]], seed=1)
    # Of M = C_r C_f, a 2 x 2 matrix, tr M^(1/2) = sqrt(tr M + 2 sqrt(det M)): tr 10, det 12.
    expected = 25 + 4 + 5 - 2 * math.sqrt(10 + 2 * math.sqrt(12))
    assert scores.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)
    assert scores.frechet_distance(fake, real) == pytest.approx(expected, rel=1e-9)
    from_moments = scores.frechet_distance(scores.moments(real), fake)
    assert from_moments == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_in_one_dimension():
    real, fake = gaussian(10, [3.0], [[4]]), gaussian(12, [1.0], [[25]])
    assert scores.frechet_distance(real, fake) == pytest.approx((3 - 1) ** 2 + (5 - 2) ** 2)
    assert scores.frechet_distance(real, real) == pytest.approx(0, abs=1e-12)


def test_frechet_distance_of_a_degenerate_side():
    real, fake = gaussian(50, [0.0, 0.0], np.eye(2)), np.zeros([50, 2])
    assert scores.frechet_distance(real, fake) == pytest.approx(2)


def test_the_extrapolated_distance_loses_the_bias():
    rng = np.random.default_rng(0)
    real = gaussian(100_000, np.zeros(20), np.eye(20))
    ratios = []
    for _ in range(5):
        fake = rng.normal(size=[2000, 20]) * 1.1  # true distance: 20 * 0.1^2
        biased = scores.frechet_distance(real, fake) - 0.2
        unbiased = scores.frechet_distance_infinity(real, fake) - 0.2
        ratios.append(unbiased / biased)
        assert biased > 0
    assert abs(np.mean(ratios)) < 0.4


def test_the_frechet_distance_needs_more_rows_than_columns():
    with pytest.raises(InputError, match="needs at least 4 images, got 3"):
        scores.frechet_distance(np.eye(4, 3), np.eye(3))
    with pytest.raises(InputError, match="needs at least 40 images, got 39"):
        scores.frechet_distance_infinity(np.eye(4, 3), np.ones([39, 3]))


# Kernel distance


def test_kernel_distance_by_brute_force(monkeypatch):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=[43, 3]), rng.normal(size=[51, 3]) * 2

    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / 3 + 1) ** 3

    def mean(values):
        values = list(values)
        return sum(values) / len(values)

    expected = (
        mean(kernel(real[i], real[j]) for i in range(43) for j in range(43) if i != j)
        + mean(kernel(fake[i], fake[j]) for i in range(51) for j in range(51) if i != j)
        - 2 * mean(kernel(x, y) for x in real for y in fake)
    )
    estimate, error = scores.kernel_distance(real, fake)
    assert estimate == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(scores, "BLOCK", 100)
    assert scores.kernel_distance(real, fake) == pytest.approx((estimate, error), rel=1e-9)


@pytest.mark.parametrize(
    ("shift", "most"),
    [(0.0, 1.5), (0.5, 1.15)],  # between equal distributions the error is sqrt(2) too large
)
def test_kernel_distance_is_unbiased_and_knows_its_error(shift, most):
    rng = np.random.default_rng(0)
    estimates, errors = np.transpose(
        [
            scores.kernel_distance(rng.normal(size=[200, 1]), rng.normal(size=[150, 1]) + shift)
            for _ in range(400)
        ]
    )
    # (xy + 1)^3 = 1 + 3 xy + 3 x^2 y^2 + x^3 y^3, so that the distance is a sum over moments.
    expected = 3 * shift**2 + 3 * shift**4 + (shift**3 + 3 * shift) ** 2
    assert abs(estimates.mean() - expected) < 3 * estimates.std() / math.sqrt(400)
    assert 0.9 < math.sqrt(np.mean(errors**2)) / estimates.std() < most


def test_kernel_distance_needs_two_rows_in_each_part():
    with pytest.raises(InputError, match="needs at least 40 images, got 39"):
        scores.kernel_distance(np.ones([40, 2]), np.ones([39, 2]))


# Neighbours

REAL = np.array([[0.0], [1.0], [3.0], [7.0]])  # nearest neighbours at 1, 1, 2, 4
FAKE = np.array([[0.5], [2.5], [20.0]])  # nearest neighbours at 2, 2, 17.5


def test_neighbours_by_hand():
    # 0.5 lies in the balls around 0 and 1, 2.5 in that around 3, and 20 in none.
    assert scores.precision_recall(REAL, FAKE, k=1) == pytest.approx((2 / 3, 1))
    assert scores.density_coverage(REAL, FAKE, k=1) == pytest.approx((3 / 3, 3 / 4))
    # k = 2: around 0, 1, 3, 7 with radii 3, 2, 3, 6 lie 0.5 (three of them) and 2.5 (all four).
    assert scores.precision_recall(REAL, FAKE, k=2) == pytest.approx((2 / 3, 1))
    assert scores.density_coverage(REAL, FAKE, k=2) == pytest.approx((7 / (2 * 3), 1))


@pytest.mark.parametrize("block", [1, 50, 2**23])
def test_neighbours_by_brute_force(block, monkeypatch):
    monkeypatch.setattr(scores, "BLOCK", block)
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=[60, 2]), rng.normal(size=[45, 2]) * 0.8 + 0.7

    def radius(points, i, k):
        return sorted(math.dist(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    def holds(points, k, x):
        return [math.dist(x, c) <= radius(points, i, k) for i, c in enumerate(points)]

    precision = np.mean([any(holds(real, 3, x)) for x in fake])
    recall = np.mean([any(holds(fake, 3, x)) for x in real])
    assert scores.precision_recall(real, fake) == pytest.approx((precision, recall))
    balls = np.array([holds(real, 5, x) for x in fake])
    expected = balls.sum() / (5 * 45), balls.any(axis=0).mean()
    assert scores.density_coverage(real, fake) == pytest.approx(expected)


def test_neighbours_need_more_rows_than_k():
    with pytest.raises(InputError, match="needs at least 4 images, got 3"):
        scores.precision_recall(np.eye(4), np.eye(3, 4))


def test_nearest_distance_by_hand(monkeypatch):
    others = np.array([[[0.0, 0.0]], [[3.0, 4.0]]])
    images = np.array([[[0.0, 1.0]], [[3.0, 0.0]], [[3.0, 4.0]]])
    for block in (1, 2**23):
        monkeypatch.setattr(scores, "BLOCK", block)
        assert scores.nearest_distance(images, others) == pytest.approx((1 + 3 + 0) / 3, rel=1e-5)


# Classes


def test_classifier_score_by_hand():
    sharp = np.eye(5)[[0, 1, 2, 3, 4, 0, 1, 2, 3, 4]]
    assert scores.classifier_score(sharp) == pytest.approx(5)
    assert scores.classifier_score(np.eye(5)[[2, 2, 2]]) == pytest.approx(1)
    assert scores.classifier_score(np.full([3, 4], 0.25)) == pytest.approx(1)
    unsure = [[0.9, 0.1], [0.3, 0.7]]  # p(y) = 0.6, 0.4
    divergence = (
        0.9 * math.log(0.9 / 0.6)
        + 0.1 * math.log(0.1 / 0.4)
        + 0.3 * math.log(0.3 / 0.6)
        + 0.7 * math.log(0.7 / 0.4)
    ) / 2
    assert scores.classifier_score(unsure) == pytest.approx(math.exp(divergence))


def test_histogram_modes_and_divergence_by_hand():
    probabilities = np.array([[0.1, 0.5, 0.4], [0.2, 0.3, 0.5], [0.0, 0.9, 0.1], [0, 1, 0]])
    histogram = scores.class_histogram(probabilities)
    np.testing.assert_allclose(histogram, [0, 0.75, 0.25])
    real = [0.5, 0.25, 0.25]
    assert scores.class_kl(real, histogram) == pytest.approx(0.75 * math.log(3))
    assert scores.modes_covered(real, histogram) == 2
    assert scores.modes_covered(real, [0.05, 0.9, 0.05]) == 3
    assert scores.modes_covered(real, [0.049, 0.9, 0.051]) == 2
    assert scores.modes_covered([1, 0], [0.5, 0.5]) == 1
    with pytest.raises(scores.UnavailableError, match="infinite"):
        scores.class_kl([1, 0], [0.5, 0.5])


# Pixels


def test_parzen_log_likelihood_by_brute_force(monkeypatch):
    rng = np.random.default_rng(0)
    samples, validation, test = (rng.uniform(size=[n, 2, 2, 1]) for n in (30, 20, 25))

    def log_likelihoods(images, sigma):
        densities = [
            np.mean(
                [
                    math.exp(-np.sum((x - s) ** 2) / (2 * sigma**2))
                    / (2 * math.pi * sigma**2) ** (4 / 2)
                    for s in samples
                ]
            )
            for x in images
        ]
        return np.log(densities)

    sigmas = [0.1 * 10 ** (i / 9) for i in range(10)]
    best = max(sigmas, key=lambda s: log_likelihoods(validation, s).mean())
    values = log_likelihoods(test, best)
    expected = values.mean(), values.std() / math.sqrt(25), best
    assert sigmas[0] < best < sigmas[-1]
    for block in (7, 2**23):
        monkeypatch.setattr(scores, "BLOCK", block)
        found = scores.parzen_log_likelihood(samples, validation, test)
        assert found == pytest.approx(expected, rel=1e-5)


def test_parzen_log_likelihood_far_away_does_not_underflow():
    found = scores.parzen_log_likelihood(np.zeros([1, 784]), np.ones([1, 784]), np.ones([1, 784]))
    # Far from all samples: the widest window, and the logarithm of one Gaussian.
    expected = -784 / 2 - 784 / 2 * math.log(2 * math.pi)
    assert found == pytest.approx((expected, 0, 1), rel=1e-6)


def test_noise_energy_by_hand():
    image = np.zeros([1, 6, 5, 1], np.uint8)
    assert scores.noise_energy(image) == 0
    image[0, 2, 2, 0] = 51  # a fifth of white, alone
    assert scores.noise_energy(image) == pytest.approx(0.2**2 / 30)
    image[0, 2:4, 1:4, 0] = 255  # six pixels of nine are the most that a window sees
    # The median of 3 x 3 takes the corners of a block of 2 x 3, and nothing beside it: the
    # windows around its two middle pixels hold six of it.
    assert scores.noise_energy(image) == pytest.approx(4 / 30)
    edge = np.zeros([3, 6, 6, 1], np.uint8)
    edge[:, :, 3:] = 200
    assert scores.noise_energy(edge) == 0
    assert scores.noise_energy(np.concatenate([edge[:2, :, :5], image])) == pytest.approx(4 / 90)


def test_acceptance_rate_by_hand():
    assert scores.acceptance_rate([[0.4], [0.5], [0.6], [0.9]]) == 0.5


# The sliced Wasserstein distance


def pictures(count=300, size=(32, 40), channels=3, seed=0):
    """Smooth random pictures, uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=[count, *(n // 8 for n in size), channels])
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)
    for axis in (1, 2):
        smooth = sum(np.roll(smooth, shift, axis) for shift in range(-4, 5)) / 9
    return np.uint8(np.clip(128 + 60 * smooth, 0, 255))


def test_sliced_wasserstein_of_equal_images_is_zero():
    images = pictures()
    assert scores.sliced_wasserstein(images, images, patches=3000) == {32: 0.0, 16: 0.0}


def test_sliced_wasserstein_grows_with_noise_and_blur():
    real, other = pictures(seed=0), pictures(seed=1)
    rng = np.random.default_rng(2)

    def noisy(amount):
        return np.uint8(np.clip(other + rng.normal(0, amount, other.shape), 0, 255))

    def blurred(times):
        images = other.astype(float)
        for _ in range(times):
            images = (
                sum(np.roll(images, shift, axis) for shift in (-1, 0, 1) for axis in (1, 2)) / 6
            )
        return np.uint8(images)

    def mean(fake):
        return np.mean([*scores.sliced_wasserstein(real, fake, patches=8_000).values()])

    floor = mean(other)
    assert floor < mean(noisy(2)) < mean(noisy(8)) < mean(noisy(32))
    assert floor < mean(blurred(2)) < mean(blurred(8)) < mean(blurred(32))


def test_sliced_wasserstein_makes_each_channels_mean_and_contrast_equal():
    real = 2 * np.random.default_rng(0).integers(0, 100, [40, 32, 40, 3], np.uint8)
    fake = real.copy()
    fake[..., 0] = real[..., 0] // 2 + 60
    assert max(scores.sliced_wasserstein(real, fake, patches=2000).values()) < 0.1


def test_sliced_wasserstein_looks_everywhere():
    real = np.random.default_rng(0).integers(0, 256, [40, 32, 40, 3], np.uint8)
    fake = real.copy()
    fake[:, 16:] = fake[:, 16:] // 16 * 16
    assert scores.sliced_wasserstein(real, fake, patches=2000)[32] > 1


def test_sliced_wasserstein_by_hand():
    """Patches of two values: the distance of their projections, sorted, on every direction."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [2, 7, 7, 1], np.uint8)  # one patch each, and one level
    found = scores.sliced_wasserstein(images[:1], images[1:], patches=1, directions=5, seed=3)
    rows = images.reshape(2, 49).astype(float)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= rows.std(axis=1, keepdims=True)
    axes = np.random.default_rng(3).normal(size=[5, 49])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    expected = 1000 * np.abs((rows[0] - rows[1]) @ axes.T).mean()
    np.testing.assert_allclose(found[7], expected, rtol=1e-5)


def test_laplacian_pyramid_by_hand():
    """A constant has no detail; a dot is spread by 1, 4, 6, 4, 1 sixteenths along both sides."""
    flat = np.full([1, 33, 40, 1], 5.0, np.float32)
    levels = list(scores._laplacian_pyramid(flat))
    assert [level.shape[1:3] for level in levels] == [(33, 40), (17, 20), (9, 10)]
    for level in levels[:-1]:
        np.testing.assert_allclose(level, 0, atol=1e-5)
    np.testing.assert_allclose(levels[-1], 5, rtol=1e-6)
    dot = np.zeros([1, 9, 9, 1], np.float32)
    dot[0, 4, 4] = 1
    weights = np.array([0, 0, 1, 4, 6, 4, 1, 0, 0]) / 16
    np.testing.assert_allclose(scores._blur(dot)[0, ..., 0], np.outer(weights, weights), atol=1e-7)


def test_sliced_wasserstein_needs_seven_pixels():
    with pytest.raises(scores.UnavailableError, match="7 x 7 or more"):
        scores.sliced_wasserstein(*[np.zeros([2, 6, 9, 1], np.uint8)] * 2)
