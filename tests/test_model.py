import math
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gan
from keras_gan import seeds
from keras_gan.export import SavedGenerator
from keras_gan.losses import LeastSquares
from keras_gan.model import GAN
from keras_gan.optimizers import GoodfellowSGD

L = keras.layers


def small_gan(
    d_steps=1,
    loss="non_saturating",
    lr=1e-3,
    dropout=0.3,
    latent_dim=3,
    compile_options=None,
    **gan,
):
    """4x4 images, batch normalisation and dropout in both networks."""
    keras.utils.set_random_seed(0)
    generator = keras.Sequential(
        [
            keras.Input([latent_dim]),
            L.Dense(16, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Dropout(dropout),
            L.Dense(16, "tanh"),
            L.Reshape([4, 4, 1]),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input([4, 4, 1]),
            L.Flatten(),
            L.Dense(16, use_bias=False),
            L.BatchNormalization(),
            L.LeakyReLU(0.2),
            L.Dropout(dropout),
            L.Dense(1),
        ]
    )
    model = GAN(generator, discriminator, **gan)
    model.compile(
        keras.optimizers.Adam(lr),
        keras.optimizers.Adam(lr),
        loss,
        d_steps=d_steps,
        **(compile_options or {}),
    )
    return model


def images(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, [count, 4, 4, 1]).astype(np.float32)


def dataset(count=64, batch_size=16):
    return tf.data.Dataset.from_tensor_slices(images(count)).batch(batch_size)


def state(network):
    return [np.array(weight) for weight in network.weights]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# The theory


def density(x, mean, deviation):
    return np.exp(-(((x - mean) / deviation) ** 2) / 2) / deviation / math.sqrt(2 * math.pi)


def one_dimensional(loss, g_mean, g_deviation):
    """Trains D: real data from N(1, 1), a fixed generator of N(g_mean, g_deviation)."""
    keras.utils.set_random_seed(1)
    generator = keras.Sequential([keras.Input([1]), L.Dense(1)])
    generator.set_weights([np.array([[g_deviation]]), np.array([g_mean])])
    discriminator = keras.Sequential(
        [keras.Input([1]), L.Dense(32, "tanh"), L.Dense(32, "tanh"), L.Dense(1)]
    )
    rate = keras.optimizers.schedules.CosineDecay(0.01, 1500)
    gan = GAN(generator, discriminator)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.Adam(rate), loss)
    real = tf.data.Dataset.counter().map(
        lambda i: tf.random.stateless_normal([512, 1], [7, i], mean=1.0)
    )
    gan.fit(real, steps_per_epoch=1500, verbose=0, shuffle=False)
    return gan, real


@pytest.mark.parametrize(
    "loss", ["minimax", "lsgan", pytest.param("non_saturating", marks=pytest.mark.slow)]
)
def test_trained_discriminator_is_the_optimal_one(loss):
    # Goodfellow et al. 2014, proposition 1; for LSGAN Mao et al. 2017, equation 5.
    gan, _ = one_dimensional(loss, g_mean=-1.0, g_deviation=0.5)
    x = np.linspace(-2, 3, 41)[:, None].astype(np.float32)
    p_data, p_g = density(x, 1, 1), density(x, -1, 0.5)
    found = gan.adversarial_loss.probability(gan.discriminator(x))
    np.testing.assert_allclose(found, p_data / (p_data + p_g), atol=0.05)


def test_value_is_minus_log_4_at_the_optimum():
    gan, real = one_dimensional("minimax", g_mean=1.0, g_deviation=1.0)
    scores = gan.evaluate(real, steps=50, verbose=0, return_dict=True)
    np.testing.assert_allclose(-scores["d_loss"], -math.log(4), atol=0.005)
    np.testing.assert_allclose(scores["value"], -scores["d_loss"], rtol=1e-5)
    np.testing.assert_allclose([scores["d_real"], scores["d_fake"]], 0.5, atol=0.02)


# Algorithm 1


def test_k_discriminator_updates_per_generator_update():
    gan = small_gan(d_steps=3)
    gan.fit(dataset(96, 24), epochs=2, verbose=0)
    assert int(gan.g_optimizer.iterations) == 8
    assert int(gan.d_optimizer.iterations) == 24


@keras.saving.register_keras_serializable("tests")
class Recorder(L.Layer):
    """Returns its input and records it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []

    def call(self, x):
        if tf.executing_eagerly():
            self.seen.append(np.array(x))
        return x


def test_each_discriminator_update_sees_other_images_and_other_noise():
    generator = keras.Sequential([keras.Input([3]), L.Dense(16), L.Reshape([4, 4, 1])])
    recorder = Recorder()
    discriminator = keras.Sequential([keras.Input([4, 4, 1]), recorder, L.Flatten(), L.Dense(1)])
    gan = GAN(generator, discriminator)
    gan.compile("sgd", "sgd", "lsgan", d_steps=3, run_eagerly=True)
    real = images(12)
    gan.train_on_batch(real)
    *pairs, last = recorder.seen  # (real, fake) three times, then the generator's own fake
    assert len(pairs) == 6
    reals, fakes = np.concatenate(pairs[0::2]), np.concatenate([*pairs[1::2], last])
    # Together the three minibatches of real images are the batch, each image once.
    assert sorted(map(bytes, reals)) == sorted(map(bytes, real))
    assert len(set(map(bytes, fakes))) == 16


def test_a_batch_smaller_than_d_steps_repeats_its_images():
    generator = keras.Sequential([keras.Input([3]), L.Dense(16), L.Reshape([4, 4, 1])])
    recorder = Recorder()
    discriminator = keras.Sequential([keras.Input([4, 4, 1]), recorder, L.Flatten(), L.Dense(1)])
    gan = GAN(generator, discriminator)
    gan.compile("sgd", "sgd", "lsgan", d_steps=3, run_eagerly=True)
    gan.train_on_batch(images(2))
    np.testing.assert_array_equal(recorder.seen[:6:2], images(2)[[[0], [1], [0]]])


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_last_batch_smaller_than_d_steps(jit_compile):
    gan = small_gan(d_steps=3, dropout=0, compile_options={"jit_compile": jit_compile})
    logs = gan.fit(dataset(10, 8), verbose=0).history  # the last batch holds two
    assert all(np.isfinite(values).all() for values in logs.values())
    assert int(gan.d_optimizer.iterations) == 6


@pytest.mark.parametrize("loss", ["lsgan", "relativistic"])
def test_an_update_moves_one_network_and_not_a_bit_of_the_other(loss):
    gan = small_gan(loss=loss)
    before = state(gan.generator), state(gan.discriminator)
    gan._update_discriminator(images(16), *gan._draw(images(16), 0))
    assert equal(before[0], state(gan.generator))  # batch-norm statistics included
    still = [np.array_equal(a, b) for a, b in zip(before[1], state(gan.discriminator), strict=True)]
    # Where only differences of logits count, the last bias has no gradient.
    assert sum(still) == (loss == "relativistic")
    before = state(gan.discriminator)
    gan._update_generator(images(16), *gan._draw(images(16), 1))
    assert equal(before, state(gan.discriminator))
    assert not any(
        np.array_equal(a, b)
        for a, b in zip(state(gan.generator), state(small_gan().generator), strict=True)
    )


def test_simultaneous_update_takes_both_gradients_at_the_same_point():
    """By hand: G(z) = w z, D(x) = v x, lsgan. Both gradients at (w, v), then both moves."""
    generator = keras.Sequential([keras.Input([1]), L.Dense(1, use_bias=False)])
    discriminator = keras.Sequential([keras.Input([1]), L.Dense(1, use_bias=False)])
    w, v = 0.7, -0.4
    real = np.array([[2.0], [-1.0]], np.float32)
    moves = {}
    for simultaneous in (True, False):
        generator.set_weights([np.array([[w]])])
        discriminator.set_weights([np.array([[v]])])
        gan = GAN(generator, discriminator)
        gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), simultaneous=simultaneous)
        z = [np.array(gan._latents_like(real, seeds.TRAIN, 0, k)) for k in range(2)]
        gan.train_on_batch(real)
        moves[simultaneous] = [float(n.get_weights()[0].item()) for n in (generator, discriminator)]
        fake = w * z[0]
        new_v = v - 0.1 * (np.mean((v * real - 1) * real) + np.mean(v * fake * fake))
        at, noise = (v, z[0]) if simultaneous else (new_v, z[1])
        new_w = w - 0.1 * np.mean((at * w * noise - 1) * at * noise)
        np.testing.assert_allclose(moves[simultaneous], [new_w, new_v], rtol=1e-5)
    assert moves[True][0] != moves[False][0]


@pytest.mark.parametrize("simultaneous", [True, False])
def test_relativistic_update(simultaneous):
    """By hand: G(z) = w z, D(x) = v x, and G's loss softplus(D(x) - D(G(z)))."""
    generator = keras.Sequential([keras.Input([1]), L.Dense(1, use_bias=False)])
    discriminator = keras.Sequential([keras.Input([1]), L.Dense(1, use_bias=False)])
    w, v = 0.7, -0.4
    real = np.array([[2.0], [-1.0]], np.float32)
    generator.set_weights([np.array([[w]])])
    discriminator.set_weights([np.array([[v]])])
    gan = GAN(generator, discriminator)
    optimizers = [keras.optimizers.SGD(0.1) for _ in range(2)]
    gan.compile(*optimizers, "relativistic", simultaneous=simultaneous)
    z = [np.array(gan._latents_like(real, seeds.TRAIN, 0, k)) for k in range(2)]
    gan.train_on_batch(real)
    lead = real - w * z[0]
    new_v = v + 0.1 * np.mean(lead / (1 + np.exp(v * lead)))
    at, noise = (v, z[0]) if simultaneous else (new_v, z[1])
    new_w = w + 0.1 * np.mean(at * noise / (1 + np.exp(-at * (real - w * noise))))
    moved = [float(n.get_weights()[0].item()) for n in (generator, discriminator)]
    np.testing.assert_allclose(moved, [new_w, new_v], rtol=1e-5)


def test_simultaneous_after_d_steps():
    gan = small_gan(d_steps=3, compile_options={"simultaneous": True})
    gan.fit(dataset(48, 24), verbose=0)
    assert (int(gan.g_optimizer.iterations), int(gan.d_optimizer.iterations)) == (2, 6)


# What Keras promises


@pytest.mark.parametrize("option", ["run_eagerly", "jit_compile", "steps_per_execution"])
def test_ways_of_execution_agree(option):
    def train(**options):
        gan = small_gan(dropout=0, ema_decay=0.9, compile_options=options)
        # From one seed XLA draws other normal numbers and dropout masks than TensorFlow.
        gan._latents_like = lambda real, stream, step, k, labels: tf.sin(
            tf.reshape(tf.range(48.0), [16, 3]) + tf.cast(step, tf.float32) + k
        )
        history = gan.fit(dataset(), epochs=2, verbose=0)
        return gan, history.history

    expected, history = train()
    gan, other = train(**{option: 4 if option == "steps_per_execution" else True})
    for name in ("d_loss", "g_loss", "d_real", "d_fake"):
        np.testing.assert_allclose(history[name], other[name], rtol=1e-4)
    for a, b in zip(state(expected), state(gan), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_logs_are_means_over_the_images_of_an_epoch():
    """Batches of 16, 16 and 8 images count by their size."""
    gan = small_gan(loss="lsgan")
    z = [gan._latents_like(images(40)[i : i + 16], seeds.TEST, i, 0) for i in (0, 16, 32)]
    fake = np.concatenate([gan.generator(batch, training=False) for batch in z])
    real_logits = np.array(gan.discriminator(images(40), training=False))
    fake_logits = np.array(gan.discriminator(fake, training=False))
    scores = gan.evaluate(dataset(40, 16), verbose=0, return_dict=True)
    expected = {
        "d_loss": (np.mean((real_logits - 1) ** 2) + np.mean(fake_logits**2)) / 2,
        "g_loss": np.mean((fake_logits - 1) ** 2) / 2,
        "d_real": np.mean(np.clip(real_logits, 0, 1)),
        "d_fake": np.mean(np.clip(fake_logits, 0, 1)),
    }
    assert scores.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(scores[name], value, rtol=1e-5, err_msg=name)


def test_value_is_a_mean_over_the_images_too():
    scores = small_gan(loss="minimax").evaluate(dataset(40, 16), verbose=0, return_dict=True)
    assert scores["value"] == pytest.approx(-scores["d_loss"], rel=1e-6)


def test_evaluate_changes_nothing_and_repeats_itself():
    gan = small_gan(ema_decay=0.9)
    gan.fit(dataset(), verbose=0)
    before = state(gan)
    first, second = (gan.evaluate(dataset(), verbose=0, return_dict=True) for _ in range(2))
    assert first == second
    assert equal(before, state(gan))


def test_evaluate_draws_other_noise_for_each_batch():
    gan = small_gan()
    one = gan.evaluate(dataset(16, 16), verbose=0, return_dict=True)
    same_images_twice = dataset(16, 16).repeat(2)
    two = gan.evaluate(same_images_twice, verbose=0, return_dict=True)
    np.testing.assert_allclose(one["d_real"], two["d_real"], rtol=1e-6)
    assert one["d_fake"] != two["d_fake"]


def test_labels_beside_the_images_are_passed_over():
    gan, other = small_gan(), small_gan()
    gan.fit(images(32), batch_size=16, shuffle=False, verbose=0)
    other.fit(images(32), np.zeros(32), batch_size=16, shuffle=False, verbose=0)
    assert equal(state(gan), state(other))


def test_weights_of_images_are_refused():
    gan, labels = small_gan(), np.arange(32) % 2
    pairs = tf.data.Dataset.from_tensor_slices((images(32), labels)).batch(16)
    for call, data, weights in [
        (gan.fit, (images(32), labels), {"class_weight": {0: 5.0, 1: 1.0}}),
        (gan.fit, (pairs,), {"class_weight": {0: 5.0, 1: 1.0}}),
        (gan.fit, (images(32), labels), {"sample_weight": np.arange(32.0)}),
        (gan.evaluate, (images(32), labels), {"sample_weight": np.arange(32.0)}),
    ]:
        with pytest.raises(ValueError, match="sample_weight, class_weight or.*expected none"):
            call(*data, **weights, verbose=0)


def test_noise_and_dropout_follow_from_the_seed():
    runs = []

    def train(seed):
        runs.append(seed)
        gan = small_gan(seed=seed)
        for network in (gan.generator, gan.discriminator):
            for layer in network.layers:
                if isinstance(layer, L.Dropout):  # as another history may have left it
                    layer.seed_generator.state.assign([seed + len(runs), 5])
        gan.fit(dataset(), verbose=0)
        return state(gan)

    assert equal(train(1), train(1))
    assert not equal(train(1), train(2))


def test_every_update_of_every_step_draws_anew():
    """The generator is only dropout: each forward pass must have other zeros."""
    recorder = Recorder()
    z = keras.Input([3])
    ones = L.Dense(50)(z)
    halves = L.Concatenate()([L.Dropout(0.5)(ones), L.Dropout(0.5)(ones)])
    generator = keras.Model(z, recorder(halves))
    generator.set_weights([np.zeros([3, 50]), np.ones([50])])
    discriminator = keras.Sequential([keras.Input([100]), L.Dense(1)])
    gan = GAN(generator, discriminator)
    gan.compile(*(keras.optimizers.SGD(0.0) for _ in range(2)), d_steps=2, run_eagerly=True)
    for _ in range(2):
        gan.train_on_batch(np.zeros([4, 100], np.float32))
    assert not any(np.array_equal(seen[:, :50], seen[:, 50:]) for seen in recorder.seen)
    masks = {(seen != 0).tobytes() for seen in recorder.seen}
    assert len(recorder.seen) == len(masks) == 6  # two steps of three updates

    generator = keras.Sequential([keras.Input([3]), recorder])
    recorder.seen = []
    gan = GAN(generator, keras.Sequential([keras.Input([3]), L.Dense(1)]))
    gan.compile(*(keras.optimizers.SGD(0.0) for _ in range(2)), d_steps=2, run_eagerly=True)
    for _ in range(2):
        gan.train_on_batch(np.zeros([4, 3], np.float32))
    assert len({seen.tobytes() for seen in recorder.seen}) == 6  # the latents themselves


def test_moving_average():
    gan = small_gan(ema_decay=0.75)
    average = [w.astype(np.float64) for w in state(gan.generator)]
    for step in range(1, 40):
        gan.train_on_batch(images(16, seed=step))
        decay = min(0.75, step / (step + 10))  # ends at 0.75 with step 30
        average = [
            decay * a + (1 - decay) * w for a, w in zip(average, state(gan.generator), strict=True)
        ]
    for expected, found in zip(average, state(gan.ema_generator), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(
        gan.generate(5), gan.ema_generator(gan.latents(5), training=False)
    )


def test_moving_average_of_a_generator_with_a_lambda_layer():
    inner = keras.Sequential([keras.Input([16]), L.Lambda(lambda x: 0.5 * x)])
    generator = keras.Sequential([keras.Input([3]), L.Dense(16), inner, L.Reshape([4, 4, 1])])
    gan = GAN(generator, small_gan().discriminator, ema_decay=0.9)
    np.testing.assert_array_equal(gan.generate(2), gan.generator(gan.latents(2)))
    generator.layers[0].kernel.assign_add(np.ones([3, 16]))  # the average has weights of its own
    assert not np.array_equal(gan.generate(2), gan.generator(gan.latents(2)))


@pytest.mark.parametrize(("latent", "bound"), [("normal", np.inf), ("uniform", math.sqrt(3))])
def test_latents_have_mean_0_and_variance_1(latent, bound):
    z = np.array(small_gan(latent=latent).latents(100_000, seed=3))
    assert z.shape == (100_000, 3)
    assert np.abs(z).max() <= bound
    np.testing.assert_allclose([z.mean(), z.var()], [0, 1], atol=0.01)
    kurtosis = {"normal": 3, "uniform": 9 / 5}[latent]
    np.testing.assert_allclose((z**4).mean(), kurtosis, atol=0.05)


def test_categorical_latents_are_one_of_ten_categories_beside_normal_numbers():
    z = np.array(small_gan(latent="categorical", latent_dim=13).latents(100_000, seed=3))
    normal, category = z[:, :3], z[:, 3:]
    # One-hot, moved and scaled: a number that is 1 in a tenth of the latents has mean 0.1 and
    # variance 0.09.
    one_hot = 0.3 * category + 0.1
    np.testing.assert_allclose(np.sort(one_hot, axis=1)[:, :-1], 0, atol=1e-6)
    np.testing.assert_allclose(np.sort(one_hot, axis=1)[:, -1], 1, atol=1e-6)
    np.testing.assert_allclose(one_hot.mean(axis=0), 0.1, atol=0.005)
    np.testing.assert_allclose([normal.mean(), normal.var()], [0, 1], atol=0.01)
    np.testing.assert_allclose((normal**4).mean(), 3, atol=0.05)
    correlations = np.corrcoef(z.T)[:3, 3:]
    assert np.abs(correlations).max() < 0.02


def test_generate():
    gan = small_gan()
    drawn = gan.generate(7, seed=1)
    assert drawn.shape == (7, 4, 4, 1)
    assert drawn.dtype == np.float32
    assert np.abs(drawn).max() <= 1
    np.testing.assert_array_equal(drawn, gan.generate(7, seed=1))
    np.testing.assert_allclose(drawn, gan.generate(7, seed=1, batch_size=3), atol=1e-6)
    assert not np.array_equal(drawn, gan.generate(7, seed=2))
    assert len({image.tobytes() for image in drawn}) == 7
    assert gan.generate(0).shape == (0, 4, 4, 1)


def test_export_in_another_format_is_that_of_the_generator(tmp_path):
    gan, calls = small_gan(ema_decay=0.9), []
    gan.ema_generator.export = lambda *args, **kwargs: calls.append((args, kwargs))
    gan.export(tmp_path / "g.onnx", format="onnx", verbose=False)
    assert calls == [((tmp_path / "g.onnx",), {"format": "onnx", "verbose": False})]
    gan.export(tmp_path / "saved", format="tf_saved_model")
    assert SavedGenerator(tmp_path / "saved").images(gan.latents(2)).shape == (2, 4, 4, 1)
    assert len(calls) == 1


def test_saved_model_continues_like_the_original(tmp_path):
    gan = small_gan(
        d_steps=2, loss=LeastSquares(0.1, a=-1, b=1, c=0), latent="uniform", ema_decay=0.9, seed=5
    )
    gan.fit(dataset(), verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert loaded.adversarial_loss == gan.adversarial_loss
    for model in (gan, loaded):
        model.fit(dataset(), epochs=2, verbose=0)
    assert equal(state(gan), state(loaded))
    for a, b in (
        (gan.g_optimizer, loaded.g_optimizer),
        (gan.d_optimizer, loaded.d_optimizer),
    ):
        assert equal(map(np.array, a.variables), map(np.array, b.variables))
    np.testing.assert_array_equal(gan.generate(5), loaded.generate(5))


def test_settings_of_compile_are_saved(tmp_path):
    options = {"simultaneous": True, "steps_per_execution": 4, "jit_compile": False}
    small_gan(compile_options=options).save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert {name: getattr(loaded, name) for name in options} == options


def test_without_a_loss_the_discriminator_is_not_exported(tmp_path):
    """It would have to know what a logit means."""
    gan = small_gan()
    GAN(gan.generator, gan.discriminator).export(tmp_path / "export")
    assert not SavedGenerator(tmp_path / "export").has_discriminator


def test_from_config_leaves_the_config_as_it_is():
    x = keras.Input([4, 4, 1])
    functional = keras.Model(x, L.Dense(1)(L.Flatten()(x)))
    config = GAN(small_gan().generator, functional).get_config()
    for _ in range(2):
        assert GAN.from_config(config).discriminator.count_params() == 17


@pytest.mark.parametrize(
    "imports",
    [
        "keras, keras_gan",
        pytest.param("tensorflow, keras_gan, keras", marks=pytest.mark.slow),
        pytest.param("keras_gan.model, keras", marks=pytest.mark.slow),
    ],
)
def test_saved_model_loads_in_a_new_process(tmp_path, imports):
    """With the classes that a maxout GAN needs beside GAN itself."""
    gan = small_gan()
    gan.compile(GoodfellowSGD(), GoodfellowSGD(), LeastSquares())
    gan.save(tmp_path / "gan.keras")
    code = f"import {imports}; print(keras.models.load_model({str(tmp_path / 'gan.keras')!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "<GAN name=" in done.stdout, done.stderr


def test_optimisers_by_name_and_with_a_loss_scale():
    """Half precision scales the loss up and `apply` scales the gradient down: nothing changes."""

    def train(g_optimizer, d_optimizer):
        gan = small_gan(dropout=0)
        gan.compile(g_optimizer, d_optimizer, "minimax")
        gan.fit(dataset(), verbose=0)
        return state(gan.generator) + state(gan.discriminator)

    plain = train("sgd", "adam")
    assert not equal(plain, state(small_gan().generator) + state(small_gan().discriminator))
    scaled = train(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
    )
    for a, b in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_an_overflow_skips_one_update_and_lowers_one_scale():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        gan = small_gan(dropout=0)
    finally:
        keras.config.set_dtype_policy("float32")
    gan.compile("sgd", "sgd", "lsgan")
    gan.d_optimizer.dynamic_scale.assign(2.0**40)  # no gradient fits into float16

    def weights(network):
        return [np.array(weight) for weight in network.trainable_weights]

    before = weights(gan.generator), weights(gan.discriminator)
    gan.train_on_batch(next(iter(dataset()))[:4])
    assert not equal(weights(gan.generator), before[0])
    assert equal(weights(gan.discriminator), before[1])
    assert float(gan.d_optimizer.dynamic_scale) == 2.0**39
    assert float(gan.g_optimizer.dynamic_scale) == 2.0**15


def test_regularizers_of_the_networks_count_once():
    regularizer = keras.regularizers.L2(0.5)
    generator = keras.Sequential([keras.Input([1]), L.Dense(1, kernel_regularizer=regularizer)])
    discriminator = keras.Sequential([keras.Input([1]), L.Dense(1, kernel_regularizer=regularizer)])
    generator.set_weights([np.array([[3.0]]), np.array([0.0])])
    discriminator.set_weights([np.array([[2.0]]), np.array([0.0])])
    plain = GAN(generator, discriminator)
    plain.compile("sgd", "sgd")
    scores = plain.evaluate(np.ones([4, 1], np.float32), verbose=0, return_dict=True)
    fake = 2 * 3 * np.array(plain._latents_like(np.ones([4, 1]), seeds.TEST, 0, 0))
    # D(x) = 2: (2 - 1)^2 / 2 + mean(fake^2) / 2 + 0.5 * 2^2, and 0.5 * 3^2 for G.
    np.testing.assert_allclose(scores["d_loss"], 0.5 + np.mean(fake**2) / 2 + 2, rtol=1e-5)
    np.testing.assert_allclose(scores["g_loss"], np.mean((fake - 1) ** 2) / 2 + 4.5, rtol=1e-5)


def test_regularizers_of_the_networks_pull_at_their_weights():
    """Where the other gradient is 0: SGD with a rate of 0.1 makes w of 0.5 w^2 to 0.9 w."""

    def linear():
        dense = L.Dense(1, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.5))
        return keras.Sequential([keras.Input([1]), dense])

    for w, v in ((3.0, 0.0), (0.0, 2.0)):
        gan = GAN(linear(), linear())
        gan.generator.set_weights([np.array([[w]])])
        gan.discriminator.set_weights([np.array([[v]])])
        gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), simultaneous=True)
        gan.train_on_batch(np.zeros([4, 1], np.float32))
        network = gan.generator if w else gan.discriminator
        assert network.get_weights()[0].item() == pytest.approx(0.9 * (w or v))


def test_streams_of_random_numbers_are_apart():
    streams = (seeds.TRAIN, seeds.TEST, seeds.LAYERS, seeds.SAMPLE, seeds.PENALTY)
    assert len({tuple(np.array(seeds.fold(3, stream, 0, 0))) for stream in streams}) == 5


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_other_precisions_train_average_and_sample(policy):
    keras.config.set_dtype_policy(policy)
    try:
        gan = small_gan(ema_decay=0.9)
    finally:
        keras.config.set_dtype_policy("float32")
    logs = gan.fit(dataset(), verbose=0).history
    assert np.isfinite(logs["g_loss"]).all()
    assert gan.generate(3).dtype == np.float32


def test_mistakes_are_named():
    gan = small_gan()
    with pytest.raises(ValueError, match="loss='hinged': expected one of minimax, "):
        gan.compile("sgd", "sgd", "hinged")
    with pytest.raises(ValueError, match="d_steps=0: expected at least 1"):
        gan.compile("sgd", "sgd", d_steps=0)
    one = keras.optimizers.SGD()
    with pytest.raises(ValueError, match="one object: expected two"):
        gan.compile(one, one)
    averaging = keras.optimizers.SGD(use_ema=True)
    for optimizer in (averaging, keras.optimizers.LossScaleOptimizer(averaging)):
        with pytest.raises(ValueError, match=r"d_optimizer has use_ema=True.*use ema_decay of GAN"):
            gan.compile("sgd", optimizer)
    with pytest.raises(ValueError, match=r"begin it with keras.Input"):
        GAN(keras.Sequential([L.Dense(3)]), gan.discriminator)
    with pytest.raises(ValueError, match=r"shape \(3,\), .* takes \(4, 4, 1\): expected the same"):
        GAN(keras.Sequential([keras.Input([2]), L.Dense(3)]), gan.discriminator)
    with pytest.raises(ValueError, match=r"takes \(None, 2, 3\): expected latents"):
        GAN(keras.Sequential([keras.Input([2, 3]), L.Dense(3)]), gan.discriminator)
    ten = keras.Sequential([keras.Input([4, 4, 1]), L.Flatten(), L.Dense(10)])
    with pytest.raises(ValueError, match=r"makes \(None, 10\): expected logits \(None, 1\)"):
        GAN(gan.generator, ten)
    with pytest.raises(ValueError, match="no Sequential or functional model"):
        GAN(gan, gan.discriminator)  # a subclass of keras.Model has no shapes to check
    with pytest.raises(ValueError, match="latent='gauss': expected one of normal, uniform, cat"):
        GAN(gan.generator, gan.discriminator, latent="gauss")
    with pytest.raises(ValueError, match="latent_dim=3: expected more than 10, the numbers that"):
        GAN(gan.generator, gan.discriminator, latent="categorical")
    with pytest.raises(ValueError, match="ema_decay=1.5"):
        GAN(gan.generator, gan.discriminator, ema_decay=1.5)


def test_batches_that_cannot_be_trained_on():
    gan = small_gan(d_steps=3)
    with pytest.raises(ValueError, match=r"Images are uint8: expected floats in \[-1, 1\]"):
        gan.fit(np.zeros([8, 4, 4, 1], np.uint8), batch_size=4, verbose=0)
    wide = tf.data.Dataset.from_tensor_slices(127.5 * images(32) + 127.5).batch(16)
    for call in (gan.fit, gan.evaluate):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"from.*254.*127\.5 - 1"):
            call(wide, verbose=0)
    gan.fit(np.clip(1.5 * images(32), -2, 2), verbose=0)  # noise added to images is allowed


def test_fit_shuffles_an_array_when_operations_are_deterministic():
    code = """
from keras_gan import backend
backend.configure_tensorflow()
import keras, numpy
from keras_gan import GAN
gan = GAN(*(keras.Sequential([keras.Input([1]), keras.layers.Dense(1)]) for _ in range(2)))
gan.compile("sgd", "sgd")
gan.fit(numpy.zeros([4, 1], "float32"), verbose=0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_names():
    assert keras_gan.GAN is GAN
    assert keras_gan.networks.ARCHITECTURES
    assert {"GAN", "Config", "data", "losses", "training"} <= set(dir(keras_gan))
    with pytest.raises(AttributeError, match="no attribute 'gan'"):
        keras_gan.gan  # noqa: B018
