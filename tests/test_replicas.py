"""Several devices compute what one does with the whole batch: on logical CPU devices."""

import contextlib
import functools
import os

import forks
import numpy as np
import pytest

from keras_gan import InputError

DEVICES = 2
COMBINATIONS = {  # arch, flags: what a replica must know of the others, or have its own rows of
    "batch normalisation": ("mlp", {"penalty": "none"}),
    "both at once": ("mlp", {"simultaneous": True, "penalty": "r1"}),
    "three updates of D": ("mlp", {"d_steps": 3, "simultaneous": False, "penalty": "wgan_gp"}),
    "the mean logit": ("mlp", {"loss": "relativistic_average", "penalty": "none"}),
    "the deviation of pixels": ("mlp", {"penalty": "dragan"}),
    "labels": ("mlp", {"conditional": True, "penalty": "r1_r2"}),
    "power iteration": ("mlp", {"spectral_norm": True, "loss": "hinge"}),
    "augmentation": ("mlp", {"augment": "color,translation,cutout", "loss": "wasserstein"}),
    "convolutions": ("dcgan", {"penalty": "r1_r2", "loss": "minimax"}),
}


def set_devices(count):
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    tf.config.set_logical_device_configuration(cpu, devices)


def train(scope, arch, flags, optimizer, steps=20):
    """(all weights, logs) after 20 steps on batches of eight digits."""
    import keras

    from keras_gan import data, training
    from keras_gan.config import Config

    images, labels = data.synthetic.digits(200, seed=0)
    options = {"batch_size": 8, "ema_decay": 0.9, "steps_per_execution": 1}
    config = Config(arch=arch, **{**options, **flags}).resolve(len(images), classes=10)
    with scope:
        gan = training.build(config, images, classes=10)
        names = ("penalty", "d_steps", "simultaneous", "augment")
        settings = {name: getattr(gan, name) for name in names}
        optimizers = [keras.optimizers.get(optimizer) for _ in range(2)]
        gan.compile(*optimizers, gan.adversarial_loss, **settings)
    order = {"minibatches": config.d_steps, "labels": labels if config.conditional else None}
    batches = data.batches(images, config.batch_size, **order)
    logs = gan.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False).history
    networks = gan.generator, gan.discriminator, gan.ema_generator
    return [np.array(w) for network in networks for w in network.weights], logs


def differences(combinations, optimizer="sgd", devices=DEVICES):
    """{name: the largest difference of a weight or a log, relative to its tensor's largest}."""
    import tensorflow as tf

    set_devices(devices)
    # One for all: the collectives of a second one in a process would get the numbers of the first.
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)])
    assert strategy.num_replicas_in_sync == devices
    found = {}
    for name, (arch, flags) in combinations.items():
        (expected, logs), (weights, other) = (
            train(scope, arch, flags, optimizer)
            for scope in (contextlib.nullcontext(), strategy.scope())
        )
        expected += [np.array(logs[name]) for name in sorted(logs)]
        weights += [np.array(other[name]) for name in sorted(logs)]
        pairs = zip(expected, weights, strict=True)
        # Biases that are still almost 0 hold nothing but rounding.
        found[name] = max(np.abs(a - b).max() / max(np.abs(a).max(), 1e-3) for a, b in pairs)
    return {name: float(value) for name, value in found.items()}


FAST = ("both at once", "the mean logit", "labels")


@pytest.mark.parametrize(
    "names",
    [FAST, pytest.param([n for n in COMBINATIONS if n not in FAST], marks=pytest.mark.slow)],
)
def test_two_devices_do_what_one_does(names):
    some = {name: COMBINATIONS[name] for name in names}
    kind, text, *_ = forks.call(differences, some, timeout=300)
    assert kind is dict, text
    found = eval(text)
    assert found.keys() == some.keys()
    assert {name: value for name, value in found.items() if value > 1e-5} == {}


@pytest.mark.slow
def test_four_devices_do_what_one_does():
    some = {name: COMBINATIONS[name] for name in ("batch normalisation", "labels", "convolutions")}
    kind, text, *_ = forks.call(differences, some, "sgd", 4, timeout=300)
    assert kind is dict, text
    assert {name: value for name, value in eval(text).items() if value > 1e-5} == {}


@pytest.mark.slow
def test_adam_on_two_devices():
    """It divides by a gradient's size, so that rounding grows where gradients are almost 0."""
    some = {"both at once": COMBINATIONS["both at once"]}
    kind, text, *_ = forks.call(differences, some, "adam", timeout=300)
    assert kind is dict, text
    assert eval(text)["both at once"] < 1e-4


def run_and_resume(folder, devices, batch_size):
    """`training.run` on logical devices: a run that was interrupted equals one that was not."""
    from keras_gan import data, training
    from keras_gan.config import Config

    set_devices(devices)
    images, _ = data.synthetic.digits(600, seed=0)
    np.savez(f"{folder}/digits.npz", x_train=images)
    flags = {"arch": "mlp", "data_path": f"{folder}/digits.npz", "strategy": "mirrored"}
    flags |= {"steps_per_epoch": 4, "batch_size": batch_size, "decay_steps": 3}
    for name, epochs in (("whole", [2]), ("parts", [1, 2])):
        for until in epochs:
            training.run(Config(**flags, epochs=until, model_dir=f"{folder}/{name}"))
    states = [training.load(f"{folder}/{name}") for name in ("whole", "parts")]
    weights = [[np.array(w) for w in gan.generator.weights] for gan in states]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
    drawn = [
        os.path.exists(f"{folder}/{name}/export/saved_model.pb") for name in ("whole", "parts")
    ]
    return drawn, int(states[0].step)


@pytest.mark.slow
def test_a_run_on_two_devices_is_resumed(tmp_path):
    kind, text, *_ = forks.call(run_and_resume, str(tmp_path), DEVICES, 8, timeout=300)
    assert (kind, text) == (tuple, "([True, True], 8)")


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    kind, text, *_ = forks.call(run_and_resume, str(tmp_path), DEVICES, 9, timeout=300)
    assert kind is InputError
    expected = "expected a multiple of 2, the number of replicas, or --strategy=none"
    assert text == f"--batch_size=9: {expected}."


def overflow_on_one():
    """(the weight after a step in which one of two replicas overflows, the loss scale) of each."""
    import keras
    import tensorflow as tf

    from keras_gan.model import _descend

    set_devices(2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        network = keras.Sequential([keras.Input([1]), keras.layers.Dense(1, use_bias=False)])
        network.layers[0].kernel.assign([[3.0]])
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), 8.0)
        optimizer.build(network.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            which = tf.distribute.get_replica_context().replica_id_in_sync_group
            loss = tf.reduce_sum(network(tf.ones([1, 1]))) * tf.where(which == 1, np.inf, 1.0)
        _descend(loss, network, optimizer, tape)

    strategy.run(step)
    values = [network.layers[0].kernel.value, optimizer.dynamic_scale.value]
    return [[x.numpy().item() for x in strategy.experimental_local_results(v)] for v in values]


@pytest.mark.slow
def test_an_overflow_on_one_device_skips_the_update_of_all():
    kind, text, *_ = forks.call(overflow_on_one, timeout=300)
    assert (kind, text) == (list, "[[3.0, 3.0], [4.0, 4.0]]")


def train_alone():
    """A strategy of several workers without a cluster."""
    import tensorflow as tf

    from keras_gan.replicas import is_chief, of_chief

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    return is_chief(strategy), of_chief(strategy, 3.0)


def test_a_single_worker_is_the_chief():
    kind, text, *_ = forks.call(train_alone, timeout=300)
    assert (kind, text) == (tuple, "(True, 3.0)")


def fit_on_two(**options):
    """Seven images in batches of four: the last one can't be shared evenly."""
    import keras
    import tensorflow as tf

    from keras_gan import GAN

    set_devices(2)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        networks = [keras.Sequential([keras.Input([1]), keras.layers.Dense(1)]) for _ in range(2)]
        gan = GAN(*networks)
        gan.compile("sgd", "sgd", **options)
    gan.fit(tf.data.Dataset.from_tensor_slices(np.zeros([7, 1], np.float32)).batch(4), verbose=0)


@pytest.mark.slow
def test_an_uneven_batch_is_an_error():
    kind, text, *_ = forks.call(fit_on_two, timeout=300)
    assert "The replicas have batches of different sizes" in text, kind


def test_several_steps_per_call_are_refused():
    """Keras fails on them, with a long message."""
    kind, text, *_ = forks.call(functools.partial(fit_on_two, steps_per_execution=2), timeout=300)
    assert (kind, text) == (ValueError, "steps_per_execution=2: expected 1 with several replicas.")
