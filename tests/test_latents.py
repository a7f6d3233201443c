import keras
import numpy as np
import pytest

from keras_gan import GAN, InputError, latents
from keras_gan.evaluation import FeatureNetwork


def test_slerp_by_hand():
    start, end = [[3.0, 0.0, 0.7], [1.0, 0.0, -2.0]], [[0.0, 3.0, 0.7], [-1.0, 0.0, -2.0]]
    way = latents.slerp(start, end, [0.0, 1 / 3, 1.0])
    assert way.shape == (2, 3, 3)
    # A third of 90 degrees on a circle of radius 3; the number that both share stays.
    np.testing.assert_allclose(way[0, 1], [3 * np.sqrt(3) / 2, 1.5, 0.7], rtol=1e-6)
    np.testing.assert_allclose(way[:, 0], start, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(way[0, 2], end[0], rtol=1e-6, atol=1e-6)


def test_slerp_keeps_the_norm_between_latents_of_equal_norm():
    z = np.random.default_rng(0).normal(size=[2, 5, 16])
    z /= np.linalg.norm(z, axis=2, keepdims=True)
    way = latents.slerp(z[0], z[1], np.linspace(0, 1, 7))
    np.testing.assert_allclose(np.linalg.norm(way, axis=2), 1, rtol=1e-5)


def test_slerp_between_opposite_latents_is_a_straight_line():
    way = latents.slerp([[1.3], [-2.0]], [[-0.4], [2.0]], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(way[..., 0], [[1.3, 0.45, -0.4], [-2, 0, 2]], atol=1e-6)


def test_slerp_of_equal_latents():
    z = np.array([[1.0, -2.0], [0.0, 0.0]])
    np.testing.assert_allclose(latents.slerp(z, z, [0.0, 0.5])[:, 1], z)


def test_a_loop_visits_its_latents_and_comes_back():
    z = np.random.default_rng(0).normal(size=[3, 8]).astype(np.float32)
    way = latents.loop(z, steps=32)
    assert way.shape == (96, 8)
    np.testing.assert_allclose(way[::32], z, rtol=1e-5, atol=1e-6)
    strides = np.linalg.norm(np.roll(way, -1, axis=0) - way, axis=1)
    assert strides.max() < 2 * np.pi / 3 * np.median(strides)  # no jump, not even to the start
    turns = strides[[0, 31, 32, 63, 64, 95]]  # into a latent and out of it
    assert turns.max() < 0.1 * strides.max()


def gan(image_shape=(4, 4, 1)):
    keras.utils.set_random_seed(0)
    generator = keras.Sequential(
        [
            keras.Input([3]),
            keras.layers.Dense(int(np.prod(image_shape)), "tanh", kernel_initializer="normal"),
            keras.layers.Reshape(image_shape),
        ]
    )
    generator.layers[0].kernel.assign(10 * generator.layers[0].kernel)
    discriminator = [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(1)]
    return GAN(generator, keras.Sequential(discriminator))


# Without features, with them, and with those of each colour.
@pytest.mark.parametrize("image_shape", [(4, 4, 1), (28, 28, 1), (28, 28, 3)])
def test_project_finds_the_latent_of_a_generated_image(image_shape):
    model = gan(image_shape)
    z = model.latents(5, seed=1234)  # none of the candidates
    images = np.uint8(np.rint((np.asarray(model(z)) + 1) * 127.5))
    found = latents.project(model, images, steps=150)
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found, z, atol=0.05)
    start = latents.project(model, images, steps=1, learning_rate=1e-9)
    distance = np.linalg.norm(start - z, axis=1)
    assert np.all(distance < 1.0)  # the nearest of 2,000, not just any
    assert np.all(np.linalg.norm(found - z, axis=1) < 0.2 * distance)


def test_project_of_another_shape():
    with pytest.raises(
        InputError, match=r"Images of shape \[5, 4, 1\], the model draws \[4, 4, 1\]"
    ):
        latents.project(gan(), np.zeros([1, 5, 4, 1], np.uint8))


def test_project_compares_pixels_and_features():
    """G draws (a, a), the picture is (c, -c): the pixels ask for a = 0, their first for a = c."""
    layers = [keras.Input([1]), keras.layers.Dense(2, "tanh", use_bias=False)]
    generator = keras.Sequential([*layers, keras.layers.Reshape([1, 2, 1])])
    generator.set_weights([np.ones([1, 2])])
    discriminator = [keras.Input([1, 2, 1]), keras.layers.Flatten(), keras.layers.Dense(1)]
    gan = GAN(generator, keras.Sequential(discriminator))
    x = keras.Input([1, 2, 1])
    network = FeatureNetwork(keras.Model(x, keras.layers.Flatten()(x)[:, :1]))
    picture = np.uint8([200, 55]).reshape(1, 1, 2, 1)
    found = latents.project(gan, picture, network=network)
    c = 200 / 127.5 - 1  # both terms are divided by the variance of a: 2 a + 2 (a - c) = 0
    np.testing.assert_allclose(np.tanh(found), [[c / 2]], atol=1e-3)
