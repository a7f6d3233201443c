"""Penalties of discriminators whose slope is known in closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gan
from keras_gan.layers import constrain
from keras_gan.penalties import DRAGAN, PENALTIES, R1, R1R2, WassersteinGradientPenalty

rng = np.random.default_rng(0)
REAL = np.clip(rng.normal(0.3, 1, [5, 2, 3, 1]), -2, 2).astype(np.float32)
FAKE = rng.normal(-0.2, 2, [5, 2, 3, 1]).astype(np.float32)
W = rng.normal(0, 1, [2, 3, 1]).astype(np.float32)
SEED = tf.constant([3, 4])


def linear(images, rows=None):
    """w . x + 2: the slope is w everywhere."""
    return tf.reduce_sum(images * W, [1, 2, 3])[:, tf.newaxis] + 2


def quadratic(images, rows=None):
    """|x - w|^2 / 2: the slope at x is x - w."""
    return tf.reduce_sum(tf.square(images - W), [1, 2, 3])[:, tf.newaxis] / 2


def squares(images):
    return np.sum(np.square(images - W), axis=(1, 2, 3))


def penalty(penalty, discriminator, seed=SEED):
    return float(penalty(discriminator, tf.constant(REAL), tf.constant(FAKE), seed)[2])


@pytest.mark.parametrize("one_in", [1, 2, 10])
@pytest.mark.parametrize("name", PENALTIES)
def test_logits_are_the_discriminators(name, one_in):
    penalty = PENALTIES[name](one_in=one_in)
    real, fake, _ = penalty(quadratic, tf.constant(REAL), tf.constant(FAKE), SEED)
    np.testing.assert_allclose(real[:, 0], squares(REAL) / 2, rtol=1e-5)
    np.testing.assert_allclose(fake[:, 0], squares(FAKE) / 2, rtol=1e-5)


def test_linear_discriminator():
    slope = np.sqrt(np.sum(W**2))
    np.testing.assert_allclose(penalty(R1(3.0), linear), 3 / 2 * slope**2, rtol=1e-5)
    np.testing.assert_allclose(penalty(R1R2(3.0), linear), 3 * slope**2, rtol=1e-5)
    for unit in (WassersteinGradientPenalty(3.0), DRAGAN(3.0)):
        np.testing.assert_allclose(penalty(unit, linear), 3 * (slope - 1) ** 2, rtol=1e-5)


def test_quadratic_discriminator_on_real_and_generated_images():
    real, fake = squares(REAL).mean(), squares(FAKE).mean()
    np.testing.assert_allclose(penalty(R1(3.0), quadratic), 3 / 2 * real, rtol=1e-5)
    np.testing.assert_allclose(penalty(R1R2(3.0), quadratic), 3 / 2 * (real + fake), rtol=1e-5)


@pytest.mark.parametrize("size", [1, None])
@pytest.mark.parametrize("name", ["r1", "r1_r2"])
def test_a_part_of_one_image_is_the_image(name, size):
    """Convolutions fail on an empty batch."""
    layers = [keras.Input([2, 3, 1]), keras.layers.Conv2D(4, 2), keras.layers.Flatten()]
    network = keras.Sequential([*layers, keras.layers.Dense(1)])

    def discriminator(images, rows=slice(None)):
        return network(images)

    @tf.function(input_signature=[tf.TensorSpec([size, 2, 3, 1])] * 2)
    def gradients(real, fake):
        with tf.GradientTape(persistent=True) as tape:
            outputs = [PENALTIES[name](one_in=n)(discriminator, real, fake, SEED) for n in (4, 1)]
            losses = [tf.add_n([tf.reduce_sum(x) for x in output]) for output in outputs]
        return [tape.gradient(loss, network.trainable_variables) for loss in losses]

    part, whole = gradients(REAL[:1], FAKE[:1])
    for a, b in zip(part, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("one_in", "first"), [(2, 3), (4, 2), (5, 1), (100, 1)])
def test_the_mean_over_the_first_of_five_images(one_in, first):
    real, fake = squares(REAL)[:first].mean(), squares(FAKE)[:first].mean()
    np.testing.assert_allclose(penalty(R1(3.0, one_in), quadratic), 3 / 2 * real, rtol=1e-5)
    expected = 3 / 2 * (real + fake)
    np.testing.assert_allclose(penalty(R1R2(3.0, one_in), quadratic), expected, rtol=1e-5)
    # From the first image to itself: the slope is that at the image.
    between = WassersteinGradientPenalty(3.0, one_in)(quadratic, *[tf.constant(REAL)] * 2, SEED)[2]
    expected = 3 * np.mean((np.sqrt(squares(REAL)[:first]) - 1) ** 2)
    np.testing.assert_allclose(between, expected, rtol=1e-5)


def test_a_batch_of_unknown_size():
    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 1])] * 2)
    def value(real, fake):
        return R1(3.0, one_in=2)(quadratic, real, fake, SEED)[2]

    for n, first in ((5, 3), (4, 2), (1, 1)):
        expected = 3 / 2 * squares(REAL)[:first].mean()
        np.testing.assert_allclose(value(REAL[:n], FAKE[:n]), expected, rtol=1e-5)


def test_quadratic_discriminator_between_real_and_generated_images():
    # Uniform shares: many draws must have the mean of the integral over each line, by Simpson's
    # rule on a fine grid.
    shares = np.linspace(0, 1, 201).reshape(-1, 1, 1, 1, 1)
    slopes = np.sqrt(np.sum(((1 - shares) * REAL + shares * FAKE - W) ** 2, axis=(2, 3, 4)))
    values = (slopes - 1) ** 2
    expected = (values[:-1] + values[1:]).mean() / 2
    draws = [penalty(WassersteinGradientPenalty(1.0), quadratic, [0, i]) for i in range(400)]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - expected) < 4 * error < 0.1 * expected


def test_wgan_gp_draws_a_share_for_each_image():
    # On one line from 0 to 1 the slope of |x|^2 / 2 is |x|: all equal were the share one for all.
    zeros, ones = tf.zeros([50, 1, 1, 1]), tf.ones([50, 1, 1, 1])
    points = []

    def discriminator(images):
        points.append(images.numpy())
        return tf.reshape(images, [-1, 1])

    WassersteinGradientPenalty()(discriminator, zeros, ones, SEED)
    between = next(p for p in points if 0 < p.mean() < 1).ravel()
    assert between.min() < 0.1
    assert between.max() > 0.9
    assert len(set(between)) == 50


def test_dragan_stays_near_the_real_images():
    points = []

    def discriminator(images):
        points.append(images.numpy())
        return linear(images)

    DRAGAN()(discriminator, tf.constant(REAL), tf.constant(FAKE), SEED)
    steps = next(p for p in points if not np.array_equal(p, REAL) and not np.array_equal(p, FAKE))
    steps = (steps - REAL) / (REAL.std() / 2)
    assert 0 <= steps.min() < steps.max() < 1
    assert len(set(steps.ravel())) == steps.size
    # The mean step is 1/2 (uniform share, one per image) times 1/2 (uniform noise).
    points.clear()
    zeros = tf.concat([tf.zeros([1000, 2, 3, 1]), tf.ones([1000, 2, 3, 1])], 0)  # std 1/2
    DRAGAN()(discriminator, zeros, zeros, SEED)
    steps = next(p for p in points if not np.array_equal(p, zeros)) - zeros
    np.testing.assert_allclose(np.mean(steps) / 0.25, 0.25, atol=0.02)
    most = np.max(steps, axis=(1, 2, 3)) / 0.25
    assert most.min() < 0.01
    assert most.max() > 0.9


@pytest.mark.parametrize("name", PENALTIES)
def test_gradient_by_the_weights_agrees_with_finite_differences(name):
    keras.utils.set_random_seed(0)
    discriminator = keras.Sequential(
        [
            keras.Input([2, 3, 1]),
            keras.layers.Flatten(),
            keras.layers.Dense(4, "tanh", dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ]
    )
    kernel = discriminator.layers[1].kernel
    kernel.assign(rng.normal(0, 1, kernel.shape))
    images = tf.constant(REAL, tf.float64), tf.constant(FAKE, tf.float64)

    def value():
        return PENALTIES[name](1.0)(lambda x: discriminator(x, training=True), *images, SEED)[2]

    with tf.GradientTape() as tape:
        total = value()
    gradient = tape.gradient(total, kernel.value).numpy()
    before = kernel.numpy()
    for i, j in ((0, 0), (2, 1), (5, 3)):
        nearby = []
        for step in (1e-3, -1e-3):
            moved = before.copy()
            moved[i, j] += step
            kernel.assign(moved)
            nearby.append(float(value()))
        # The slopes are float32.
        np.testing.assert_allclose(
            gradient[i, j], (nearby[0] - nearby[1]) / 2e-3, rtol=2e-3, atol=1e-3
        )


@pytest.mark.parametrize("name", PENALTIES)
def test_no_slope_at_all_has_a_finite_gradient(name):
    w = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        total = PENALTIES[name]()(
            lambda x: w * tf.reduce_sum(x, [1, 2, 3])[:, tf.newaxis],
            tf.constant(REAL),
            tf.constant(FAKE),
            SEED,
        )[2]
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, w))


def networks(**discriminator):
    return keras_gan.GAN(
        keras.Sequential(
            [
                keras.Input([3]),
                keras.layers.Dense(6, "tanh"),
                keras.layers.Reshape([2, 3, 1]),
            ]
        ),
        keras.Sequential(
            [
                keras.Input([2, 3, 1]),
                keras.layers.Flatten(),
                keras.layers.Dense(8, "leaky_relu"),
                *discriminator.get("extra", []),
                keras.layers.Dense(1),
            ]
        ),
    )


@pytest.mark.parametrize(
    ("simultaneous", "jit_compile"),
    [(True, False), (False, False), pytest.param(True, True, marks=pytest.mark.slow)],
)
def test_training_holds_the_slope_down(jit_compile, simultaneous):
    slopes = []
    for penalty in (None, R1R2(100.0)):
        keras.utils.set_random_seed(0)
        gan = networks()
        gan.compile(
            keras.optimizers.Adam(1e-3),
            keras.optimizers.Adam(1e-2),
            "wasserstein",
            penalty=penalty,
            simultaneous=simultaneous,
            jit_compile=jit_compile,
        )
        real = np.tile(REAL, [12, 1, 1, 1])
        gan.fit(real, batch_size=15, epochs=40, verbose=0)
        x = tf.constant(REAL)
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = gan.discriminator(x)
        slopes.append(np.sqrt(np.sum(tape.gradient(logits, x) ** 2, axis=(1, 2, 3))).mean())
    assert slopes[1] < 0.1 < 1 < slopes[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "simultaneous"),
    [
        ("dragan", False),
        ("wgan_gp", True),
        ("r1", False),
        ("r1_r2", True),
        (R1(3.0, one_in=4), True),
    ],
)
def test_every_penalty_compiled_with_what_else_there_is(name, simultaneous):
    gan = networks()
    gan = keras_gan.GAN(gan.generator, constrain(gan.discriminator, spectral_norm=True))
    gan.compile(
        "adam",
        "adam",
        "relativistic",
        penalty=name,
        d_steps=2,
        simultaneous=simultaneous,
        jit_compile=True,
    )
    u = next(w for w in gan.discriminator.weights if w.name == "u")
    before = u.numpy()
    logs = gan.fit(REAL[:4], verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    assert not np.array_equal(u, before)


def test_every_discriminator_update_is_penalised_at_its_own_points():
    seen = []

    class Spy(R1):
        def __call__(self, discriminator, real, fake, seed):
            seen.append((real.numpy(), np.array(seed)))
            return super().__call__(discriminator, real, fake, seed)

    gan = networks()
    gan.compile("adam", "adam", penalty=Spy(1.0), d_steps=2, run_eagerly=True)
    gan.train_on_batch(REAL[:4])
    (first, seed), (second, other_seed) = seen
    np.testing.assert_array_equal(np.sort(first.ravel()), np.sort(REAL[[0, 2]].ravel()))
    np.testing.assert_array_equal(np.sort(second.ravel()), np.sort(REAL[[1, 3]].ravel()))
    assert not np.array_equal(seed, other_seed)


def test_batch_normalisation_is_refused():
    gan = networks(extra=[keras.layers.BatchNormalization(name="bn_1")])
    with pytest.raises(ValueError, match="bn_1 makes a logit depend on the whole batch"):
        gan.compile("adam", "adam", penalty="r1")
    gan.compile("adam", "adam")  # fine without a penalty
    networks(extra=[keras.layers.LayerNormalization()]).compile("adam", "adam", penalty="r1")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
@pytest.mark.parametrize("name", PENALTIES)
def test_other_precisions(policy, name):
    keras.config.set_dtype_policy(policy)
    try:
        gan = networks()
        constrained = constrain(gan.discriminator, spectral_norm=True)
        gan = keras_gan.GAN(gan.generator, constrained)
        gan.compile("adam", "adam", penalty=name)
        logs = gan.fit(REAL, verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(logs["d_loss"]).all()
    scaled = isinstance(gan.d_optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def test_a_slope_too_small_for_float16():
    """D(x) = 1e-9 x: float16 has no such number, and R1 of weight 2 is the square of it."""
    weight = tf.constant(1e-4, tf.float16)

    def discriminator(x):
        x = tf.cast(x, tf.float16)
        return tf.cast(weight * (weight * (0.1 * x)), tf.float32)

    _, _, penalty = R1(2.0)(discriminator, tf.ones([4, 1]), tf.ones([4, 1]), None)
    np.testing.assert_allclose(penalty, 1e-18, rtol=0.05)


def test_saved_and_loaded(tmp_path):
    gan = networks()
    gan.compile("adam", "adam", penalty=R1(7.0, one_in=4))
    gan.save(tmp_path / "gan.keras")
    assert keras.models.load_model(tmp_path / "gan.keras").penalty == R1(7.0, one_in=4)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"weight=0: expected a positive number"):
        R1(0)
    with pytest.raises(ValueError, match=r"one_in=0: expected at least 1"):
        R1(3.0, one_in=0)
    with pytest.raises(ValueError, match="penalty='r3': expected one of wgan_gp, dragan, r1, r1_"):
        networks().compile("adam", "adam", penalty="r3")
    with pytest.raises(ValueError, match="penalty=10.0: .* an instance of keras_gan's GradientPen"):
        networks().compile("adam", "adam", penalty=10.0)
