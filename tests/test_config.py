import dataclasses
import itertools
import json

import pytest

from keras_gan import InputError
from keras_gan.config import Config, read_record
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("arch", "resnet", "--arch=resnet: expected one of mlp, dcgan, maxout"),
        ("loss", "hinged", "--loss=hinged: expected one of minimax, non_saturating, lsgan"),
        ("dataset", "cifar", "--dataset=cifar: expected one of auto, mnist"),
        ("epochs", 0, "--epochs=0: expected at least 1"),
        ("batch_size", 0, "--batch_size=0: expected at least 1"),
        ("d_steps", -1, "--d_steps=-1: expected at least 1"),
        ("g_lr", 0.0, "--g_lr=0.0: expected a positive number"),
        ("d_lr", float("nan"), "--d_lr=nan: expected a positive number"),
        ("max_minutes", float("inf"), "--max_minutes=inf: expected a positive number"),
        ("label_smoothing", 1.0, "--label_smoothing=1.0: expected 0 <= value < 1"),
        ("penalty", "r3", "--penalty=r3: expected one of none, wgan_gp, dragan, r1, r1_r2"),
        ("penalty_weight", 0.0, "--penalty_weight=0.0: expected a positive number"),
        ("weight_clip", -1.0, "--weight_clip=-1.0: expected 0 or a positive number"),
        ("ema_decay", -0.1, "--ema_decay=-0.1: expected 0 <= value < 1"),
        ("seed", -1, "--seed=-1: expected 0 <= value < 2**31"),
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
    assert set(open_still) == {"data_path", "max_minutes", "model_dir", "penalty_weight"}


def test_resolve_gives_a_penalty_its_own_weight():
    assert Config(penalty="wgan_gp").resolve(100).penalty_weight == 10
    assert Config(penalty="wgan_gp", penalty_weight=3.0).resolve(100).penalty_weight == 3


def test_only_a_bare_critic_is_clipped_unasked():
    def clip(**settings):
        settings = {"penalty": "none", **settings}
        return Config(batch_size=1, **settings).resolve(100).weight_clip

    assert clip(loss="wasserstein") == 0.01  # Arjovsky et al. 2017, Algorithm 1
    assert clip(loss="wasserstein", weight_clip=0.1) == 0.1
    assert clip(loss="wasserstein", weight_clip=0.0) == 0
    assert clip(loss="wasserstein", penalty="wgan_gp") == 0
    assert clip(loss="wasserstein", spectral_norm=True) == 0
    assert clip(loss="lsgan") == 0


def test_critic_gets_a_penalty_that_holds_it():
    def penalty(**settings):
        return Config(loss="wasserstein", batch_size=1, **settings).resolve(100).penalty

    assert Config(loss="lsgan", batch_size=1).resolve(100).penalty == "r1"
    assert penalty() == penalty(arch="maxout") == "wgan_gp"
    assert penalty(penalty="r1") == "r1"
    assert penalty(spectral_norm=True) == penalty(weight_clip=0.01) == "none"


def test_spectral_norm_unasked_is_for_perceptrons_under_least_squares():
    def normalised(arch, loss, **settings):
        return Config(arch=arch, loss=loss, batch_size=1, **settings).resolve(100).spectral_norm

    pairs = itertools.product(ARCHITECTURES, LOSSES)
    assert [pair for pair in pairs if normalised(*pair)] == [("mlp", "lsgan")]
    assert normalised("mlp", "lsgan", penalty_weight=10.0) is True
    assert normalised("mlp", "lsgan", spectral_norm=False) is False
    # Whoever chooses what holds D gets that and no more.
    assert normalised("mlp", "lsgan", penalty="r1") is False
    assert normalised("mlp", "lsgan", penalty="none") is False
    assert normalised("dcgan", "hinge", spectral_norm=True) is True


def test_settings_that_contradict_each_other():
    with pytest.raises(InputError, match="--loss=wasserstein: label_smoothing=0.1: the Wasserst"):
        Config(loss="wasserstein", label_smoothing=0.1)
    with pytest.raises(InputError, match="--penalty_weight=2.0: expected a --penalty beside it"):
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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 1, "dataset": {}, "versions": {}}'])
def test_damaged_record(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"config.json: not a run's configuration"):
        read_record(path)


def test_every_architecture_settles_every_open_setting():
    for name in ARCHITECTURES:
        config = Config(arch=name).resolve(60_000)
        assert None not in (config.epochs, config.batch_size, config.latent_dim)
        assert None not in (config.g_lr, config.d_lr, config.ema_decay, config.simultaneous)
