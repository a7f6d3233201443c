import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_gan import callbacks, data, training
from keras_gan.config import Config
from keras_gan.layers import Clip, SpectralNormalization
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES

CONSTRAINTS = itertools.cycle(
    [*({"penalty": name} for name in ("none", *PENALTIES)), {"spectral_norm": True}]
)


@pytest.mark.parametrize(
    ("arch", "loss", "constraint"),
    # Each loss and architecture, and of what constrains D one after the other.
    [(*pair, next(CONSTRAINTS)) for pair in itertools.product(ARCHITECTURES, LOSSES)],
    ids=str,
)
def test_every_architecture_trains_with_every_loss(arch, loss, constraint, digits):
    keras.backend.clear_session()
    config = Config(arch=arch, loss=loss, **constraint).resolve(len(digits))
    gan = training.build(config, digits)
    untrained = gan.generate(20)
    logs = gan.fit(
        data.batches(digits, config.batch_size),
        steps_per_epoch=200 if arch == "maxout" else 60,
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
        d_steps=2,
        simultaneous=True,
        g_lr=0.25,
        d_lr=0.125,
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
    assert gan.adversarial_loss == LOSSES["non_saturating"](label_smoothing=0.2)
    assert gan.penalty == PENALTIES["r1_r2"](0.5)
    first = gan.discriminator.layers[0]
    assert isinstance(first, SpectralNormalization)
    assert isinstance(first.layer.kernel.constraint, Clip)
    assert first.layer.kernel.constraint.limit == 0.25
    plain = training.build(Config(ema_decay=0.0, penalty="none").resolve(1000), digits[:1000])
    assert plain.ema_generator is None
    assert plain.penalty is None
    assert not any(isinstance(x, SpectralNormalization) for x in plain.discriminator.layers)


def test_initial_weights_follow_from_the_seed(digits):
    def first_images(seed):
        return training.build(Config(seed=seed).resolve(1000), digits[:1000]).generate(3)

    np.testing.assert_array_equal(first_images(1), first_images(1))
    assert not np.array_equal(first_images(1), first_images(2))


@pytest.mark.parametrize(("given", "threads"), [(None, 4), ("3", 3)])
def test_an_operation_gets_half_the_cores(given, threads, monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    if given:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)  # the user's choice stays
    code = """
import os
os.sched_getaffinity = lambda pid: range(8)
from keras_gan import backend
backend.configure_tensorflow()
print(os.environ["TF_NUM_INTRAOP_THREADS"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(threads)]
