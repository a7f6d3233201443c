import errno
import os
import shutil
import signal
import time
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import picture
from test_model import dataset, equal, images, small_gan, state

import keras_gan
from keras_gan import GAN, InputError, callbacks, files
from keras_gan.evaluation import FeatureNetwork, Samples, scores


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


def train(directory, epochs, stop_after=None, before=None, save_minutes=np.inf):
    """Resumes from `directory`, as `training.run` does."""
    gan = small_gan(ema_decay=0.9)
    checkpoint = callbacks.Checkpoint(gan, directory, max_to_keep=2, save_minutes=save_minutes)
    checkpoint.restore()
    extra = [] if stop_after is None else [StopIn(stop_after)]
    history = {}
    while checkpoint.epoch < epochs:
        done = int(gan.step)
        stream = tf.data.Dataset.counter(done).map(
            lambda i: tf.random.stateless_uniform([16, 4, 4, 1], [0, i], -1, 1)
        )
        logs = gan.fit(
            stream,
            epochs=checkpoint.epoch + 1 if checkpoint.steps else epochs,
            initial_epoch=checkpoint.epoch,
            steps_per_epoch=5 - checkpoint.steps,
            shuffle=False,
            verbose=0,
            callbacks=[*extra, checkpoint],
        ).history
        history = {name: history.get(name, []) + values for name, values in logs.items()}
    return gan, checkpoint, history


class StopIn(keras.callbacks.Callback):
    """Raises in the middle of an epoch, as if the program ended."""

    def __init__(self, step):
        super().__init__()
        self.step_to_stop_at = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step) == self.step_to_stop_at:
            raise InterruptedError


@pytest.mark.parametrize(
    ("save_minutes", "kept", "again"),
    # Interrupted after 12 of 20 steps.
    [(np.inf, ["ckpt-1", "ckpt-2"], 2), (0, ["ckpt-2-1", "ckpt-2-2"], 2)],
)
def test_interrupted_training_continues_to_the_same_bits(save_minutes, kept, again, tmp_path):
    expected, _, history = train(tmp_path / "whole", epochs=4)
    with pytest.raises(InterruptedError):
        train(tmp_path / "cut", epochs=4, stop_after=13, save_minutes=save_minutes)
    assert sorted(path.stem for path in (tmp_path / "cut").glob("*.index")) == kept
    gan, checkpoint, rest = train(tmp_path / "cut", epochs=4)
    assert equal(state(expected), state(gan))
    for name in ("g_optimizer", "d_optimizer"):
        a, b = getattr(expected, name).variables, getattr(gan, name).variables
        assert equal(map(np.array, a), map(np.array, b))
    assert rest == {name: values[again:] for name, values in history.items()}
    assert checkpoint.epoch == 4
    kept = sorted(path.stem for path in (tmp_path / "cut").glob("*.index"))
    assert kept == ["ckpt-3", "ckpt-4"]


@pytest.mark.slow
def test_interrupted_again_and_again(tmp_path):
    expected, _, history = train(tmp_path / "whole", epochs=2)
    for step in (3, 8):
        with pytest.raises(InterruptedError):
            train(tmp_path / "cut", epochs=2, stop_after=step, save_minutes=0)
    gan, _, rest = train(tmp_path / "cut", epochs=2)
    assert equal(state(expected), state(gan))
    assert rest["d_loss"] == history["d_loss"][1:]


class Send(keras.callbacks.Callback):
    """Sends this process a signal in the middle of a step."""

    def __init__(self, number, step, times=1):
        super().__init__()
        self.number, self.step, self.times = number, step, times

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


def fit_until_signal(directory, send):
    gan = small_gan()
    checkpoint = callbacks.Checkpoint(gan, directory)
    with callbacks.StopOnSignal(checkpoint) as stop:
        chosen = callbacks.in_order([stop, checkpoint, send])
        gan.fit(dataset(), epochs=3, verbose=0, callbacks=chosen)


@pytest.mark.parametrize(
    ("number", "step", "epoch", "steps"),
    [(signal.SIGINT, 1, 0, 2), (signal.SIGTERM, 3, 1, 0), (signal.SIGHUP, 0, 0, 1)],
)
def test_a_signal_ends_the_step_and_saves(number, step, epoch, steps, tmp_path):
    handlers = [signal.getsignal(n) for n in signal.Signals]
    with pytest.raises(KeyboardInterrupt) as raised:
        fit_until_signal(tmp_path, Send(number, step))
    assert raised.value.args[0] == number
    assert f"{tmp_path} has the state after {epoch} epochs and {steps} steps" in str(raised.value)
    assert [signal.getsignal(n) for n in signal.Signals] == handlers
    fresh = callbacks.Checkpoint(small_gan(), tmp_path)
    assert fresh.restore()
    assert (fresh.epoch, fresh.steps) == (epoch, steps)


def test_a_second_signal_ends_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit_until_signal(tmp_path, Send(signal.SIGTERM, step=1, times=2))
    assert not list(tmp_path.glob("ckpt*"))


def test_a_signal_after_the_last_step_is_not_lost(tmp_path):
    stop = callbacks.StopOnSignal(callbacks.Checkpoint(small_gan(), tmp_path))
    with pytest.raises(KeyboardInterrupt, match="0 epochs and 0 steps"), stop:
        os.kill(os.getpid(), signal.SIGTERM)


def test_save_minutes_are_minutes(tmp_path, monkeypatch):
    now, saved = [0.0], []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            now[0] += 25

        def on_train_batch_end(self, batch, logs=None):
            saved.append(len(list(tmp_path.glob("ckpt-0-*.index"))))

    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(keras_gan.checkpoint, "time", clock)
    gan = small_gan()
    checkpoint = callbacks.Checkpoint(gan, tmp_path, save_minutes=1)
    gan.fit(dataset(), verbose=0, callbacks=[checkpoint, Clock()])
    assert saved == [0, 0, 1, 1]  # after 25, 50, 75 and 100 seconds


def test_an_ignored_signal_stays_ignored(tmp_path):
    """As `nohup` asks for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        checkpoint = callbacks.Checkpoint(small_gan(), tmp_path)
        with callbacks.StopOnSignal(checkpoint):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_checkpoint_adds_up_the_time_in_fit(tmp_path):
    _, first, _ = train(tmp_path, epochs=1)
    begin = time.monotonic()
    _, second, _ = train(tmp_path, epochs=2)
    assert 0 < first.seconds < second.seconds < first.seconds + time.monotonic() - begin


@pytest.fixture(scope="module")
def three_epochs(tmp_path_factory):
    """A folder with the states after epochs 2 and 3."""
    folder = tmp_path_factory.mktemp("checkpoints")
    train(folder, epochs=3)
    return folder


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["cut off", "bit flipped", "deleted"])
def test_damaged_state_falls_back_to_the_one_before(part, damage, three_epochs, tmp_path, capsys):
    shutil.copytree(three_epochs, tmp_path, dirs_exist_ok=True)
    newest = tmp_path / f"ckpt-3.{part}"
    content = bytearray(newest.read_bytes())
    if damage == "cut off":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "deleted":
        newest.unlink()
    else:
        content[len(content) // 3] ^= 8
        newest.write_bytes(content)
    checkpoint = callbacks.Checkpoint(small_gan(ema_decay=0.9), tmp_path)
    assert checkpoint.restore()
    assert checkpoint.epoch == 2
    told = capsys.readouterr().err
    # Without its index, a state is not there: its epoch is made again.
    assert told.startswith(f"{tmp_path}/ckpt-3: ") or (part, damage, told) == (
        "index",
        "deleted",
        "",
    )
    for path in tmp_path.glob("*.index"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="no state in it can be read"):
        checkpoint.restore()


def test_states_are_found_by_name(three_epochs, tmp_path):
    """Not by a list, as TensorFlow keeps it, nor by their time: a clock may go back."""
    for old, new in ((2, 9), (3, 10)):
        for path in three_epochs.glob(f"ckpt-{old}.*"):
            shutil.copy(path, tmp_path / path.name.replace(f"ckpt-{old}", f"ckpt-{new}"))
    (tmp_path / "checkpoint").write_bytes(b"\xff damaged list")
    (tmp_path / "ckpt-x.index").write_text("")
    later = time.time() + 7200
    os.utime(tmp_path / "ckpt-9.index", (later, later))
    gan = small_gan(ema_decay=0.9)
    checkpoint = callbacks.Checkpoint(gan, tmp_path, max_to_keep=2)
    assert checkpoint.restore()
    assert checkpoint.epoch == 3
    gan.fit(dataset(), epochs=11, initial_epoch=10, verbose=0, callbacks=[checkpoint])
    names = sorted(path.name for path in tmp_path.glob("*.index"))
    assert names == ["ckpt-10.index", "ckpt-11.index", "ckpt-x.index"]


def test_folders_with_wildcards_keep_apart(tmp_path):
    """TensorFlow takes the name a[1] for a pattern, and finds or deletes the files of a1."""
    train(tmp_path / "a1", epochs=2)
    before = {path: path.read_bytes() for path in (tmp_path / "a1").glob("ckpt*")}
    for epochs in (2, 4):
        _, checkpoint, history = train(tmp_path / "a[1] \u00fc*?", epochs=epochs)
        assert (checkpoint.epoch, len(history["d_loss"])) == (epochs, 2)
    assert before == {path: path.read_bytes() for path in (tmp_path / "a1").glob("ckpt*")}
    kept = {path.name for path in (tmp_path / "a[1] \u00fc*?").iterdir() if path.is_file()}
    assert kept == {f"ckpt-{n}.{part}" for n in (3, 4) for part in ("index", "data-00000-of-00001")}


def test_a_state_of_version_0_1_is_read(tmp_path):
    gan = small_gan()
    state_0_1 = tf.train.Checkpoint(
        model=gan, epoch=tf.Variable(2, dtype=tf.int64), seconds=tf.Variable(1.5, dtype=tf.float64)
    )
    manager = tf.train.CheckpointManager(state_0_1, str(tmp_path), max_to_keep=3)
    manager.save(checkpoint_number=2)
    _, checkpoint, history = train_plain(tmp_path, epochs=3)
    assert len(history["d_loss"]) == 1
    assert checkpoint.seconds > 1.5


def train_plain(directory, epochs):
    gan = small_gan()
    checkpoint = callbacks.Checkpoint(gan, directory)
    assert checkpoint.restore()
    history = gan.fit(
        dataset(), initial_epoch=checkpoint.epoch, epochs=epochs, verbose=0, callbacks=[checkpoint]
    )
    return gan, checkpoint, history.history


def test_the_next_state_deletes_what_an_interrupted_one_left(tmp_path, monkeypatch):
    def fail_at_the_last_file(path, remove=files.remove):
        if [path] == list(tmp_path.glob("ckpt-1.*")):
            raise OSError(None, "Input/output error", str(path))
        remove(path)

    train(tmp_path, epochs=2)
    monkeypatch.setattr(files, "remove", fail_at_the_last_file)
    with pytest.raises(OSError, match="Input"):
        train(tmp_path, epochs=3)
    monkeypatch.undo()
    train(tmp_path, epochs=4)
    names = {path.name.split(".")[0] for path in tmp_path.iterdir()}
    assert names == {"best", "ckpt-3", "ckpt-4"}


def test_only_the_files_of_a_state_are_kept(tmp_path, monkeypatch):
    def write(checkpoint, path, write=tf.train.Checkpoint.write):
        write(checkpoint, path)
        os.mkdir(f"{path}_temp")  # TensorFlow leaves it there when it can't delete a part in it

    monkeypatch.setattr(tf.train.Checkpoint, "write", write)
    train(tmp_path, epochs=1)
    names = {path.name.split(".")[0] for path in tmp_path.iterdir()}
    assert names == {"best", "ckpt-1"}


def test_a_state_that_announces_more_than_its_file_has_is_refused(tmp_path, capsys):
    train(tmp_path, epochs=1)
    other = tf.train.Checkpoint(huge=tf.Variable(tf.zeros([1000, 1000])))
    other.write(str(tmp_path / "ckpt-7"))
    (tmp_path / "ckpt-7.data-00000-of-00001").write_bytes(b"0" * 1000)
    _, checkpoint, _ = train(tmp_path, epochs=1)
    assert checkpoint.epoch == 1
    assert "ckpt-7: 1000 bytes, expected at least 40000" in capsys.readouterr().err


def test_a_folder_deleted_during_the_training_is_an_error(tmp_path):
    class Delete(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)

    gan = small_gan()
    checkpoint = callbacks.Checkpoint(gan, tmp_path / "run/checkpoints")
    with pytest.raises(OSError, match="was deleted while the training ran"):
        gan.fit(dataset(), verbose=0, callbacks=[Delete(), checkpoint])
    assert not (tmp_path / "run").exists()


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
            callbacks.History(history),
            callbacks.Curves(history, tmp_path / "curves.png"),
        ],
    ).history
    assert len(logs["fid"]) == 2  # of the epochs 2 and 4
    # This is computed from floats; the callback rounds to uint8.
    real, fake = (x.reshape(-1, 16) for x in (images(300), gan.generate(100, seed=3)))
    assert logs["fid"][1] == pytest.approx(scores.frechet_distance(real, fake), rel=0.01)
    rows = files.read_history(history)
    assert np.isnan([row["fid"] for row in rows]).tolist() == [True, False, True, False]
    assert rows[3]["fid"] == logs["fid"][1]
    seconds = [0.0, *(row["seconds"] for row in rows)]
    assert np.all(np.diff(seconds) > 0)
    later = {"epochs": 6, "initial_epoch": 3, "callbacks": [callbacks.History(history)]}
    again = gan.fit(dataset(), verbose=0, **later)
    assert len(again.epoch) == 3
    later = [row["seconds"] for row in files.read_history(history)]
    assert later[:3] == seconds[1:4]  # and on from there
    assert np.all(np.diff(later) > 0)
    known = types.SimpleNamespace(seconds=100.0)  # a checkpoint within epoch 2
    again = {"epochs": 2, "initial_epoch": 1, "callbacks": [callbacks.History(history, known)]}
    gan.fit(dataset(), verbose=0, **again)
    rows = files.read_history(history)
    assert len(rows) == 2
    assert 100 < rows[1]["seconds"] < 160
    assert picture(tmp_path / "curves.png").shape[:2] == (400, 2000)  # V(D, G), too


@pytest.mark.filterwarnings("ignore:Early stopping conditioned on metric")
def test_epochs_without_a_distance_are_not_the_best(monkeypatch):
    """Keras' EarlyStopping takes a NaN for the best value, and nothing is ever better."""
    values = iter([5.0, 4.0, 3.0, 2.0])
    monkeypatch.setattr(scores, "frechet_distance", lambda real, fake: next(values))
    stop = keras.callbacks.EarlyStopping("fid", mode="min", patience=2)
    falling = small_distance(every=2, num_images=100)
    logs = small_gan().fit(dataset(), epochs=8, verbose=0, callbacks=[falling, stop]).history
    assert logs["fid"] == [5.0, 4.0, 3.0, 2.0]


def test_a_distance_that_can_not_be_computed_is_refused():
    with pytest.raises(InputError, match="num_images=16: expected more than 16 features"):
        small_distance(num_images=16)
    with pytest.raises(InputError, match="every=0: expected at least 1"):
        small_distance(every=0)
    model = keras.Sequential([keras.Input([8, 8, 1]), keras.layers.Flatten()])
    large = callbacks.FrechetDistance(
        np.random.default_rng(0).integers(0, 256, [100, 8, 8, 1], np.uint8),
        network=FeatureNetwork(model),
    )
    with pytest.raises(InputError, match=r"shape \(4, 4, 1\), the real ones have \(8, 8, 1\)"):
        small_gan().fit(dataset(), verbose=0, callbacks=[large])


def test_distance_changes_no_weight():
    with_it, without = small_gan(ema_decay=0.9), small_gan(ema_decay=0.9)
    with_it.fit(dataset(), epochs=2, verbose=0, callbacks=[small_distance()])
    without.fit(dataset(), epochs=2, verbose=0)
    assert equal(state(with_it), state(without))


def test_distance_of_a_dead_generator_is_infinite():
    gan = small_gan()
    for weight in gan.generator.weights:
        weight.assign(np.zeros(weight.shape))
    distance = small_distance()
    distance.set_model(gan)
    logs = {}
    distance.on_epoch_end(0, logs)
    assert logs["fid"] == np.inf  # Keras' callbacks never take it for the best


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


def test_the_best_state_is_the_only_one_in_its_folder(tmp_path):
    """Also if the last states were damaged, and the training fell back behind the best one."""
    fit_with(Fid([9.0, 9.0, 3.0]), tmp_path, 3)
    for path in tmp_path.glob("ckpt-[23].index"):
        path.write_bytes(path.read_bytes()[:50])
    assert fit_with(Fid([9.0, 2.0]), tmp_path, 2) == 2


@pytest.mark.parametrize("reader", ["load_checkpoint", "Checkpoint"])
def test_a_disk_that_fails_is_no_damaged_state(reader, tmp_path, monkeypatch):
    """Or the best state would be replaced by the next one."""
    fit_with(Fid([3.0, 4.0]), tmp_path, 2)
    checkpoint = callbacks.Checkpoint(small_gan(), tmp_path)

    def fails(*_, **__):  # as TensorFlow does
        raise tf.errors.OpError(None, None, f"{tmp_path}/best/x; Input/output error", 2)

    monkeypatch.setattr(tf.train, reader, fails)
    with pytest.raises(OSError, match="Input/output error") as raised:
        checkpoint.restore()
    assert raised.value.filename == str(tmp_path / "best/ckpt-1")


def test_a_folder_that_fails_to_open_is_no_damaged_state(tmp_path, monkeypatch):
    """Or the state before would be trained on, or nothing saved, without a word."""
    train(tmp_path, epochs=2)
    opened = []

    def fails_the_second_time(open_folder):
        def opens(folder):
            opened.append(Path(folder))
            if opened.count(tmp_path) == 2:
                raise PermissionError(errno.EACCES, "Permission denied", str(folder))
            return open_folder(folder)

        return opens

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, fails_the_second_time(getattr(os, name)))
    with pytest.raises(PermissionError):  # first the states are listed, then the files of one
        callbacks.Checkpoint(small_gan(ema_decay=0.9), tmp_path).restore()


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


@pytest.mark.parametrize(
    ("network", "value", "when", "told"),
    [
        # As the last update of an epoch may leave it: no loss has been computed with it.
        (
            "generator",
            np.nan,
            "end",
            r"after 8 steps a value in \S+kernel of the generator is nan",
        ),
        (
            "discriminator",
            1e3,
            "end",
            r"after 8 steps a value in \S+kernel of the discriminator is",
        ),
        # The first loss of the epoch tells.
        ("generator", np.nan, "begin", r"after 5 steps a value in .* of the (gen|disc).* is nan"),
    ],
)
def test_divergence_ends_fit_and_keeps_the_last_good_state(network, value, when, told, tmp_path):
    class Poison(keras.callbacks.Callback):
        def poison(self, epoch, logs=None):
            if epoch == 1:
                weight = getattr(self.model, network).weights[0]
                weight.assign(np.full(weight.shape, value))

    setattr(Poison, f"on_epoch_{when}", Poison.poison)
    gan = small_gan()
    checkpoint = callbacks.Checkpoint(gan, tmp_path)
    gan.fit(dataset(), verbose=0, callbacks=[checkpoint])
    good = state(gan)
    with pytest.raises(FloatingPointError, match=told):
        gan.fit(
            dataset(),
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


# The sliced Wasserstein distance


def gan_of(size):
    generator = keras.Sequential([keras.Input([3]), keras.layers.Dense(size**2, "tanh")])
    generator.add(keras.layers.Reshape([size, size, 1]))
    discriminator = keras.Sequential([keras.Input([size, size, 1]), keras.layers.Flatten()])
    discriminator.add(keras.layers.Dense(1))
    gan = GAN(generator, discriminator)
    gan.compile("adam", "adam")
    return gan


def test_sliced_distance_stands_in_the_logs_and_tells_the_best(tmp_path):
    real = np.random.default_rng(0).integers(0, 256, [40, 8, 8, 1], np.uint8)
    gan, history = gan_of(8), tmp_path / "history.csv"
    distance = callbacks.SlicedWasserstein(real, every=2, num_images=30, seed=3)
    checkpoint = callbacks.Checkpoint(gan, tmp_path / "checkpoints")
    chosen = [callbacks.Curves(history, tmp_path / "curves.png"), checkpoint, distance]
    chosen.append(callbacks.History(history))
    dataset = tf.data.Dataset.from_tensors(real / 127.5 - 1)
    logs = gan.fit(dataset, epochs=4, verbose=0, callbacks=callbacks.in_order(chosen)).history
    spread = [i * 39 // 29 for i in range(30)]
    levels = scores.sliced_wasserstein(
        real[spread], Samples(gan.generate(30, seed=3)).images, patches=2**15
    )
    assert logs["swd"][1] == pytest.approx(np.mean([*levels.values()]), rel=1e-6)
    assert [np.isnan(row["swd"]) for row in files.read_history(history)] == [True, False] * 2
    best = 2 + 2 * int(np.argmin(logs["swd"]))
    assert [path.name for path in (tmp_path / "checkpoints/best").glob("*.index")] == [
        f"ckpt-{best}.index"
    ]
    assert picture(tmp_path / "curves.png").shape[:2] == (400, 1500)


def test_sliced_distance_needs_images_of_the_models_shape():
    with pytest.raises(InputError, match="images of 7 x 7 or more"):
        callbacks.SlicedWasserstein(images(300))
    real = np.random.default_rng(0).integers(0, 256, [40, 8, 8, 1], np.uint8)
    with pytest.raises(InputError, match=r"shape \(4, 4, 1\), .* \(8, 8, 1\): swd needs the same"):
        small_gan().fit(dataset(), verbose=0, callbacks=[callbacks.SlicedWasserstein(real)])


def test_a_grid_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "MAX_GRID", 20)
    gan = gan_of(8)
    grid = callbacks.SampleGrid(tmp_path)
    grid.set_model(gan)
    grid.on_train_begin()
    grid.on_epoch_end(0)
    assert picture(tmp_path / "epoch-0001.png").shape == (16, 16)
