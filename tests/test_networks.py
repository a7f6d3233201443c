import dataclasses

import keras
import numpy as np
import pytest

from keras_gan import InputError
from keras_gan.config import Config
from keras_gan.networks import ARCHITECTURES, dcgan, maxout
from keras_gan.optimizers import GoodfellowSGD, Muon, orthogonal


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 20, 3)])
def test_shapes_and_range(name, shape):
    architecture = ARCHITECTURES[name]
    generator, discriminator = architecture.generator(7, shape), architecture.discriminator(shape)
    drawn = generator(np.random.default_rng(0).normal(size=[5, 7]) * 100, training=False)
    assert drawn.shape == (5, *shape)
    assert -1 <= np.min(drawn) < 0 < np.max(drawn) <= 1
    assert discriminator(drawn, training=False).shape == (5, 1)
    # The discriminator ends in logits: its last layer has no activation.
    assert discriminator.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize("name", ["mlp", "maxout"])
def test_dense_architectures_take_any_size(name):
    assert ARCHITECTURES[name].generator(7, (5, 3, 1)).output_shape == (None, 5, 3, 1)


@pytest.mark.parametrize("name", ["mlp", "maxout"])
def test_dense_discriminators_see_a_black_pixel_as_zero(name):
    discriminator = ARCHITECTURES[name].discriminator((5, 3, 1))
    grey, black = np.zeros([1, 5, 3, 1]), np.full([1, 5, 3, 1], -1.0)
    assert discriminator(black) == 0  # all biases are 0 at first
    assert discriminator(grey) != 0


# (height, width): G's first grid, and channels from there on; D's last map, and its channels.
GROWTH = {
    (28, 28): ((7, 7), [64, 32, 3], (4, 4), [32, 64, 128]),
    (8, 8): ((4, 4), [32, 3], (4, 4), [32]),
    (32, 32): ((4, 4), [128, 64, 32, 3], (4, 4), [32, 64, 128]),
    (48, 48): ((6, 6), [128, 64, 32, 3], (3, 3), [32, 64, 128, 256]),
    (64, 48): ((8, 6), [128, 64, 32, 3], (4, 3), [32, 64, 128, 256]),
    (64, 96): ((4, 6), [256, 128, 64, 32, 3], (4, 6), [32, 64, 128, 256]),
    (128, 128): ((4, 4), [256, 256, 128, 64, 32, 3], (4, 4), [32, 64, 128, 256, 256]),
    (256, 256): ((4, 4), [256] * 3 + [128, 64, 32, 3], (4, 4), [32, 64, 128] + [256] * 3),
}


@pytest.mark.parametrize("size", GROWTH)
def test_dcgan_grows_with_the_picture(size):
    grid, channels, last, filters = GROWTH[size]
    generator, discriminator = dcgan.generator(7, (*size, 3)), dcgan.discriminator((*size, 3))
    transposed = keras.layers.Conv2DTranspose
    maps = [x.output.shape[1:] for x in generator.layers if isinstance(x, transposed)]
    first = next(x for x in generator.layers if isinstance(x, keras.layers.Reshape))
    doubled = [(grid[0] * 2**i, grid[1] * 2**i) for i in range(len(channels))]
    expected = [(*side, count) for side, count in zip(doubled, channels, strict=True)]
    assert [first.output.shape[1:], *maps] == expected
    assert generator.output_shape == (None, *size, 3)
    maps = [x.output.shape[1:] for x in discriminator.layers if isinstance(x, keras.layers.Conv2D)]
    assert [count for *_, count in maps] == filters
    assert maps[-1][:2] == last


def test_dcgan_of_another_width():
    generator = dcgan.generator(7, (128, 128, 3), channels=8)
    widths = [x.filters for x in generator.layers if hasattr(x, "filters")]
    assert widths == [128, 64, 32, 16, 8, 3]  # the first one is the convolution of 3 x 3
    # Wider than the most that they double to: all the same.
    discriminator = dcgan.discriminator((64, 64, 3), channels=300)
    assert {x.filters for x in discriminator.layers if hasattr(x, "filters")} == {300}


@pytest.mark.parametrize("shape", [(30, 28, 1), (28, 25, 1), (4, 4, 1), (100, 100, 3), (30, 64, 1)])
def test_dcgan_says_which_sizes_work(shape):
    with pytest.raises(InputError, match=r"the shorter side must be 4 to 7 times a power of 2"):
        dcgan.generator(7, shape)


def test_dcgan_takes_smaller_steps_for_larger_images():
    dcgan_28 = ARCHITECTURES["dcgan"].for_images(60_000, 28, 28, 1)
    plain = dataclasses.replace(ARCHITECTURES["dcgan"])
    assert dcgan_28 == plain  # to the bit what it is without a size
    large = ARCHITECTURES["dcgan"].for_images(60_000, 64, 56, 3)
    assert (large.g_lr, large.d_lr, large.decay_steps) == (4e-4, 2e-4, 0)
    assert (plain.optimizer, large.optimizer) == ("muon", "adam")
    # 64 x 56 has 32 / 7 times the pixels of 28 x 28.
    assert large.default_penalty("r1").weight == pytest.approx(32 / 7)
    assert large.default_penalty("r1").one_in == 4
    assert ARCHITECTURES["mlp"].for_images(60_000, 64, 64, 3) == ARCHITECTURES["mlp"]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_few_colour_images_are_augmented(arch):
    architecture = ARCHITECTURES[arch]
    assert architecture.for_images(4999, 28, 28, 3).augment == "color,translation,cutout"
    assert architecture.for_images(5000, 28, 28, 3).augment == "none"
    assert architecture.for_images(4999, 28, 28, 1).augment == "none"
    config = Config(arch=arch).resolve(4999, architecture.for_images(4999, 28, 28, 3))
    assert config.augment == "color,translation,cutout"


def test_dcgan_follows_the_rules_of_radford_et_al():
    generator, discriminator = dcgan.generator(64, (28, 28, 1)), dcgan.discriminator((28, 28, 1))
    names = {
        type(layer).__name__ for network in (generator, discriminator) for layer in network.layers
    }
    assert not any("Pooling" in name for name in names)
    for network in (generator, discriminator):
        for layer in network.layers:
            if "Conv2D" in type(layer).__name__:
                # All but G's first one, which is before the upsampling, change the size.
                assert layer.strides == ((1, 1) if layer.kernel_size == (3, 3) else (2, 2))
                np.testing.assert_allclose(np.std(layer.kernel), 0.02, rtol=0.2)
    names = [type(layer).__name__ for layer in generator.layers]
    assert [name for name in names if "Conv" in name] == ["Conv2D", *["Conv2DTranspose"] * 2]
    # No dense hidden layers: one projects the latents, one reads the last feature map.
    assert [type(layer).__name__ for layer in generator.layers].count("Dense") == 1
    assert [type(layer).__name__ for layer in discriminator.layers].count("Dense") == 1
    assert generator.layers[-1].activation is keras.activations.tanh
    assert type(generator.layers[-2]).__name__ == "ReLU"
    assert any(isinstance(layer, keras.layers.LeakyReLU) for layer in discriminator.layers)


def test_dcgan_with_more_convolutions():
    generator = dcgan.generator(7, (28, 28, 1), channels=8, convolutions=2)
    more = [layer for layer in generator.layers if type(layer) is keras.layers.Conv2D]
    assert [layer.kernel.shape for layer in more] == [(3, 3, 16, 16)] * 2
    assert [layer.output.shape for layer in more] == [(None, 7, 7, 16)] * 2
    assert not np.array_equal(*(layer.kernel for layer in more))
    assert generator.output_shape == (None, 28, 28, 1)


def test_maxout_has_the_published_sizes_and_initial_weights():
    keras.utils.set_random_seed(0)
    generator, discriminator = maxout.generator(100, (28, 28, 1)), maxout.discriminator((28, 28, 1))
    kernels = [w for w in generator.weights if w.name == "kernel"]
    assert [w.shape for w in kernels] == [(100, 1200), (1200, 1200), (1200, 784)]
    for kernel in kernels:
        np.testing.assert_allclose([np.min(kernel), np.max(kernel)], [-0.05, 0.05], rtol=0.01)
    kernels = [w for w in discriminator.weights if w.name == "kernel"]
    assert [w.shape for w in kernels] == [(784, 5 * 240), (240, 5 * 240), (240, 1)]
    for kernel in kernels:
        np.testing.assert_allclose([np.min(kernel), np.max(kernel)], [-0.005, 0.005], rtol=0.03)
    rates = [x.rate for x in discriminator.layers if isinstance(x, keras.layers.Dropout)]
    assert rates == [0.2, 0.5, 0.5]


def test_maxout_units_are_the_maximum_of_five_pieces():
    discriminator = maxout.discriminator((28, 28, 1))
    pixels = np.random.default_rng(0).uniform(0, 1, [3, 784]).astype(np.float32)
    x = pixels
    *hidden, last = [
        layer for layer in discriminator.layers if isinstance(layer, keras.layers.Dense)
    ]
    for layer in hidden:
        x = (x @ np.array(layer.kernel) + np.array(layer.bias)).reshape(3, 5, 240).max(axis=1)
    expected = x @ np.array(last.kernel) + np.array(last.bias)
    found = discriminator(pixels.reshape(3, 28, 28, 1) * 2 - 1, training=False)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)


def test_maxout_starts_from_the_pixel_marginals():
    images = np.zeros([4, 2, 2, 1], np.uint8)
    images[:, 0, 1, 0] = [0, 255, 255, 255]
    images[:, 1, 1, 0] = 255
    generator = maxout.generator(3, (2, 2, 1))
    maxout.start_from_marginals(generator, images)
    at_zero = (np.array(generator(np.zeros([1, 3]), training=False)) + 1) / 2
    np.testing.assert_allclose(at_zero.ravel(), [0, 0.75, 0, 1], atol=1e-6)


def test_goodfellow_sgd_without_momentum_is_refused():
    with pytest.raises(ValueError, match="momentum=0.0: expected above 0; .*keras.optimizers.SGD"):
        GoodfellowSGD(momentum=0.0)


def test_goodfellow_sgd_begins_with_the_given_momentum():
    weight = keras.Variable([1.0])
    optimizer = GoodfellowSGD(0.1, momentum=0.9)
    optimizer.build([weight])
    for _ in range(2):
        optimizer.apply([keras.ops.convert_to_tensor([3.0])])
    np.testing.assert_allclose(weight, [1 - 0.3 - (0.9 * 0.3 + 0.3)], rtol=1e-5)


def test_goodfellow_sgd_by_hand():
    """Steps 0 and 1, then far on: rate / 1.000004^t, momentum 0.5 + 0.2 (epoch - 1) / 249."""
    weight = keras.Variable([1.0])
    optimizer = GoodfellowSGD(0.1)
    optimizer.build([weight])
    expected, velocity = 1.0, 0.0
    # At 500 steps an epoch: epoch 0, epoch 1, epoch 126 (125 / 249 of the rise), epoch 400.
    for step, momentum in [(0, 0.5), (500, 0.5), (63_000, 0.5 + 0.2 * 125 / 249), (200_000, 0.7)]:
        optimizer.iterations.assign(step)
        optimizer.apply([keras.ops.convert_to_tensor([3.0])])
        velocity = momentum * velocity - 0.1 / 1.000004**step * 3.0
        expected += velocity
        np.testing.assert_allclose(np.array(weight), [expected], rtol=1e-4)
    optimizer.iterations.assign(10_000_000)  # the rate stays at its floor
    before = float(np.array(weight)[0])
    optimizer.apply([keras.ops.convert_to_tensor([3.0])])
    np.testing.assert_allclose(np.array(weight)[0] - before, 0.7 * velocity - 1e-6 * 3.0, rtol=1e-3)


def singular_values_after(values):
    """Of a matrix with these singular values, after `orthogonal`: Jordan et al. 2024, by hand."""
    s = np.asarray(values) / np.linalg.norm(values)
    for _ in range(4):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (7, 7)])
def test_orthogonal_keeps_the_singular_vectors(shape):
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(shape[0], 7)))
    right, _ = np.linalg.qr(rng.normal(size=(shape[1], 7)))
    values = np.array([30, 10, 10, 3, 1, 0.5, 0.01])
    found = np.array(orthogonal((left * values @ right.T).astype(np.float32)))
    expected = singular_values_after(values)
    np.testing.assert_allclose(found, left * expected @ right.T, atol=1e-4)
    # All but the last one, 0.0003 of the others' norm, are near 1.
    assert np.all((expected > 0.68) & (expected < 1.21) == (values > 0.1))
    np.testing.assert_array_equal(orthogonal(np.zeros(shape, np.float32)), np.zeros(shape))


def test_muon_by_hand():
    """A gradient of four equal singular values: each of the step's numbers has the same size."""
    hadamard = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32)
    kernel = keras.Variable(np.ones([2, 1, 2, 4]))
    optimizer = Muon(0.1)
    optimizer.build([kernel])
    # Height 2, width 1 and two channels are four rows. A step does not depend on the size of the
    # gradient, or on those of the steps before: there is no momentum.
    (value,) = set(np.round(singular_values_after([1, 1, 1, 1]), 6))
    # hadamard / 2 is orthogonal: times the root of 4 rows it is hadamard. The factor is 2.
    moved = 2 * 0.1 * value * hadamard
    for size, expected in ((5.0, 1 - moved), (-1e-3, np.ones([4, 4]))):
        optimizer.apply([size * hadamard.reshape(2, 1, 2, 4)])
        np.testing.assert_allclose(np.array(kernel).reshape(4, 4), expected, atol=1e-6)


def test_muon_moves_dense_layers_as_adam_does():
    found = []
    for kind in (Muon, keras.optimizers.Adam):
        weights = [keras.Variable(np.ones(shape)) for shape in ([3, 4], [4])]
        optimizer = kind(0.01, beta_1=0.5, beta_2=0.9)
        optimizer.build(weights)
        rng = np.random.default_rng(0)
        for _ in range(3):
            optimizer.apply([keras.ops.array(rng.normal(size=w.shape), "float32") for w in weights])
        found.append(np.concatenate([np.ravel(w) for w in weights]))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", ["Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D"])
def test_a_step_of_muon_is_about_twice_the_learning_rate(name):
    layer = getattr(keras.layers, name)(16, 3)
    dimensions = int(name[4])
    layer.build([None, *[8] * dimensions, 4])
    before = np.array(layer.kernel)
    optimizer = Muon(0.01, beta_1=0.0)
    optimizer.build([layer.kernel])
    gradient = np.random.default_rng(0).normal(size=before.shape).astype(np.float32)
    optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    moved = np.array(layer.kernel) - before
    assert 2 * 0.68 < np.sqrt(np.mean(moved**2)) / 0.01 < 2 * 1.21
    assert np.sum(moved * gradient) < 0  # downhill
