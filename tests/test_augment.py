import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gan import GAN
from keras_gan.augment import AUGMENTATIONS, color, cutout, translation


def images(count=200, size=(16, 24), channels=3):
    draw = np.random.default_rng(0).uniform(-1, 1, [count, *size, channels])
    return tf.constant(draw, tf.float32)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_draws_follow_from_the_seed_and_differ_by_image(name):
    augment = AUGMENTATIONS[name]
    same = tf.repeat(images(1), 8, axis=0)
    first = np.array(augment(same, [1, 2]))
    np.testing.assert_array_equal(first, augment(same, [1, 2]))
    assert not np.array_equal(first, augment(same, [1, 3]))
    assert len(np.unique(first.reshape(8, -1), axis=0)) >= 6  # two may be moved alike
    assert first.shape == same.shape


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_gradient_is_that_of_finite_differences(name):
    x = tf.cast(images(3, (8, 8)), tf.float64)
    weights = tf.constant(np.random.default_rng(1).normal(size=x.shape))

    def total(x):
        return tf.reduce_sum(weights * tf.cast(AUGMENTATIONS[name](x, [1, 2]), tf.float64))

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = total(x)
    gradient = tape.gradient(value, x)
    assert np.any(gradient)
    direction = tf.constant(np.random.default_rng(2).normal(size=x.shape))
    slope = (total(x + 1e-4 * direction) - total(x - 1e-4 * direction)) / 2e-4
    np.testing.assert_allclose(tf.reduce_sum(gradient * direction), slope, rtol=1e-6)


def test_translation_moves_by_up_to_an_eighth_and_fills_with_zeros():
    x = np.array(images())
    moved = np.array(translation(x, [1, 2]))
    seen = set()
    for before, after in zip(x, moved, strict=True):
        for dy, dx in itertools.product(range(-2, 3), range(-3, 4)):
            wanted = np.zeros_like(before)
            rows = slice(max(0, -dy), 16 - max(0, dy)), slice(max(0, dy), 16 + min(0, dy))
            columns = slice(max(0, -dx), 24 - max(0, dx)), slice(max(0, dx), 24 + min(0, dx))
            wanted[rows[0], columns[0]] = before[rows[1], columns[1]]
            if np.array_equal(wanted, after):
                seen.add((dy, dx))
                break
        else:
            raise AssertionError("an image was not moved by up to 2 rows and 3 columns")
    assert {dy for dy, _ in seen} == {*range(-2, 3)}
    assert {dx for _, dx in seen} == {*range(-3, 4)}


def test_cutout_clears_a_rectangle_of_half_the_sides():
    x = np.array(images()) + 5
    cut = np.array(cutout(x, [1, 2]))
    areas = []
    for before, after in zip(x, cut, strict=True):
        gone = np.all(after == 0, axis=-1)
        np.testing.assert_array_equal(after[~gone], before[~gone])
        rows, columns = np.flatnonzero(gone.any(axis=1)), np.flatnonzero(gone.any(axis=0))
        assert (len(rows) <= 8, len(columns) <= 12) == (True, True)
        assert gone[np.ix_(rows, columns)].all()
        areas.append(len(rows) * len(columns))
    assert max(areas) == 8 * 12  # the whole rectangle where it is inside
    assert min(areas) < 8 * 12
    assert np.all(np.any(cut == 0, axis=0))  # each pixel in some image


def test_color_changes_brightness_saturation_and_contrast():
    """Three numbers for each image, the same ones for all of its pixels."""
    x = np.array(images(), np.float64)
    changed = np.array(color(tf.constant(x), [1, 2]))
    shift, contrast, saturation = [], [], []
    for before, after in zip(x, changed, strict=True):
        shift.append(after.mean() - before.mean())  # contrast and saturation keep the mean
        greys = [(image.mean(axis=-1) - image.mean()).ravel() for image in (before, after)]
        contrast.append(greys[1] @ greys[0] / (greys[0] @ greys[0]))
        np.testing.assert_allclose(greys[1], contrast[-1] * greys[0], atol=1e-9)
        colors = [(i - i.mean(axis=-1, keepdims=True)).ravel() for i in (before, after)]
        saturation.append(colors[1] @ colors[0] / (colors[0] @ colors[0]) / contrast[-1])
        np.testing.assert_allclose(colors[1], saturation[-1] * contrast[-1] * colors[0], atol=1e-9)
    for found, low, high in [(shift, -0.5, 0.5), (contrast, 0.5, 1.5), (saturation, 0, 2)]:
        assert low <= min(found) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(found) <= high


# In a GAN


def gan(augment, **options):
    """D takes the mean of its weights times the pixels: what it is shown can be worked out."""
    keras.utils.set_random_seed(0)
    generator = keras.Sequential([keras.Input([3]), keras.layers.Dense(192, "tanh")])
    generator.add(keras.layers.Reshape([8, 8, 3]))
    discriminator = keras.Sequential([keras.Input([8, 8, 3]), keras.layers.Flatten()])
    discriminator.add(keras.layers.Dense(1))
    model = GAN(generator, discriminator, seed=5)
    rates = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)
    model.compile(*rates, augment=augment, run_eagerly=True, **options)
    return model


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("loss", ["lsgan", "relativistic"])
def test_both_networks_see_changed_images_only(simultaneous, loss, monkeypatch):
    calls = []

    def paint(images, seed):
        """Shows nothing but the number of the call, and lets the gradient through."""
        calls.append(tuple(np.array(seed)))
        return 0 * images + len(calls)

    monkeypatch.setitem(AUGMENTATIONS, "color", paint)
    model = gan(["color"], simultaneous=simultaneous, loss=loss)
    shown = []
    call = model.discriminator.call

    def watch(images, **kwargs):
        shown.append(np.unique(images))
        return call(images, **kwargs)

    monkeypatch.setattr(model.discriminator, "call", watch)
    before = [np.array(weight) for weight in model.generator.weights]
    model.train_on_batch(np.array(images(4, (8, 8))))
    assert all(len(values) == 1 and values[0] >= 1 for values in shown)
    assert len(set(calls)) == len(calls)  # real and generated images are changed differently
    for old, new in zip(before, model.generator.weights, strict=True):
        np.testing.assert_array_equal(old, new)  # 0 * images has no gradient


@pytest.mark.parametrize("penalty", [None, "r1", "dragan"])
def test_the_gradient_reaches_the_generator(penalty):
    model = gan(["color", "translation", "cutout"], penalty=penalty)
    before = [np.array(weight) for weight in model.generator.weights]
    model.train_on_batch(np.array(images(4, (8, 8))))
    changed = [
        not np.array_equal(a, b) for a, b in zip(before, model.generator.weights, strict=True)
    ]
    assert all(changed)
    again = gan(["color", "translation", "cutout"], penalty=penalty)
    again.train_on_batch(np.array(images(4, (8, 8))))
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_augmentations_act_in_the_order_given():
    for names in (["color", "cutout"], ["cutout", "color"]):
        shown = gan(names)._augmented(images(8, (8, 8)) + 3, tf.constant([1, 2]), 0)
        assert np.any(shown == 0) == (names[-1] == "cutout")  # else the hole is coloured


def test_no_augmentation_changes_evaluate_or_generate():
    x = np.array(images(4, (8, 8)))
    plain, augmented = gan([]), gan(["color", "cutout"])
    assert plain.evaluate(x, verbose=0) == augmented.evaluate(x, verbose=0)
    np.testing.assert_array_equal(plain.generate(3), augmented.generate(3))


def test_saved_and_refused(tmp_path):
    model = gan(["cutout", "color"])
    model.save(tmp_path / "gan.keras")
    assert keras.models.load_model(tmp_path / "gan.keras").augment == ["cutout", "color"]
    with pytest.raises(ValueError, match=r"augment=\['blur'\]: expected some of"):
        gan(["blur"])
