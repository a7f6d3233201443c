"""Spectral normalisation and weight clipping, against NumPy and finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gan
from keras_gan.layers import Clip, SpectralNormalization, constrain
from keras_gan.networks import dcgan


def sigma(kernel):
    """The largest singular value of a kernel as a matrix [inputs, outputs]."""
    kernel = np.asarray(kernel)
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


@pytest.fixture
def dense():
    """A layer of one input and output size, its power iteration run to the end, and an input."""
    rng = np.random.default_rng(0)
    layer = SpectralNormalization(keras.layers.Dense(3))
    x = rng.normal(0, 1, [5, 4]).astype(np.float32)
    layer(x)
    layer.layer.kernel.assign(rng.normal(0, 1, [4, 3]))
    layer.layer.bias.assign([1.0, 2.0, 3.0])
    for _ in range(200):
        layer(x, training=True)
    return layer, x


def test_divides_the_kernel_by_sigma_and_leaves_the_bias(dense):
    layer, x = dense
    w = layer.layer.kernel.numpy()
    expected = x @ (w / sigma(w)) + [1, 2, 3]
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer(x, training=False), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.layer.kernel, w)


@pytest.mark.parametrize("size", [0.0, 1e-9])
def test_kernel_too_small_to_normalise_stays_as_it_is(dense, size):
    layer, x = dense
    kernel, u = layer.layer.kernel.numpy(), layer.u.numpy()
    layer.layer.kernel.assign(size * kernel)
    for _ in range(3):
        np.testing.assert_allclose(layer(x, training=True), [[1, 2, 3]] * 5, atol=1e-7)
    np.testing.assert_array_equal(layer.u, u)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(x, training=True))
    gradient = tape.gradient(value, layer.layer.kernel.value)
    np.testing.assert_allclose(gradient, np.repeat(x.sum(0)[:, None], 3, axis=1), rtol=1e-5)
    layer.layer.kernel.assign(kernel)
    expected = x @ (kernel / sigma(kernel)) + [1, 2, 3]
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-4, atol=1e-5)


def test_frozen_layer_is_normalised_as_before(dense):
    layer, x = dense
    before = layer(x, training=False)
    layer.trainable = False
    np.testing.assert_allclose(layer(x, training=False), before, rtol=1e-6)


def test_inference_moves_nothing(dense):
    layer, x = dense
    layer.layer.kernel.assign(layer.layer.kernel[::-1])
    before = layer.u.numpy()
    layer(x, training=False)
    np.testing.assert_array_equal(layer.u, before)
    layer(x, training=True)
    assert not np.array_equal(layer.u, before)


def gradient_and_numeric(layer, kernel, x):
    """d(sum of outputs^2)/d(kernel) by the tape, and of x W / sigma(W) + b numerically."""
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(x, training=True) ** 2)
    gradient = tape.gradient(value, kernel.value).numpy()
    w, numeric = kernel.numpy().astype(np.float64), np.zeros(kernel.shape)
    for index in np.ndindex(*w.shape):
        nearby = []
        for step in (1e-5, -1e-5):
            moved = w.copy()
            moved[index] += step
            nearby.append(np.sum((x @ (moved / sigma(moved)) + [1, 2, 3]) ** 2))
        numeric[index] = (nearby[0] - nearby[1]) / 2e-5
    return gradient, numeric


def test_gradient_passes_through_sigma(dense):
    layer, x = dense
    gradient, numeric = gradient_and_numeric(layer, layer.layer.kernel, x)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-3)


def test_keras_own_layer_loses_that_term(dense):
    ours, x = dense
    layer = keras.layers.SpectralNormalization(keras.layers.Dense(3), power_iterations=200)
    layer(x)
    # At a kernel of norm 1 both divide by 1, and the assignment changes nothing.
    layer.layer.kernel.assign(ours.layer.kernel / sigma(ours.layer.kernel))
    layer.layer.bias.assign([1.0, 2.0, 3.0])
    gradient, numeric = gradient_and_numeric(layer, layer.layer.kernel, x)
    ratios = gradient / numeric
    assert ratios.max() - ratios.min() > 0.1  # not even the direction is right


def gan(**constraints):
    keras.utils.set_random_seed(0)
    model = keras_gan.GAN(
        dcgan.generator(8, (28, 28, 1), channels=4),
        constrain(dcgan.discriminator((28, 28, 1), channels=4), **constraints),
    )
    optimizers = (keras.optimizers.Adam(2e-4, beta_1=0.0) for _ in range(2))
    model.compile(*optimizers, "hinge")
    return model


def train(model):
    digits = keras_gan.data.synthetic.digits(256, 0)[0].astype(np.float32) / 127.5 - 1
    model.fit(digits, batch_size=32, epochs=5, verbose=0)


def test_singular_values_are_one_after_training():
    model = gan(spectral_norm=True)
    wrapped = [
        layer for layer in model.discriminator.layers if isinstance(layer, SpectralNormalization)
    ]
    assert len(wrapped) == len([w for w in model.discriminator.weights if w.name == "kernel"]) > 2
    before = [layer.layer.kernel.numpy() for layer in wrapped]
    train(model)
    assert not any(
        np.array_equal(layer.layer.kernel, kernel)
        for layer, kernel in zip(wrapped, before, strict=True)
    )

    def effective(layer):
        """sigma of the kernel that the layer applies."""
        matrix = np.asarray(layer.layer.kernel).reshape(-1, layer.layer.kernel.shape[-1])
        return sigma(matrix) / np.linalg.norm(matrix @ layer.u.numpy())

    # One power iteration a call follows a kernel that moves: where the largest singular values
    # lie close together, only roughly.
    np.testing.assert_allclose([effective(layer) for layer in wrapped], 1, atol=0.25)
    x, iterate = model.generate(1), tf.function(model.discriminator)
    for _ in range(300):
        iterate(x, training=True)
    np.testing.assert_allclose([effective(layer) for layer in wrapped], 1, atol=0.01)


def test_generator_updates_leave_the_power_iteration_alone():
    model = gan(spectral_norm=True)
    (u, *_) = (w for w in model.discriminator.weights if w.name == "u")
    before = u.numpy()
    real = np.zeros([4, 28, 28, 1], np.float32)
    model._update_generator(real, *model._draw(real, 0))
    np.testing.assert_array_equal(u, before)


def test_a_transposed_convolution_is_divided_by_sigma():
    transposed = keras.layers.Conv2DTranspose(5, 3, use_bias=False)
    network = keras.Sequential([keras.Input([4, 4, 2]), transposed])
    normalised = constrain(network, spectral_norm=True)
    normalised.layers[0].layer.kernel.assign(transposed.kernel)
    x = np.random.default_rng(0).normal(size=[3, 4, 4, 2])
    for _ in range(200):
        normalised(x, training=True)
    expected = network(x) / sigma(transposed.kernel)
    np.testing.assert_allclose(normalised(x), expected, rtol=1e-3, atol=1e-5)


def test_saved_and_loaded_and_exported(tmp_path):
    model = gan(spectral_norm=True, weight_clip=0.02)
    train(model)
    model.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    x = model.generate(4)
    np.testing.assert_array_equal(
        loaded.discriminator(x, training=False), model.discriminator(x, training=False)
    )
    train(loaded)
    assert max(np.abs(w).max() for w in loaded.discriminator.weights if w.name == "kernel") <= 0.02
    model.export(tmp_path / "export")
    exported = tf.saved_model.load(str(tmp_path / "export"))
    probability = exported.discriminator((x + 1) / 2)["probability"]
    logits = model.discriminator(x, training=False)
    np.testing.assert_allclose(
        probability, model.adversarial_loss.probability(logits), rtol=1e-4, atol=1e-5
    )


def test_weight_clipping_holds_kernels_and_no_biases():
    model = gan(weight_clip=0.01)
    train(model)
    kernels = [w.numpy() for w in model.discriminator.weights if w.name == "kernel"]
    assert all(np.abs(kernel).max() == np.float32(0.01) for kernel in kernels)
    assert np.abs(model.discriminator.layers[0].bias).max() > 0


@keras.saving.register_keras_serializable("tests")
class Block(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3, name="inner")

    def call(self, x):
        return self.dense(x)


def test_weight_clipping_reaches_every_kernel():
    layers = [keras.layers.SeparableConv2D(3, 2), keras.layers.DepthwiseConv2D(2)]
    layers += [keras.layers.Reshape([4, 3]), keras.layers.LSTM(5), keras.layers.Dense(1)]
    network = constrain(keras.Sequential([keras.Input([4, 4, 1]), *layers]), weight_clip=0.01)
    network = keras.Sequential.from_config(network.get_config())  # as a loaded model
    network.compile("sgd", "mse")
    network.fit(np.ones([2, 4, 4, 1]), np.ones([2, 1]), verbose=0)
    kernels = [w for w in network.trainable_weights if len(w.shape) > 1]
    assert len(kernels) == 6
    for kernel in kernels:
        assert 0 < np.abs(kernel).max() <= np.float32(0.01), kernel.path


def refused(option, layer):
    """The message about a layer that is somewhere in a network."""
    inner = keras.Sequential([keras.Input([4, 4, 1]), layer])
    network = keras.Sequential([keras.Input([4, 4, 1]), inner, keras.layers.Flatten()])
    with pytest.raises(keras_gan.InputError, match="would stay unconstrained") as error:
        constrain(network, **{option: 0.1})
    return str(error.value)


def test_spectral_norm_refuses_kernels_of_another_form():
    assert "/one/kernel would" in refused(
        "spectral_norm", keras.layers.DepthwiseConv2D(2, name="one")
    )
    separable = keras.layers.SeparableConv2D(3, 2, name="two")
    assert "/two/depthwise_kernel would" in refused("spectral_norm", separable)
    lines = keras.layers.Reshape([4, 4]), keras.layers.LSTM(3, name="lstm")
    assert "lstm" in refused("spectral_norm", keras.Sequential(lines))


@pytest.mark.parametrize("option", ["spectral_norm", "weight_clip"])
def test_layers_inside_a_layer_are_refused(option):
    dense = keras.layers.Dense(3, name="dense")
    assert "dense/kernel would" in refused(option, keras.layers.TimeDistributed(dense))
    assert "/block/inner/kernel would" in refused(option, Block(name="block"))


def test_networks_without_weights_are_refused():
    with pytest.raises(keras_gan.InputError, match="no weights yet: begin it with keras.Input"):
        constrain(keras.Sequential([keras.layers.Dense(1)]), weight_clip=0.1)


def test_constraints_of_the_user_are_kept_or_refused():
    layer = keras.layers.Dense(1, kernel_constraint="non_neg", name="mine")
    network = keras.Sequential([keras.Input([2]), layer])
    with pytest.raises(keras_gan.InputError, match="mine has a kernel_constraint of its own"):
        constrain(network, weight_clip=0.1)
    kept = constrain(network, spectral_norm=True).layers[0].layer.kernel.constraint
    assert isinstance(kept, keras.constraints.NonNeg)


def test_clip():
    np.testing.assert_allclose(Clip(0.5)(np.array([-2.0, 0.25, 0.75])), [-0.5, 0.25, 0.5])
    assert Clip.from_config(Clip(0.5).get_config()).limit == 0.5


def test_lambda_layers_stay_as_they_are():
    layers = [keras.Input([4]), keras.layers.Lambda(lambda x: 0.5 * x), keras.layers.Dense(1)]
    network = constrain(keras.Sequential(layers), weight_clip=0.1)
    x = np.ones([2, 4])
    np.testing.assert_array_equal(network(x), network.layers[-1](0.5 * x))


@pytest.mark.parametrize("arch", ["mlp", "dcgan", "maxout"])
def test_every_discriminator_can_be_constrained(arch):
    discriminator = keras_gan.networks.ARCHITECTURES[arch].discriminator((28, 28, 1))
    names = [w.name for w in discriminator.weights]
    both = constrain(discriminator, spectral_norm=True, weight_clip=0.1)
    assert sum(w.name == "u" for w in both.weights) == names.count("kernel")
    assert both(np.zeros([2, 28, 28, 1])).shape == (2, 1)
