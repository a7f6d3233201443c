"""The study of the papers' claims: its arithmetic, its tables, its short form."""

import csv
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from benchmarks import claims
from benchmarks.claims import Rows
from keras_gan import data, synthetic


def row(**values):
    return {"part": "losses", "arch": "mlp", "setting": "plain", "mark": "3000", **values}


def test_pages_say_what_the_tables_hold():
    rows, courses = Rows.read(claims.TABLE), Rows.read(claims.COURSES)
    for page in claims.PAGES:
        text = (ROOT / page).read_text()
        assert text.count("<!-- study: ") == text.count("<!-- end -->") > 0
        assert claims.rendered(text, rows, courses) == text, f"python -m benchmarks.claims ({page})"
    # And that is not because nothing is made anew.
    rows[0]["fid"] = rows[0]["parzen"] = 12345.0
    assert "1.23e+04" in claims.rendered((ROOT / "RESULTS.md").read_text(), rows, courses)


def test_interval_of_a_median():
    middle, low, high = claims.interval([1, 2, 3, 4, 5])
    # A resampled median is 1 where at least three of five draws are: in 5.8 % of all cases.
    assert (middle, low, high) == (3, 1, 5)
    normal = np.random.default_rng(0).normal(7, 1, 400)
    middle, low, high = claims.interval(normal, np.mean)
    assert middle == pytest.approx(normal.mean())
    # The mean's standard error is 1 / 20.
    assert low == pytest.approx(middle - 1.96 / 20, abs=0.01)
    assert high == pytest.approx(middle + 1.96 / 20, abs=0.01)
    assert all(map(math.isnan, claims.interval([1, 2, 3, 4])[1:]))  # too few


def test_a_comparison_is_seed_by_seed():
    one = Rows(row(seed=str(i), fid=2.0 * 10**i) for i in range(5))
    other = Rows(row(seed=str(i), fid=1.0 * 10**i) for i in (4, 3, 2, 1, 0, 9))
    assert claims.compared(one, other, "fid") == (2, 2, 2)
    assert claims.compared(one, Rows([row(seed="7", fid=1.0)]), "fid") is None


def test_no_row_twice():
    for path, key in ((claims.TABLE, Rows.TEXT), (claims.COURSES, (*Rows.TEXT[:-1], "step"))):
        rows = Rows.read(path)
        assert len(rows.distinct(*key)) == len(rows) > 100


def test_acceptance_within_and_over_all():
    """Within each of five losses more acceptance is less distance; between them it is more."""
    rows = Rows(
        row(loss=loss, seed=str(seed), acceptance=0.1 * i + 0.01 * seed, fid=10.0 * i - seed)
        for i, loss in enumerate(claims.ORDER[-6:-1])
        for seed in range(5)
    )
    cells = claims.acceptance_and_distance(rows)
    assert claims.within_each(cells) == pytest.approx(-1)
    # Blocks of five in reverse: all but the 5 * 10 pairs within them are in order.
    assert claims.over_all(cells) == pytest.approx(1 - 6 * 5 * 40 / (25 * (25**2 - 1)))
    low, high = claims.interval(cells, claims.over_all)[1:]
    # Losses are resampled, and not runs: some samples have one loss five times.
    assert low < claims.over_all(cells) <= high


def test_distance_from_where_the_theory_has_d():
    def courses(setting):
        return Rows(
            row(part="half", setting=setting, seed=str(i), step=step, d_real=0.65, d_fake=0.35)
            for i in range(5)
            for step in (200.0, 400.0)
        )

    assert claims.from_half(courses("plain"), "plain") == pytest.approx((0.15, 0.15, 0.15))
    smoothed = claims.from_half(courses("label smoothing"), "label smoothing")
    assert smoothed[0] == pytest.approx((0.20 + 0.10) / 2)


@pytest.mark.parametrize(
    ("found", "bounds", "expected"),
    [
        ((0.8, 0.7, 0.9), {"below": 1}, "supported"),
        ((0.8, 0.7, 1.1), {"below": 1}, "undecided"),
        ((1.3, 1.2, 1.4), {"below": 1}, "contradicted"),
        ((1.3, 1.2, 1.4), {"above": 1}, "supported"),
        ((1.3, 0.9, 1.4), {"above": 1}, "undecided"),
        ((0.8, 0.7, 0.9), {"above": 1}, "contradicted"),
        ((0.8, math.nan, math.nan), {"below": 1}, "undecided"),
    ],
)
def test_verdict(found, bounds, expected):
    assert claims.verdict(found, **bounds) == expected


def test_rank_correlation():
    x = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert claims.spearman(np.transpose([x, np.exp(x)])) == pytest.approx(1)
    assert claims.spearman(np.transpose([x, [9, 7, 5, 3, 1]])) == pytest.approx(-1)
    # Rank differences 1, 1, 2, 0, 2: 1 - 6 * 10 / (5 * 24).
    assert claims.spearman(np.transpose([x, [2, 1, 5, 4, 3]])) == pytest.approx(0.5)
    # Ties share the mean rank: 0.5, 0.5, 2 against 0, 1, 2 have covariance 1.5, norms 1.5 and 2.
    assert claims.spearman([[0, 0], [0, 1], [1, 2]]) == pytest.approx(1.5 / math.sqrt(1.5 * 2))
    assert claims.spearman([[3, 0], [3, 1], [3, 2]]) == 0


def test_what_can_not_be_scored_is_a_collapse_and_no_gain(tmp_path):
    path = tmp_path / "study.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("part", "arch", "loss", "setting", "seed", "mark", "steps", "fid", "kid", "modes")
        )
        for seed in range(5):
            good = ("1.5", "0.1", "10") if seed else ()
            writer.writerow(("losses", "mlp", "lsgan", "plain", seed, "3000", "3000", *good))
            for loss in ("minimax", "non_saturating"):
                writer.writerow(
                    ("losses", "mlp", loss, "plain", seed, "3000", "3000", "3", "0.2", "10")
                )
    text = claims.BLOCKS["lsgan"](Rows.read(path), Rows())
    line = next(line for line in text.splitlines() if "minimax" in line)
    assert "0.5 (0.5 to inf)" in line
    assert "1 of 5 : 0 of 5" in line
    assert "undecided" in line


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The module, with a few digits, and its files in a folder of the test's."""
    from benchmarks import study

    digits = {"train": synthetic.digits(1500, seed=0), "test": synthetic.digits(100, seed=1)}
    arrays = {f"{x}_{k}": v for k, pair in digits.items() for x, v in zip("xy", pair, strict=True)}
    np.savez(tmp_path / "digits.npz", **arrays)

    for name, value in study.SHORT.items():
        monkeypatch.setattr(study, name, value)
    monkeypatch.setattr(study, "DATA_PATH", tmp_path / "digits.npz")
    monkeypatch.setattr(study, "FOLDER", tmp_path)
    for name, fields in (("TABLE", study.FIELDS), ("COURSES", study.COURSE_FIELDS)):
        path = tmp_path / f"{name}.csv"
        monkeypatch.setattr(study, name, path)
        study.append(path, [fields])
    study.real.cache_clear()
    yield study
    study.real.cache_clear()


def test_a_stopped_run_goes_on(study, monkeypatch, tmp_path):
    run = study.Run("losses", "mlp", "lsgan", "plain", 0, study.PLAIN, (8, 16))
    study.train(run)
    straight = Rows.read(study.TABLE)
    assert [r["steps"] for r in straight] == [8, 16]
    assert straight[0]["fid"] != straight[1]["fid"]
    study.TABLE.unlink()
    study.append(study.TABLE, [study.FIELDS])
    scored = study.scored
    states = []

    def interrupted(run, gan, briefly):
        states.append(int(gan.step))
        if len(states) == 2:
            raise KeyboardInterrupt
        return scored(run, gan, briefly)

    monkeypatch.setattr(study, "scored", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.train(run)
    assert len(Rows.read(study.TABLE)) == 1
    study.train(run)
    assert states == [8, 16, 16]  # and not 8 once more
    for one, other in zip(straight, Rows.read(study.TABLE), strict=True):
        same = one.keys() - {"seconds", "class_kl", "kid", "precision"}
        assert {k: one[k] for k in same} == {k: other[k] for k in same}
    study.train(run)  # there is nothing left to do
    assert len(states) == 3


def test_gradient_norm_is_the_generators(study):
    """Of one step, by hand: the norm of the gradient that moved the weights by plain descent."""
    import keras

    from keras_gan import training
    from keras_gan.config import Config

    images = data.load("mnist", study.DATA_PATH).images
    gan = training.build(
        Config(arch="mlp", simultaneous=False, penalty="none").resolve(500), images
    )
    gan.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(1e-9), "lsgan")
    before = [w.numpy() for w in gan.generator.trainable_variables]
    history = gan.fit(
        data.batches(images, 8), steps_per_epoch=1, verbose=0, shuffle=False,
        callbacks=[study.GradientNorm()],
    )  # fmt: skip
    moved = [b - w.numpy() for b, w in zip(before, gan.generator.trainable_variables, strict=True)]
    norm = math.sqrt(sum(np.sum(m.astype(np.float64) ** 2) for m in moved))
    assert history.history["gradient"] == [pytest.approx(norm, rel=1e-4)]


def test_short_form_runs():
    shutil.rmtree(ROOT / "runs/study-short", ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.study", "short"],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = ROOT / "runs/study-short"
    rows = Rows.read(folder / "study.csv")
    assert {r["part"] for r in rows} == {
        "parzen", "losses", "gradients", "half", "steps", "windows", "stacked",
    }  # fmt: skip
    assert all(math.isfinite(r["fid"]) for r in rows)
    assert len({tuple(r[n] for n in Rows.TEXT) for r in rows}) == len(rows)
    text = (folder / "RESULTS.md").read_text()
    assert "| mlp | plain | minimax | 1 |" in text
    assert {path.stem for path in (folder / "docs/study").iterdir()} == set(claims.FIGURES)
