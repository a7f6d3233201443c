"""The evaluation on digits: its scores for images with known faults, and its command."""

import functools
import json
import os
import re
from unittest import mock

import keras
import numpy as np
import pytest
from conftest import ROOT

from keras_gan import InputError, data, evaluation
from keras_gan.data import synthetic
from keras_gan.evaluation import (
    METRICS,
    FeatureNetwork,
    Reference,
    Samples,
    evaluate,
    evaluate_images,
    network,
    scores,
)
from keras_gan.evaluation.metrics import OF_CLASSES

N = 1500  # images in a set
LEAST = 3850  # images that fid_infinity takes


@pytest.fixture(scope="module", autouse=True)
def few_patches():
    """All the patches of the sliced Wasserstein distance take seconds."""
    few = functools.partial(scores.sliced_wasserstein, patches=2**10, directions=16)
    with mock.patch.object(scores, "sliced_wasserstein", few):
        yield


@pytest.fixture(scope="module")
def halves():
    """(training images and labels, held-out ones): MNIST where it is, else synthetic digits."""
    if os.environ.get(data.ENVIRONMENT_VARIABLE):
        train, test = data.load("mnist"), data.load("mnist", split="test")
        # The first half of MNIST's test images is easier to read than the second.
        order = np.random.default_rng(0).permutation(len(test.images))
        first = slice(4_500)
        return (train.images[first], train.labels[first]), (test.images[order], test.labels[order])
    return synthetic.digits(4_500, seed=0), synthetic.digits(5_000, seed=1)


@pytest.fixture(scope="module")
def reference(halves):
    (train, _), (test, _) = halves
    return Reference(Samples(train), Samples(test[:N]))


@pytest.fixture(scope="module")
def scored(reference):
    """Scores images without Parzen windows, which are slow."""
    others = ("fid_infinity", "parzen", "acceptance", "memorisation", *OF_CLASSES)
    metrics = [m for m in METRICS if m not in others]
    return lambda images: evaluate(Samples(images), reference, metrics)


@pytest.fixture(scope="module")
def real(scored, halves):
    return scored(halves[1][0][:N])


# Known answers


def test_real_images_are_the_floor(real):
    assert real["modes"] == 10
    assert real["class_kl"] < 0.02
    assert sum(real["class_histogram"]) == pytest.approx(1)
    assert abs(real["kid"]) < 6 * real["kid_error"]
    assert real["precision"] > 0.7
    assert real["recall"] > 0.7
    assert 0.8 < real["density"] < 1.2
    assert real["coverage"] > 0.8
    assert real["classifier_score"] > 8
    assert 0.9 < real["noise"] < 1.1


def test_infinitely_many_samples_are_nearer(reference, halves):
    found = evaluate(Samples(halves[1][0][:LEAST]), reference, ["fid", "fid_infinity"])
    assert found["fid_infinity"] < found["fid"]


def test_noise_is_seen(scored, real, halves):
    rng = np.random.default_rng(0)
    clean = halves[1][0][:N]
    noisy = np.clip(clean + rng.normal(0, 25, clean.shape), 0, 255).astype(np.uint8)
    found = scored(noisy)
    assert found["noise"] > 1.1 * real["noise"]
    assert found["fid"] > 5 * real["fid"]
    assert found["kid"] > real["kid"] + 10 * found["kid_error"]
    assert found["precision"] < real["precision"] - 0.1
    assert found["density"] < real["density"] - 0.1
    assert found["modes"] == 10


def test_a_missing_class_is_seen(scored, real, halves):
    _, (test, labels) = halves
    found = scored(test[labels != 7][:N])
    assert found["modes"] == 9
    assert found["class_histogram"][7] < 0.01
    share = real["class_histogram"][7]
    assert found["class_kl"] == pytest.approx(-np.log(1 - share), abs=0.03)
    assert found["fid"] > 1.5 * real["fid"]
    assert found["kid"] > real["kid"] + 3 * found["kid_error"]
    assert found["coverage"] < real["coverage"] - 0.5 * share
    assert found["recall"] < real["recall"] - 0.01
    assert found["precision"] == pytest.approx(real["precision"], abs=0.04)
    assert found["noise"] == pytest.approx(real["noise"], rel=0.1)


def test_duplicates_are_seen(scored, real, halves):
    found = scored(np.tile(halves[1][0][:100], [15, 1, 1, 1])[:N])
    assert found["recall"] < 0.01
    assert found["coverage"] < 0.6 * real["coverage"]
    assert found["fid"] > 5 * real["fid"]
    assert found["precision"] == pytest.approx(real["precision"], abs=0.15)
    assert found["classifier_score"] > 0.8 * real["classifier_score"]


def test_one_digit_is_seen(scored, real, halves):
    (train, labels), _ = halves
    threes = train[labels == 3]
    found = scored(np.tile(threes, [4, 1, 1, 1])[:N])
    assert found["modes"] == 1
    assert found["class_histogram"][3] > 0.98
    assert found["classifier_score"] < 1.2
    assert found["class_kl"] == pytest.approx(-np.log(real["class_histogram"][3]), abs=0.2)
    assert found["recall"] < 0.3 * real["recall"]


def test_copies_of_training_images_are_memorised(reference, halves):
    (train, _), (test, _) = halves

    def memorisation(images):
        return evaluate(Samples(images), reference, ["memorisation"])["memorisation"]

    assert memorisation(test[:N]) == pytest.approx(1, abs=1e-6)
    assert memorisation(train[:500]) < 0.01
    half = memorisation(np.concatenate([train[:400], test[:400]]))
    assert 0.4 < half < 0.6
    noise = np.random.default_rng(0).integers(0, 256, [100, 28, 28, 1], np.uint8)
    assert memorisation(noise) > 2


def test_parzen_windows_tell_real_from_faint(reference, halves):
    train = reference.train.images[1000:]  # the first thousand choose the width

    def parzen(images):
        return evaluate(Samples(images), reference, ["parzen"])

    real = parzen(train)
    assert real["parzen_sigma"] in np.logspace(-1, 0, 10)
    half = parzen(train // 2)
    assert half["parzen"] < real["parzen"] - 20
    # Training images choose the width, and held-out ones are what is likely or not.
    (_, _), (test, _) = halves
    darker = Reference(reference.train, Samples(test[:N] // 2))
    found = evaluate(Samples(train), darker, ["parzen"])
    assert found["parzen_sigma"] == real["parzen_sigma"]
    assert abs(found["parzen"] - real["parzen"]) > 20
    assert 0 < real["parzen_error"] < 10


def test_acceptance_asks_the_discriminator(reference, halves):
    images = halves[1][0][:200]

    expected = images.mean(axis=(1, 2, 3)) > 30

    def bright(images, labels):
        assert images.dtype == np.uint8
        found = images.mean(axis=(1, 2)) > 30
        return found if labels is None else found == labels[:, np.newaxis]

    found = evaluate(Samples(images, discriminator=bright), reference, ["acceptance"])
    assert found["acceptance"] == pytest.approx(np.mean(expected))
    labelled = Samples(images, discriminator=bright, labels=np.int64(expected))
    assert evaluate(labelled, reference, ["acceptance"])["acceptance"] == 1  # each with its own
    assert evaluate(Samples(images), reference, ["noise"]).keys() == {"noise"}
    with pytest.raises(InputError, match="discriminator is not given"):
        evaluate(Samples(images), reference, ["acceptance"])


# What does not matter, and what may not be


def test_the_default_network_is_float32_under_any_policy(halves):
    images = halves[1][0][:20]
    expected = evaluation.default_network()(images)
    evaluation.default_network.cache_clear()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = evaluation.default_network()(images)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(found["features"], expected["features"])


def test_the_order_in_memory_does_not_matter():
    pixels = np.random.default_rng(0).integers(256, size=[20, 8, 8, 3], dtype=np.uint8)
    found = Samples(pixels[..., ::-1][..., ::-1]).images
    np.testing.assert_array_equal(found, Samples(pixels).images)
    np.testing.assert_array_equal(Samples(np.asfortranarray(pixels)).images, found)


def test_neither_order_nor_dtype_matters(scored, real, halves):
    images = halves[1][0][:N]
    shuffled = np.random.default_rng(0).permutation(images)
    assert scored(shuffled / 127.5 - 1) == real


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros([5, 28, 28]), "shape [5, 28, 28]: expected [n, H, W, C]"),
        (np.zeros([0, 28, 28, 1]), "shape [0, 28, 28, 1]"),
        (np.full([5, 28, 28, 1], np.nan), "not finite"),
        (np.full([5, 28, 28, 1], 7.5), "from 7.5 to 7.5: expected [-1, 1]"),
        (np.zeros([5, 28, 28, 1], int), "int64: expected uint8"),
        (np.zeros([5, 28, 28, 1], np.uint8), "one colour"),
        (np.arange(5, dtype=np.uint8).repeat(784).reshape(5, 28, 28, 1), "one colour"),
        (np.tile(np.arange(784, dtype=np.uint8).reshape(1, 28, 28, 1), [5, 1, 1, 1]), "the same"),
    ],
)
def test_images_that_show_nothing(images, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Samples(images)


def test_too_few_and_other_shapes(reference, halves):
    images = halves[1][0]
    for metric, least in (("fid", 385), ("fid_infinity", 3850), ("kid", 40)):
        with pytest.raises(InputError, match=f"at least {least} images, got {least - 1}"):
            evaluate(Samples(images[: least - 1]), reference, [metric])
    with pytest.raises(InputError, match=re.escape("[20, 28, 1], the real images [28, 28, 1]")):
        evaluate(Samples(images[:50, :20]), reference, ["noise"])
    with pytest.raises(InputError, match="metric 'fld': expected one of fid, "):
        evaluate(Samples(images[:50]), reference, ["fld"])


# Feature networks


def test_shipped_network_knows_digits(halves):
    _, (images, labels) = halves
    probabilities = Samples(images).probabilities
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    # In the order of `Samples`, which only the images decide.
    order = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    found = [order[image.tobytes()] for image in Samples(images).images]
    accuracy = np.mean(probabilities.argmax(axis=1) == found)
    assert accuracy >= (0.993 if os.environ.get(data.ENVIRONMENT_VARIABLE) else 0.8)
    assert evaluation.default_network().name == "mnist-cnn-v1"
    assert network.NETWORK.stat().st_size < 1_000_000


def test_damaged_network_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "mnist-cnn-v1.npz"
    path.write_bytes(network.NETWORK.read_bytes() + b"x")
    monkeypatch.setattr(network, "NETWORK", path)
    with pytest.raises(InputError, match="damaged"):
        network.default_network.__wrapped__()  # past the cache


def test_any_keras_model_extracts_features():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [60, 6, 5, 3], np.uint8)
    model = keras.Sequential(
        [keras.Input([6, 5, 3]), keras.layers.GlobalAveragePooling2D()], name="colours"
    )
    network = FeatureNetwork(model)
    assert network.name == "colours"
    samples = Samples(images, network)
    expected = samples.images.mean(axis=(1, 2)) / 127.5 - 1
    np.testing.assert_allclose(samples.features, expected, atol=1e-6)
    reference = Reference(Samples(rng.integers(0, 256, [70, 6, 5, 3], np.uint8), network))
    found = evaluate(samples, reference)
    assert found["fid"] > 0
    assert found["recall"] > 0
    # Without classes, a discriminator or held-out images there are no such scores.
    assert found.keys() == {
        "fid", "fid_infinity", "kid", "kid_error", "precision", "recall", "density", "coverage",
        "noise",
    }  # fmt: skip
    with pytest.raises(InputError, match="no probabilities"):
        evaluate(samples, reference, ["modes"])
    with pytest.raises(InputError, match=re.escape("takes images of shape [28, 28, 1]")):
        evaluate(Samples(images), Reference(Samples(images)), ["fid"])


@pytest.mark.slow
def test_inception_reads_images_of_any_size(monkeypatch):
    untrained = functools.partial(keras.applications.InceptionV3, weights=None)
    monkeypatch.setattr(keras.applications, "InceptionV3", untrained)
    inception = network.read_network("inception")
    rng = np.random.default_rng(0)
    for shape in ((28, 28, 1), (64, 48, 3)):
        outputs = inception(rng.integers(0, 256, [3, *shape], np.uint8))
        assert outputs["features"].shape == (3, 2048)
        np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-4)
    grey = rng.integers(0, 256, [2, 28, 28, 1], np.uint8)
    features = inception(grey)["features"]
    np.testing.assert_array_equal(features, inception(grey.repeat(3, axis=-1))["features"])


def test_inception_without_its_weights_is_a_line(monkeypatch):
    def fails(*args, **kwargs):
        raise Exception("URL fetch failure on https://x: None -- no network\nmore")

    monkeypatch.setattr(keras.applications, "InceptionV3", fails)
    with pytest.raises(InputError) as error:
        network.read_network("inception")
    assert "--feature_network=inception: the weights are not in Keras' cache" in str(error.value)
    assert "the download failed: URL fetch failure" in str(error.value)
    assert "\n" not in str(error.value)


def test_features_of_two_networks_are_not_compared():
    images = np.random.default_rng(0).integers(0, 256, [60, 28, 28, 1], np.uint8)
    model = keras.Sequential([keras.Input([28, 28, 1]), keras.layers.Flatten()], name="pixels")
    reference = Reference(Samples(images))
    assert evaluate(Samples(images, evaluation.default_network()), reference, ["kid"])
    with pytest.raises(InputError, match="features are from pixels, those of the real images"):
        evaluate(Samples(images, FeatureNetwork(model)), reference, ["kid"])


def test_classes_of_three_channels_are_combinations(halves):
    _, (digits, _) = halves
    parts = np.split(digits[:600], 3)
    stacked = Samples(np.concatenate(parts, axis=-1))
    order = [np.stack(np.split(x, 3, axis=-1)) for x in stacked.images]  # [3, 28, 28, 1] each
    each = [evaluation.default_network()(x) for x in order]
    np.testing.assert_allclose(
        stacked.features, [x["features"].ravel() for x in each], rtol=1e-4, atol=1e-5
    )
    classes = [x["probabilities"].argmax(axis=1) @ [100, 10, 1] for x in each]
    np.testing.assert_array_equal(stacked.probabilities.argmax(axis=1), classes)
    np.testing.assert_allclose(stacked.probabilities.sum(axis=1), 1, rtol=1e-4)
    assert evaluate(stacked, Reference(stacked), ["modes", "class_kl"]) == {
        "modes": len(set(classes)),
        "class_kl": 0.0,
    }


def test_features_that_are_not_finite_are_refused():
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1)
    model = keras.Sequential([keras.Input([None, None, 1]), keras.layers.Rescaling(np.inf)])
    with pytest.raises(InputError, match=re.escape("features [3, 2, 2, 1], expected [n, d]")):
        Samples(images, FeatureNetwork(model)).features  # noqa: B018
    model.add(keras.layers.GlobalAveragePooling2D())
    with pytest.raises(InputError, match="not finite"):
        Samples(images, FeatureNetwork(model)).features  # noqa: B018
    with pytest.raises(InputError, match="expected a functional model of images"):
        FeatureNetwork(keras.Sequential([keras.Input([3]), keras.layers.Dense(2)]))


# Runs and images beside real ones


@pytest.fixture(scope="module")
def digits_npz(tmp_path_factory):
    train, test = synthetic.digits(4_500, seed=0), synthetic.digits(LEAST, seed=1)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x_train=train[0][..., 0], x_test=test[0][..., 0])
    return path


@pytest.fixture
def evaluate_command(command):
    return lambda *flags, **environment: command("-m", "keras_gan.evaluate", *flags, **environment)


def test_images_from_python(digits_npz):
    model = keras.Sequential(
        [keras.Input([28, 28, 1]), keras.layers.AveragePooling2D(7), keras.layers.Flatten()]
    )
    images, said = synthetic.digits(400, seed=2)[0], []
    options = {"data_path": digits_npz, "network": FeatureNetwork(model, "pooled")}
    found = evaluate_images(images, "mine", progress=said.append, **options)
    assert found["samples"]["images"] == "mine"
    assert found["samples"]["sha256"] == data.Images("", Samples(images).images).sha256
    assert found["reference"]["name"] == "digits"
    assert found["network"] == {"name": "pooled", "sha256": None}
    assert found["unavailable"] == {
        **dict.fromkeys(
            ("classifier_score", "modes", "class_kl", "class_histogram"),
            "The feature network has no probabilities of classes.",
        ),
        "acceptance": "The discriminator is not given.",
    }
    table = found["scores"]
    assert {"fid", "fid_infinity", "kid", "recall", "parzen", "swd", "memorisation"} <= table.keys()
    assert all(list(row) == ["model", "real", "noise"] for row in table.values())
    assert table["fid"]["real"] < table["fid"]["noise"]
    # Real training images around the test images, not the test images themselves.
    assert table["parzen"]["real"] == pytest.approx(table["parzen"]["model"], rel=0.1)
    assert table["memorisation"]["real"] == pytest.approx(1, rel=0.1)
    count = len(METRICS) - 2  # of the samples no class was asked for
    assert said[-1] == f"[{count}/{count}] memorisation of noise"
    floats = images[::-1] / 127.5 - 1  # in another order, too
    assert evaluate_images(floats, "mine", metrics=["kid"], **options)["scores"] == {
        name: table[name] for name in ("kid", "kid_error")
    }
    with pytest.raises(InputError, match="discriminator is not given"):
        evaluate_images(images, metrics=["acceptance"], **options)


def test_command_scores_images(evaluate_command, digits_npz, tmp_path):
    images = synthetic.digits(500, seed=2)[0]
    np.save(tmp_path / "x.npy", images)
    places = [f"--images={tmp_path / 'x.npy'}", f"--data_path={digits_npz}"]
    done = evaluate_command(*places, "--metrics=fid,kid,class_histogram")
    assert done.returncode == 0, done.stderr
    assert "[3/3] class_histogram of noise" in done.stderr
    assert "500 samples, real images of digits, features of mnist-cnn-v1" in done.stdout
    record = json.loads((tmp_path / "evaluation.json").read_text())
    assert record["network"] == {"name": "mnist-cnn-v1", "sha256": network.NETWORK_SHA256}
    assert record["samples"]["count"] == 500
    assert record["seconds"] > 0
    table = record["scores"]
    for name, row in table.items():
        assert None not in row.values()
        assert re.search(rf"^{name} ", done.stdout, re.MULTILINE)
    # The same in another order and as floats, one score only: the others stay.
    np.save(tmp_path / "x.npy", (images[::-1, ..., 0] / 255).astype(np.float32))
    done = evaluate_command(*places, "--metrics=kid")
    assert done.returncode == 0, done.stderr
    assert "fid" not in done.stdout
    assert json.loads((tmp_path / "evaluation.json").read_text())["scores"] == table


@pytest.mark.slow
def test_command_takes_all_scores_by_default(evaluate_command, digits_npz, tmp_path):
    np.save(tmp_path / "x.npy", synthetic.digits(LEAST, seed=2)[0])
    done = evaluate_command(f"--images={tmp_path / 'x.npy'}", f"--data_path={digits_npz}")
    assert done.returncode == 0, done.stderr
    assert "acceptance: The discriminator is not given." in done.stdout
    table = json.loads((tmp_path / "evaluation.json").read_text())["scores"]
    # Two for most scores of neighbours, three for parzen and for swd; none of classes asked for.
    assert len(table) == len(METRICS) - 2 + 6
    assert table["fid"]["model"] == pytest.approx(table["fid"]["real"], rel=0.2)


@pytest.fixture(scope="module")
def scored_run(digits_npz, tmp_path_factory, command):
    directory = tmp_path_factory.mktemp("runs") / "run"
    small = "--arch=mlp --steps_per_epoch=8 --epochs=3 --batch_size=50 --ema_decay=0 --g_lr=0.01"
    places = [f"--data_path={digits_npz}", f"--model_dir={directory}"]
    done = command("train.py", *small.split(), *places)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" fid: ") == 3
    return directory


def test_scores_of_a_run(evaluate_command, command, scored_run, digits_npz, tmp_path):
    flags = [f"--model_dir={scored_run}", "--num_images=500"]
    done = evaluate_command(*flags, "--metrics=fid,acceptance,classifier_score")
    assert done.returncode == 0, done.stderr
    record = json.loads((scored_run / "evaluation.json").read_text())
    assert record["reference"]["name"] == "digits"
    assert record["samples"]["epoch"] == 3
    assert 0 <= record["scores"]["acceptance"]["model"] <= 1
    # They are the images that sample.py draws.
    done = command("sample.py", *flags, f"--output={tmp_path / 'x.npy'}")
    assert done.returncode == 0, done.stderr
    flags_of_file = [f"--images={tmp_path / 'x.npy'}", f"--data_path={digits_npz}"]
    done = evaluate_command(*flags_of_file, "--metrics=fid,classifier_score")
    again = json.loads((tmp_path / "evaluation.json").read_text())
    for name in ("fid", "classifier_score"):
        assert again["scores"][name] == record["scores"][name]
    assert again["samples"]["sha256"] == record["samples"]["sha256"]
    assert again["samples"]["epoch"] is None
    done = evaluate_command(*flags, "--metrics=fid", "--checkpoint=best")
    assert done.returncode == 0, done.stderr
    best = json.loads((scored_run / "evaluation-best.json").read_text())["samples"]
    exported = json.loads((scored_run / "export-best/assets.extra/run.json").read_text())
    assert (best["checkpoint"], best["epoch"]) == ("best", exported["epoch"])
    assert json.loads((scored_run / "evaluation.json").read_text()) == record


def test_mistakes_in_a_line(evaluate_command, scored_run, digits_npz, tmp_path):
    np.save(tmp_path / "few.npy", synthetic.digits(30, seed=0)[0])
    np.save(tmp_path / "black.npy", np.zeros([500, 28, 28], np.uint8))
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).integers(0, 9, [50, 30, 28], np.uint8))
    (tmp_path / "text.npy").write_text("text")
    (tmp_path / "notes.json").write_text("{}")
    real = f"--data_path={digits_npz}"
    other = f"--data_path={ROOT / 'tests'}"
    for flags, message in (
        ([], "Give either --model_dir=RUN_DIRECTORY or --images=FILE.npy."),
        ([f"--model_dir={tmp_path}"], "no SavedModel"),
        (
            [f"--model_dir={scored_run}", "--num_images=0"],
            "--num_images=0: ",
        ),
        ([f"--model_dir={scored_run}", "--metrics=fad"], "--metrics=fad: expected some of fid, "),
        ([f"--model_dir={scored_run}", "--metrics="], "--metrics=: expected some of fid, "),
        ([f"--model_dir={scored_run}", other], "no images"),
        ([f"--model_dir={scored_run}", "--output=/nowhere/x.json"], "no such folder"),
        ([f"--images={tmp_path}/none.npy", real], "none.npy: not a readable .npy file"),
        ([f"--images={tmp_path}/text.npy", real], "text.npy: not a readable .npy file"),
        ([f"--images={tmp_path}/few.npy", real], "needs at least 385 images, got 30"),
        ([f"--images={tmp_path}/black.npy", real], "black.npy: Every image has one colour"),
        ([f"--images={tmp_path}/wide.npy", real], "[30, 28, 1], the real images [28, 28, 1]"),
        ([f"--images={tmp_path}/few.npy", real, "--metrics=acceptance"], "is not given"),
        (
            [f"--images={tmp_path}/few.npy", real, f"--output={tmp_path}/notes.json"],
            "notes.json: exists and is not an evaluation",
        ),
        (
            [f"--images={tmp_path}/few.npy", real, f"--feature_network={tmp_path}/text.npy"],
            "text.npy: not a Keras model",
        ),
    ):
        done = evaluate_command(*flags)
        assert done.returncode == 1, flags
        line = done.stderr.splitlines()[-1]
        assert line.startswith("evaluate.py: "), done.stderr
        assert message in line
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "evaluation.json").exists()
    assert (tmp_path / "notes.json").read_text() == "{}"


def test_a_run_is_compared_with_what_it_was_trained_on(evaluate_command, scored_run, tmp_path):
    images = synthetic.digits(500, seed=5)[0]
    np.savez(tmp_path / "digits.npz", x_train=images)
    done = evaluate_command(
        f"--model_dir={scored_run}", f"--data_path={tmp_path / 'digits.npz'}", "--metrics=noise"
    )
    assert done.returncode == 1
    assert "was trained on digits, other images than these of digits" in done.stderr
