"""Expectations worked out by hand from the papers' equations; inputs are asymmetric."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gan.losses import (
    LOSSES,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Relativistic,
    RelativisticAverage,
    Wasserstein,
)

ALL = [
    *(loss() for loss in LOSSES.values()),
    *(loss(label_smoothing=0.1) for loss in LOSSES.values() if loss is not Wasserstein),
    LeastSquares(a=-1, b=1, c=0),
]


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


def generator_loss(loss, real, fake):
    return loss.generator(fake, real) if loss.relativistic else loss.generator(fake)


@pytest.mark.parametrize("loss", [Minimax(), NonSaturating()])
def test_cross_entropy_discriminator_ascends_the_value_function(loss):
    # D(x) = 3/4 and 1/4, D(G(z)) = 1/5 and 1/2: V = mean log D + mean log(1 - D).
    real = np.array([[math.log(3)], [-math.log(3)]])
    fake = np.array([[-math.log(4)], [0.0]])
    value = (math.log(3 / 4) + math.log(1 / 4)) / 2 + (math.log(4 / 5) + math.log(1 / 2)) / 2
    np.testing.assert_allclose(loss.discriminator(real, fake), -value, rtol=1e-12)
    smoothed = dataclasses.replace(loss, label_smoothing=0.3)
    np.testing.assert_allclose(smoothed.value(real, fake), value, rtol=1e-12)


@pytest.mark.parametrize("loss", [Minimax(), NonSaturating()])
def test_value_is_minus_log_4_where_discriminator_cannot_tell(loss):
    undecided = np.zeros([5, 1])
    np.testing.assert_allclose(loss.discriminator(undecided, undecided), math.log(4), rtol=1e-12)


def test_generator_losses_of_the_two_gan_games():
    fake = np.array([[-math.log(4)], [math.log(3)]])  # D(G(z)) = 1/5 and 3/4
    np.testing.assert_allclose(
        Minimax().generator(fake), (math.log(4 / 5) + math.log(1 / 4)) / 2, rtol=1e-12
    )
    np.testing.assert_allclose(
        NonSaturating().generator(fake), -(math.log(1 / 5) + math.log(3 / 4)) / 2, rtol=1e-12
    )


def test_lsgan_with_the_papers_0_1_coding():
    real, fake = np.array([[3.0], [0.5]]), np.array([[-2.0], [0.25]])
    loss = LeastSquares()
    # ((3-1)^2 + (0.5-1)^2) / 2 = 2.125 and (2^2 + 0.25^2) / 2 = 2.03125, each halved.
    np.testing.assert_allclose(loss.discriminator(real, fake), (2.125 + 2.03125) / 2)
    # ((-2-1)^2 + (0.25-1)^2) / 2 = 4.78125, halved.
    np.testing.assert_allclose(loss.generator(fake), 4.78125 / 2)


def test_lsgan_with_the_papers_pearson_choice():
    real, fake = np.array([[3.0], [0.5]]), np.array([[-2.0], [0.25]])
    loss = LeastSquares(a=-1, b=1, c=0)
    # Real as above; fakes against -1: (1 + 1.5625) / 2 = 1.28125.
    np.testing.assert_allclose(loss.discriminator(real, fake), (2.125 + 1.28125) / 2)
    np.testing.assert_allclose(loss.generator(fake), (4 + 0.0625) / 4)


def test_hinge():
    real, fake = np.array([[3.0], [0.25]]), np.array([[-2.0], [0.5]])
    # (0 + 0.75) / 2 + (0 + 1.5) / 2; beyond its margin an image counts no more.
    np.testing.assert_allclose(Hinge().discriminator(real, fake), 1.125)
    np.testing.assert_allclose(Hinge().generator(fake), 0.75)
    # Smoothed by 0.1 the real margin is 1 - 0.1 * 2 = 0.8: (0 + 0.55) / 2 + 0.75.
    np.testing.assert_allclose(Hinge(0.1).discriminator(real, fake), 1.025)


def test_wasserstein():
    real, fake = np.array([[3.0], [0.5]]), np.array([[-2.0], [0.25]])
    np.testing.assert_allclose(Wasserstein().discriminator(real, fake), -0.875 - 1.75)
    np.testing.assert_allclose(Wasserstein().generator(fake), 0.875)


def test_relativistic_compares_in_pairs():
    real, fake = np.array([[2.0], [0.5]]), np.array([[-1.0], [1.0]])  # ahead by 3 and by -0.5
    expected = -(log_sigmoid(3) + log_sigmoid(-0.5)) / 2
    np.testing.assert_allclose(Relativistic().discriminator(real, fake), expected, rtol=1e-12)
    expected = -(log_sigmoid(-3) + log_sigmoid(0.5)) / 2
    np.testing.assert_allclose(Relativistic().generator(fake, real), expected, rtol=1e-12)
    # The target 0.9 of each pair: -0.9 log p - 0.1 log(1 - p).
    expected = -(
        0.9 * (log_sigmoid(3) + log_sigmoid(-0.5)) + 0.1 * (log_sigmoid(-3) + log_sigmoid(0.5))
    )
    np.testing.assert_allclose(
        Relativistic(0.1).discriminator(real, fake), expected / 2, rtol=1e-12
    )


def test_relativistic_average_compares_with_the_other_kinds_mean():
    real, fake = np.array([[2.0], [0.5]]), np.array([[-1.0], [2.0]])  # means 1.25 and 0.5
    # Real minus 0.5: 1.5 and 0. Fakes minus 1.25: -2.25 and 0.75, whose target is 0.
    expected = (
        -(log_sigmoid(1.5) + log_sigmoid(0)) / 2 - (log_sigmoid(2.25) + log_sigmoid(-0.75)) / 2
    )
    loss = RelativisticAverage()
    np.testing.assert_allclose(loss.discriminator(real, fake), expected, rtol=1e-12)
    expected = (
        -(log_sigmoid(-2.25) + log_sigmoid(0.75)) / 2 - (log_sigmoid(-1.5) + log_sigmoid(0)) / 2
    )
    np.testing.assert_allclose(loss.generator(fake, real), expected, rtol=1e-12)
    # Smoothing by 0.1 adds 0.1 E[l] of the real term's l: 0.1 * 0.75.
    smoothed = RelativisticAverage(0.1).discriminator(real, fake)
    np.testing.assert_allclose(smoothed - loss.discriminator(real, fake), 0.075, rtol=1e-9)


@pytest.mark.parametrize(
    "loss", [Wasserstein(), Relativistic(), RelativisticAverage(0.0)], ids=repr
)
def test_only_differences_of_logits_count(loss):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0.5, 2, [4, 1]), rng.normal(-1, 2, [4, 1])
    moved = loss.discriminator(real + 3, fake + 3)
    np.testing.assert_allclose(moved, loss.discriminator(real, fake), rtol=1e-12)


def test_label_smoothing_moves_the_real_target_only():
    logit = math.log(3)  # D = 3/4
    real, fake = np.array([[logit]]), np.array([[-1.0]])
    for loss in (Minimax(0.1), NonSaturating(0.1)):
        expected = -0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4) - log_sigmoid(1.0)
        np.testing.assert_allclose(loss.discriminator(real, fake), expected, rtol=1e-12)
    # The target 1 becomes 0.9; with a = -1 it becomes 1 - 0.1 * 2 = 0.8. Fakes keep theirs.
    np.testing.assert_allclose(
        LeastSquares(0.1).discriminator(np.array([[2.0]]), np.array([[3.0]])), (1.1**2 + 9) / 2
    )
    np.testing.assert_allclose(
        LeastSquares(0.1, a=-1).discriminator(np.array([[2.0]]), np.array([[3.0]])),
        (1.2**2 + 16) / 2,
    )


@pytest.mark.parametrize("loss", [x for x in LOSSES.values() if x is not Wasserstein])
def test_label_smoothing_leaves_the_generators_loss_alone(loss):
    real, fake = np.array([[2.0], [0.5]]), np.array([[-1.0], [2.0]])
    assert generator_loss(loss(0.3), real, fake) == generator_loss(loss(), real, fake)


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_gradients_agree_with_finite_differences(loss):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0.5, 2, [3, 1]), rng.normal(-1, 2, [3, 1])
    for function, arguments in (
        (loss.discriminator, [real, fake]),
        (lambda real, fake: generator_loss(loss, real, fake), [real, fake]),
    ):
        tensors = [tf.constant(argument) for argument in arguments]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        gradients = tape.gradient(value, tensors, unconnected_gradients="zero")
        for which, gradient in enumerate(gradients):
            for i in range(3):
                nearby = []
                for step in (1e-6, -1e-6):
                    moved = [argument.copy() for argument in arguments]
                    moved[which][i] += step
                    nearby.append(float(function(*moved)))
                numeric = (nearby[0] - nearby[1]) / 2e-6
                np.testing.assert_allclose(gradient[i, 0], numeric, rtol=1e-5, atol=1e-9)


def generator_gradient(loss, logit):
    logits = tf.constant([[logit]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss.generator(logits)
    return float(tape.gradient(value, logits)[0, 0])


def test_only_the_saturating_loss_starves_the_generator():
    # D(G(z)) = 1 / (1 + e^10): d/dl log(1 - sigmoid(l)) = -sigmoid(l), d/dl -log sigmoid(l) =
    # sigmoid(l) - 1.
    rejected = 1 / (1 + math.exp(10))
    np.testing.assert_allclose(generator_gradient(Minimax(), -10.0), -rejected, rtol=1e-5)
    np.testing.assert_allclose(generator_gradient(NonSaturating(), -10.0), rejected - 1, rtol=1e-5)


@pytest.mark.parametrize("loss", ALL, ids=repr)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_give_finite_losses_and_gradients(loss, size):
    real, fake = tf.constant([[size], [1.0]]), tf.constant([[-size], [2.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        d_loss, g_loss = loss.discriminator(real, fake), generator_loss(loss, real, fake)
    values = [d_loss, g_loss, *tape.gradient(d_loss, [real, fake]), tape.gradient(g_loss, fake)]
    assert all(np.all(np.isfinite(value)) for value in values)
    assert np.all((loss.probability(real) >= 0) & (loss.probability(real) <= 1))


def test_probabilities():
    np.testing.assert_allclose(Minimax().probability(np.array([math.log(3)])), [0.75])
    np.testing.assert_allclose(LeastSquares().probability(np.array([0.3, -1.0, 4.0])), [0.3, 0, 1])
    pearson = LeastSquares(a=-1, b=1, c=0)
    np.testing.assert_allclose(pearson.probability(np.array([0.0, 0.5])), [0.5, 0.75])
    np.testing.assert_allclose(Hinge().probability(np.array([0.5, -3.0])), [0.75, 0])


@pytest.mark.parametrize("loss", [Hinge, Wasserstein, Relativistic, RelativisticAverage])
def test_probability_is_a_half_at_zero_and_rises(loss):
    low, middle, high = np.asarray(loss().probability(np.array([-0.5, 0.0, 0.5])))
    assert low < middle == 0.5 < high


def test_bad_settings_are_refused():
    for share in (1.0, -0.1):
        with pytest.raises(ValueError, match=rf"label_smoothing={share}: expected 0 <= value < 1"):
            Minimax(share)
    with pytest.raises(ValueError, match=r"label_smoothing=0.1: the Wasserstein loss has no"):
        Wasserstein(0.1)
    with pytest.raises(ValueError, match="two different targets"):
        LeastSquares(a=1, b=1)


def test_losses_survive_serialisation():
    import keras_gan.model  # noqa: F401  (registers them)

    for loss in ALL:
        config = keras.saving.serialize_keras_object(loss)
        assert keras.saving.deserialize_keras_object(config) == loss
