"""The benchmarks: the arithmetic of the claims, their pages, and the study's short form."""

import importlib
import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from benchmarks import claims, tables
from benchmarks.tables import Bound, Study, interval, paired, shown

CLAIMS = {claim.name: claim for claim in claims.CLAIMS}


def rows(*given, **same):
    """A study of rows, dicts; what they have in common is given by name."""
    common = {"part": "losses", "arch": "mlp", "setting": "plain", "after": "equal steps"}
    return pd.DataFrame([common | same | row for row in given])


def cases(name, study):
    """{labels: value} of a claim's cases."""
    return {tuple(labels): value for labels, _, value in CLAIMS[name].cases(study)}


# Arithmetic


def test_interval_of_a_median():
    # A resampled median is 1 where at least three of five draws are: in 5.8 % of all cases.
    assert interval([1, 2, 3, 4, 5]) == (3, 1, 5)
    assert interval([5, 3, 1, 4, 2]) == (3, 1, 5)
    normal = np.random.default_rng(0).normal(7, 1, 400)
    middle, low, high = interval(normal, np.mean)
    assert middle == pytest.approx(normal.mean())
    # The mean's standard error is 1 / 20.
    assert low == pytest.approx(middle - 1.96 / 20, abs=0.01)
    assert high == pytest.approx(middle + 1.96 / 20, abs=0.01)
    assert all(map(math.isnan, interval([1, 2, 3, 4])[1:]))  # too few


def test_a_ratio_is_seed_by_seed():
    one = rows(*({"seed": str(i), "fid": 2.0 * 10**i} for i in range(5)))
    other = rows(*({"seed": str(i), "fid": 1.0 * 10**i} for i in (4, 3, 2, 1, 0, 9)))
    _, ratio = claims.ratio("fid")
    assert ratio(paired(one, other, on=[])) == (2, 2, 2)
    assert len(paired(one, other, on=[])) == 5
    assert paired(one, rows({"seed": "7", "fid": 1.0}), on=[]).empty
    assert paired(one, other.assign(arch="dcgan"), on=["arch"]).empty


@pytest.mark.parametrize(
    ("measured", "side", "expected"),
    [
        ((0.8, 0.7, 0.9), "below", "supported"),
        ((0.8, 0.7, 1.1), "below", "undecided"),
        ((1.3, 1.2, 1.4), "below", "contradicted"),
        ((1.3, 1.2, 1.4), "above", "supported"),
        ((1.3, 0.9, 1.4), "above", "undecided"),
        ((0.8, 0.7, 0.9), "above", "contradicted"),
        ((0.8, math.nan, math.nan), "below", "undecided"),
        ((1.0, math.nan, math.nan), "at least", "supported"),
        ((0.9, math.nan, math.nan), "at least", "undecided"),
    ],
)
def test_verdict(measured, side, expected):
    assert Bound(side, 1).verdict(measured) == expected


def test_verdict_of_a_claim():
    """A case for each loss, of five seeds; the bound is 1, from below."""

    def verdict(*fids, **changes):
        claim = claims.Claim(
            "name", "text", "question",
            lambda study: study.rows, ["loss"], claims.median("fid"),
            Bound("below", 1), [], ("0", "{}"),
        )  # fmt: skip
        five = [{"loss": str(i), "fid": fid} for i, fid in enumerate(fids) for _ in range(5)]
        claim = claims.dataclasses.replace(claim, **changes)
        return claim.verdict(Study(rows(*five), None))

    assert verdict(0.5) == verdict(0.5, 0.6) == "supported"
    assert verdict(0.5, 0.6, 2) == "supported in 2 of 3"
    assert verdict(2, 0.6, 3) == "contradicted in 2 of 3"
    single = {"bound": Bound("at least", 1)}
    assert verdict(0.5, 0.5, 1, **single) == "supported"
    assert verdict(0.5, 0.5, **single) == "undecided"


def test_shown():
    assert shown((0.12345, 0.1, 0.2)) == "0.123 (0.1 to 0.2)"
    assert shown((5260, 2992, 6212)) == "5,260 (2,992 to 6,212)"
    assert shown((8, 8, 8)) == shown((8, math.nan, math.nan)) == "8"
    assert shown((0.5, 0.5, math.inf)) == "0.5 (0.5 to inf)"
    assert shown((math.nan,) * 3) == "-"


def test_rank_correlation():
    def correlation(*pairs):
        return tables._spearman(np.array(pairs, float), axis=0)

    x = (1, 2, 3, 4, 5)
    assert correlation(*zip(x, np.exp(x), strict=True)) == pytest.approx(1)
    assert correlation(*zip(x, (9, 7, 5, 3, 1), strict=True)) == pytest.approx(-1)
    # Rank differences 1, 1, 2, 0, 2: 1 - 6 * 10 / (5 * 24).
    assert correlation(*zip(x, (2, 1, 5, 4, 3), strict=True)) == pytest.approx(0.5)
    # Ties share the mean rank: 0.5, 0.5, 2 against 0, 1, 2 have covariance 1.5, norms 1.5 and 2.
    assert correlation((0, 0), (0, 1), (1, 2)) == pytest.approx(1.5 / math.sqrt(1.5 * 2))
    assert correlation((3, 0), (3, 1), (3, 2)) == 0
    assert correlation((1, 5), (2, np.inf), (3, np.inf)) == pytest.approx(1.5 / math.sqrt(1.5 * 2))


# The cases of the claims


def test_lsgan_against_the_gan_loss():
    """The ratio of `lsgan` to the others, and not the other way round; collapses are counted."""
    of = {"lsgan": (1.0, 10), "minimax": (2.0, 8), "non_saturating": (4.0, 10), "hinge": (8.0, 10)}
    study = Study(
        rows(
            *(
                {"loss": loss, "seed": str(i), "fid": fid, "kid": 1, "steps": 1, "modes": modes}
                for loss, (fid, modes) in of.items()
                for i in range(5)
            )
        ),
        None,
    )
    found = cases("lsgan", study)
    assert found == {
        ("equal steps", "mlp", "plain", "minimax"): (0.5, 0.5, 0.5),
        ("equal steps", "mlp", "plain", "non_saturating"): (0.25, 0.25, 0.25),
    }
    line = next(x for x in CLAIMS["lsgan"].block(study).splitlines() if "minimax" in x)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[4:] == ["0.5", "1", "1", "0", "5", "supported"]


def test_noise_is_compared_in_equal_settings_but_for_maxout():
    noise = {
        ("dcgan", "plain"): 1.0,
        ("dcgan", "default"): 3.0,
        ("mlp", "plain"): 2.0,
        ("mlp", "default"): 6.0,
        ("maxout", "published"): 4.0,
    }
    study = Study(
        rows(
            *(
                {"arch": a, "setting": s, "loss": "lsgan", "seed": str(i), "noise": n}
                for (a, s), n in noise.items()
                for i in range(5)
            )
        ),
        None,
    )
    middles = {labels[2:]: value[0] for labels, value in cases("noise", study).items()}
    assert middles == {
        ("dcgan plain", "mlp plain"): 0.5,
        ("dcgan default", "mlp default"): 0.5,
        ("dcgan plain", "maxout published"): 0.25,
        ("dcgan default", "maxout published"): 0.75,
    }


def test_gradients_are_means_over_the_first_steps():
    courses = rows(
        *(
            {"loss": loss, "seed": str(i), "step": step, "gradient": gradient}
            for loss, course in {
                "non_saturating": {20: 4.0, 100: 8.0, 500: 18.0, 520: 1000.0},
                "minimax": {20: 1.0, 100: 3.0, 500: 1.0, 520: 9.0},
            }.items()
            for step, gradient in course.items()
            for i in range(5)
        ),
        part="gradients",
        d_real=0.75,
        d_fake=0.5,
    )
    found = cases("gradients", Study(None, courses))
    # Means of (4, 8) to (1, 3), and of (4, 8, 18) to (1, 3, 1).
    assert found[("mlp", "1 to 100")] == (3, 3, 3)
    assert found[("mlp", "1 to 500")] == pytest.approx((6, 6, 6))


def test_distance_from_where_the_theory_has_d():
    courses = rows(
        *(
            {"setting": setting, "seed": str(i), "step": step, "d_real": 0.65, "d_fake": fake}
            for setting in ("plain", "label smoothing")
            for step, fake in ((200, 0.1), (400, 0.52))
            for i in range(5)
        ),
        part="half",
    )
    scores = courses[courses["step"] == 400].assign(fid=1.0)
    found = cases("half", Study(scores, courses))
    # Of the last step: |0.65 - 0.5| and |0.52 - 0.5|; with smoothing from 0.45.
    assert found[("plain",)] == pytest.approx(((0.15 + 0.02) / 2,) * 3)
    assert found[("label smoothing",)] == pytest.approx(((0.20 + 0.07) / 2,) * 3)
    courses["d_fake"] = 0.3  # on the other side of 0.5: distances have no sign
    assert cases("half", Study(scores, courses))[("plain",)][0] == pytest.approx((0.15 + 0.2) / 2)


def test_more_steps_of_d_against_one():
    study = Study(
        rows(
            *(
                {"setting": f"k = {k}", "seed": str(i), "fid": 3.0 * k}
                for k in (1, 2, 5)
                for i in range(5)
            ),
            part="steps",
        ),
        None,
    )
    assert cases("k", study) == {("k = 2",): (2, 2, 2), ("k = 5",): (5, 5, 5)}


def test_acceptance_within_and_over_all():
    """Within each of five losses more acceptance is less distance; between them it is more."""
    losses = ("minimax", "non_saturating", "lsgan", "hinge", "relativistic")
    study = Study(
        rows(
            *(
                {
                    "loss": loss,
                    "seed": str(s),
                    "acceptance": 0.1 * i + 0.01 * s,
                    "fid": 10.0 * i - s,
                }
                for i, loss in enumerate(losses)
                for s in range(5)
            )
        ),
        None,
    )
    found = {name: value for (name,), value in cases("acceptance", study).items()}
    assert found[claims.WITHIN] == pytest.approx((-1, -1, -1))
    assert found["lsgan"][0] == pytest.approx(-1)
    # Blocks of five in reverse: all but the 5 * 10 pairs within them are in order.
    middle, low, high = found["all runs"]
    assert middle == pytest.approx(1 - 6 * 5 * 40 / (25 * (25**2 - 1)))
    # Losses are resampled, and not runs: some samples have one loss five times.
    assert low < middle <= high + 1e-9
    # Without `relativistic` blocks of five among 20 runs, and too few losses for an interval.
    value, low, _ = found["all but wasserstein and relativistic"]
    assert value == pytest.approx(1 - 6 * 4 * 40 / (20 * (20**2 - 1)))
    assert math.isnan(low)


def test_single_runs():
    def row(**values):
        return {"loss": "lsgan", "fid": 1.0, "noise": 1.0, "class_kl": 0.1} | values

    parzen = rows(
        row(images=1e6, parzen=300.0), row(images=2.5e6, parzen=200.0), part="parzen"
    )  # the last one counts
    labels = ("mlp", "plain", "2.50 million images")
    assert cases("parzen", Study(parzen, None)) == {
        labels: pytest.approx((200, math.nan, math.nan), nan_ok=True)
    }
    stacked = rows(
        row(images=1e6, modes=900.0),
        row(images=2e6, modes=1000.0, class_kl=0.2),
        row(images=3e6, modes=1000.0),
        part="stacked",
    )
    assert len(cases("stacked", Study(stacked, None))) == 3
    best = CLAIMS["stacked"].main_cases(Study(stacked, None))
    assert [name[-19:] for name in best] == ["3.00 million images"]


def test_what_cannot_be_scored_is_a_collapse_and_no_gain(tmp_path):
    lines = ["part,arch,loss,setting,seed,mark,steps,fid,kid,modes,noise,parzen,acceptance"]
    for seed in range(5):
        good = "1.5,0.1,10,1,1,1" if seed else ",,,,,"
        lines.append(f"losses,mlp,lsgan,plain,{seed},3000,3000,{good}")
        for loss in ("minimax", "non_saturating"):
            lines.append(f"losses,mlp,{loss},plain,{seed},3000,3000,3,0.2,10,1,1,1")
    (tmp_path / tables.TABLE).write_text("\n".join(lines))
    (tmp_path / tables.COURSES).write_text("part,arch,loss,setting,seed,step\n")
    text = CLAIMS["lsgan"].block(tables.read(tmp_path))
    line = next(line for line in text.splitlines() if "minimax" in line)
    assert "0.5 (0.5 to inf)" in line
    assert line.split("|")[-4:-1] == [" 1           ", " 0        ", " undecided "]


# Tables and pages


def test_no_row_twice():
    study = tables.read()
    for frame, key in ((study.rows, tables.KEY), (study.courses, (*tables.KEY[:-1], "step"))):
        assert len(frame) > 100
        assert not frame.duplicated(list(key)).any()


def test_pages_say_what_the_tables_hold():
    study = tables.read()
    for page in claims.PAGES:
        text = (ROOT / page).read_text()
        names = re.findall(r"<!-- study: (.*) -->", text)
        if page == "README.md" and names != ["readme"]:
            continue
        assert len(names) == text.count("<!-- end -->") > 0
        assert set(names) <= set(claims.BLOCKS)
        assert claims.rendered(text, study) == text, f"python -m benchmarks.claims ({page})"
    # And that is not because nothing is made anew.
    study.rows.loc[study.rows["part"] == "parzen", "fid"] = 12345.0
    assert "| 12,345 " in claims.rendered((ROOT / "docs/claims.md").read_text(), study)


def test_readme_block():
    lines = claims.readme(tables.read()).splitlines()
    assert len(lines) == len(claims.CLAIMS) <= 10
    assert max(map(len, lines)) <= 110
    assert lines[0] == (
        "- LSGAN beats the GAN loss (Mao et al. 2017): supported in 7 of 8; "
        "`fid` ratio 0.499 (`dcgan`)"
    )


def test_figures_exist():
    names = {path.stem for path in (ROOT / claims.FIGURES).iterdir()}
    assert names == {*CLAIMS, "samples"}


def test_recipes_in_the_page():
    """Every row of the tables of recipes.csv stands in one of the two pages."""
    from benchmarks import recipes

    pages = [ROOT / "docs/benchmarks.md", ROOT / "benchmarks/recipes.md"]
    lines = [line for page in pages for line in page.read_text().splitlines()]
    for part in recipes.PARTS:
        for score in recipes.SCORES if part == "sharper" else ["fid"]:
            assert set(recipes.table(part, score).splitlines()) <= set(lines)
    fids = pd.Series([0.3, 0.1, 0.2])
    assert recipes.cell(fids) == "0.2 (0.1 to 0.3)"
    assert recipes.cell(fids[:1]) == "0.3"
    assert recipes.cell(fids[:0]) == "-"


def test_benchmarks_start():
    """Every module imports, and the pages name no other."""
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    for name in names:
        importlib.import_module(f"benchmarks.{name}")
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = re.findall(r"python -m benchmarks\.(\w+)", "\n".join(p.read_text() for p in pages))
    assert set(named) <= names
    assert {"claims", "combinations", "feature_network", "recipes", "speed", "study"} <= set(named)


def test_score_table():
    from benchmarks.scores import score_table

    table = {"a": {"fid": 0.16512, "kid_error": 1.0, "modes": 10}, "real": {"fid": 0.0757}}
    lines = score_table(table).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["", "a", "real"]
    assert cells[2:] == [["`fid`", "0.165", "0.0757"], ["`modes`", "10", "-"]]


def test_blurred():
    from benchmarks.scores import blurred

    image = np.zeros([1, 3, 3, 1], np.float32)
    image[0, 0, 0] = 9
    # The edge is repeated: the corner is four times in its own window, twice in its neighbours'.
    expected = [[4, 2, 0], [2, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(blurred(image)[0, ..., 0], expected)


# The study


@pytest.fixture
def setup(tmp_path):
    """A `study.Setup` of a few digits in a folder of the test's, with empty tables."""
    from benchmarks import study
    from keras_gan.data import synthetic

    digits = {"train": synthetic.digits(1500, seed=0), "test": synthetic.digits(100, seed=1)}
    arrays = {f"{x}_{k}": v for k, pair in digits.items() for x, v in zip("xy", pair, strict=True)}
    setup = study.dataclasses.replace(study.Setup.short(tmp_path), samples=400, paired=390)
    np.savez(setup.data_path, **arrays)
    study.create_tables(tmp_path)
    yield setup
    study.real.cache_clear()


def test_every_run_has_its_rows():
    """The committed table is that of the runs in study.py, five seeds of most."""
    from benchmarks import study

    runs = study.all_runs(study.Setup().seeds)
    assert len(runs) == 169
    sixth = study.dataclasses.replace(runs[-1], seed=5)
    assert study.missing(study.Setup(), [*runs, sixth]) == [sixth]


def test_a_training_stops_at_its_marks():
    """And goes on as one without the stops."""
    import keras

    import keras_gan
    from benchmarks.common import train

    images = np.random.default_rng(0).integers(0, 256, [50, 2, 2, 1], np.uint8)
    layers = keras.layers
    weights = []
    for marks in ((16, 8, "0s"), (16,)):
        keras.utils.set_random_seed(1)
        gan = keras_gan.GAN(
            keras.Sequential([keras.Input([3]), layers.Dense(4), layers.Reshape([2, 2, 1])]),
            keras.Sequential([keras.Input([2, 2, 1]), layers.Flatten(), layers.Dense(1)]),
        )
        gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), d_steps=2)
        reached = [(mark, int(gan.step), seconds) for mark, seconds in train(gan, images, 8, marks)]
        weights.append(np.concatenate([w.ravel() for w in gan.get_weights()]))
        if len(marks) == 3:
            assert [mark for mark, _, _ in reached] == ["0s", 8, 16]
            assert [step for _, step, _ in reached] == [1, 8, 16]
            assert 0 < reached[0][2] < reached[1][2] < reached[2][2]
    np.testing.assert_array_equal(*weights)


def test_complete_runs_are_not_trained_again(setup, monkeypatch):
    """A run that was stopped has no rows, and begins again."""
    from benchmarks import study

    run = study.Run("losses", "mlp", "lsgan", "plain", study.PLAIN, (8, 16))
    steps = []

    def interrupted(setup, run, gan, images, timed):
        steps.append(int(gan.step))
        if len(steps) == 2:
            raise KeyboardInterrupt
        return {"fid": 100 / steps[-1]}

    monkeypatch.setattr(study, "evaluated", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.train(setup, run)
    assert study.missing(setup, [run]) == [run]
    study.train(setup, run)
    assert steps == [8, 16, 8, 16]
    assert study.missing(setup, [run]) == []
    rows = tables.read(setup.folder).rows
    assert list(rows["steps"]) == [8, 16]
    assert list(rows["images"]) == [8 * 64, 16 * 64]
    assert list(rows["fid"]) == [12.5, 6.25]
    assert 0 < rows["seconds"][0] < rows["seconds"][1]


def test_gradient_norm_is_the_generators(setup):
    """Of one step, by hand: the norm of the gradient that moved the weights by plain descent."""
    import keras

    from benchmarks import study
    from benchmarks.common import build
    from keras_gan import data

    images = data.load("mnist", setup.data_path).images
    settings = {"arch": "mlp", "simultaneous": False, "penalty": "none", "steps_per_epoch": 1}
    settings |= {"g_lr": 1.0, "d_lr": 1e-9}
    gan, _, _ = build(images, settings | {"optimizers": {"adam": keras.optimizers.SGD}})
    before = [w.numpy() for w in gan.generator.trainable_variables]
    course = study.Course()
    options = {"verbose": 0, "shuffle": False, "callbacks": [course]}
    gan.fit(data.batches(images, 8), steps_per_epoch=1, **options)
    moved = [b - w.numpy() for b, w in zip(before, gan.generator.trainable_variables, strict=True)]
    norm = math.sqrt(sum(np.sum(m.astype(np.float64) ** 2) for m in moved))
    assert [float(row["gradient"]) for row in course.rows] == [pytest.approx(norm, rel=1e-4)]


def test_a_run_is_built_as_listed(setup):
    """Its networks and optimiser are its own, and the registry stays as it is."""
    from benchmarks import study
    from keras_gan.networks import ARCHITECTURES
    from keras_gan.optimizers import GoodfellowSGD

    registered = dict(ARCHITECTURES)
    run = study.Run("gradients", "dcgan", "minimax", "plain", study.PLAIN, (500,), seed=3)
    gan, images, config = study.build_run(setup, run)
    assert registered == ARCHITECTURES
    assert [layer.filters for layer in gan.discriminator.layers[:5:2]] == [16, 32, 64]
    assert gan.g_optimizer.beta_1 == 0.5
    assert float(gan.g_optimizer.learning_rate) == pytest.approx(2e-4)
    assert (config.loss, config.seed, gan.seed, gan.penalty) == ("minimax", 3, 3, None)
    assert (config.batch_size, len(images)) == (64, 1500)
    other, _, _ = study.build_run(setup, study.dataclasses.replace(run, seed=4))
    assert not np.allclose(gan.generator.weights[0], other.generator.weights[0])
    runs = {(run.part, run.arch, run.loss, run.setting): run for run in study.runs(study.RUNS)}
    run = runs["losses", "mlp", "lsgan", "default"]
    gan, _, config = study.build_run(setup, run)
    assert (config.penalty, config.penalty_weight, config.spectral_norm) == ("r1", 3.0, True)
    # Its D sees pixels in [-1, 1]: a black image is not 0.
    assert gan.discriminator(np.full([1, 28, 28, 1], -1.0)) != 0
    run = study.Run("losses", "maxout", "non_saturating", "published", {"num_images": 200}, (8,))
    gan, images, config = study.build_run(setup, run)
    assert isinstance(gan.g_optimizer, GoodfellowSGD)
    assert (config.batch_size, len(images)) == (100, 200)


@pytest.mark.slow
def test_short_form_runs():
    folder = ROOT / "runs/study-short"
    shutil.rmtree(folder, ignore_errors=True)
    paths = [tables.FOLDER / name for name in (tables.TABLE, tables.COURSES)]
    committed = {path: path.read_bytes() for path in paths}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.study", "short"],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = tables.read(folder).rows
    assert set(rows["part"]) == {
        "parzen", "losses", "gradients", "half", "steps", "windows", "stacked",
    }  # fmt: skip
    assert np.all(np.isfinite(rows["fid"]))
    assert not rows.duplicated(list(tables.KEY)).any()
    assert "| D(x) and D(G(z)) tend to 1/2 " in (folder / "docs/claims.md").read_text()
    assert {path.stem for path in (folder / claims.FIGURES).iterdir()} == set(CLAIMS)
    assert committed == {path: path.read_bytes() for path in committed}
