import dataclasses
import itertools
import json

import pytest

from keras_gan import InputError
from keras_gan.config import Config
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("arch", "resnet", "--arch=resnet: expected one of mlp, dcgan, maxout"),
        ("loss", "hinged", "--loss=hinged: expected one of minimax, non_saturating, lsgan"),
        ("dataset", "cifar", "--dataset=cifar: expected one of auto, mnist"),
        ("epochs", 0, "--epochs=0: expected 1 <= value <= 2147483647"),
        ("batch_size", 0, "--batch_size=0: expected 1 <= value <= 2147483647"),
        ("d_steps", 0, "--d_steps=0: expected 1 <= value <= 100"),
        ("d_steps", 101, "--d_steps=101: expected 1 <= value <= 100"),
        ("latent_dim", 65_537, "--latent_dim=65537: expected 1 <= value <= 65536"),
        ("g_lr", 0.0, "--g_lr=0.0: expected a positive number"),
        ("d_lr", float("nan"), "--d_lr=nan: expected a positive number"),
        ("max_minutes", float("inf"), "--max_minutes=inf: expected a positive number"),
        ("label_smoothing", 1.0, "--label_smoothing=1.0: expected 0 <= value < 1"),
        ("penalty", "r3", "--penalty=r3: expected one of none, wgan_gp, dragan, r1, r1_r2"),
        ("penalty_weight", 0.0, "--penalty_weight=0.0: expected a positive number"),
        ("weight_clip", -1.0, "--weight_clip=-1.0: expected 0 or a positive number"),
        ("ema_decay", -0.1, "--ema_decay=-0.1: expected 0 <= value < 1"),
        ("augment", "color,blur", "--augment=color,blur: expected none, or some of color,transl"),
        ("augment", "", "--augment=: expected none, or some of color,translation,cutout"),
        ("image_size", "big", "--image_size=big: expected 64, or 64x48"),
        ("background", "whitish", "--background=whitish: expected a colour"),
        ("channels", 0, "--channels=0: expected 1 <= value <= 4096"),
        ("seed", -1, "--seed=-1: expected 0 <= value <= 2147483647"),
    ],
)
def test_bad_settings_say_what_was_expected(field, value, message):
    with pytest.raises(InputError) as error:
        Config(**{field: value})
    assert message in str(error.value)


def test_resolve_takes_what_is_open_from_the_architecture():
    config = Config(arch="maxout", g_lr=0.3).resolve(50_000)
    # As Goodfellow et al. 2014 published: batches of 100, 100 latents, both gradients at once.
    assert (config.batch_size, config.latent_dim, config.simultaneous) == (100, 100, True)
    assert (config.g_lr, config.d_lr, config.ema_decay) == (0.3, 0.05, 0.0)
    assert config.steps_per_epoch == 500
    open_still = [f.name for f in dataclasses.fields(config) if getattr(config, f.name) is None]
    paths = {"data_path", "image_size", "cache_dir", "model_dir", "init_from"}
    machine = {"max_minutes", "strategy", "jit_compile", "steps_per_execution"}
    assert set(open_still) == paths | machine | {"penalty_weight", "channels"}


def test_resolve_gives_a_penalty_its_own_weight():
    assert Config(penalty="wgan_gp").resolve(100).penalty_weight == 10
    assert Config(penalty="wgan_gp", penalty_weight=3.0).resolve(100).penalty_weight == 3


def test_the_help_names_every_default_weight():
    metadata = next(f.metadata for f in dataclasses.fields(Config) if f.name == "penalty_weight")
    for name, penalty in PENALTIES.items():
        assert f"{name} {penalty().weight:g}" in metadata["help"]
    for arch, architecture in ARCHITECTURES.items():
        for name, penalty in architecture.penalties.items():
            assert f"{name} with {arch} {penalty.weight:g}" in metadata["help"]


def test_only_dcgan_has_channels():
    assert Config().resolve(100).channels == 32
    assert Config(channels=8).resolve(100).channels == 8
    with pytest.raises(InputError, match="--channels=8: --arch=mlp has no channels"):
        Config(arch="mlp", channels=8).resolve(100)


def regularizers(arch="dcgan", loss="lsgan", **given):
    config = Config(arch=arch, loss=loss, batch_size=1, **given).resolve(100)
    return config.penalty, config.spectral_norm, config.weight_clip


def test_default_regularizers_follow_from_architecture_and_loss():
    found = {pair: regularizers(*pair) for pair in itertools.product(ARCHITECTURES, LOSSES)}
    r1, unregularised = ("r1", False, 0.0), ("none", False, 0.0)
    for (arch, loss), value in found.items():
        if loss == "wasserstein":  # R1 would not make the critic Lipschitz
            assert value == ("wgan_gp", False, 0.0)
        else:
            assert value == (unregularised if arch == "maxout" else r1)


def test_one_given_regularizer_turns_the_others_off():
    for pair in (("dcgan", "lsgan"), ("mlp", "lsgan"), ("dcgan", "wasserstein")):
        assert regularizers(*pair, penalty="r1_r2") == ("r1_r2", False, 0.0)
        assert regularizers(*pair, penalty="none") == ("none", False, 0.0)
        assert regularizers(*pair, spectral_norm=True) == ("none", True, 0.0)
        assert regularizers(*pair, spectral_norm=False) == ("none", False, 0.0)
        assert regularizers(*pair, weight_clip=0.01) == ("none", False, 0.01)
        assert regularizers(*pair, weight_clip=0.0) == ("none", False, 0.0)
        assert regularizers(*pair, penalty="dragan", weight_clip=0.1) == ("dragan", False, 0.1)
    # The weight of the default penalty is no regulariser of its own.
    assert regularizers("mlp", "lsgan", penalty_weight=10.0) == ("r1", False, 0.0)


def test_number_of_images():
    assert Config().resolve(60_000).num_images == 60_000
    assert Config(arch="maxout").resolve(60_000).num_images == 50_000
    assert Config(arch="maxout").resolve(500).num_images == 500
    config = Config(arch="maxout", num_images=60_000).resolve(60_000)
    assert (config.num_images, config.steps_per_epoch) == (60_000, 600)
    assert Config(num_images=640, batch_size=64).resolve(1000).steps_per_epoch == 8  # 10, by fours
    with pytest.raises(InputError, match="--num_images=501: expected at most .* 500"):
        Config(num_images=501).resolve(500)
    with pytest.raises(InputError, match="--batch_size=32: expected at most .* 10"):
        Config(num_images=10).resolve(500)


def test_settings_that_contradict_each_other():
    with pytest.raises(InputError, match="--loss=wasserstein: label_smoothing=0.1: the Wasserst"):
        Config(loss="wasserstein", label_smoothing=0.1)
    with pytest.raises(
        InputError, match="--penalty_weight=2.0: expected together with a --penalty"
    ):
        Config(penalty_weight=2.0, penalty="none", batch_size=1).resolve(10)


def test_resolve_counts_whole_passes():
    assert Config(batch_size=16, d_steps=2).resolve(100).steps_per_epoch == 3
    assert Config(batch_size=64).resolve(60_000).steps_per_epoch == 936  # 937, executed by fours
    assert Config(steps_per_epoch=937).resolve(60_000).steps_per_epoch == 937
    assert Config(batch_size=16, d_steps=20).resolve(100).steps_per_epoch == 1
    with pytest.raises(InputError, match="--batch_size=101: expected at most .* 100"):
        Config(batch_size=101).resolve(100)


def test_differences_name_flags_but_not_those_that_may_change():
    config = Config(g_lr=0.1).resolve(1000)
    settings = json.loads(json.dumps(dataclasses.asdict(config)))
    assert config.differences(settings) == []
    assert (
        Config(g_lr=0.1, epochs=99, max_minutes=3.0, overwrite=True)
        .resolve(1000)
        .differences(settings)
        == []
    )
    other = Config(g_lr=0.2, seed=1).resolve(1000)
    assert other.differences(settings) == ["--g_lr=0.1", "--seed=0"]
    # A record of a version that did not have a field yet.
    del settings["num_images"], settings["latent"]
    # Its latents were those of the architecture.
    assert other.differences(settings) == ["--latent=normal", "--g_lr=0.1", "--seed=0"]
    other = Config(g_lr=0.1, latent="normal").resolve(1000)
    assert other.differences(settings) == []
    assert Config(arch="maxout").resolve(1000).differences({"arch": "maxout"}) == []


def test_the_configuration_of_a_record():
    config = Config(loss="hinge", g_lr=0.1).resolve(1000)
    settings = json.loads(json.dumps(dataclasses.asdict(config)))
    assert Config.of_record({**settings, "of_a_later_version": 1}) == config
    # Version 0.1 had no choice of latents and optimisers, constant rates and no augmentation.
    assert Config.of_record({"arch": "dcgan"}).decay_steps == 0
    assert Config.of_record({"arch": "dcgan"}).optimizer == "adam"
    assert Config.of_record({"arch": "maxout"}).optimizer == "goodfellow_sgd"
    few = ARCHITECTURES["maxout"].for_images(1000, 28, 28, 3)
    today = Config(arch="maxout").resolve(1000, few)
    assert today.differences({"arch": "maxout"}) == ["--augment=none"]
    assert Config.of_record({"arch": "maxout"}).latent == "uniform"
    assert Config.of_record({"arch": "mlp"}).latent == "normal"
    with pytest.raises(InputError, match="settings of a run are damaged"):
        Config.of_record({**settings, "epochs": "8"})
