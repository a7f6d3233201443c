import dataclasses
import itertools
import os
import signal
from unittest import mock

import keras
import numpy as np
import pytest

from keras_gan import InputError, backend, callbacks, data, training
from keras_gan.config import Config
from keras_gan.data import synthetic
from keras_gan.export import SavedGenerator
from keras_gan.images import to_uint8
from keras_gan.layers import Clip, SpectralNormalization
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES, Architecture
from keras_gan.penalties import PENALTIES, R1, WassersteinGradientPenalty

REGULARIZERS = itertools.cycle(
    [*({"penalty": name} for name in PENALTIES), {"spectral_norm": True}, {"weight_clip": 0.01}]
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "loss", "regularizer"),
    # Each loss with each architecture, and the regularisers in turn.
    [(*pair, next(REGULARIZERS)) for pair in itertools.product(ARCHITECTURES, LOSSES)],
    ids=str,
)
def test_every_architecture_trains_with_every_loss(arch, loss, regularizer, digits):
    keras.backend.clear_session()
    config = Config(arch=arch, loss=loss, **regularizer).resolve(len(digits))
    check_training(training.build(config, digits), config, digits)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_small_networks(loss, digits):
    pixels = digits[:500, ::4, ::4]  # 7 x 7
    small = Architecture(small_generator, small_discriminator)
    config = Config(arch="mlp", loss=loss, batch_size=16, latent_dim=4).resolve(len(pixels))
    check_training(training.build(config, pixels, small), config, pixels)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_trains(arch, digits):
    config = Config(arch=arch, loss="non_saturating", batch_size=8).resolve(500)
    check_training(training.build(config, digits[:500]), config, digits[:500])


def small_generator(latent_dim, image_shape):
    layers = [keras.Input([latent_dim]), keras.layers.Dense(49, "tanh")]
    return keras.Sequential([*layers, keras.layers.Reshape(image_shape)])


def small_discriminator(image_shape):
    layers = [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(16, "relu")]
    return keras.Sequential([*layers, keras.layers.Dense(1)])


def check_training(gan, config, digits):
    untrained = gan.generate(20)
    logs = gan.fit(
        data.batches(digits, config.batch_size),
        steps_per_epoch=200 if config.arch == "maxout" else 60,
        verbose=0,
        shuffle=False,
        callbacks=[callbacks.TerminateOnNonFinite()],  # raises
    ).history
    assert all(np.isfinite(values).all() for values in logs.values())
    drawn = gan.generate(20)
    # maxout begins slowly: D's weights within 0.005, most of G's pixels saturated.
    assert np.abs(drawn - untrained).max() > 0.001
    assert drawn.std(axis=0).max() > 0.001  # the latents matter


def test_settings_reach_the_model(digits):
    config = Config(
        loss="non_saturating",
        batch_size=7,
        latent_dim=5,
        latent="normal",
        d_steps=2,
        simultaneous=True,
        g_lr=0.25,
        d_lr=0.125,
        decay_steps=100,
        label_smoothing=0.2,
        penalty="r1_r2",
        penalty_weight=0.5,
        spectral_norm=True,
        weight_clip=0.25,
        ema_decay=0.5,
        seed=11,
    ).resolve(1000)
    gan = training.build(config, digits[:1000])
    assert gan.latent_dim == 5
    assert gan.steps_per_execution == 4  # of the 68 in an epoch
    assert (gan.d_steps, gan.simultaneous, gan.ema_decay, gan.seed) == (2, True, 0.5, 11)
    assert float(gan.g_optimizer.learning_rate) == 0.25
    assert float(gan.d_optimizer.learning_rate) == 0.125
    # They have halved after 100 steps, and D has made two updates in each.
    gan.g_optimizer.iterations.assign(100)
    gan.d_optimizer.iterations.assign(200)
    assert float(gan.g_optimizer.learning_rate) == 0.25 / 2
    assert float(gan.d_optimizer.learning_rate) == 0.125 / 2
    gan.g_optimizer.iterations.assign(300)
    assert float(gan.g_optimizer.learning_rate) == 0.25 / 4
    assert gan.adversarial_loss == LOSSES["non_saturating"](label_smoothing=0.2)
    assert gan.penalty == PENALTIES["r1_r2"](0.5)
    first = gan.discriminator.layers[0]
    assert isinstance(first, SpectralNormalization)
    assert isinstance(first.layer.kernel.constraint, Clip)
    assert first.layer.kernel.constraint.limit == 0.25
    flags = {"ema_decay": 0.0, "penalty": "none", "decay_steps": 0}
    plain = training.build(Config(**flags).resolve(1000), digits[:1000])
    plain.g_optimizer.iterations.assign(100)
    assert float(plain.g_optimizer.learning_rate) == np.float32(2e-3)
    assert plain.ema_generator is None
    assert plain.penalty is None
    assert not any(isinstance(x, SpectralNormalization) for x in plain.discriminator.layers)


def test_the_penalty_is_the_architectures_with_the_weight_of_the_flag(digits):
    def penalty(architecture=None, **flags):
        config = Config(**flags).resolve(1000, architecture)
        return training.build(config, digits[:1000], architecture).penalty

    assert penalty() == R1(1.0, one_in=4)
    assert penalty(penalty_weight=2.0) == R1(2.0, one_in=4)
    assert penalty(penalty="wgan_gp") == WassersteinGradientPenalty(10.0)
    assert penalty(arch="mlp", loss="hinge") == R1(1.0)
    half = dataclasses.replace(ARCHITECTURES["mlp"], penalties={"r1": R1(5.0, one_in=2)})
    assert penalty(half, arch="mlp", loss="hinge") == R1(5.0, one_in=2)


def test_initial_weights_follow_from_the_seed(digits):
    def first_images(seed):
        return training.build(Config(seed=seed).resolve(1000), digits[:1000]).generate(3)

    np.testing.assert_array_equal(first_images(1), first_images(1))
    assert not np.array_equal(first_images(1), first_images(2))


@pytest.mark.parametrize(("given", "threads"), [(None, "4"), ("3", "3")])
@pytest.mark.parametrize("gpus", [0, 1])
def test_an_operation_gets_half_the_cores(given, threads, gpus, monkeypatch):
    """And on a CPU it is deterministic."""
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    if given:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)  # the user's choice stays
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8), raising=False)
    config = mock.Mock(list_physical_devices=lambda kind: ["GPU"] * gpus)
    monkeypatch.setattr(backend, "tf", mock.Mock(config=config))
    backend.configure_tensorflow()
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == threads
    assert config.experimental.enable_op_determinism.call_count == 1 - gpus


@pytest.fixture(scope="module")
def conditional_run(tmp_path_factory):
    """(a run directory after two steps, its images): ten classes, `mlp`."""
    folder = tmp_path_factory.mktemp("source")
    images, labels = synthetic.digits(200, seed=0)
    np.savez(folder / "digits.npz", x_train=images, y_train=labels)
    settings = {"arch": "mlp", "conditional": True, "epochs": 1, "steps_per_epoch": 2}
    settings["fid_every"] = 0
    config = Config(**settings, data_path=f"{folder}/digits.npz", model_dir=f"{folder}/run")
    with mock.patch.object(training, "configure_tensorflow"):  # it would turn XLA off
        return training.run(config), images


def test_load_brings_back_a_run(conditional_run):
    directory, _ = conditional_run
    gan = training.load(directory)
    assert int(gan.step) == 2
    saved = SavedGenerator(directory / "export")
    drawn = to_uint8(gan.generate(6, seed=3, labels=[4, 1]))
    np.testing.assert_array_equal(drawn, saved.images(saved.latents(6, 3, [4, 1])))
    assert np.any(np.array(gan.d_optimizer.variables[2]) != 0)  # Adam's averages, too
    with pytest.raises(InputError, match=r"no state \(best\)"):
        training.load(directory, "best")  # no epoch has a score
    with pytest.raises(InputError, match="no run directory"):
        training.load(directory / "export")


def test_an_epoch_has_its_steps_whatever_a_call_has(conditional_run, tmp_path, monkeypatch):
    """Interrupted with one step per call, resumed with two; and of 7 steps."""
    _, images = conditional_run
    np.save(tmp_path / "digits.npy", images)
    settings = {"arch": "mlp", "steps_per_epoch": 7, "epochs": 2, "fid_every": 0, "batch_size": 8}
    config = Config(**settings, data_path=f"{tmp_path}/digits.npy", model_dir=f"{tmp_path}/run")
    monkeypatch.setattr(training, "configure_tensorflow", lambda deterministic: None)

    def interrupt(limit, batch, logs=None):
        if batch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.TimeLimit, "on_train_batch_begin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            training.run(dataclasses.replace(config, steps_per_execution=1))
    assert (tmp_path / "run/checkpoints/ckpt-0-3.index").exists()
    training.run(dataclasses.replace(config, steps_per_execution=2))
    assert int(training.load(tmp_path / "run").step) == 2 * 7


def test_the_default_run_directory(tiny_npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "configure_tensorflow", lambda deterministic: None)
    small = {"arch": "mlp", "loss": "hinge", "epochs": 1, "steps_per_epoch": 1, "fid_every": 0}
    small["data_path"] = str(tiny_npz)
    plain = training.run(Config(**small))
    conditional = training.run(Config(**small, conditional=True))
    folders = [path.resolve().relative_to(tmp_path) for path in (plain, conditional)]
    assert [str(folder) for folder in folders] == [
        "runs/tiny-mlp-hinge", "runs/tiny-mlp-hinge-conditional"
    ]  # fmt: skip
    mirrored = training.run(Config(**small, mirror=True, model_dir="mirrored"))
    weights = [training.load(path).discriminator.get_weights()[0] for path in (plain, mirrored)]
    assert not np.array_equal(*weights)


def test_init_from_another_run(conditional_run, tmp_path):
    """From ten classes to three: what both have is copied."""
    directory, images = conditional_run
    np.savez(tmp_path / "three.npz", x_train=images[:60], y_train=np.arange(60) % 3)
    settings = {"arch": "mlp", "conditional": True, "epochs": 1, "steps_per_epoch": 1}
    settings |= {"batch_size": 8, "g_lr": 1e-9, "d_lr": 1e-9, "seed": 7, "fid_every": 0}
    run = {"data_path": f"{tmp_path}/three.npz", "model_dir": f"{tmp_path}/run"}
    with mock.patch.object(training, "configure_tensorflow"):
        training.run(Config(**settings, **run, init_from=str(directory)))
    old, new = training.load(directory), training.load(tmp_path / "run")
    assert new.latent_dim == old.latent_dim - 7
    for name in ("generator", "discriminator"):
        pairs = (getattr(model, name).trainable_weights for model in (old, new))
        for source, target in zip(*pairs, strict=True):
            part = tuple(map(slice, target.shape))
            np.testing.assert_allclose(np.array(source)[part], target, atol=1e-6)


def test_init_from_other_layers(conditional_run):
    directory, images = conditional_run
    config = Config(arch="mlp").resolve(200)
    with pytest.raises(InputError, match="discriminator has other layers than that of the run"):
        training.transfer(training.load(directory), training.build(config, images))


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(
    "precision", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "options",
    [{}, pytest.param({"conditional": True, "spectral_norm": True}, marks=pytest.mark.slow)],
    ids=str,
)
def test_mixed_precision(arch, precision, options, digits):
    config = Config(arch=arch, batch_size=8, precision=precision, **options)
    config = config.resolve(500, classes=10)
    gan = training.build(config, digits[:500], classes=10)
    assert keras.config.dtype_policy().name == "float32"
    half = precision.removeprefix("mixed_")
    for network in (gan.generator, gan.discriminator):
        weighted = [layer for layer in network.layers if layer.weights]
        assert weighted[0].compute_dtype == half
        assert weighted[-1].compute_dtype == "float32"
        assert network.outputs[0].dtype == "float32"
        assert all(weight.dtype == "float32" for weight in network.trainable_weights)
    batch = digits[:8] / np.float32(127.5) - 1
    labels = np.arange(8) if config.conditional else None
    logs = [gan.train_on_batch(batch, labels, return_dict=True) for _ in range(3)]
    assert np.isfinite([list(values.values()) for values in logs]).all()
    assert gan.generate(2).dtype == np.float32
