import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import picture
from test_model import dataset, equal, images, small_gan, state

import keras_gan
from keras_gan import InputError, callbacks
from keras_gan.evaluation import FeatureNetwork, scores


def test_sample_grid_writes_the_same_latents_each_epoch(tmp_path):
    gan = small_gan(lr=1e-12)
    grid = callbacks.SampleGrid(tmp_path / "new" / "samples", num_images=9, seed=3)
    gan.fit(dataset(), epochs=2, verbose=0, callbacks=[grid])
    files = sorted(path.name for path in (tmp_path / "new" / "samples").iterdir())
    assert files == ["epoch-0001.png", "epoch-0002.png"]
    last = picture(tmp_path / "new/samples/epoch-0002.png")
    assert last.shape == (12, 12)
    drawn = gan.generate(9, seed=3)
    np.testing.assert_allclose(last[:4, 4:8] / 127.5 - 1, drawn[1, :, :, 0], atol=0.005)


def train(directory, epochs, stop_after=None):
    """Resumes from `directory`, as `training.run` does."""
    gan = small_gan(ema_decay=0.9)
    checkpoint = callbacks.Checkpoint(gan, directory, max_to_keep=2)
    checkpoint.restore()
    done = int(gan.step)
    stream = tf.data.Dataset.counter(done).map(
        lambda i: tf.random.stateless_uniform([16, 4, 4, 1], [0, i], -1, 1)
    )
    extra = [] if stop_after is None else [StopIn(stop_after)]
    history = gan.fit(
        stream,
        epochs=epochs,
        initial_epoch=checkpoint.epoch,
        steps_per_epoch=5,
        shuffle=False,
        verbose=0,
        callbacks=[*extra, checkpoint],
    )
    return gan, checkpoint, history.history


class StopIn(keras.callbacks.Callback):
    """Raises in the middle of an epoch, as if the program ended."""

    def __init__(self, step):
        super().__init__()
        self.step_to_stop_at = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step) == self.step_to_stop_at:
            raise InterruptedError


def test_interrupted_training_continues_to_the_same_bits(tmp_path):
    expected, _, history = train(tmp_path / "whole", epochs=4)
    with pytest.raises(InterruptedError):
        train(tmp_path / "cut", epochs=4, stop_after=13)
    gan, checkpoint, rest = train(tmp_path / "cut", epochs=4)
    assert equal(state(expected), state(gan))
    for name in ("g_optimizer", "d_optimizer"):
        a, b = getattr(expected, name).variables, getattr(gan, name).variables
        assert equal(map(np.array, a), map(np.array, b))
    assert rest["d_loss"] == history["d_loss"][2:]
    assert checkpoint.epoch == 4
    kept = sorted(path.stem for path in (tmp_path / "cut").glob("*.index"))
    assert kept == ["ckpt-3", "ckpt-4"]


def test_checkpoint_adds_up_the_time_in_fit(tmp_path):
    _, first, _ = train(tmp_path, epochs=1)
    begin = time.monotonic()
    _, second, _ = train(tmp_path, epochs=2)
    assert 0 < first.seconds < second.seconds < first.seconds + time.monotonic() - begin


def test_damaged_state_falls_back_to_the_one_before(tmp_path, capsys):
    train(tmp_path, epochs=3)
    newest = tmp_path / "ckpt-3.data-00000-of-00001"
    newest.write_bytes(newest.read_bytes()[:1000])
    _, checkpoint, history = train(tmp_path, epochs=3)
    assert checkpoint.epoch == 3
    assert len(history["d_loss"]) == 1  # epoch 3 again
    assert "ckpt-3" in capsys.readouterr().err
    for path in tmp_path.glob("*.index"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="no state in it can be read"):
        train(tmp_path, epochs=3)


# The Frechet distance


def small_distance(**options):
    model = keras.Sequential([keras.Input([4, 4, 1]), keras.layers.Flatten()])
    return callbacks.FrechetDistance(images(300), network=FeatureNetwork(model), **options)


def test_distance_stands_in_the_logs(tmp_path):
    gan = small_gan()
    history = tmp_path / "history.csv"
    logs = gan.fit(
        dataset(),
        epochs=4,
        verbose=0,
        callbacks=[
            small_distance(every=2, num_images=100, seed=3),
            keras.callbacks.CSVLogger(history),
            callbacks.Curves(history, tmp_path / "curves.png"),
        ],
    ).history
    assert list(np.isnan(logs["fid"])) == [True, False, True, False]
    # This is computed from floats; the callback rounds to uint8.
    real, fake = (x.reshape(-1, 16) for x in (images(300), gan.generate(100, seed=3)))
    assert logs["fid"][3] == pytest.approx(scores.frechet_distance(real, fake), rel=0.01)
    with open(history) as file:
        assert float(file.readlines()[4].split(",")[4]) == logs["fid"][3]
    assert picture(tmp_path / "curves.png").shape[:2] == (400, 1500)


def test_distance_changes_no_weight():
    with_it, without = small_gan(ema_decay=0.9), small_gan(ema_decay=0.9)
    with_it.fit(dataset(), epochs=2, verbose=0, callbacks=[small_distance()])
    without.fit(dataset(), epochs=2, verbose=0)
    assert equal(state(with_it), state(without))


def test_distance_of_a_dead_generator_is_not_a_number():
    gan = small_gan()
    for weight in gan.generator.weights:
        weight.assign(np.zeros(weight.shape))
    distance = small_distance()
    distance.set_model(gan)
    logs = {}
    distance.on_epoch_end(0, logs)
    assert np.isnan(logs["fid"])


class Fid(keras.callbacks.Callback):
    """A stub for FrechetDistance, with these values; keeps the weights of each epoch."""

    def __init__(self, values):
        super().__init__()
        self.values = values
        self.states = {}

    def on_epoch_end(self, epoch, logs=None):
        logs["fid"] = self.values[epoch]
        self.states[epoch + 1] = state(self.model)


def fit_with(fid, directory, epochs, *others):
    """Resumes and trains; gives the checkpoint, and the epoch and weights of the best state."""
    gan = small_gan()
    checkpoint = callbacks.Checkpoint(gan, directory)
    checkpoint.restore()
    history = gan.fit(
        dataset(),
        initial_epoch=checkpoint.epoch,
        epochs=epochs,
        verbose=0,
        callbacks=[fid, *others, checkpoint],
    )
    trained = history.epoch[-1] + 1
    assert checkpoint.restore(best=True)
    best = checkpoint.epoch
    assert equal(state(gan), fid.states.get(best, state(gan)))
    assert checkpoint.restore()
    assert checkpoint.epoch == trained
    return best


def test_state_of_the_least_distance_is_kept(tmp_path):
    fid = Fid([np.nan, 5.0, 3.0, 4.0, np.nan, 3.5, 2.0, 2.5])
    assert fit_with(fid, tmp_path, 4) == 3
    assert [path.name for path in (tmp_path / "best").glob("*.index")] == ["ckpt-3.index"]
    assert fit_with(fid, tmp_path, 6) == 3  # the resumed process knows the earlier 3.0
    assert fit_with(fid, tmp_path, 8) == 7


def test_damaged_best_state_does_not_hold_up_the_training(tmp_path, capsys):
    fit_with(Fid([3.0, 4.0]), tmp_path, 2)
    path = tmp_path / "best/ckpt-1.index"
    path.write_bytes(path.read_bytes()[:50])
    assert fit_with(Fid([3.0, 4.0, 9.0]), tmp_path, 3) == 3


def test_early_stopping_watches_the_distance(tmp_path):
    stop = keras.callbacks.EarlyStopping("fid", mode="min", patience=2)
    fid = Fid([3.0, 2.0, 2.5, 2.25, 1.0])
    assert fit_with(fid, tmp_path, 5, stop) == 2
    assert max(fid.states) == 4


def test_state_of_another_model_is_refused(tmp_path):
    train(tmp_path, epochs=1)
    without_average = small_gan()
    wider = keras.Sequential([keras.Input([4]), keras.layers.Dense(16)])
    wider.add(keras.layers.Reshape([4, 4, 1]))
    other = keras_gan.GAN(wider, without_average.discriminator)
    other.compile("adam", "adam")
    with pytest.raises(InputError, match="the state of another model"):
        callbacks.Checkpoint(other, tmp_path).restore()


@pytest.mark.parametrize("poison", ["loss", "weight"])
def test_non_finite_ends_fit_and_keeps_the_last_good_state(tmp_path, poison):
    class Poison(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1 and poison == "weight":  # as the last update of an epoch may
                self.model.generator.weights[0].assign(np.full([3, 16], np.nan))

    real = images(64)
    gan = small_gan()
    checkpoint = callbacks.Checkpoint(gan, tmp_path)
    gan.fit(real, batch_size=16, verbose=0, callbacks=[checkpoint])
    good = state(gan)
    if poison == "loss":
        real[-1] = np.inf
    with pytest.raises(FloatingPointError, match=r"diverged: .* at step \d+"):
        gan.fit(
            real,
            batch_size=16,
            shuffle=False,
            initial_epoch=1,
            epochs=3,
            verbose=0,
            callbacks=[Poison(), callbacks.TerminateOnNonFinite(), checkpoint],
        )
    fresh = small_gan()
    again = callbacks.Checkpoint(fresh, tmp_path)
    assert again.restore()
    assert again.epoch == 1
    assert equal(good, state(fresh))


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_time_limit_stops_to_the_step(steps_per_execution):
    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.1)

    gan = small_gan(compile_options={"steps_per_execution": steps_per_execution})
    gan.train_on_batch(images(16))  # traced
    history = gan.fit(
        dataset(16 * 3000), epochs=5, verbose=0, callbacks=[Slow(), callbacks.TimeLimit(0.35)]
    )
    assert len(history.epoch) == 1
    assert 1 <= (int(gan.step) - 1) / steps_per_execution <= 4


def test_curves(tmp_path):
    gan = small_gan()
    history, path = tmp_path / "history.csv", tmp_path / "curves.png"
    gan.fit(
        dataset(),
        epochs=3,
        verbose=0,
        callbacks=[keras.callbacks.CSVLogger(history), callbacks.Curves(history, path)],
    )
    pixels = picture(path).reshape(-1, 4)
    assert len(np.unique(pixels, axis=0)) > 20  # lines, in colours


def test_order_of_callbacks(tmp_path):
    gan = small_gan()
    history = tmp_path / "history.csv"
    stop = keras.callbacks.EarlyStopping("fid")
    terminate, distance = callbacks.TerminateOnNonFinite(), small_distance()
    logger, curves = keras.callbacks.CSVLogger(history), callbacks.Curves(history, "curves.png")
    grid, checkpoint = callbacks.SampleGrid(tmp_path), callbacks.Checkpoint(gan, tmp_path)
    given = [checkpoint, grid, curves, logger, stop, distance, terminate]
    assert callbacks.in_order(given) == [
        terminate,
        distance,
        logger,
        stop,
        grid,
        curves,
        checkpoint,
    ]
    assert given[0] is checkpoint  # the list itself stays as it is

    class Mine(callbacks.Checkpoint):
        pass

    mine = Mine(gan, tmp_path)
    assert callbacks.in_order([mine, stop]) == [stop, mine]
