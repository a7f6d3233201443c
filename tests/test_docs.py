"""README.md and docs/: the Python blocks run, the links have targets, the flags exist."""

import dataclasses
import json
import re
import sys
import types
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from keras_gan import training
from keras_gan.config import Config
from keras_gan.data import synthetic
from keras_gan.evaluation import METRICS
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES}
BLOCKS = {name: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for name, text in TEXTS.items()}
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def xla():
    """Deterministic operations would turn XLA off for the tests that come after."""
    with mock.patch.object(tf.config.experimental, "enable_op_determinism"):
        yield


@pytest.fixture
def registries():
    """Removes from the registries what a page has added."""
    before = [(registry, dict(registry)) for registry in (METRICS, LOSSES, PENALTIES)]
    yield
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


@pytest.fixture(scope="module")
def after_a_run(tmp_path_factory):
    """A folder with `mnist.npz` and, after two steps, the run that the pages speak of."""
    folder = tmp_path_factory.mktemp("run")
    halves = {"x_train": synthetic.digits(1000, seed=0), "x_test": synthetic.digits(500, seed=1)}
    np.savez(folder / "mnist.npz", **{name: images for name, (images, _) in halves.items()})
    config = Config(
        data_path=str(folder / "mnist.npz"),
        epochs=1,
        steps_per_epoch=2,
        fid_every=0,
        model_dir=str(folder / "runs/mnist-dcgan-lsgan"),
    )
    training.run(config)
    return folder


@pytest.fixture
def execute(monkeypatch, registries):
    """Runs the blocks of a page one after another in a folder, and returns their names."""

    def run(name, folder, data):
        monkeypatch.chdir(folder)
        monkeypatch.setenv("KERAS_GAN_DATA", str(data))
        names = {}
        for i, block in enumerate(BLOCKS[name]):
            exec(compile(block, f"{name}, block {i + 1}", "exec"), names)
        return names

    return run


def test_readme_runs(execute, tmp_path, tiny_npz):
    names = execute("README.md", tmp_path, tiny_npz)
    assert names["images"].shape == (16, 28, 28, 1)
    loaded = names["keras"].models.load_model("gan.keras")
    assert loaded.adversarial_loss == LOSSES["lsgan"]()
    assert (tmp_path / "export/saved_model.pb").exists()


def test_runs_page_runs(execute, after_a_run):
    names = execute("docs/runs.md", after_a_run, after_a_run)
    assert names["images"].shape == (8, 28, 28, 1)
    assert names["p"].shape == (8, 1)


def test_devices_page_runs(execute, tmp_path, tiny_npz):
    names = execute("docs/devices.md", tmp_path, tiny_npz)
    assert int(names["gan"].step.numpy()) == 20


def test_scores_page_runs(execute, after_a_run):
    names = execute("docs/scores.md", after_a_run, after_a_run)
    assert set(names["record"]["scores"]) == {"fid", "precision", "recall"}
    assert set(names["record"]["scores"]["fid"]) == {"model", "real", "noise"}


@pytest.mark.slow
def test_extending_page_runs(execute, tmp_path, tiny_npz):
    names = execute("docs/extending.md", tmp_path, tiny_npz)
    assert (tmp_path / "samples/epoch-0004.png").exists()
    rows = (tmp_path / "history.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2", "3"]
    assert (tmp_path / "runs/short/export/saved_model.pb").exists()
    # What the page adds works: the loss and the penalty are saved, the architectures build.
    gan = names["keras_gan"].GAN(names["generator"], names["discriminator"])
    gan.compile("adam", "adam", loss=names["TotalVariation"](), penalty=names["Drift"](0.5))
    gan.save("own.keras")
    loaded = names["keras"].models.load_model("own.keras")
    assert loaded.adversarial_loss == names["TotalVariation"]()
    assert loaded.penalty == names["Drift"](0.5)
    assert len(names["gan"].generator.layers) == 2
    assert names["entry"].generator(32, (8, 8, 3)).output_shape == (None, 8, 8, 3)
    assert set(names["scores"]) == {"fid"}


@pytest.mark.slow
def test_notebook_runs(monkeypatch, tmp_path, tiny_npz):
    """From top to bottom, with fewer steps."""
    cells = json.loads((ROOT / "examples/quickstart.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    shown = []
    jupyter = types.SimpleNamespace(display=lambda image: shown.append(np.asarray(image)))
    monkeypatch.setitem(sys.modules, "IPython", jupyter)
    monkeypatch.setitem(sys.modules, "IPython.display", jupyter)
    monkeypatch.setenv("KERAS_GAN_DATA", str(tiny_npz))
    monkeypatch.chdir(tmp_path)
    assert code[0].count("STEPS = 1000") == 1
    names = {}
    for i, block in enumerate([code[0].replace("STEPS = 1000", "STEPS = 4"), *code[1:]]):
        exec(compile(block, f"quickstart.ipynb, code {i + 1}", "exec"), names)
    assert [pixels.shape for pixels in shown[:2]] == [(56, 560), (56, 560)]
    assert len(shown) == 6
    assert all(pixels.std() > 0 for pixels in shown)


def test_every_python_block_is_run():
    tested = {"README.md", *(f"docs/{n}.md" for n in ("runs", "scores", "extending", "devices"))}
    assert {name for name, blocks in BLOCKS.items() if blocks} == tested


def anchors(text):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", TEXTS[name])):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        assert page.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(page.read_text()), f"{name}: {target}"


def test_index_links_every_page():
    listed = set(re.findall(r"\]\((\w+\.md)\)", TEXTS["docs/README.md"]))
    assert listed == {page.name for page in PAGES if page.name != "README.md"}


def test_readme_takes_five_minutes():
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pytest.mark.parametrize("name", TEXTS)
def test_lines_are_short(name):
    lines = TEXTS[name].splitlines()
    assert [line for line in lines if len(line) > 110 and not line.startswith("|")] == []


@pytest.fixture(scope="module")
def flags(command):
    """The flags of the commands, and the switches `--no...`."""
    modules = ("evaluate", "export", "launch", "report")
    scripts = [["train.py"], ["sample.py"], *(["-m", f"keras_gan.{name}"] for name in modules)]
    helps = "".join(command(*script, "--help").stdout for script in scripts)
    found = re.findall(r"^ +--(\[no\])?(\w+):", helps, re.MULTILINE)
    return {"help"} | {name for _, name in found} | {f"no{name}" for no, name in found if no}


@pytest.mark.parametrize("name", TEXTS)
def test_flags_exist(name, flags):
    named = set(re.findall(r"(?<![\w-])--([a-zA-Z]\w*)", TEXTS[name]))
    assert named <= flags


def test_readme_names_every_choice():
    rows = re.findall(r"^\|(.*)\|$", TEXTS["README.md"], re.MULTILINE)
    cells = {cell.strip(" *`") for row in rows for cell in row.split("|")}
    assert {*ARCHITECTURES, *LOSSES, *(f"--penalty={name}" for name in PENALTIES)} <= cells


@pytest.mark.parametrize("column", range(3))
def test_losses_page_has_the_defaults(column):
    table = TEXTS["docs/losses.md"].split("An architecture brings")[1].split("The table is for")[0]
    config = Config(arch=("dcgan", "mlp", "maxout")[column]).resolve(60_000)
    words = {"yes": True, "all": 60_000, "-": None}
    checked = 0
    for flags, *cells in (row.split("|")[1:-1] for row in table.splitlines() if "--" in row):
        names = re.findall(r"--(\w+)", flags)
        for name, cell in zip(names, cells[column].strip().split(", "), strict=bool(names)):
            expected, found = getattr(config, name), words.get(cell, cell.replace(",", ""))
            is_number = isinstance(found, str) and isinstance(expected, int | float)
            assert expected == (float(found) if is_number else found), name
            checked += 1
    assert checked == 12


def test_losses_page_has_the_weights_of_the_penalties():
    rows = re.findall(r"--penalty=(\w+)`\*{0,2} \|[^|]*\| (\d+)", TEXTS["docs/losses.md"])
    weights = {name: penalty().weight for name, penalty in PENALTIES.items()}
    assert {name: float(weight) for name, weight in rows} == weights


def test_losses_page_has_the_settings_of_adam():
    settings = ("dcgan", "muon", 0.99), ("dcgan", "adam", 0.99), ("mlp", "adam", 0.999)
    for arch, name, beta_2 in settings:
        config = Config(arch=arch, optimizer=name).resolve(1000)
        optimizer = training.build(config, np.zeros([1, 28, 28, 1], np.uint8)).d_optimizer
        assert type(optimizer).__name__.lower() == name
        assert (optimizer.beta_1, optimizer.beta_2) == (0, beta_2)


def test_runs_page_names_the_flags_that_may_differ():
    page = TEXTS["docs/runs.md"]
    listed = re.search(r"These flags may differ: (.*?), and those", page, re.DOTALL)[1]
    images = {"dataset", "data_path", "image_size", "background", "cache_dir"}
    free = {field.name for field in dataclasses.fields(Config) if not field.metadata["identity"]}
    assert {*re.findall(r"--(\w+)", listed), *images} == free
