import keras
import numpy as np
import pytest

from keras_gan import callbacks, data, training
from keras_gan.config import Config
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_trains_with_every_loss(arch, loss, digits):
    keras.backend.clear_session()
    config = Config(arch=arch, loss=loss).resolve(len(digits))
    gan = training.build(config, digits)
    untrained = gan.generate(20)
    logs = gan.fit(
        data.batches(digits, config.batch_size),
        steps_per_epoch=200,
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
    assert training.build(Config(ema_decay=0.0).resolve(1000), digits[:1000]).ema_generator is None


def test_initial_weights_follow_from_the_seed(digits):
    def first_images(seed):
        return training.build(Config(seed=seed).resolve(1000), digits[:1000]).generate(3)

    np.testing.assert_array_equal(first_images(1), first_images(1))
    assert not np.array_equal(first_images(1), first_images(2))
