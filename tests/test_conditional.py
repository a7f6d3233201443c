"""A GAN of which one can ask for a class: from the labels of the data to the command."""

import dataclasses
import hashlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import picture
from PIL import Image

from keras_gan import GAN, InputError, callbacks, data, layers, seeds, training
from keras_gan.config import Config
from keras_gan.data import readers
from keras_gan.evaluation import FeatureNetwork, Reference, Samples, default_network, evaluate
from keras_gan.evaluation.scores import UnavailableError
from keras_gan.export import PRETRAINED, SavedGenerator
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES, projection
from keras_gan.penalties import PENALTIES, R1

CLASSES = 3


def plain_discriminator():
    stack = [keras.Input([4, 4, 1]), keras.layers.Flatten(), keras.layers.Dense(5, "tanh")]
    return keras.Sequential([*stack, keras.layers.Dense(1)])


def small_gan(loss="lsgan", seed=0, rates=(0.1, 0.1), **options):
    keras.utils.set_random_seed(0)
    generator = keras.Sequential([keras.Input([2 + CLASSES]), keras.layers.Dense(16, "tanh")])
    generator.add(keras.layers.Reshape([4, 4, 1]))
    discriminator = projection(plain_discriminator(), CLASSES)
    gan = GAN(generator, discriminator, latent="categorical", classes=CLASSES, seed=seed)
    gan.compile(*map(keras.optimizers.SGD, rates), loss=loss, **options)
    return gan


def batch(count=6):
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, [count, 4, 4, 1]).astype(np.float32)
    return images, rng.integers(0, CLASSES, count)


# The networks


def test_projection_by_hand():
    """Miyato and Koyama 2018, equation 3: the logit, plus <the class's vector, the features>."""
    plain = plain_discriminator()
    discriminator = projection(plain, CLASSES)
    images, labels = batch()
    features = np.array(features_of(plain, images))
    (vectors,) = [w for w in discriminator.trainable_weights if w.shape == (CLASSES, 5)]
    expected = np.array(plain(images))[:, 0] + np.sum(np.array(vectors)[labels] * features, axis=1)
    np.testing.assert_allclose(discriminator([images, labels])[:, 0], expected, rtol=1e-5)


def features_of(sequential, images):
    x = images
    for layer in sequential.layers[:-1]:
        x = layer(x)
    return x


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("constraint", [{}, {"spectral_norm": True}, {"weight_clip": 0.01}])
def test_every_architecture_can_be_conditional(arch, constraint):
    plain = ARCHITECTURES[arch].discriminator((28, 28, 1))
    discriminator = projection(plain, 10)
    if constraint:
        discriminator = layers.constrain(discriminator, **constraint)
    logits = discriminator([np.zeros([3, 28, 28, 1]), np.arange(3)])
    assert logits.shape == (3, 1)
    kernels = [w for w in discriminator.trainable_weights if w.shape[0] == 10]
    assert len(kernels) == 1  # the classes' vectors
    if constraint.get("weight_clip"):
        assert kernels[0].constraint.limit == 0.01


def test_latents_end_in_the_class():
    z = np.array(seeds.categorical([4, 5], seeds.fold(0, 0), [0, 2, 1, 2], CLASSES))
    # One-hot, less its mean 1 / 3, divided by its standard deviation sqrt(2) / 3.
    high, low = (1 - 1 / 3) / (np.sqrt(2) / 3), (-1 / 3) / (np.sqrt(2) / 3)
    expected = np.where(np.eye(3)[[0, 2, 1, 2]] == 1, high, low)
    np.testing.assert_allclose(z[:, 2:], expected, rtol=1e-6)
    nearer = small_gan().latents(4, labels=[0, 2, 1, 2])[:, 2:]
    np.testing.assert_allclose(nearer, expected / 2, rtol=1e-6)
    same = np.array(seeds.categorical([4, 5], seeds.fold(0, 0), [1, 1, 1, 1], CLASSES))
    np.testing.assert_array_equal(z[:, :2], same[:, :2])


# The training


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("d_steps", [1, 2])
def test_both_networks_get_the_labels_of_their_images(simultaneous, d_steps, monkeypatch):
    """Image i is filled with its label / 10; G draws images that show the class of the latent."""
    gan = small_gan(simultaneous=simultaneous, d_steps=d_steps, run_eagerly=True)
    labels = np.array([2, 0, 1, 1, 2, 0])
    images = np.broadcast_to(labels[:, None, None, None] / 10, [6, 4, 4, 1]).astype(np.float32)
    asked = []

    def draw(z, **_):
        shown = tf.argmax(z[:, -CLASSES:], axis=1)
        asked.append(np.array(shown))
        return 0 * gan_call(z) + tf.cast(shown, tf.float32)[:, None, None, None] / 10

    gan_call = gan.generator.call
    monkeypatch.setattr(gan.generator, "call", draw)
    judged = []
    call = gan.discriminator.call

    def watch(inputs, **kwargs):
        pixels, given = inputs
        np.testing.assert_allclose(pixels[:, 0, 0, 0] * 10, given, atol=1e-5)
        judged.append(np.array(given))
        return call(inputs, **kwargs)

    monkeypatch.setattr(gan.discriminator, "call", watch)
    gan.train_on_batch(images, labels)
    expected = [labels[k::d_steps].tolist() for k in range(d_steps)]
    assert {tuple(x.tolist()) for x in judged} == {tuple(x) for x in expected}
    assert len(judged) >= 2 * d_steps


@pytest.mark.parametrize("one_in", [1, 3])
def test_a_penalty_is_per_image_at_its_own_label(one_in):
    gan = small_gan(penalty=R1(2.0, one_in=one_in), rates=(0.1, 1e-9))
    images, labels = batch()
    x, known = tf.constant(images), tf.constant(labels)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = gan.discriminator([x, known], training=True)
    squares = np.sum(np.square(tape.gradient(logits, x)), axis=(1, 2, 3))[: 6 // one_in]
    fake = gan.generator(gan._latents_like(x, seeds.TRAIN, 0, 0, labels=known))
    fake_logits = gan.discriminator([fake, known], training=True)
    expected = np.mean((logits - 1) ** 2) / 2 + np.mean(np.square(fake_logits)) / 2
    expected += squares.mean()  # 2 / 2
    logs = gan.train_on_batch(images, labels, return_dict=True)
    assert logs["d_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "penalty"), [*((loss, None) for loss in LOSSES), *(("lsgan", p) for p in PENALTIES)]
)
def test_every_loss_and_penalty(loss, penalty):
    gan = small_gan(loss=loss, penalty=penalty, rates=(0.01, 0.01))
    before = [np.array(w) for w in gan.trainable_weights]
    logs = gan.train_on_batch(*batch(), return_dict=True)
    assert np.all(np.isfinite([*logs.values()]))
    after = gan.trainable_weights
    same = [a.shape for a, b in zip(before, after, strict=True) if np.array_equal(a, b)]
    assert same in ([], [(1,)])  # the last bias of D, if only differences of logits count


def test_labels_that_are_missing_or_out_of_range():
    gan = small_gan()
    images, labels = batch()
    with pytest.raises(ValueError, match=r"no labels: expected batches \(images, labels\)"):
        gan.train_on_batch(images)
    for wrong in (-1, CLASSES):
        with pytest.raises(tf.errors.InvalidArgumentError, match="expected 0 to 2"):
            gan.train_on_batch(images, np.where(labels == 0, wrong, labels))
    with pytest.raises(ValueError, match="The discriminator has one input: expected two"):
        GAN(gan.generator, plain_discriminator(), latent="categorical", classes=CLASSES)
    with pytest.raises(ValueError, match="expected at least 2 classes, and 'categorical'"):
        GAN(gan.generator, gan.discriminator, classes=CLASSES)
    with pytest.raises(ValueError, match="The discriminator is no Sequential"):
        GAN(gan.generator, gan.discriminator)


# Samples


def test_generate_draws_classes_in_turn_or_evenly():
    gan = small_gan()

    def classes(*args, **kwargs):
        return np.argmax(np.array(gan.latents(*args, **kwargs))[:, -CLASSES:], axis=1)

    np.testing.assert_array_equal(classes(4, labels=2), [2, 2, 2, 2])
    np.testing.assert_array_equal(classes(5, labels=[0, 2]), [0, 2, 0, 2, 0])
    drawn = classes(3000, seed=1)
    np.testing.assert_allclose(np.bincount(drawn) / 3000, 1 / 3, atol=0.03)
    np.testing.assert_array_equal(drawn, gan.labelled_latents(3000, seed=1)[1])
    np.testing.assert_array_equal(gan.generate(5, labels=1), gan.generate(5, labels=[1] * 5))
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 0 to 2"):
        gan.generate(2, labels=3)


def test_the_grid_has_a_row_for_each_class(tmp_path):
    gan = small_gan()
    grid = callbacks.SampleGrid(tmp_path, num_images=7, seed=4)
    grid.set_model(gan)
    grid.on_train_begin()
    grid.on_epoch_end(0)
    pixels = picture(tmp_path / "epoch-0001.png").reshape(3, 4, 2, 4).swapaxes(1, 2)
    for label in range(CLASSES):
        expected = np.rint((gan.generate(2, seed=4, labels=label)[..., 0] + 1) * 127.5)
        np.testing.assert_allclose(pixels[label], expected, atol=1)


def test_saved_and_exported(tmp_path):
    gan = small_gan()
    gan.train_on_batch(*batch())
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(5, labels=1), gan.generate(5, labels=1))
    gan.export(tmp_path / "export")
    model = tf.saved_model.load(str(tmp_path / "export"))
    found = model.sample(5, 3, [2, 0])["images"]
    np.testing.assert_allclose(found, (gan.generate(5, seed=3, labels=[2, 0]) + 1) / 2, atol=1e-6)
    found = model.sample(5, 3, tf.zeros([0], tf.int32))["images"]
    np.testing.assert_allclose(found, (gan.generate(5, seed=3) + 1) / 2, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 0 to 2"):
        model.sample(5, 3, [3])
    images, labels = batch()
    judged = model.discriminator((images + 1) / 2, labels.astype(np.int32))["probability"]
    assert judged.shape == (6, 1)
    np.testing.assert_allclose(judged, gan.probability(images, labels), atol=1e-6)
    saved = SavedGenerator(tmp_path / "export")
    pixels = np.uint8(np.rint(127.5 * (images + 1)))
    found = saved.probability(pixels, labels)
    np.testing.assert_allclose(found, judged, atol=0.01)  # rounded to whole numbers
    assert np.abs(found - saved.probability(pixels, (labels + 1) % 3)).max() > 1e-4
    with pytest.raises(InputError, match="the discriminator needs labels"):
        saved.probability(pixels)
    with pytest.raises(InputError, match="labels=None: expected labels for this GAN"):
        gan.probability(images)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 0 to 2"):
        gan.probability(images, labels + 1)
    for labels_ in (2, None):
        expected = gan.latents(5, 3, labels_)
        np.testing.assert_allclose(saved.latents(5, 3, labels_), expected, atol=1e-6)
    z, labels = saved.labelled_latents(5, 3, [2, 0])
    np.testing.assert_array_equal(labels, [2, 0, 2, 0, 2])
    np.testing.assert_array_equal(z, saved.latents(5, 3, [2, 0]))
    with pytest.raises(InputError, match="can't draw latents: .*expected 0 to 2"):
        saved.latents(5, 3, [7])


# The data


def test_batches_with_labels():
    images = np.arange(10, dtype=np.uint8)[:, None, None, None]
    labels = np.arange(10)[::-1] % 4
    stream = data.batches(images, 4, labels=labels, seed=2)
    plain = data.batches(images, 4, seed=2)
    for (pixels, found), alone in zip(stream.take(9), plain.take(9), strict=True):
        np.testing.assert_array_equal(pixels, alone)
        numbers = np.rint((np.array(pixels).ravel() + 1) * 127.5).astype(int)
        np.testing.assert_array_equal(found, labels[numbers])


def test_subfolders_are_classes(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder = tmp_path / "animals"
    for name in ("dog/a.png", "cat/deep/b.png", "cat/c.png", "emu/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), len(name)).save(folder / name)
    images, labels = readers.read(folder)
    assert labels.tolist() == [0, 0, 1, 2]
    assert images[:, 0, 0, 0].tolist() == [9, 14, 9, 9]
    assert data.load(data_path=folder).classes == 3
    Image.new("L", (4, 4)).save(folder / "z.png")
    assert readers.read(folder)[1] is None


@pytest.mark.parametrize(
    ("labels", "classes"), [(None, None), ([-1, 0], None), ([0.5, 1], None), ([0, 0], 1)]
)
def test_labels_that_are_no_classes(labels, classes):
    images = np.zeros([2, 4, 4, 1], np.uint8)
    labels = None if labels is None else np.array(labels)
    source = data.Images("x", images, labels)
    assert source.classes == classes
    with pytest.raises(InputError, match="--conditional: the images have no labels 0, 1, 2"):
        Config(conditional=True, batch_size=1).resolve(2, classes=source.classes)


def test_resolve_gives_each_class_a_number():
    for arch, normal in (("dcgan", 128), ("mlp", 16), ("maxout", 100)):
        config = Config(arch=arch, conditional=True).resolve(1000, classes=7)
        assert (config.latent, config.latent_dim) == ("categorical", normal + 7)
    with pytest.raises(InputError, match="--latent=uniform: expected categorical"):
        Config(conditional=True, latent="uniform").resolve(1000, classes=7)


def test_build_and_unconditional_builds_are_as_before():
    images = np.zeros([100, 28, 28, 1], np.uint8)
    config = Config(conditional=True).resolve(100, classes=10)
    gan = training.build(config, images, classes=10)
    assert gan.classes == 10
    plain = dataclasses.replace(config, conditional=False)
    without = training.build(plain, images, classes=10)
    assert without.classes is None
    for a, b in zip(gan.generator.weights, without.generator.weights, strict=True):
        np.testing.assert_array_equal(a, b)


# Scores


def test_accuracy_and_distance_per_class():
    """The network reads an image's brightness: below and above 128."""
    images = keras.Input([8, 8, 1])
    flat = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(images))
    mean = keras.layers.GlobalAveragePooling2D()(images)
    one = keras.layers.Rescaling(50.0)(mean)
    probabilities = keras.layers.Softmax()(keras.layers.Concatenate()([-one, one]))
    model = keras.Model(images, {"features": flat, "probabilities": probabilities})
    network = FeatureNetwork(model)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    pixels = np.uint8(rng.integers(0, 100, [200, 8, 8, 1]) + 150 * labels[:, None, None, None])
    reference = Reference(Samples(pixels, network, labels=labels))
    asked = labels.copy()
    asked[:50] = 1 - asked[:50]
    found = evaluate(Samples(pixels, network, labels=asked), reference, ["accuracy", "class_fid"])
    assert found["accuracy"] == 0.75
    perfect = evaluate(
        Samples(pixels, network, labels=labels), reference, ["accuracy", "class_fid"]
    )
    assert perfect["accuracy"] == 1
    assert perfect["class_fid"] == pytest.approx(0, abs=1e-6)
    darker = np.where(labels[:, None, None, None] == 1, pixels // 2 + 70, pixels)
    half = evaluate(Samples(np.uint8(darker), network, labels=labels), reference, ["class_fid"])
    assert half["class_fid_0"] == pytest.approx(0, abs=1e-6)
    assert half["class_fid_1"] > 1e-4
    assert half["class_fid"] == half["class_fid_1"] / 2 + half["class_fid_0"] / 2
    assert found["class_fid"] == np.mean([found["class_fid_0"], found["class_fid_1"]]) > 0.1
    with pytest.raises(InputError, match="no classes that were asked for"):
        evaluate(Samples(pixels, network), reference, ["accuracy"])
    few = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:4]])
    with pytest.raises(UnavailableError, match="needs 5 of each class: of class 1 there are"):
        evaluate(Samples(pixels[few], network, labels=labels[few]), reference, ["class_fid"])


# The commands


def test_commands(command, tiny_npz, tmp_path):
    run = tmp_path / "run"
    small = ["--steps_per_epoch=3", "--epochs=2", "--batch_size=8", "--arch=mlp"]
    flags = [f"--data_path={tiny_npz}", f"--model_dir={run}", *small, "--conditional"]
    done = command("train.py", *flags)
    assert done.returncode == 0, done.stderr
    assert picture(run / "samples/epoch-0002.png").shape == (280, 6 * 28)
    model = f"--model_dir={run}"
    done = command("sample.py", model, "--label=7", "--num_images=4", f"--output={tmp_path}/a.npy")
    assert done.returncode == 0, done.stderr
    sevens = np.load(tmp_path / "a.npy")
    done = command(
        "sample.py", model, "--label=0,7", "--num_images=7", f"--output={tmp_path}/b.npy"
    )
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy")[1::2], sevens[:3])
    command("sample.py", model, "--label=0,7", "--num_images=7", f"--output={tmp_path}/c.png")
    grid = picture(tmp_path / "c.png")  # a row for each class
    assert grid.shape == (2 * 28, 4 * 28)
    np.testing.assert_array_equal(grid[28:, :28], sevens[0, ..., 0])
    ways = ["--interpolate", "--label=0,1,2", "--num_images=16"]  # four rows, each in its class
    command("sample.py", model, *ways, f"--output={tmp_path}/e.npy")
    command("sample.py", model, "--label=1", "--num_images=8", f"--output={tmp_path}/f.npy")
    ways, ones = np.load(tmp_path / "e.npy"), np.load(tmp_path / "f.npy")
    np.testing.assert_allclose(ways[[4, 7]], ones[[1, 5]], atol=1)
    for label, message in (("12", "expected 0 to 9"), ("x", "--label=x: expected numbers")):
        done = command("sample.py", model, f"--label={label}", f"--output={tmp_path}/d.png")
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    done = command(
        "-m", "keras_gan.evaluate", model, "--num_images=600", "--metrics=accuracy,acceptance"
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((run / "evaluation.json").read_text())
    for score in record["scores"].values():
        assert all(0 <= value <= 1 for value in score.values())
    done = command("train.py", *flags[:-1])
    assert "holds a run with" in done.stderr
    assert "--conditional=True" in done.stderr


# The generator that comes with the package


def test_the_pretrained_generator_draws_what_is_asked_for(command, tmp_path):
    folder = PRETRAINED["mnist"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    record = json.loads((folder / "assets.extra/run.json").read_text())["sha256"]
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in record}
    assert found == record
    assert {"saved_model.pb", "variables/variables.data-00000-of-00001"} <= record.keys()
    scores = json.loads((folder / "evaluation.json").read_text())["scores"]
    assert scores["accuracy"]["model"] > 0.985
    output = tmp_path / "x.npy"
    flags = ("--pretrained=mnist", "--label=7,2", "--num_images=200", f"--output={output}")
    done = command("sample.py", *flags)
    assert done.returncode == 0, done.stderr
    read = np.argmax(default_network()(np.load(output))["probabilities"], axis=1)
    assert np.mean(read == [7, 2] * 100) > 0.95
    done = command("sample.py", "--pretrained=mnist", f"--model_dir={tmp_path}")
    assert (done.returncode, done.stderr) == (
        1,
        "sample.py: Give either --pretrained or --model_dir.\n",
    )
